//! Lines on which one message takes longer than a silent peer is given, in paused time: the line
//! carries so many bytes each second, and holds what a kernel would hold.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use steadfast::client::Item;
use steadfast::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest};

use super::chat::*;

/// What the buffers beneath a socket hold.
const KERNEL: usize = 4 * 1024 * 1024;
const HELLO: &str = r#"[20,{"v":1,"protocol":"chat","version":"1.0","instance":"00000000000000000000000000000001","dial":1,"window":{"frames":10,"bytes":10000}}]"#;

/// A server at the end of slow lines.
#[derive(Clone)]
struct Slow {
    server: Server<ChatCommand>,
    /// Bytes that a line carries each second, up and down.
    up: usize,
    down: usize,
    dials: Arc<AtomicUsize>,
}

impl Slow {
    fn new(chat: &Chat, up: usize, down: usize) -> Self {
        let server = ChatServer::builder(chat.clone()).allow_anonymous().build();
        Self { server, up, down, dials: Arc::default() }
    }

    fn dial(&self) -> DuplexStream {
        self.dials.fetch_add(1, Ordering::SeqCst);
        let (ours, near) = tokio::io::duplex(KERNEL);
        let (far, theirs) = tokio::io::duplex(KERNEL);
        let (near_in, near_out) = tokio::io::split(near);
        let (far_in, far_out) = tokio::io::split(far);
        tokio::spawn(carry(near_in, far_out, self.up));
        tokio::spawn(carry(far_in, near_out, self.down));
        let server = self.server.clone();
        tokio::spawn(async move { server.serve_connection(theirs, None).await });
        ours
    }

    async fn connect(&self) -> ChatClient {
        let slow = self.clone();
        let builder = ChatClient::builder("ws://slow.example/").connector(move |_| {
            let stream = slow.dial();
            async move { io::Result::Ok(stream) }
        });
        builder.connect().await.unwrap()
    }

    async fn raw(&self) -> WebSocketStream<DuplexStream> {
        let mut request = "ws://slow.example/".into_client_request().unwrap();
        let offered = "steadfast.v1.json".parse().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", offered);
        let mut socket = tokio_tungstenite::client_async(request, self.dial()).await.unwrap().0;
        socket.send(Message::text(HELLO)).await.unwrap();
        let welcome = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(welcome.starts_with("[21,"), "{welcome}");
        socket
    }
}

/// Ten pieces a second.
async fn carry(
    mut from: tokio::io::ReadHalf<DuplexStream>,
    mut to: tokio::io::WriteHalf<DuplexStream>,
    bytes_per_second: usize,
) {
    let mut piece = vec![0; (bytes_per_second / 10).max(1)];
    while let Ok(count @ 1..) = from.read(&mut piece).await {
        if to.write_all(&piece[..count]).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The code with which a socket ended.
async fn code(socket: &mut WebSocketStream<DuplexStream>) -> u16 {
    loop {
        match socket.next().await {
            Some(Ok(Message::Close(Some(close)))) => return close.code.into(),
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// 80 seconds for the state, of which the client can answer nothing; silence is given up after 55.
#[tokio::test(start_paused = true)]
async fn a_state_that_takes_longer_than_silence_may_last_arrives_on_the_first_connection() {
    let chat = Chat::new();
    chat.log.lock().unwrap().posts.push("x".repeat(4_000_000));
    let slow = Slow::new(&chat, 50_000, 50_000);
    let client = slow.connect().await;
    let mut room = client.subscribe(Room(RoomId(1))).await.unwrap();
    match room.next().await {
        Some(Item::Snapshot { state, .. }) => assert_eq!(state.messages[0].len(), 4_000_000),
        other => panic!("{other:?}"),
    }
    assert_eq!(slow.dials.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_command_that_takes_longer_than_silence_may_last_is_executed_on_the_first_connection() {
    let chat = Chat::new();
    let slow = Slow::new(&chat, 200, 50_000);
    let client = slow.connect().await;
    client.post(RoomId(1), "x".repeat(16_000)).settled().await.unwrap();
    assert_eq!(slow.dials.load(Ordering::SeqCst), 1);
    assert_eq!(chat.log.lock().unwrap().posts.len(), 1);
}

/// Each byte is life, but not for ever: one message has five minutes.
#[tokio::test(start_paused = true)]
async fn a_message_that_never_comes_to_its_end_costs_its_sender_the_socket() {
    let chat = Chat::new();
    // The request and HELLO need a while, the first message of so many bytes would need hours.
    let slow = Slow::new(&chat, 1_000, 50_000);
    let mut socket = slow.raw().await;
    // A text frame of 64,000 bytes with a mask of zeros (RFC 6455 5.2).
    socket.get_mut().write_all(&[0x81, 0x80 | 126, 0xFA, 0, 0, 0, 0, 0]).await.unwrap();
    let (mut sent, mut ended) = (0_usize, None);
    while ended.is_none() {
        let _ = socket.get_mut().write_all(b"x").await;
        sent += 1;
        let second = Duration::from_secs(1);
        ended = tokio::time::timeout(second, code(&mut socket)).await.ok();
    }
    assert_eq!(ended, Some(4005));
    assert!(sent > 60, "as life each byte counts: {sent}");
}

/// It says something each second, and takes nothing: the buffers fill, and what waits behind them
/// is given up in the end.
#[tokio::test(start_paused = true)]
async fn a_peer_that_speaks_and_takes_nothing_is_given_up_after_a_while() {
    let chat = Chat::new();
    chat.log.lock().unwrap().posts.push("x".repeat(10_000_000));
    let slow = Slow::new(&chat, 50_000, 1_000_000);
    let mut socket = slow.raw().await;
    let subscribe = r#"[23,{"sub":1,"topic":"room","key":"1","credit":{"events":1,"bytes":1}}]"#;
    socket.send(Message::text("[0,0,1]")).await.unwrap();
    socket.send(Message::text(subscribe)).await.unwrap();
    let subscribed = socket.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(subscribed.starts_with("[24,"), "{subscribed}");
    let mut pings = 0;
    while slow.server.connections() > 0 || pings == 0 {
        let _ = socket.send(Message::text(format!("[12,{pings}]"))).await;
        pings += 1;
        assert!(pings < 10_000, "it is never given up");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(pings > 60, "as life each message counts: {pings}");
}
