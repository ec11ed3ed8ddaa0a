//! Connections and their ends: refusals before the upgrade, credentials, draining, closing, hostile
//! peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use steadfast::client::{CallError, ConnectError, ConnectionState, DialReason, Item};
use steadfast::server::{Denied, Principal, bearer};
use steadfast::session::CloseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use super::chat::*;
use super::proxy::Proxy;

async fn request(address: std::net::SocketAddr, head: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = within(stream.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn what_is_not_an_upgrade_is_refused_with_a_status() {
    let running = serve_with(|builder| builder.allow_origins(["https://chat.example"])).await;
    let protocol = "Sec-WebSocket-Protocol: other, steadfast.v1.json\r\n";
    let cases = [
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{protocol}\r\n"), "426"),
        (format!("{UPGRADE}\r\n"), "400"),
        (format!("{UPGRADE}Sec-WebSocket-Protocol: mqtt\r\n\r\n"), "400"),
        (format!("{UPGRADE}{protocol}Origin: https://chat.example\r\n\r\n"), "101"),
        (format!("{UPGRADE}{protocol}\r\n"), "101"),
        (format!("{}{protocol}\r\n", UPGRADE.replace("13", "8")), "426"),
        (format!("{}{protocol}\r\n", UPGRADE.replace("dGhl", "")), "400"),
    ];
    for (head, status) in cases {
        let answer = request(running.address, &head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}\n{answer}");
        if status == "101" {
            let answer = answer.to_ascii_lowercase();
            assert!(
                answer.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
                "{answer}"
            );
            assert!(answer.contains("sec-websocket-protocol: steadfast.v1.json"), "{answer}");
        }
    }
}

#[tokio::test]
async fn one_connection_too_many_is_told_when_to_come_back() {
    let running = serve_with(|builder| builder.limits(|limits| limits.connections = 1)).await;
    let first = connect(running.address).await;
    let answer = request(
        running.address,
        &format!("{UPGRADE}Sec-WebSocket-Protocol: steadfast.v1.json\r\n\r\n"),
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("retry-after: 5"), "{answer}");
    within(first.close()).await;
    until(|| running.server.connections() == 0).await;
    within(connect(running.address).await.post(RoomId(1), "now".into())).await.unwrap();
}

#[tokio::test]
async fn credentials_are_asked_for_before_each_dial_and_refused_ones_do_not_loop() {
    let chat = Chat::new();
    let server = ChatServer::builder(chat)
        .authenticate(bearer(|token| async move {
            match token.as_str() {
                "good" => Ok(Principal::new("ann")),
                _ => Err(Denied::new("unknown token")),
            }
        }))
        .build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_listener(listener).await });

    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let refreshing = client(address).token(move |reason| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { if reason == DialReason::Refused { "good" } else { "stale" } }
    });
    let connected = within(refreshing.connect()).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    within(connected.post(RoomId(1), "hello".into())).await.unwrap();

    for builder in [client(address).token(|_| async { "stale" }), client(address)] {
        match within(builder.connect()).await {
            Err(ConnectError::Failed { reason }) => {
                assert_eq!(reason.code, Some(CloseCode::CREDENTIALS_REFUSED))
            }
            other => panic!("{:?}", other.map(drop)),
        }
    }
}

#[tokio::test]
async fn a_wrong_address_or_endpoint_is_an_error_and_not_a_wait() {
    let running = serve().await;
    for url in ["http://x/", "wss://x/", "ws://", "x"] {
        assert!(
            matches!(ChatClient::builder(url).connect_lazily(), Err(ConnectError::Url { .. })),
            "{url}"
        );
    }
    match within(ChatClient::builder(format!("ws://{}/nowhere", running.address)).connect()).await {
        Err(ConnectError::Failed { reason }) => assert!(reason.reason.contains("404"), "{reason}"),
        other => panic!("{:?}", other.map(drop)),
    }
}

/// A web server that gives every request the same answer, or closes after it has been asked.
async fn web_server(status: &'static str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream
                .write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").as_bytes())
                .await;
        }
    });
    address
}

/// PROTOCOL.md 2.1.
#[tokio::test]
async fn any_other_web_server_stops_a_client_that_was_never_connected() {
    for status in ["200 OK", "301 Moved Permanently", "404 Not Found", "418 I'm a teapot"] {
        match within(client(web_server(status).await).connect()).await {
            Err(ConnectError::Failed { reason }) => {
                assert!(reason.reason.contains(&status[..3]), "{reason}");
                assert!(reason.reason.contains("no steadfast server here"), "{reason}");
            }
            other => panic!("{status}: {:?}", other.map(drop)),
        }
    }
    for status in
        ["408 Request Timeout", "425 Too Early", "429 Too Many Requests", "502 Bad Gateway"]
    {
        let builder =
            client(web_server(status).await).configure(|config| config.backoff.attempts = Some(2));
        match within(builder.connect()).await {
            Err(ConnectError::Failed { reason }) => {
                assert_eq!(reason.code, None, "{status}: {reason}")
            }
            other => panic!("{status}: {:?}", other.map(drop)),
        }
    }
}

#[tokio::test]
async fn a_proxy_that_drops_the_subprotocol_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move { tokio_tungstenite::accept_async(stream).await });
        }
    });
    match within(client(address).connect()).await {
        Err(ConnectError::Failed { reason }) => {
            assert_eq!(reason.code, Some(CloseCode::UNSUPPORTED));
            assert!(reason.reason.contains("Sec-WebSocket-Protocol"), "{reason}");
        }
        other => panic!("{:?}", other.map(drop)),
    }
}

#[tokio::test]
async fn closing_leaves_no_socket_and_no_task_behind() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let call = chat.slow(1);
    until(|| running.chat.log.lock().unwrap().slow.len() == 1).await;
    within(chat.close()).await;
    assert_eq!(within(call).await, Err(CallError::Closed { maybe_executed: true }));
    assert_eq!(*chat.state().borrow(), ConnectionState::Closed);
    assert_eq!(
        within(chat.post(RoomId(1), "no".into())).await,
        Err(CallError::Closed { maybe_executed: false })
    );
    until(|| running.server.connections() == 0 && running.server.load().sessions == 0).await;
}

#[tokio::test]
async fn dropping_the_last_handle_closes_cleanly() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let clone = chat.clone();
    drop(chat);
    within(clone.post(RoomId(1), "still".into())).await.unwrap();
    drop(clone);
    until(|| running.server.connections() == 0 && running.server.load().sessions == 0).await;
}

#[tokio::test]
async fn dropping_an_unfinished_connect_ends_its_dials() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = tokio::spawn(async move { client(address).connect().await.map(drop) });
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    connecting.abort();
    // The request is there, and then the end of the stream.
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert!(rest.starts_with(b"GET / HTTP/1.1"));
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_sends_everybody_away() {
    let running =
        serve_with(|builder| builder.limits(|limits| limits.drain_spread = Duration::ZERO)).await;
    let chat = connect(running.address).await;
    let call = chat.slow(3);
    until(|| running.chat.log.lock().unwrap().slow.len() == 1).await;
    let server = running.server.clone();
    let drain = tokio::spawn(async move { server.shutdown(Duration::from_secs(5)).await });
    running.chat.gate.add_permits(1);
    assert_eq!(within(call).await, Ok(6));
    within(drain).await.unwrap();
    assert_eq!(running.server.connections(), 0);
    let status = chat.status();
    assert!(!status.live);
    assert!(status.message.starts_with("Connection lost. We'll keep trying."), "{status:?}");
}

#[tokio::test]
async fn an_action_while_away_is_queued_and_the_status_says_so() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    assert!(chat.status().live);
    proxy.refuse();
    proxy.cut();
    let mut state = chat.state();
    within(state.wait_for(|state| matches!(state, ConnectionState::Reconnecting { .. })))
        .await
        .unwrap();
    let call = chat.post(RoomId(1), "queued".into());
    let status = chat.status();
    assert_eq!((status.live, status.queued), (false, 1));
    assert!(status.away.is_some());
    assert!(status.message.contains("1 action is queued"), "{}", status.message);
    proxy.heal();
    chat.reconnect_now();
    within(call).await.unwrap();
    let resumed = within(state.wait_for(ConnectionState::is_connected)).await.unwrap().clone();
    assert!(matches!(resumed, ConnectionState::Connected { resumed: true, .. }), "{resumed:?}");
}

type Raw = tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<TcpStream>>;

async fn raw(address: std::net::SocketAddr) -> Raw {
    let mut request = format!("ws://{address}/").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "steadfast.v1.json".parse().unwrap());
    within(tokio_tungstenite::connect_async(request)).await.unwrap().0
}

async fn close_code(socket: &mut Raw) -> u16 {
    loop {
        match within(socket.next()).await {
            Some(Ok(Message::Close(Some(frame)))) => return frame.code.into(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Programs of one principal that crash one after the other: more than it may have at a time, none
/// of which says goodbye.
#[tokio::test]
async fn crashed_programs_do_not_keep_the_next_one_out() {
    let service = bearer(|name| async move { Ok(Principal::new(name)) });
    let server = ChatServer::builder(Chat::new()).authenticate(service).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { server.serve_listener(listener).await });
    for program in 1..=80 {
        let mut socket = raw(address).await;
        let hello = format!(
            r#"[20,{{"v":1,"protocol":"chat","version":"1.0","token":"ann","instance":"{program:032x}","dial":1,"window":{{"frames":10,"bytes":10000}}}}]"#
        );
        within(socket.send(Message::text(hello))).await.unwrap();
        match within(socket.next()).await {
            Some(Ok(Message::Text(welcome))) => assert!(welcome.starts_with("[21,"), "{welcome}"),
            other => panic!("program {program}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_breaks_the_rules_is_told_which() {
    let running = serve_with(|builder| {
        builder.configure(|config| config.handshake = Duration::from_millis(300))
    })
    .await;
    let hello = r#"[20,{"v":1,"protocol":"chat","version":"1.0","instance":"00000000000000000000000000000001","dial":1,"window":{"frames":10,"bytes":10000}}]"#;
    let cases: [(Vec<Message>, u16); 6] = [
        (vec![Message::text("nonsense")], 4400),
        (vec![Message::binary(vec![0; 10])], 4400),
        (vec![Message::text("x".repeat(65 * 1024))], 4413),
        (vec![Message::text("x".repeat(4 * 1024 * 1024))], 4413),
        (vec![], 4408),
        (vec![Message::text(hello), Message::text("[1,")], 4400),
    ];
    for (messages, code) in cases {
        let mut socket = raw(running.address).await;
        for message in messages {
            // A long one may be refused before all of it was taken.
            let _ = within(socket.send(message)).await;
        }
        assert_eq!(close_code(&mut socket).await, code);
    }
    until(|| running.server.connections() == 0).await;
}

#[tokio::test]
async fn a_peer_that_pings_and_never_reads_costs_bounded_memory_and_is_dropped() {
    let running = serve_with(|builder| {
        builder.transport(|transport| transport.slow_write_timeout = Duration::from_millis(300))
    })
    .await;
    let mut socket = raw(running.address).await;
    // Pongs pile up until the server sees that nothing is taken.
    let pinging = async { while socket.send(Message::Ping(vec![7; 125].into())).await.is_ok() {} };
    let dropped = until(|| running.server.connections() == 0);
    tokio::select! {
        () = pinging => {}
        () = dropped => {}
    }
    until(|| running.server.connections() == 0).await;
}

#[tokio::test]
async fn two_ends_with_full_buffers_do_not_block_each_other() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let mut events = within(chat.subscribe(Ticker(1))).await.unwrap();
    // Large messages both ways at once, each far beyond the sockets' buffers.
    let server = running.server.clone();
    let publishing = tokio::spawn(async move {
        for price in 0..300 {
            let padding = "y".repeat(60 * 1024);
            server.publish(&ChatEventTick { feed: 1, price, padding }).await.unwrap();
        }
    });
    let posts: Vec<_> =
        (0..300).map(|i| chat.post(RoomId(1), format!("{i}{}", "x".repeat(15 * 1024)))).collect();
    let reading = tokio::spawn(async move {
        loop {
            match events.next().await {
                Some(Item::Event(ChatEvent::Tick { price: 299, .. })) => return,
                // It may fall behind what is held, but is told of it.
                Some(Item::Gap(gap)) if gap.resumes_after.0 >= 300 => return,
                Some(_) => {}
                None => panic!("{:?}", events.end()),
            }
        }
    });
    for post in posts {
        within(post).await.unwrap();
    }
    within(publishing).await.unwrap();
    within(reading).await.unwrap();
}

#[tokio::test]
async fn the_router_mounts_into_an_application() {
    let server = ChatServer::builder(Chat::new()).allow_anonymous().build();
    let app = axum::Router::new()
        .nest("/chat", server.router())
        .route("/health", axum::routing::get(|| async { "ok" }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let chat = within(ChatClient::builder(format!("ws://{address}/chat")).connect()).await.unwrap();
    within(chat.post(RoomId(1), "mounted".into())).await.unwrap();
    let answer = request(address, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(answer.ends_with("ok"), "{answer}");
}

#[tokio::test]
async fn a_frame_that_comes_with_the_upgrade_request_is_not_lost() {
    let running = serve().await;
    let hello = r#"[20,{"v":1,"protocol":"chat","version":"1.0","instance":"00000000000000000000000000000002","dial":1,"window":{"frames":10,"bytes":10000}}]"#;
    let mut bytes =
        format!("{UPGRADE}Sec-WebSocket-Protocol: steadfast.v1.json\r\n\r\n").into_bytes();
    // A text frame with a mask of zeros (RFC 6455 5.2).
    bytes.extend([0x81, 0x80 | 126]);
    bytes.extend(u16::try_from(hello.len()).unwrap().to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(hello.as_bytes());
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("[21,") {
        assert_ne!(
            within(stream.read_buf(&mut answer)).await.unwrap(),
            0,
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
}
