//! Other byte streams than TCP: a connector at the client's end, a listener or single connections
//! at the server's.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use steadfast::client::{Builder, ConnectError, Item, Target};
use steadfast::server::{Credentials, Denied, Listener, Principal};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::chat::*;

/// Not where the WebSocket is.
const ELSEWHERE: &[u8] = b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n";

/// A listener without a network: pipes in memory, handed over by a channel.
struct Pipes(mpsc::Receiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = &'static str;

    async fn accept(&mut self) -> (DuplexStream, &'static str) {
        match self.0.recv().await {
            Some(pipe) => (pipe, "a pipe"),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<&'static str> {
        Ok("a pipe")
    }
}

fn quick(builder: Builder<ChatClient>) -> Builder<ChatClient> {
    builder.configure(|config| {
        config.backoff.base = Duration::from_millis(20);
        config.backoff.cap = Duration::from_millis(200);
    })
}

/// Makes a pipe per dial, and sends its other end to where the server takes it from.
fn piped(url: &str, to: mpsc::Sender<DuplexStream>) -> Builder<ChatClient> {
    quick(ChatClient::builder(url)).connector(move |_| {
        let to = to.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(16 * 1024);
            to.send(theirs).await.map_err(io::Error::other)?;
            Ok(ours)
        }
    })
}

#[tokio::test]
async fn any_listener_and_any_connector_make_a_connection() {
    let chat = Chat::new();
    let peers = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&peers);
    let server = ChatServer::builder(chat.clone())
        .authenticate(move |shown: Credentials| {
            seen.lock().unwrap().push(shown.peer);
            async { Ok::<_, Denied>(Principal::new("ann")) }
        })
        .build();
    let (to, from) = mpsc::channel(4);
    let serving = server.clone();
    let served = tokio::spawn(async move { serving.serve_listener(Pipes(from)).await });
    let client = within(piped("ws://nowhere.example/", to).connect()).await.unwrap();
    let letters = "x".repeat(12 * 1024);
    within(client.post(RoomId(1), letters)).await.unwrap();
    assert_eq!(*peers.lock().unwrap(), [None], "a pipe has no address");
    within(client.close()).await;
    until(|| server.connections() == 0).await;
    within(server.shutdown(Duration::from_secs(1))).await;
    within(served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_was_accepted_elsewhere_is_served() {
    let server = ChatServer::builder(Chat::new())
        .authenticate(|shown: Credentials| async move {
            Ok::<_, Denied>(Principal::new(
                shown.peer.map_or_else(String::new, |peer| peer.to_string()),
            ))
        })
        .build();
    let peer: SocketAddr = "192.0.2.7:4711".parse().unwrap();
    let (to, mut from) = mpsc::channel(4);
    let serving = server.clone();
    tokio::spawn(async move {
        while let Some(pipe) = from.recv().await {
            serving.serve_connection(pipe, Some(peer)).await.unwrap();
        }
    });
    let client = within(piped("ws://nowhere.example/", to).connect()).await.unwrap();
    let mut room = within(client.subscribe(Room(RoomId(1)))).await.unwrap();
    within(client.post(RoomId(1), "hello".into())).await.unwrap();
    let from = loop {
        if let Item::Event(ChatEvent::Posted { from, .. }) = within(room.next()).await.unwrap() {
            break from;
        }
    };
    assert_eq!(from, "192.0.2.7:4711");
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_takes_the_place_of_a_port() {
    let path = std::env::temp_dir().join(format!("steadfast-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let server = ChatServer::builder(Chat::new()).allow_anonymous().build();
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_listener(listener).await });
    let at = path.clone();
    let builder = ChatClient::builder("ws://chat.local/")
        .connector(move |_| tokio::net::UnixStream::connect(at.clone()));
    let client = within(builder.connect()).await.unwrap();
    within(client.post(RoomId(1), "hello".into())).await.unwrap();
    within(client.close()).await;
    let _ = std::fs::remove_file(&path);
}

#[tokio::test]
async fn a_connector_is_told_what_the_url_says() {
    let cases = [
        ("ws://chat.example/", "chat.example", 80, false),
        ("ws://chat.example:81/x", "chat.example", 81, false),
        ("wss://chat.example/", "chat.example", 443, true),
        ("wss://[2001:db8::1]:444/", "2001:db8::1", 444, true),
    ];
    for (url, host, port, tls) in cases {
        let asked = Arc::new(Mutex::new(None));
        let told = Arc::clone(&asked);
        let builder = ChatClient::builder(url)
            .configure(|config| config.backoff.attempts = Some(1))
            .connector(move |target: Target| {
                *told.lock().unwrap() = Some((target.host.to_string(), target.port, target.tls));
                async { Err::<TcpStream, _>(io::ErrorKind::ConnectionRefused.into()) }
            });
        assert!(matches!(within(builder.connect()).await, Err(ConnectError::Failed { .. })));
        assert_eq!(*asked.lock().unwrap(), Some((host.to_owned(), port, tls)), "{url}");
    }
}

#[tokio::test]
async fn tls_without_a_connector_that_does_it_is_an_error_at_once() {
    match within(ChatClient::builder("wss://chat.example/").connect()).await {
        Err(ConnectError::Url { reason, .. }) => assert!(reason.contains("connector"), "{reason}"),
        other => panic!("{:?}", other.map(drop)),
    }
}

#[tokio::test]
async fn a_connector_that_fails_or_panics_is_asked_again() {
    let running = serve().await;
    let (address, dials) = (running.address, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&dials);
    let builder = quick(ChatClient::builder("ws://chat.local/")).connector(move |_| {
        let dial = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            match dial {
                0 => Err(io::Error::other("no route")),
                1 => panic!("as the test asked"),
                _ => TcpStream::connect(address).await,
            }
        }
    });
    let client = within(builder.connect()).await.unwrap();
    within(client.post(RoomId(1), "third time".into())).await.unwrap();
    assert_eq!(dials.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_connector_that_hangs_is_dropped_when_the_dial_is_over() {
    struct Held(Arc<AtomicUsize>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let builder = quick(ChatClient::builder("ws://chat.local/"))
        .configure(|config| {
            config.dial_timeout = Duration::from_millis(50);
            config.backoff.attempts = Some(2);
        })
        .connector(move |_| {
            let held = Held(Arc::clone(&count));
            async move {
                let _held = held;
                std::future::pending::<io::Result<TcpStream>>().await
            }
        });
    assert!(matches!(within(builder.connect()).await, Err(ConnectError::Failed { .. })));
    until(|| dropped.load(Ordering::SeqCst) == 2).await;
}

#[tokio::test]
async fn a_connection_that_never_asks_for_an_upgrade_is_dropped() {
    let running = serve_with(|builder| {
        builder.configure(|config| config.handshake = Duration::from_millis(100))
    })
    .await;
    let mut silent = TcpStream::connect(running.address).await.unwrap();
    let mut asking = TcpStream::connect(running.address).await.unwrap();
    asking.write_all(ELSEWHERE).await.unwrap();
    let mut answer = String::new();
    within(asking.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    let mut nothing = Vec::new();
    within(silent.read_to_end(&mut nothing)).await.unwrap();
    assert!(nothing.is_empty());
}

#[tokio::test]
async fn connections_without_an_upgrade_are_bounded_and_others_wait_for_them() {
    let server = ChatServer::builder(Chat::new())
        .allow_anonymous()
        .limits(|limits| limits.handshakes = 1)
        .build();
    let (to, pipes) = mpsc::channel(2);
    tokio::spawn(async move { server.serve_listener(Pipes(pipes)).await });
    let (silent, theirs) = tokio::io::duplex(1024);
    to.send(theirs).await.unwrap();
    until(|| to.capacity() == 2).await;
    let (mut asking, theirs) = tokio::io::duplex(1024);
    to.send(theirs).await.unwrap();
    asking.write_all(ELSEWHERE).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(to.capacity(), 1, "it waits to be accepted");
    drop(silent);
    let mut answer = [0; 12];
    within(asking.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 404");
}

#[tokio::test]
async fn the_same_seed_gives_a_client_the_same_identity() {
    let instance = |seed| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, mut told) = mpsc::channel(1);
        let hook = move |shown: Credentials| {
            let tell = tell.clone();
            async move {
                let _ = tell.send(shown.instance).await;
                Ok::<_, Denied>(Principal::new("ann"))
            }
        };
        let server = ChatServer::builder(Chat::new()).authenticate(hook).insecure_seed(1).build();
        tokio::spawn(async move { server.serve_listener(listener).await });
        let _client = within(client(address).insecure_seed(seed).connect()).await.unwrap();
        within(told.recv()).await.unwrap()
    };
    assert_eq!(instance(7).await, instance(7).await);
    assert_ne!(instance(7).await, instance(8).await);
}
