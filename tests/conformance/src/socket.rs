//! One WebSocket, with everything that is said on it written down. It knows bytes, patience and
//! closing, but no frames.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message};

use serde_json::Value;

use crate::binary;
use crate::case::{Step, Stop};
use crate::exchange::Exchange;
use crate::frame::Sender;
use crate::within;

/// The subprotocol that the suite speaks (2.1).
pub(crate) const SUBPROTOCOL: &str = "steadfast.v1.json";

/// What arrives on a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrival {
    Text(String),
    Binary(Vec<u8>),
    WebSocketPong(Vec<u8>),
    /// It ended, with this code if there was one.
    Closed(Option<u16>),
}

/// What came of an upgrade.
pub(crate) enum Upgrade {
    Open(Box<Socket>, Option<String>),
    Refused(u16),
}

/// A socket whose messages are written down.
pub(crate) struct Socket {
    stream: WebSocketStream<TcpStream>,
    name: String,
    exchange: Exchange,
    /// Frames are binary, and this end sends those of such a sender.
    pub(crate) binary: Option<Sender>,
}

impl Socket {
    pub(crate) fn new(
        stream: WebSocketStream<TcpStream>,
        name: String,
        exchange: Exchange,
    ) -> Self {
        Self { stream, name, exchange, binary: None }
    }

    /// Dials a server and offers this subprotocol.
    pub(crate) async fn dial(
        url: &str,
        offered: Option<&str>,
        origin: Option<&'static str>,
        name: String,
        exchange: Exchange,
    ) -> Step<Upgrade> {
        let mut request = url.into_client_request().map_err(Stop::trouble)?;
        if let Some(offered) = offered {
            let offered = HeaderValue::from_str(offered).map_err(Stop::trouble)?;
            request.headers_mut().insert("Sec-WebSocket-Protocol", offered);
        }
        if let Some(origin) = origin {
            request.headers_mut().insert("Origin", HeaderValue::from_static(origin));
        }
        let host = authority(&request)?;
        exchange.note(&name, &format!("dials {host}, offers {offered:?}"));
        let stream = within(TcpStream::connect(host))
            .await
            .ok_or_else(|| Stop::trouble("the dial takes too long"))?;
        let stream = stream
            .map_err(|error| Stop::trouble(format!("the server can't be reached: {error}")))?;
        stream.set_nodelay(true).map_err(Stop::trouble)?;
        let opened = within(tokio_tungstenite::client_async(request, stream)).await;
        match opened.ok_or_else(|| Stop::trouble("the upgrade takes too long"))? {
            Ok((stream, response)) => {
                let chosen = response.headers().get("Sec-WebSocket-Protocol");
                let chosen = chosen.and_then(|value| value.to_str().ok()).map(str::to_owned);
                Ok(Upgrade::Open(Box::new(Self::new(stream, name, exchange)), chosen))
            }
            Err(Error::Http(response)) => {
                let status = response.status().as_u16();
                exchange.note(&name, &format!("upgrade refused with {status}"));
                Ok(Upgrade::Refused(status))
            }
            Err(error) => Err(Stop::trouble(format!("the upgrade failed: {error}"))),
        }
    }

    /// Writes a frame, in the codec of the socket.
    pub(crate) async fn say(&mut self, frame: &Value) {
        let Some(own) = self.binary else { return self.send(frame.to_string()).await };
        match binary::encode(frame, own) {
            Some(bytes) => self.send_binary(&bytes).await,
            None => self.exchange.formless(&frame.to_string()),
        }
    }

    /// Writes a text message of the JSON codec, whose form as text is what matters. If the peer has
    /// already closed, the next read shows it.
    pub(crate) async fn send(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.binary.is_some() {
            return self.exchange.formless(&text);
        }
        self.send_text(text).await;
    }

    /// Writes a text message whatever the codec is.
    pub(crate) async fn send_text(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.exchange.note(&format!("{} →", self.name), &text);
        self.write(Message::text(text)).await;
    }

    /// Writes several messages at once, so that the peer is likely to read them together.
    pub(crate) async fn say_together(&mut self, frames: &[Value]) {
        for frame in frames {
            let text = frame.to_string();
            self.exchange.note(&format!("{} →", self.name), &text);
            let message = match self.binary {
                None => Message::text(text),
                Some(own) => match binary::encode(frame, own) {
                    Some(bytes) => Message::binary(bytes),
                    None => return self.exchange.formless(&text),
                },
            };
            if self.stream.feed(message).await.is_err() {
                return;
            }
        }
        let _ = within(self.stream.flush()).await;
    }

    /// Writes one message bit by bit, with a pause before each.
    pub(crate) async fn send_slowly(&mut self, pieces: &[&'static str], pause: Duration) {
        if self.binary.is_some() {
            return self.exchange.formless(&pieces.concat());
        }
        self.exchange.note(&format!("{} → slowly", self.name), &pieces.concat());
        for (at, piece) in pieces.iter().enumerate() {
            tokio::time::sleep(pause).await;
            let data = if at == 0 { Data::Text } else { Data::Continue };
            let last = at + 1 == pieces.len();
            let frame =
                Frame::message(Bytes::from_static(piece.as_bytes()), OpCode::Data(data), last);
            self.write(Message::Frame(frame)).await;
        }
    }

    pub(crate) async fn send_binary(&mut self, bytes: &[u8]) {
        self.exchange.note(&format!("{} →", self.name), &format!("{bytes:02x?}"));
        self.write(Message::binary(bytes.to_vec())).await;
    }

    pub(crate) async fn send_websocket_ping(&mut self, payload: &'static [u8]) {
        self.exchange.note(&format!("{} →", self.name), "a WebSocket ping");
        self.write(Message::Ping(Bytes::from_static(payload))).await;
    }

    pub(crate) async fn send_websocket_pong(&mut self, payload: &'static [u8]) {
        self.exchange.note(&format!("{} →", self.name), "a WebSocket pong");
        self.write(Message::Pong(Bytes::from_static(payload))).await;
    }

    async fn write(&mut self, message: Message) {
        if !matches!(within(self.stream.send(message)).await, Some(Ok(()))) {
            self.exchange.note(&self.name, "could not be written to");
        }
    }

    /// Closes with a code, and waits for the answer.
    pub(crate) async fn close(mut self, code: u16, reason: &str) {
        self.exchange.note(&format!("{} →", self.name), &format!("close {code}"));
        let frame = CloseFrame { code: code.into(), reason: reason.to_owned().into() };
        let closed = async {
            let _ = self.stream.close(Some(frame)).await;
            while let Some(Ok(_)) = self.stream.next().await {}
        };
        let _ = within(closed).await;
    }

    /// Ends without a word, as a network does.
    pub(crate) fn cut(self) {
        self.exchange.note(&self.name, "is cut");
    }

    /// Listens until the peer closes, and answers nothing, not even WebSocket pings. Returns the
    /// server's messages that came, as JSON, and the code.
    pub(crate) async fn listen_mutely(self) -> Option<(Vec<String>, Option<u16>)> {
        let mut stream = self.stream.into_inner();
        let mut texts = Vec::new();
        let listen = async {
            while let Ok((opcode, payload)) = read_unmasked(&mut stream).await {
                let text = String::from_utf8_lossy(&payload).into_owned();
                self.exchange.note(&format!("{} ← opcode {opcode}", self.name), &text);
                match (opcode, payload.as_slice()) {
                    (1, _) => texts.push(text),
                    (2, message) => {
                        let frame = binary::decode(message, Sender::Server).ok();
                        texts.extend(frame.map(|(frame, _)| frame.to_string()));
                    }
                    (8, [high, low, ..]) => return Some(u16::from_be_bytes([*high, *low])),
                    (8, _) => return None,
                    _ => {}
                }
            }
            None
        };
        let code = within(listen).await?;
        Some((texts, code))
    }

    /// What arrives next; `None` if nothing does in time.
    pub(crate) async fn next(&mut self) -> Option<Arrival> {
        within(self.arrival()).await
    }

    /// What arrives within a moment, for checks that something does not arrive.
    pub(crate) async fn next_soon(&mut self, moment: Duration) -> Option<Arrival> {
        tokio::time::timeout(moment, self.arrival()).await.ok()
    }

    async fn arrival(&mut self) -> Arrival {
        loop {
            let arrival = match self.stream.next().await {
                Some(Ok(Message::Text(text))) => Arrival::Text(text.as_str().to_owned()),
                Some(Ok(Message::Binary(bytes))) => Arrival::Binary(bytes.to_vec()),
                Some(Ok(Message::Pong(payload))) => Arrival::WebSocketPong(payload.to_vec()),
                Some(Ok(Message::Ping(_) | Message::Frame(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    // This writes the answer to the close.
                    let _ = within(self.stream.flush()).await;
                    Arrival::Closed(frame.map(|frame| frame.code.into()))
                }
                Some(Err(_)) | None => Arrival::Closed(None),
            };
            let shown = match &arrival {
                Arrival::Text(text) => text.clone(),
                Arrival::Closed(Some(code)) => format!("close {code}"),
                Arrival::Closed(None) => "ended without a code".to_owned(),
                other => format!("{other:?}"),
            };
            self.exchange.note(&format!("{} ←", self.name), &shown);
            return arrival;
        }
    }
}

/// Reads one short WebSocket frame of a server, which is never masked (RFC 6455 5.1). Returns its
/// opcode and payload.
async fn read_unmasked(stream: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let length = match stream.read_u8().await? & 0x7f {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?.min(1 << 20),
        short => u64::from(short),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap_or_default()];
    stream.read_exact(&mut payload).await?;
    Ok((first & 0x0f, payload))
}

fn authority(request: &Request) -> Step<String> {
    let uri = request.uri();
    let host = uri.host().ok_or_else(|| Stop::trouble("the address names no host"))?;
    Ok(format!("{host}:{}", uri.port_u16().unwrap_or(80)))
}
