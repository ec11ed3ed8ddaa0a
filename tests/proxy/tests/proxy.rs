//! The proxy does to bytes what it says it does, and no more.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::io::ErrorKind;
use std::time::Duration;

use steadfast_proxy::{Plan, Proxy, Side, Way};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(10);

/// A proxy in front of a listener, with one link through it. Returns the proxy, the client's end,
/// the server's end and the listener.
async fn linked() -> (Proxy, TcpStream, TcpStream, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    let (client, server) = link(&proxy, &listener).await;
    (proxy, client, server, listener)
}

async fn link(proxy: &Proxy, listener: &TcpListener) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(proxy.addr()).await.unwrap();
    let (server, _) = within(listener.accept()).await.unwrap();
    (client, server)
}

async fn within<F: Future>(future: F) -> F::Output {
    timeout(DEADLINE, future).await.expect("in time")
}

async fn read_exactly(socket: &mut TcpStream, wanted: &[u8]) {
    let mut buffer = vec![0; wanted.len()];
    within(socket.read_exact(&mut buffer)).await.unwrap();
    assert_eq!(buffer, wanted);
}

/// Reads to the end of the stream; an error counts as its end.
async fn rest(socket: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut all = Vec::new();
    let end = within(socket.read_to_end(&mut all)).await.err().map(|error| error.kind());
    (all, end)
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_the_end_of_one_way() {
    let (proxy, mut client, mut server, _listener) = linked().await;
    client.write_all(b"up").await.unwrap();
    read_exactly(&mut server, b"up").await;
    client.shutdown().await.unwrap();
    assert_eq!(rest(&mut server).await, (Vec::new(), None));
    server.write_all(b"down").await.unwrap();
    drop(server);
    assert_eq!(rest(&mut client).await, (b"down".to_vec(), None));
    let counts = within(proxy.until(|counts| counts.ended == 1)).await;
    assert_eq!((counts.accepted, counts.up, counts.down), (1, 2, 4));
}

#[tokio::test]
async fn a_cut_ends_both_sides_of_every_link() {
    let (proxy, mut one, mut server_one, listener) = linked().await;
    let (mut two, mut server_two) = link(&proxy, &listener).await;
    within(proxy.until(|counts| counts.accepted == 2)).await;
    assert_eq!(proxy.cut_all(), 2);
    for socket in [&mut one, &mut two, &mut server_one, &mut server_two] {
        assert_eq!(rest(socket).await.0, b"");
    }
    within(proxy.until(|counts| counts.ended == 2)).await;
    assert_eq!(proxy.open(), 0);
}

#[tokio::test]
async fn the_newest_link_is_cut_and_the_older_one_stays() {
    let (proxy, mut one, mut server_one, listener) = linked().await;
    let (mut two, _server_two) = link(&proxy, &listener).await;
    within(proxy.until(|counts| counts.accepted == 2)).await;
    assert!(proxy.cut_newest());
    rest(&mut two).await;
    one.write_all(b"still").await.unwrap();
    read_exactly(&mut server_one, b"still").await;
}

#[tokio::test]
async fn a_cut_after_some_bytes_lets_exactly_these_pass() {
    let (proxy, mut client, mut server, _listener) = linked().await;
    client.write_all(b"before").await.unwrap();
    read_exactly(&mut server, b"before").await;
    assert!(proxy.cut_after(Way::Up, 3));
    // The order and the bytes reach the link's task by different ways. Let the order be first.
    tokio::task::yield_now().await;
    client.write_all(b"abcdef").await.unwrap();
    assert_eq!(rest(&mut server).await.0, b"abc");
    rest(&mut client).await;
}

#[tokio::test]
async fn a_lost_welcome_is_one_that_the_server_has_sent_and_the_client_never_sees() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    proxy.lose_welcomes(1);
    let (mut client, mut server) = link(&proxy, &listener).await;
    server.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
    read_exactly(&mut client, b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await;
    client.write_all(b"hello").await.unwrap();
    read_exactly(&mut server, b"hello").await;
    server.write_all(b"welcome").await.unwrap();
    assert_eq!(rest(&mut client).await.0, b"");
    let (mut client, mut server) = link(&proxy, &listener).await;
    server.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\nwelcome").await.unwrap();
    read_exactly(&mut client, b"HTTP/1.1 101 Switching Protocols\r\n\r\nwelcome").await;
}

#[tokio::test]
async fn a_plan_may_count_upwards_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap()).await.unwrap();
    proxy.plan(Plan::CutAfter { way: Way::Up, bytes: 2 });
    let (mut client, mut server) = link(&proxy, &listener).await;
    client.write_all(b"GET / HTTP/1.1\r\n\r\nhello").await.unwrap();
    assert_eq!(rest(&mut server).await.0, b"GET / HTTP/1.1\r\n\r\nhe");
}

#[tokio::test]
async fn a_stall_holds_one_way_and_loses_nothing() {
    let (proxy, mut client, mut server, _listener) = linked().await;
    proxy.stall(Way::Up);
    client.write_all(b"held").await.unwrap();
    server.write_all(b"passes").await.unwrap();
    read_exactly(&mut client, b"passes").await;
    assert_eq!(proxy.counts().up, 0);
    proxy.resume();
    read_exactly(&mut server, b"held").await;
}

#[tokio::test]
async fn a_stalled_end_of_stream_is_held_too() {
    let (proxy, client, mut server, _listener) = linked().await;
    proxy.stall_both();
    drop(client);
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(50), server.read(&mut byte)).await.is_err());
    proxy.resume();
    assert_eq!(rest(&mut server).await.0, b"");
}

#[tokio::test]
async fn half_open_leaves_the_other_side_silent_and_open_until_it_is_cut() {
    let (proxy, mut client, mut server, _listener) = linked().await;
    assert!(proxy.half_open(Side::Client));
    rest(&mut client).await;
    let mut byte = [0];
    assert!(timeout(Duration::from_millis(50), server.read(&mut byte)).await.is_err());
    assert_eq!(proxy.open(), 1);
    proxy.cut_all();
    assert_eq!(rest(&mut server).await.0, b"");
}

#[tokio::test]
async fn a_reset_is_seen_as_one() {
    let (proxy, mut client, mut server, _listener) = linked().await;
    assert_eq!(proxy.reset_all(), 1);
    assert_eq!(rest(&mut client).await.1, Some(ErrorKind::ConnectionReset));
    assert_eq!(rest(&mut server).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_refused_client_reaches_nobody_and_open_links_stay() {
    let (proxy, mut client, mut server, _listener) = linked().await;
    proxy.refuse(true);
    let mut turned_away = TcpStream::connect(proxy.addr()).await.unwrap();
    rest(&mut turned_away).await;
    assert_eq!(proxy.counts().refused, 1);
    client.write_all(b"still").await.unwrap();
    read_exactly(&mut server, b"still").await;
}

#[tokio::test]
async fn a_later_link_goes_to_the_new_target() {
    let (proxy, _client, _server, _listener) = linked().await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    proxy.retarget(other.local_addr().unwrap());
    let (mut client, mut server) = link(&proxy, &other).await;
    client.write_all(b"new").await.unwrap();
    read_exactly(&mut server, b"new").await;
}

#[tokio::test]
async fn slow_and_delayed_bytes_arrive_whole() {
    let (proxy, mut client, mut server, _listener) = linked().await;
    proxy.slow(Some(20_000));
    proxy.delay(Duration::from_millis(1));
    let data: Vec<u8> = (0..4000_u32).map(|n| n as u8).collect();
    client.write_all(&data).await.unwrap();
    read_exactly(&mut server, &data).await;
    proxy.slow(None);
    proxy.delay(Duration::ZERO);
}

#[tokio::test]
async fn dropping_the_proxy_ends_its_links() {
    let (proxy, mut client, mut server, _listener) = linked().await;
    let addr = proxy.addr();
    drop(proxy);
    rest(&mut client).await;
    rest(&mut server).await;
    assert!(TcpStream::connect(addr).await.is_err());
}
