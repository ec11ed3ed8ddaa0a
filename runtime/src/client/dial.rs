//! One dial: credentials, a byte stream, upgrade. Owns the turn from what went wrong into a close
//! that the core reacts to; refuses timeouts, which are the core's.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::builder::ConnectError;
use crate::host::{BoxFuture, Guarded};
use crate::session::client::DialReason;
use crate::session::{Close, CloseCode};
use crate::transport::{HandshakeFailure, Socket, Stream, TransportConfig};
use crate::wire::Codec;

/// The credentials callback, boxed.
pub(super) type TokenSource =
    Arc<dyn Fn(DialReason) -> BoxFuture<Result<Option<String>, String>> + Send + Sync>;

/// Where a connector is to connect to: what the URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Target {
    /// A name or an address, without brackets.
    pub host: Arc<str>,
    /// The port; 80 for `ws://` and 443 for `wss://` where the URL has none.
    pub port: u16,
    /// Whether the URL begins with `wss://`: the connector has to do TLS, and to check the
    /// certificate against `host`.
    pub tls: bool,
}

/// The connector, boxed.
pub(super) type Connector = Arc<dyn Fn(Target) -> BoxFuture<io::Result<Stream>> + Send + Sync>;

/// Where to dial, and how.
#[derive(Clone)]
pub(super) struct Endpoint {
    url: Arc<str>,
    target: Target,
    connector: Option<Connector>,
    token: Option<TokenSource>,
    pub(super) transport: Arc<TransportConfig>,
}

/// A socket with the token that HELLO is to carry.
pub(super) struct Dialled {
    pub(super) socket: Socket<Stream>,
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
        connector: Option<Connector>,
        token: Option<TokenSource>,
        transport: TransportConfig,
    ) -> Result<Self, ConnectError> {
        let wrong = |reason| ConnectError::Url { url: url.clone(), reason };
        let uri: tokio_tungstenite::tungstenite::http::Uri =
            url.parse().map_err(|_| wrong("it is not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") if connector.is_some() => true,
            Some("wss") => {
                return Err(wrong(
                    "TLS needs a connector that does it, or ws:// behind a proxy that ends it",
                ));
            }
            _ => return Err(wrong("it must begin with ws://")),
        };
        let host = uri.host().ok_or_else(|| wrong("it names no host"))?;
        // Brackets belong to the URL, not to the address (RFC 3986 3.2.2).
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            target: Target {
                host: host.into(),
                port: uri.port_u16().unwrap_or(if tls { 443 } else { 80 }),
                tls,
            },
            url: url.as_str().into(),
            connector,
            token,
            transport: Arc::new(transport),
        })
    }

    /// Opens a socket. `known` if this client has been connected before.
    ///
    /// # Errors
    /// What the core is to take as the socket's end.
    pub(super) async fn dial(
        self,
        reason: DialReason,
        codec: Codec,
        known: bool,
    ) -> Result<Dialled, Refused> {
        let Target { host, port, .. } = self.target.clone();
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
        let stream = self.connect().await.map_err(|error| {
            Refused::lost(format!(
                "{}:{} can't be reached: {error}",
                self.target.host, self.target.port
            ))
        })?;
        let socket = Socket::connect(stream, &self.url, codec.subprotocol(), &self.transport).await;
        let socket = socket.map_err(|failure| refused(failure, known))?;
        Ok(Dialled { socket, token })
    }

    async fn connect(&self) -> io::Result<Stream> {
        match &self.connector {
            None => {
                TcpStream::connect((&*self.target.host, self.target.port)).await.map(Stream::tcp)
            }
            Some(connector) => Guarded(Box::pin(async { connector(self.target.clone()).await }))
                .await
                .unwrap_or_else(|_| Err(io::Error::other("the connector panicked"))),
        }
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
    let retry_ms = failure
        .retry_after_s
        .filter(|_| code.is_none())
        .map(|s| s.saturating_mul(1000).min(RETRY_AFTER_MS));
    Refused { close: Close { code, reason: failure.reason.into() }, retry_ms }
}
