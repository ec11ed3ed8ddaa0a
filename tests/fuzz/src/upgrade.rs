//! Target `upgrade`: the bytes of a connection, given to the tokio server: HTTP, WebSocket and
//! frames as its driver reads them, over memory and in virtual time. It carries out the script's
//! steps, and checks that an honest client is served meanwhile.
//!
//! | Line | Step |
//! |---|---|
//! | `G` | a complete upgrade request |
//! | ` GET / HTTP/1.1` | the text after the space, and CR LF |
//! | `[…` | a text message |
//! | `#8180` | bytes |
//! | `t500` | milliseconds pass |
//! | `x` | a new connection |
//! | `*2,9` | the last 2 lines again, 9 times |

#![expect(clippy::disallowed_methods, reason = "this end drives a server, in virtual time")]

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use steadfast::server::{Credentials, Denied, Principal, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, split};

use crate::protocol::{MarketCommand, market};
use crate::script::{self, number};

/// What the memory between both ends holds.
const PIPE_BYTES: usize = 1 << 16;

/// Until a write of a hostile client that nobody reads is given up.
const STUCK: Duration = Duration::from_secs(1);

/// Until a server has answered an honest client, or let go of a socket.
const PATIENCE: Duration = Duration::from_secs(300);

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: steadfast.v1.json\r\nAuthorization: Bearer ann\r\n\r\n";

/// Panics of any thread: tokio keeps those of tasks to itself.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn count_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            hook(info);
        }));
    });
}

/// Runs one script.
pub(crate) fn run(input: &[u8]) {
    count_panics();
    let before = PANICS.load(Ordering::Relaxed);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(attack(input));
    assert_eq!(PANICS.load(Ordering::Relaxed), before, "no task panicked");
}

async fn attack(input: &[u8]) {
    let mut lines = Vec::new();
    script::run(input, |line| lines.push(line.to_vec()));
    let who = |shown: Credentials| {
        let user = shown.token.unwrap_or_else(|| "nobody".to_owned());
        std::future::ready(if user == "no" {
            Err(Denied::new("no"))
        } else {
            Ok(Principal::new(user))
        })
    };
    let server = market().authenticate(who).allow_origins(["https://a.example"]).build();
    let mut socket = Socket::open(&server);
    for line in lines {
        let Some((first, rest)) = line.split_first() else { continue };
        match first {
            b'G' => socket.write(UPGRADE).await,
            b' ' => socket.write(&[rest, b"\r\n"].concat()).await,
            b'[' => socket.write(&text(&line)).await,
            b'#' => socket.write(&bytes(rest)).await,
            b't' => tokio::time::sleep(Duration::from_millis(number(rest).min(100_000))).await,
            b'x' => socket = Socket::open(&server),
            _ => {}
        }
    }
    socket.leaves().await;
    an_honest_client_is_served(&server).await;
}

/// One end of a connection.
struct Socket {
    read: ReadHalf<DuplexStream>,
    write: WriteHalf<DuplexStream>,
}

impl Socket {
    fn open(server: &Server<MarketCommand>) -> Self {
        let (near, far) = tokio::io::duplex(PIPE_BYTES);
        let service = TowerToHyperService::new(server.router());
        let mut http = hyper::server::conn::http1::Builder::new();
        let connection = http
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(far), service)
            .with_upgrades();
        tokio::task::spawn(async move { drop(connection.await) });
        let (read, write) = split(near);
        Self { read, write }
    }

    /// What can't be written in time is not written.
    async fn write(&mut self, bytes: &[u8]) {
        let _ = tokio::time::timeout(STUCK, self.write.write_all(bytes)).await;
    }

    /// The client is gone: so is the server's end, soon.
    async fn leaves(mut self) {
        let _ = self.write.shutdown().await;
        let ended = tokio::time::timeout(PATIENCE, async {
            let mut rest = [0; 1024];
            while matches!(self.read.read(&mut rest).await, Ok(1..)) {}
        });
        assert!(ended.await.is_ok(), "the server lets go of a socket whose client is gone");
    }
}

async fn an_honest_client_is_served(server: &Server<MarketCommand>) {
    let mut socket = Socket::open(server);
    socket.write(UPGRADE).await;
    socket.write(&text(br#"[20,{"v":1,"protocol":"market","version":"1","instance":"00000000000000000000000000000009","dial":1,"window":{"frames":9,"bytes":900}}]"#)).await;
    socket.answer(b"[21,{").await;
    socket.write(&text(br#"[1,1,0,1,0,"flush",{}]"#)).await;
    socket.answer(b"[3,1,1,1,0,").await;
}

impl Socket {
    async fn answer(&mut self, begins: &[u8]) {
        let mut seen = Vec::new();
        let found = tokio::time::timeout(PATIENCE, async {
            let mut some = [0; 1024];
            while !seen.windows(begins.len()).any(|window| window == begins) {
                match self.read.read(&mut some).await {
                    Ok(count @ 1..) => seen.extend_from_slice(&some[..count]),
                    _ => return false,
                }
            }
            true
        });
        let found = found.await == Ok(true);
        assert!(found, "an honest client is answered: {}", String::from_utf8_lossy(&seen));
    }
}

/// A masked text frame (RFC 6455 5.2) whose mask changes nothing.
fn text(payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(payload.len()) {
        Ok(short @ ..126) => frame.push(0x80 | short as u8),
        Ok(middle) => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&middle.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Hexadecimal digits as bytes; what is none is passed over.
fn bytes(text: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = text
        .iter()
        .filter_map(|digit| char::from(*digit).to_digit(16))
        .filter_map(|digit| digit.try_into().ok())
        .collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}
