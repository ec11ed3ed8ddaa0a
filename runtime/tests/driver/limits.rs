//! What each end declares, and what comes of it: the longest message, versions, who may come in.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt;
use steadfast::client::{ConnectError, Item, SubscriptionEnd};
use steadfast::server::{Credentials, Denied, Principal};
use steadfast::wire::UnsubscribeCode;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use super::chat::*;

/// The same protocol in a version whose events are shorter.
mod narrow {
    use steadfast::{UnknownMessage, WsProtocol};

    #[derive(Debug, Clone, WsProtocol)]
    #[serde(rename_all = "snake_case")]
    #[ws(client, protocol = "chat", version = "0.9", server = NarrowEvent)]
    pub enum ChatCommand {
        #[ws(command)]
        Forgotten,
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[serde(rename_all = "snake_case")]
    #[ws(server, protocol = "chat",
         topic(Ticker, key = feed: u64, replay = 4, ttl = "10m", max_bytes = "16KiB"))]
    pub enum NarrowEvent {
        #[ws(event(Ticker))]
        Tick { feed: u64, price: u64 },
        #[ws(unknown)]
        Unknown(UnknownMessage),
    }
}

/// PROTOCOL.md 2.6: the server knows the limit, and ends the subscription alone.
#[tokio::test]
async fn what_is_longer_than_a_client_takes_ends_its_subscription_alone() {
    let running = serve().await;
    let narrow = narrow::ChatClient::builder(format!("ws://{}/", running.address))
        .transport(|it| it.message_bytes = 32 * 1024);
    let chat = within(narrow.connect()).await.unwrap();
    let state = chat.state();
    let mut ticks = within(chat.subscribe(narrow::Ticker(1))).await.unwrap();
    let mut others = within(chat.subscribe(narrow::Ticker(2))).await.unwrap();
    let tick = |feed, length| ChatEventTick { feed, price: 1, padding: "x".repeat(length) };
    within(running.server.publish(&tick(1, 48 * 1024))).await.unwrap();
    assert!(within(ticks.next()).await.is_none());
    match ticks.end() {
        Some(SubscriptionEnd::Refused(code)) => assert_eq!(code, UnsubscribeCode::TooLarge),
        other => panic!("{other:?}"),
    }
    within(running.server.publish(&tick(2, 10))).await.unwrap();
    assert!(matches!(within(others.next()).await, Some(Item::Event(_))));
    assert!(!state.has_changed().unwrap(), "the socket goes on");
}

/// Limits of both ends are compared before anything is sent.
#[tokio::test]
async fn a_message_that_no_outbox_could_hold_is_an_error_at_once() {
    let builder = ChatClient::builder("ws://nowhere.example/")
        .configure(|config| config.outbox_bytes = 60 * 1024);
    match within(builder.connect()).await {
        Err(ConnectError::Limits { setting, limit, .. }) => {
            assert_eq!((setting, limit), ("ClientConfig::outbox_bytes", 60 * 1024))
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

#[test]
#[should_panic(expected = "NodeConfig::frame_bytes")]
fn a_server_whose_frames_can_not_carry_its_messages_is_not_built() {
    let builder = ChatServer::builder(Chat::new()).allow_anonymous();
    drop(builder.configure(|config| config.frame_bytes = 60 * 1024).build());
}

/// A frame's head is a part of the frame.
#[test]
#[should_panic(expected = "NodeConfig::frame_bytes")]
fn a_server_whose_frames_carry_its_messages_without_their_heads_is_not_built() {
    let builder = ChatServer::builder(Chat::new()).allow_anonymous();
    drop(builder.configure(|config| config.frame_bytes = 64 * 1024 + 159).build());
}

#[test]
fn a_server_whose_frames_carry_its_messages_with_their_heads_is_built() {
    let builder = ChatServer::builder(Chat::new()).allow_anonymous();
    drop(builder.configure(|config| config.frame_bytes = 64 * 1024 + 160).build());
}

#[test]
#[should_panic(expected = "NodeConfig::publish_bytes_per_command")]
fn a_server_whose_commands_can_not_publish_its_events_is_not_built() {
    let builder = ChatServer::builder(Chat::new()).allow_anonymous();
    drop(builder.configure(|config| config.publish_bytes_per_command = 60 * 1024).build());
}

#[test]
#[should_panic(expected = "NodeConfig::snapshots_bytes")]
fn a_server_that_has_no_room_for_one_state_is_not_built() {
    let builder = ChatServer::builder(Chat::new()).allow_anonymous();
    drop(builder.configure(|config| config.snapshots_bytes = 1024 * 1024).build());
}

#[tokio::test]
async fn a_client_that_does_not_take_the_events_of_its_protocol_is_told_at_once() {
    let builder = ChatClient::builder("ws://nowhere.example/")
        .transport(|config| config.message_bytes = 64 * 1024);
    match within(builder.connect()).await {
        Err(ConnectError::Limits { setting, limit, .. }) => {
            assert_eq!((setting, limit), ("TransportConfig::message_bytes", 64 * 1024))
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

/// PROTOCOL.md 2.8: a page sees no status.
#[tokio::test]
async fn a_page_is_told_by_a_close_code_why_it_is_refused() {
    let guard = |builder: ChatBuilder| {
        builder.allow_origins(["https://chat.example"]).limits(|limits| limits.connections = 1)
    };
    let running = serve_with(guard).await;
    let first = connect(running.address).await;
    for (path, origin, subprotocol, code) in [
        ("", "https://evil.example", "steadfast.v1.json", 4403),
        ("", "https://chat.example", "mqtt", 4401),
        ("elsewhere", "https://chat.example", "steadfast.v1.json", 4401),
        ("", "https://chat.example", "steadfast.v1.json", 4004),
    ] {
        let url = format!("ws://{}/{path}", running.address);
        let mut request = url.into_client_request().unwrap();
        for (name, value) in [("origin", origin), ("sec-websocket-protocol", subprotocol)] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let mut socket = within(tokio_tungstenite::connect_async(request)).await.unwrap().0;
        match within(socket.next()).await {
            Some(Ok(Message::Close(Some(close)))) => {
                assert_eq!(u16::from(close.code), code, "{path} {origin} {subprotocol}")
            }
            other => panic!("{other:?}"),
        }
    }
    within(first.post(RoomId(1), "served".into())).await.unwrap();
    until(|| running.server.connections() == 1).await;
}

/// PROTOCOL.md 4.1: told, not compared.
#[tokio::test]
async fn the_hook_that_asks_who_is_there_sees_the_clients_version() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let versions = Arc::clone(&seen);
    let server = ChatServer::builder(Chat::new())
        .authenticate(move |shown: Credentials| {
            versions.lock().unwrap().push(shown.client.version.to_string());
            async { Ok::<_, Denied>(Principal::new("ann")) }
        })
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { server.serve_listener(listener).await });
    let _chat = connect(address).await;
    assert_eq!(*seen.lock().unwrap(), ["1.0"]);
}
