//! A server that leaves while nobody says anything. Its time limits are an hour long, so that only
//! the order of a drain itself can end it.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use steadfast::client::ConnectionState;
use steadfast::session::CloseCode;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use super::chat::*;

const HOUR: Duration = Duration::from_secs(3600);

async fn serve_for_an_hour() -> Running {
    serve_with(|builder| {
        builder
            .transport(|transport| transport.close_timeout = HOUR)
            .limits(|limits| limits.drain_spread = HOUR)
            .configure(|config| config.handshake = HOUR)
    })
    .await
}

type Raw =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn raw(address: SocketAddr) -> Raw {
    let mut request = format!("ws://{address}/").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "steadfast.v1.json".parse().unwrap());
    within(tokio_tungstenite::connect_async(request)).await.unwrap().0
}

async fn next_text(socket: &mut Raw) -> String {
    match within(socket.next()).await {
        Some(Ok(Message::Text(text))) => text.to_string(),
        other => panic!("{other:?}"),
    }
}

/// PROTOCOL.md 8.2: nothing is owed to it, so it is told to leave and closed, though it says
/// nothing that would make the server look at it again.
#[tokio::test]
async fn a_client_that_says_nothing_is_told_to_leave_and_closed_at_once() {
    let running = serve_for_an_hour().await;
    let mut socket = raw(running.address).await;
    let hello = r#"[20,{"v":1,"protocol":"chat","version":"1.0","instance":"00000000000000000000000000000001","dial":1,"window":{"frames":10,"bytes":10000}}]"#;
    within(socket.send(Message::text(hello))).await.unwrap();
    assert!(next_text(&mut socket).await.starts_with("[21,"));

    let server = running.server.clone();
    let drain = tokio::spawn(async move { server.shutdown(HOUR).await });
    let goaway = next_text(&mut socket).await;
    assert!(goaway.starts_with("[27,"), "{goaway}");
    match within(socket.next()).await {
        Some(Ok(Message::Close(Some(close)))) => assert_eq!(u16::from(close.code), 4010),
        other => panic!("{other:?}"),
    }
    // Reading on answers the closing handshake.
    assert!(within(socket.next()).await.is_none_or(|end| end.is_err()));
    within(drain).await.unwrap();
    assert_eq!(running.server.connections(), 0);
}

#[tokio::test]
async fn an_idle_typed_client_learns_that_the_server_leaves_and_shutdown_returns() {
    let running = serve_for_an_hour().await;
    let client = client(running.address).transport(|it| it.close_timeout = HOUR);
    let chat = within(client.connect()).await.unwrap();
    let mut state = chat.state();
    within(running.server.shutdown(HOUR)).await;
    assert_eq!(running.server.connections(), 0);
    let lost = within(state.wait_for(|state| !state.is_connected())).await.unwrap().clone();
    match lost {
        ConnectionState::Reconnecting { reason, .. } => {
            assert_eq!(reason.code, Some(CloseCode::DRAINING), "{reason}")
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_socket_that_has_not_said_hello_does_not_hold_a_drain_up() {
    let running = serve_for_an_hour().await;
    let mut socket = raw(running.address).await;
    until(|| running.server.load().connections == 1).await;
    let server = running.server.clone();
    let drain = tokio::spawn(async move { server.shutdown(HOUR).await });
    match within(socket.next()).await {
        Some(Ok(Message::Close(Some(close)))) => assert_eq!(u16::from(close.code), 4010),
        other => panic!("{other:?}"),
    }
    assert!(within(socket.next()).await.is_none_or(|end| end.is_err()));
    within(drain).await.unwrap();
}
