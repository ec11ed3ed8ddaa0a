//! One dial: credentials, a byte stream, upgrade. It says what went wrong; how long a dial may take
//! and what follows from its failure is the core's.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

use super::error::ConnectError;
use crate::host::{BoxFuture, Guarded};
use crate::session::Close;
use crate::session::client::{DialReason, HttpRefusal};
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
pub(super) enum NoSocket {
    /// Nobody was asked, or nobody answered.
    Lost(Close),
    /// The upgrade was answered with something else.
    Refused(HttpRefusal),
}

impl NoSocket {
    const fn lost(reason: String) -> Self {
        Self::Lost(Close { code: None, reason: Cow::Owned(reason) })
    }

    fn reason(&self) -> &str {
        match self {
            Self::Lost(close) => &close.reason,
            Self::Refused(refusal) => &refusal.reason,
        }
    }
}

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

    /// Opens a socket.
    ///
    /// # Errors
    /// What the core is to hear instead.
    pub(super) async fn dial(self, reason: DialReason, codec: Codec) -> Result<Dialled, NoSocket> {
        let Target { host, port, .. } = self.target.clone();
        let dialled = self.open(reason, codec).await;
        if let Err(failure) = &dialled {
            tracing::warn!(%host, port, reason = failure.reason(), "a dial failed");
        }
        dialled
    }

    async fn open(self, reason: DialReason, codec: Codec) -> Result<Dialled, NoSocket> {
        let token = match &self.token {
            Some(source) => {
                let token = Guarded(Box::pin(async { source(reason).await })).await;
                token
                    .unwrap_or_else(|_| Err("the token callback panicked".to_owned()))
                    .map_err(|error| NoSocket::lost(format!("there are no credentials: {error}")))?
            }
            None => None,
        };
        let stream = self.connect().await.map_err(|error| {
            NoSocket::lost(format!(
                "{}:{} can't be reached: {error}",
                self.target.host, self.target.port
            ))
        })?;
        let socket = Socket::connect(stream, &self.url, codec, &self.transport).await;
        let socket = socket.map_err(|failure| NoSocket::Refused(failure.into()))?;
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

impl From<HandshakeFailure> for HttpRefusal {
    fn from(failure: HandshakeFailure) -> Self {
        Self {
            status: failure.status,
            retry_after_ms: failure.retry_after_s.map(|s| s.saturating_mul(1000)),
            subprotocol_changed: failure.subprotocol,
            reason: failure.reason.into(),
        }
    }
}
