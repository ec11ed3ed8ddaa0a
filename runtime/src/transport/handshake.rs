//! A client's side of the upgrade (PROTOCOL.md 2.1): the request, and what comes of it. It reads to
//! the end of the response's head and no further; what follows it are frames.

use std::future::poll_fn;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::handshake::client::{ClientHandshake, Request};
use tokio_tungstenite::tungstenite::http::{HeaderValue, header};

use super::config::TransportConfig;
use super::pipe::Pipe;
use super::socket::{Socket, settings};
use crate::wire::Codec;

/// Why a client's handshake failed.
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

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A client's end: sends the upgrade request and reads the answer (PROTOCOL.md 2.1). It may
    /// take any time; dropping the future drops the stream.
    pub(crate) async fn connect(
        io: S,
        url: &str,
        codec: Codec,
        config: &TransportConfig,
    ) -> Result<Self, HandshakeFailure> {
        let request = request(url, codec.subprotocol())?;
        let limit = config.write_buffer_bytes.saturating_add(config.message_bytes);
        let pipe = Pipe::of_client(io, config.read_buffer_bytes, limit);
        let settings = settings(config, config.message_bytes);
        let mut start = Some((pipe, request));
        let mut middle = None;
        let (mut ws, _) = poll_fn(|cx| {
            let step = match (start.take(), middle.take()) {
                (Some((mut pipe, request)), _) => {
                    pipe.set_waker(cx);
                    ClientHandshake::start(pipe, request, Some(settings))
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
        ws.get_mut().opened(codec.into(), config.message_bytes as u64);
        Ok(Self::opened(ws, codec.into(), config))
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
