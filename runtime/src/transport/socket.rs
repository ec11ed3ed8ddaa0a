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
use super::framing::{text_head, unmasked_text};
use super::pipe::Pipe;
use crate::session::{Close, CloseCode};

/// The longest reason that fits a close frame beside its code (RFC 6455 5.5).
const REASON_BYTES: usize = 123;

/// What tungstenite keeps for each connection to find frames in: enough for several small ones, or
/// for the beginning of a long one.
const HELD_BYTES: usize = 512;

/// How much tungstenite may hold back while the pipe is full: some pongs, each at most 135 bytes
/// long.
const CONTROL_BYTES: usize = 1024;

/// One thing that has arrived on a socket.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// A text message (PROTOCOL.md 2.2).
    Message(Bytes),
    /// A WebSocket ping or pong: a sign of life (PROTOCOL.md 2.4), and no message.
    Control,
    /// The first bytes of a message that is longer than this client takes; the rest of it was
    /// passed over.
    #[cfg(feature = "client")]
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
    /// How many bytes may wait to be written before the driver stops asking its core for more.
    room: usize,
    closing: bool,
    /// Bytes of a message that is not complete, as far as they can be told from control frames.
    begun: u64,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A server's end, after the response 101. `begun` is what was read beyond the request;
    /// messages may be up to `message_bytes` long.
    #[cfg(feature = "server")]
    pub(crate) fn server(
        io: S,
        begun: Bytes,
        config: &TransportConfig,
        message_bytes: usize,
    ) -> Self {
        let pipe =
            Pipe::new(io, config.read_buffer_bytes, config.write_buffer_bytes.saturating_mul(2));
        let settings = Some(settings(config, message_bytes));
        // Copied, because these few bytes, if any, would keep alive the whole buffer that HTTP was
        // read into.
        let ws = WebSocket::from_partially_read(pipe, begun.to_vec(), Role::Server, settings);
        Self { ws, role: Role::Server, room: config.write_buffer_bytes, closing: false, begun: 0 }
    }

    /// Changes how long messages may be from here on.
    #[cfg(feature = "server")]
    pub(crate) fn set_message_bytes(&mut self, bytes: usize) {
        self.ws.set_config(|config| {
            config.max_message_size = Some(bytes);
            config.max_frame_size = Some(bytes);
        });
    }

    /// The next thing that arrived. A peer that does not read can't hold this up.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Inbound> {
        self.ws.get_mut().set_waker(cx);
        loop {
            let before = self.received();
            let read = self.ws.read();
            self.begun += self.received() - before;
            return Poll::Ready(match read {
                Ok(Message::Text(text)) => {
                    self.begun = 0;
                    Inbound::Message(text.into())
                }
                Ok(Message::Ping(data) | Message::Pong(data)) => {
                    self.begun = self.begun.saturating_sub(self.control_bytes(data.len()));
                    Inbound::Control
                }
                Ok(Message::Close(frame)) => Inbound::Ended(told(frame)),
                #[cfg(feature = "client")]
                Ok(Message::Binary(data)) if self.ws.get_mut().has_put_in(&data) => {
                    self.begun = 0;
                    Inbound::TooLong(data)
                }
                Ok(Message::Binary(_)) => Inbound::Broken(Close::new(
                    CloseCode::MALFORMED,
                    "a binary message on a JSON attachment",
                )),
                Ok(Message::Frame(_)) => continue,
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Pending;
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
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

    /// Whether a message has begun and is not complete. Of one that came together with the end of
    /// the message before, this is known as soon as more of it comes.
    pub(crate) const fn is_amid_message(&self) -> bool {
        self.begun > 0
    }

    /// The length of a control frame (RFC 6455 5.2): head, mask, data.
    const fn control_bytes(&self, data: usize) -> u64 {
        let head = match self.role {
            Role::Server => 6,
            Role::Client => 2,
        };
        head + data as u64
    }

    /// Writes what waits; ready when nothing does.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.ws.get_mut().poll_drain(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Adds a text message that `encode` appends. A server's frames are not masked (RFC 6455 5.1).
    #[cfg(feature = "server")]
    pub(crate) fn send_unmasked(&mut self, encode: impl FnOnce(&mut BytesMut)) {
        debug_assert_eq!(self.role, Role::Server, "a client masks");
        if !self.closing {
            unmasked_text(self.ws.get_mut().out(), encode);
        }
    }

    /// Adds a text message of which the middle is not copied. As [`Socket::send_unmasked`].
    #[cfg(feature = "server")]
    pub(crate) fn send_shared(&mut self, before: &[u8], middle: Bytes, after: &[u8]) {
        debug_assert_eq!(self.role, Role::Server, "a client masks");
        if !self.closing {
            let pipe = self.ws.get_mut();
            text_head(pipe.out(), before.len() + middle.len() + after.len());
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

    /// Adds a text message, masked.
    #[cfg(feature = "client")]
    pub(crate) fn send_masked(&mut self, text: Bytes) {
        // Not `Message::Text`, which would check again that our own JSON is UTF-8.
        self.send(Message::Frame(Frame::message(text, OpCode::Data(Data::Text), true)));
    }

    /// Adds a WebSocket ping, which a proxy or the peer's library answers by itself.
    pub(crate) fn ping(&mut self) {
        self.send(Message::Ping(Bytes::new()));
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
            match ready!(self.poll_read(cx)) {
                Inbound::Message(_) | Inbound::Control => {}
                #[cfg(feature = "client")]
                Inbound::TooLong(_) => {}
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

fn settings(config: &TransportConfig, message_bytes: usize) -> WebSocketConfig {
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

fn told(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close {
            code: Some(CloseCode(frame.code.into())),
            reason: frame.reason.as_str().to_owned().into(),
        },
        None => Close::lost("the peer closed the connection without a code"),
    }
}

fn failed(error: &Error, role: Role) -> Close {
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
        Error::Utf8(_) => Close::new(CloseCode::MALFORMED, "a text message is not UTF-8"),
        Error::Io(error) => {
            Close { code: None, reason: format!("the connection was lost: {error}").into() }
        }
        error => Close { code: None, reason: format!("the connection failed: {error}").into() },
    }
}

/// Why a client's handshake failed.
#[cfg(feature = "client")]
#[derive(Debug)]
pub(crate) struct HandshakeFailure {
    /// The response's status, if one came.
    pub(crate) status: Option<u16>,
    /// What `Retry-After` said, in seconds.
    pub(crate) retry_after_s: Option<u64>,
    /// Something between the two ends changed the subprotocol (PROTOCOL.md 2.1).
    pub(crate) subprotocol: bool,
    /// For people.
    pub(crate) reason: String,
}

#[cfg(feature = "client")]
mod handshake {
    use std::future::poll_fn;

    use tokio_tungstenite::tungstenite::client::IntoClientRequest;
    use tokio_tungstenite::tungstenite::handshake::HandshakeError;
    use tokio_tungstenite::tungstenite::handshake::client::{ClientHandshake, Request};
    use tokio_tungstenite::tungstenite::http::{HeaderValue, header};

    use crate::transport::socket::*;

    impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
        /// A client's end: sends the upgrade request and reads the answer (PROTOCOL.md 2.1). It may
        /// take any time; dropping the future drops the stream.
        pub(crate) async fn connect(
            io: S,
            url: &str,
            subprotocol: &'static str,
            config: &TransportConfig,
        ) -> Result<Self, HandshakeFailure> {
            let request = request(url, subprotocol)?;
            let mut pipe = Pipe::new(
                io,
                config.read_buffer_bytes,
                config.write_buffer_bytes.saturating_add(config.message_bytes),
            );
            pipe.set_write_through(true);
            let config = (
                settings(config, config.message_bytes),
                config.write_buffer_bytes,
                config.message_bytes as u64,
            );
            let mut start = Some((pipe, request));
            let mut middle = None;
            let (mut ws, _) = poll_fn(|cx| {
                let step = match (start.take(), middle.take()) {
                    (Some((mut pipe, request)), _) => {
                        pipe.set_waker(cx);
                        ClientHandshake::start(pipe, request, Some(config.0))
                    }
                    (None, Some(middle)) => Ok(middle),
                    (None, None) => {
                        return Poll::Ready(Err(HandshakeFailure::new("the handshake is over")));
                    }
                };
                let next = match step {
                    Ok(mut step) => {
                        step.get_mut().get_mut().set_waker(cx);
                        step.handshake()
                    }
                    Err(error) => Err(HandshakeError::<ClientHandshake<_>>::Failure(error)),
                };
                match next {
                    Ok(done) => Poll::Ready(Ok(done)),
                    Err(HandshakeError::Interrupted(step)) => {
                        middle = Some(step);
                        Poll::Pending
                    }
                    Err(HandshakeError::Failure(error)) => {
                        Poll::Ready(Err(HandshakeFailure::from(error)))
                    }
                }
            })
            .await?;
            ws.get_mut().set_limit(config.2);
            ws.get_mut().set_write_through(false);
            Ok(Self { ws, role: Role::Client, room: config.1, closing: false, begun: 0 })
        }
    }

    fn request(url: &str, subprotocol: &'static str) -> Result<Request, HandshakeFailure> {
        let mut request = url.into_client_request().map_err(HandshakeFailure::from)?;
        request
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(subprotocol));
        Ok(request)
    }

    impl HandshakeFailure {
        fn changed(reason: String) -> Self {
            Self { subprotocol: true, ..Self::new(reason) }
        }

        pub(crate) fn new(reason: impl Into<String>) -> Self {
            Self { status: None, retry_after_s: None, subprotocol: false, reason: reason.into() }
        }
    }

    impl From<Error> for HandshakeFailure {
        fn from(error: Error) -> Self {
            use tokio_tungstenite::tungstenite::error::ProtocolError;
            match error {
                Error::Http(response) => Self {
                    status: Some(response.status().as_u16()),
                    retry_after_s: response
                        .headers()
                        .get(header::RETRY_AFTER)
                        .and_then(|value| value.to_str().ok()?.trim().parse().ok()),
                    subprotocol: false,
                    reason: format!("the server answered the upgrade with {}", response.status()),
                },
                Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(error)) => {
                    Self::changed(format!(
                        "something between client and server changed the subprotocol ({error}): \
                         a proxy has to pass on the header Sec-WebSocket-Protocol"
                    ))
                }
                error => Self::new(format!("the upgrade failed: {error}")),
            }
        }
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
