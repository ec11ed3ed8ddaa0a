//! A WebSocket over any byte stream. tungstenite does the framing of RFC 6455, except that a
//! server's frames are written past it, since they need no masking and so no second copy; timers
//! and tasks are the drivers'.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
#[cfg(feature = "server")]
use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
#[cfg(feature = "client")]
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode as WsCode;
#[cfg(feature = "client")]
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::config::TransportConfig;
#[cfg(feature = "server")]
use super::framing::{head, unmasked};
use super::gate::Form;
use super::pipe::{Pipe, Stop};
use crate::session::{Close, CloseCode};

/// The longest reason that fits a close frame beside its code (RFC 6455 5.5).
const REASON_BYTES: usize = 123;

/// What tungstenite keeps for each connection to find frames in: enough for several small ones, or
/// for the beginning of a long one.
const HELD_BYTES: usize = 512;

/// How much tungstenite may hold back while the pipe is full: some pongs, each at most 135 bytes
/// long.
const CONTROL_BYTES: usize = 1024;

/// What reading has come to, beside the messages (PROTOCOL.md 2.2) that were handed out.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// Whoever takes the messages has enough, or has taken what is there.
    Enough,
    /// A WebSocket ping or pong: a sign of life (PROTOCOL.md 2.4), and no message.
    Control,
    /// The first bytes of a message that is longer than this client takes; the rest of it was
    /// passed over.
    TooLong(Bytes),
    /// The peer closed, or is gone.
    Ended(Close),
    /// What the peer sent can't be accepted, and nothing after it can be read.
    Broken(Close),
}

/// A WebSocket.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    ws: WebSocket<Pipe<S>>,
    role: Role,
    form: Form,
    /// How many bytes may wait to be written before the driver stops asking its core for more.
    room: usize,
    closing: bool,
    /// How long messages may be after the first one, once that has come.
    then: Option<usize>,
    /// The library may have a pong that the pipe had no room for.
    ponging: bool,
}

/// How long messages to a server may be.
#[cfg(feature = "server")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageBytes {
    pub(crate) first: usize,
    pub(crate) then: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A server's end, after the response 101. `begun` is what was read beyond the request.
    #[cfg(feature = "server")]
    pub(crate) fn server(
        io: S,
        form: Form,
        begun: &[u8],
        config: &TransportConfig,
        message_bytes: MessageBytes,
    ) -> Self {
        let MessageBytes { first, then } = message_bytes;
        let pipe = Pipe::of_server(
            io,
            form,
            config.read_buffer_bytes,
            config.write_buffer_bytes.saturating_mul(2),
            first as u64,
            begun,
        );
        let ws = WebSocket::from_raw_socket(pipe, Role::Server, Some(settings(config, first)));
        Self {
            ws,
            role: Role::Server,
            form,
            room: config.write_buffer_bytes,
            closing: false,
            then: Some(then),
            ponging: false,
        }
    }

    /// A client's end, after the response 101.
    #[cfg(feature = "client")]
    pub(super) const fn opened(
        ws: WebSocket<Pipe<S>>,
        form: Form,
        config: &TransportConfig,
    ) -> Self {
        Self {
            ws,
            role: Role::Client,
            form,
            room: config.write_buffer_bytes,
            closing: false,
            then: None,
            ponging: false,
        }
    }

    /// Hands out the messages that arrive, until `take` says that it has enough of them or
    /// something else comes. A peer that does not read can't hold this up.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&[u8]) -> bool,
    ) -> Poll<Inbound> {
        loop {
            if (self.ponging || self.ws.get_ref().has_granted())
                && let Some(inbound) = self.read_library(take)
            {
                return Poll::Ready(inbound);
            }
            let (opening, mut more) = (self.then.is_some(), true);
            let mut take_one = |message: &[u8]| {
                more = take(message);
                more && !opening
            };
            match ready!(self.ws.get_mut().poll_messages(cx, &mut take_one)) {
                Stop::Library => {}
                // Who has taken some need not know when more comes.
                Stop::Drained => return Poll::Ready(Inbound::Enough),
                Stop::Enough => {
                    self.took_first();
                    if !more {
                        return Poll::Ready(Inbound::Enough);
                    }
                }
                Stop::TooLong(beginning) => return Poll::Ready(Inbound::TooLong(beginning)),
                Stop::NotText => return Poll::Ready(Inbound::Broken(not_text())),
            }
        }
    }

    /// Has the library read what is its own, and write its pongs.
    fn read_library(&mut self, take: &mut impl FnMut(&[u8]) -> bool) -> Option<Inbound> {
        loop {
            return Some(match (self.ws.read(), self.form) {
                (Ok(Message::Text(text)), Form::Text) => {
                    if self.hand_out(text.as_bytes(), take) {
                        continue;
                    }
                    Inbound::Enough
                }
                (Ok(Message::Binary(message)), Form::Bytes) => {
                    if self.hand_out(&message, take) {
                        continue;
                    }
                    Inbound::Enough
                }
                (Ok(Message::Binary(_)), Form::Text) => Inbound::Broken(Close::new(
                    CloseCode::MALFORMED,
                    "a binary message on a JSON attachment",
                )),
                (Ok(Message::Text(_)), Form::Bytes) => Inbound::Broken(Close::new(
                    CloseCode::MALFORMED,
                    "a text message on a binary attachment",
                )),
                (Ok(Message::Ping(_) | Message::Pong(_)), _) => {
                    self.ponging = true;
                    Inbound::Control
                }
                (Ok(Message::Close(frame)), _) => Inbound::Ended(told(frame)),
                (Ok(Message::Frame(_)), _) => continue,
                (Err(Error::Io(error)), _) if error.kind() == io::ErrorKind::WouldBlock => {
                    // What is not in the pipe did not fit there.
                    self.ponging &= self.ws.get_ref().waiting() > 0;
                    return None;
                }
                (Err(Error::Io(error)), _) if error.kind() == io::ErrorKind::Interrupted => {
                    continue;
                }
                (Err(error), _) => {
                    let close = failed(&error, self.role);
                    if close.code.is_some() {
                        Inbound::Broken(close)
                    } else {
                        Inbound::Ended(close)
                    }
                }
            });
        }
    }

    /// Hands out a message that the library has put together; whether more are wanted.
    fn hand_out(&mut self, message: &[u8], take: &mut impl FnMut(&[u8]) -> bool) -> bool {
        self.took_first();
        take(message)
    }

    /// The first message has come: those after it may have another length.
    fn took_first(&mut self) {
        if let Some(bytes) = self.then.take() {
            self.ws.get_mut().set_limit(bytes as u64);
            self.ws.set_config(|config| {
                config.max_message_size = Some(bytes);
                config.max_frame_size = Some(bytes);
            });
        }
    }

    /// Whether the driver may write more before it drains.
    pub(crate) fn has_room(&self) -> bool {
        self.room() > 0
    }

    /// Bytes that the driver may add before it drains.
    pub(crate) fn room(&self) -> usize {
        self.room.saturating_sub(self.ws.get_ref().waiting())
    }

    /// Bytes written so far; a stall is when this stands still while something waits.
    pub(crate) fn written(&self) -> u64 {
        self.ws.get_ref().written()
    }

    /// Bytes that have come so far: each is a sign of life (PROTOCOL.md 9.1).
    pub(crate) fn received(&self) -> u64 {
        self.ws.get_ref().received()
    }

    /// Whether a message has begun and is not complete.
    pub(crate) fn is_amid_message(&self) -> bool {
        self.ws.get_ref().is_amid_message()
    }

    /// Writes what waits; ready when nothing does.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.ws.get_mut().poll_drain(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Adds a message that `encode` appends. A server's frames are not masked (RFC 6455 5.1).
    #[cfg(feature = "server")]
    pub(crate) fn send_unmasked(&mut self, encode: impl FnOnce(&mut BytesMut)) {
        debug_assert_eq!(self.role, Role::Server, "a client masks");
        if !self.closing {
            unmasked(self.ws.get_mut().out(), self.form, encode);
        }
    }

    /// Adds a message of which the middle is not copied. As [`Socket::send_unmasked`].
    #[cfg(feature = "server")]
    pub(crate) fn send_shared(&mut self, before: &[u8], middle: Bytes, after: &[u8]) {
        debug_assert_eq!(self.role, Role::Server, "a client masks");
        if !self.closing {
            let pipe = self.ws.get_mut();
            head(pipe.out(), self.form, before.len() + middle.len() + after.len());
            pipe.out().extend_from_slice(before);
            pipe.share(middle);
            pipe.out().extend_from_slice(after);
        }
    }

    /// Bytes that wait to be written: copies, and what is shared with others.
    #[cfg(feature = "server")]
    pub(crate) fn unwritten(&self) -> (usize, usize) {
        self.ws.get_ref().unwritten()
    }

    /// Adds a message, masked.
    #[cfg(feature = "client")]
    pub(crate) fn send_masked(&mut self, message: Bytes) {
        // Not `Message::Text`, which would check again that our own JSON is UTF-8.
        let data = match self.form {
            Form::Text => Data::Text,
            Form::Bytes => Data::Binary,
        };
        self.send(Message::Frame(Frame::message(message, OpCode::Data(data), true)));
    }

    /// Adds a WebSocket ping, which a proxy or the peer's library answers by itself.
    pub(crate) fn ping(&mut self) {
        self.send(Message::Ping(Bytes::new()));
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> S {
        self.ws.into_inner().into_inner()
    }

    fn send(&mut self, message: Message) {
        if !self.closing {
            // What can fail here is the socket, and the next read reports that.
            let _ = self.ws.write(message);
        }
    }

    /// Adds a close frame; nothing can be sent after it. See [`Socket::poll_closed`].
    pub(crate) fn start_close(&mut self, close: &Close) {
        if !self.closing {
            self.closing = true;
            let frame = close.code.filter(|code| sendable(code.0)).map(|code| CloseFrame {
                code: WsCode::from(code.0),
                reason: truncated(&close.reason).to_owned().into(),
            });
            let _ = self.ws.close(frame);
        }
    }

    /// After [`Socket::start_close`]: ready when everything is written and the peer has answered or
    /// is gone. With `discard`, what still comes is thrown away unread.
    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>, discard: bool) -> Poll<()> {
        let drained = match self.poll_drain(cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => return Poll::Ready(()),
            Poll::Pending => false,
        };
        if discard {
            return self.ws.get_mut().poll_discard(cx);
        }
        loop {
            match ready!(self.poll_read(cx, &mut |_| true)) {
                Inbound::Enough | Inbound::Control | Inbound::TooLong(_) => {}
                Inbound::Ended(_) | Inbound::Broken(_) if drained => return Poll::Ready(()),
                Inbound::Ended(_) | Inbound::Broken(_) => return self.poll_drain(cx).map(|_| ()),
            }
        }
    }

    /// Answers the peer's close frame.
    pub(crate) fn finish_close(&mut self) {
        self.closing = true;
        let _ = self.ws.flush();
    }
}

pub(super) fn settings(config: &TransportConfig, message_bytes: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(config.read_buffer_bytes.min(HELD_BYTES))
        .write_buffer_size(0)
        .max_write_buffer_size(
            message_bytes.max(config.message_bytes).saturating_add(CONTROL_BYTES),
        )
        .max_message_size(Some(message_bytes))
        .max_frame_size(Some(message_bytes))
}

/// Codes that an endpoint may put into a close frame (RFC 6455 7.4).
const fn sendable(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

fn truncated(reason: &str) -> &str {
    let mut end = reason.len().min(REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

const fn not_text() -> Close {
    Close::new(CloseCode::MALFORMED, "a text message is not UTF-8")
}

pub(super) fn told(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close {
            code: Some(CloseCode(frame.code.into())),
            reason: frame.reason.as_str().to_owned().into(),
        },
        None => Close::lost("the peer closed the connection without a code"),
    }
}

pub(super) fn failed(error: &Error, role: Role) -> Close {
    use tokio_tungstenite::tungstenite::error::ProtocolError;
    match error {
        // One in fragments, or that came before HELLO: nobody knows whose it is (PROTOCOL.md 2.7),
        // and what comes after a resume may fit.
        Error::Capacity(_) if role == Role::Client => Close::new(
            CloseCode::TOO_LARGE_FOR_CLIENT,
            "the message is longer than this client takes",
        ),
        Error::Capacity(_) => {
            Close::new(CloseCode::TOO_LARGE, "the message is longer than allowed")
        }
        Error::ConnectionClosed | Error::AlreadyClosed => Close::lost("the connection was closed"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            Close::lost("the connection ended without a closing handshake")
        }
        Error::Protocol(_) => Close::new(CloseCode::MALFORMED, "not a WebSocket frame"),
        Error::Utf8(_) => not_text(),
        Error::Io(error) => {
            Close { code: None, reason: format!("the connection was lost: {error}").into() }
        }
        error => Close { code: None, reason: format!("the connection failed: {error}").into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = "é".repeat(100);
        assert_eq!(truncated(&reason).len(), 122);
    }
}
