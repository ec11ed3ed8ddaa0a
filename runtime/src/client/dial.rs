//! One dial: credentials, name resolution, TCP, upgrade. Owns the turn from what went wrong into a close that the core reacts to;
//! refuses timeouts, which are the core's.

use std::sync::Arc;

use tokio::net::TcpStream;

use super::builder::ConnectError;
use crate::driver::{BoxFuture, Guarded};
use crate::session::client::DialReason;
use crate::session::{Close, CloseCode};
use crate::transport::{HandshakeFailure, Socket, TransportConfig};
use crate::wire::Codec;

/// The credentials callback, boxed.
pub(super) type TokenSource = Arc<dyn Fn(DialReason) -> BoxFuture<Result<Option<String>, String>> + Send + Sync>;

/// Where to dial, and how.
#[derive(Clone)]
pub(super) struct Endpoint {
    url: Arc<str>,
    host: Arc<str>,
    port: u16,
    token: Option<TokenSource>,
    pub(super) transport: Arc<TransportConfig>,
}

/// A socket with the token that HELLO is to carry.
pub(super) struct Dialled {
    pub(super) socket: Socket<TcpStream>,
    pub(super) token: Option<String>,
}

/// Why there is no socket.
pub(super) struct Refused {
    pub(super) close: Close,
    /// What the server asked to wait, in milliseconds.
    pub(super) retry_ms: Option<u64>,
}

impl Refused {
    fn lost(reason: String) -> Self {
        Self { close: Close { code: None, reason: reason.into() }, retry_ms: None }
    }
}

/// The longest wait that a server may ask for in `Retry-After`, in milliseconds.
const RETRY_AFTER_MS: u64 = 300_000;

impl Endpoint {
    pub(super) fn parse(
        url: String,
        token: Option<TokenSource>,
        transport: TransportConfig,
    ) -> Result<Self, ConnectError> {
        let wrong = |reason| ConnectError::Url { url: url.clone(), reason };
        let uri: tokio_tungstenite::tungstenite::http::Uri = url.parse().map_err(|_| wrong("it is not a URL"))?;
        match uri.scheme_str() {
            Some("ws") => {}
            Some("wss") => return Err(wrong("this build has no TLS; use ws:// behind a proxy that ends TLS")),
            _ => return Err(wrong("it must begin with ws://")),
        }
        let host = uri.host().ok_or_else(|| wrong("it names no host"))?;
        // Brackets belong to the URL, not to the address (RFC 3986 3.2.2).
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            host: host.into(),
            port: uri.port_u16().unwrap_or(80),
            url: url.as_str().into(),
            token,
            transport: Arc::new(transport),
        })
    }

    /// Opens a socket. `known` if this client has been connected before.
    ///
    /// # Errors
    /// What the core is to take as the socket's end.
    pub(super) async fn dial(self, reason: DialReason, codec: Codec, known: bool) -> Result<Dialled, Refused> {
        let (host, port) = (Arc::clone(&self.host), self.port);
        let dialled = self.open(reason, codec, known).await;
        if let Err(refused) = &dialled {
            tracing::warn!(%host, port, reason = %refused.close, "a dial failed");
        }
        dialled
    }

    async fn open(self, reason: DialReason, codec: Codec, known: bool) -> Result<Dialled, Refused> {
        let token = match &self.token {
            Some(source) => {
                let token = Guarded(Box::pin(async { source(reason).await })).await;
                token
                    .unwrap_or_else(|_| Err("the token callback panicked".to_owned()))
                    .map_err(|error| Refused::lost(format!("there are no credentials: {error}")))?
            }
            None => None,
        };
        let stream = TcpStream::connect((&*self.host, self.port))
            .await
            .map_err(|error| Refused::lost(format!("{}:{} can't be reached: {error}", self.host, self.port)))?;
        // Whole batches are written: waiting for more to send with them only adds delay.
        let _ = stream.set_nodelay(true);
        let socket = Socket::connect(stream, &self.url, codec.subprotocol(), &self.transport).await;
        let socket = socket.map_err(|failure| refused(failure, known))?;
        Ok(Dialled { socket, token })
    }
}

/// The reaction to an HTTP status, as a close (PROTOCOL.md 2.1):
///
/// | Status | As |
/// |---|---|
/// | 401 | 4201: ask for new credentials |
/// | 403 | 4403: stop |
/// | 408, 425, 429, 5xx | lost: back off |
/// | any other, before the first connection | 4401: stop |
/// | any other, later | lost: back off |
/// | none, but a changed subprotocol | 4401: stop |
fn refused(mut failure: HandshakeFailure, known: bool) -> Refused {
    let code = match failure.status {
        Some(401) => Some(CloseCode::CREDENTIALS_REFUSED),
        Some(403) => Some(CloseCode(4403)),
        Some(408 | 425 | 429 | 500..=599) => None,
        // Later a proxy in the middle of a deployment may answer so.
        Some(_) if !known => {
            failure.reason.push_str(": no steadfast server here");
            Some(CloseCode::UNSUPPORTED)
        }
        None if failure.subprotocol => Some(CloseCode::UNSUPPORTED),
        _ => None,
    };
    let retry_ms = failure.retry_after_s.filter(|_| code.is_none()).map(|s| s.saturating_mul(1000).min(RETRY_AFTER_MS));
    Refused { close: Close { code, reason: failure.reason.into() }, retry_ms }
}
