//! What a client is told before it dials. The dialling itself is the task's.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;

use steadfast_schema::{Contract, Kind};
use tokio::io::{AsyncRead, AsyncWrite};

use super::dial::{Connector, Endpoint, Target, TokenSource};
use super::error::ConnectError;
#[cfg(feature = "outbox")]
use super::file::{OutboxError, OutboxFile};
use super::handle::Client;
use super::shared::SharedClient;
use super::state::ConnectionState;
use super::stub::ClientStub;
use super::task;
use crate::host;
use crate::protocol::{self, ClientEnum, ServerEnum};
use crate::session::Close;
use crate::session::client::{ClientConfig, DialReason};
use crate::transport::{Stream, TransportConfig};
use crate::wire::{Codec, body_limit};

/// What a token callback may return: a `String`, an `Option<String>` (`None`: no token), or a
/// `Result` of those, whose error makes the dial fail and be tried again later.
pub trait IntoToken {
    /// The token, or why there is none to be had now.
    ///
    /// # Errors
    /// For a log and the connection's state.
    fn into_token(self) -> Result<Option<String>, String>;
}

impl IntoToken for String {
    fn into_token(self) -> Result<Option<String>, String> {
        Ok(Some(self))
    }
}

impl IntoToken for &str {
    fn into_token(self) -> Result<Option<String>, String> {
        Ok(Some(self.to_owned()))
    }
}

impl IntoToken for Option<String> {
    fn into_token(self) -> Result<Option<String>, String> {
        Ok(self)
    }
}

impl<T: IntoToken, E: fmt::Display> IntoToken for Result<T, E> {
    fn into_token(self) -> Result<Option<String>, String> {
        self.map_err(|error| error.to_string()).and_then(IntoToken::into_token)
    }
}

/// Builds a client; generated code begins it with `ChatClient::builder(url)`.
#[must_use = "a builder does nothing until `connect`"]
pub struct Builder<C> {
    url: String,
    connector: Option<Connector>,
    token: Option<TokenSource>,
    config: ClientConfig,
    transport: TransportConfig,
    seed: Option<u64>,
    #[cfg(feature = "outbox")]
    outbox: Option<OutboxFile>,
    stub: PhantomData<fn() -> C>,
}

impl<C: ClientStub> Builder<C> {
    /// Starts with the defaults of [`ClientConfig`].
    pub fn new(url: impl Into<String>) -> Self {
        let declared = C::Commands::DESCRIPTION;
        let mut config = ClientConfig::new(declared.protocol, declared.version);
        config.contracts = protocol::contracts::<C::Commands>();
        Self {
            url: url.into(),
            connector: None,
            token: None,
            config,
            transport: TransportConfig::default(),
            seed: None,
            #[cfg(feature = "outbox")]
            outbox: None,
            stub: PhantomData,
        }
    }

    /// Where credentials come from: asked before every dial, with the reason.
    ///
    /// # Cancellation
    /// The future is dropped when [`ClientConfig::dial_timeout`] is over, or the client is
    /// closed.
    pub fn token<F, R>(mut self, source: F) -> Self
    where
        F: Fn(DialReason) -> R + Send + Sync + 'static,
        R: Future + Send + 'static,
        R::Output: IntoToken,
    {
        self.token = Some(Arc::new(move |reason| {
            let token = source(reason);
            Box::pin(async move { token.await.into_token() })
        }));
        self
    }

    /// A contract that servers in use were built with, for a client that may be newer than its
    /// server: the text that `assert_contract!` keeps, as it was when they were released. May be said
    /// for each of them. [`Status::server`](super::Status) then says
    /// [`Verdict::Compatible`](super::Verdict) if this client finds everything there that it knows
    /// of, else [`Verdict::ServerOutdated`](super::Verdict).
    ///
    /// # Panics
    /// When the text is no contract of this protocol, or in a format of another version of
    /// steadfast.
    pub fn released(mut self, contract: &str) -> Self {
        let contracts = &mut self.config.contracts;
        protocol::released::<C::Commands>(contracts, contract, |earlier, own| {
            Contract::missing(own, earlier)
        });
        self
    }

    /// How a byte stream to the server is had, instead of TCP: a Unix socket, a proxy, TLS, a
    /// simulated network. Asked at every dial, after the token; the WebSocket handshake follows on
    /// what it returns. With one, a URL may begin with `wss://`; then the connector has to do TLS
    /// ([`Target::tls`]).
    ///
    /// ```
    /// # use steadfast::client::{Builder, ConnectError};
    /// # use steadfast::client::ClientStub;
    /// # #[cfg(unix)]
    /// # async fn connect<ChatClient: ClientStub>() -> Result<ChatClient, ConnectError> {
    /// // Generated clients begin with `ChatClient::builder(url)`.
    /// Builder::new("ws://chat.local/")
    ///     .connector(|_| tokio::net::UnixStream::connect("/run/chat.sock"))
    ///     .connect()
    ///     .await
    /// # }
    /// ```
    ///
    /// # Errors
    /// One that the connector returns makes the dial fail like a server that can't be reached: the
    /// client backs off and tries again. So does a panic in it.
    ///
    /// # Cancellation
    /// [`ClientConfig::dial_timeout`] bounds the connector together with the rest of the dial:
    /// the future is dropped when it is over, and when the client is closed.
    pub fn connector<F, R, S>(mut self, connect: F) -> Self
    where
        F: Fn(Target) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        self.connector = Some(Arc::new(move |target| {
            let stream = connect(target);
            Box::pin(async move { Ok(Stream::Other(Box::new(stream.await?))) })
        }));
        self
    }

    /// The codec to speak; JSON without it. The server must have it enabled, or it refuses the
    /// client, which fails. A lease, and so an outbox in a file, is bound to its codec.
    pub const fn codec(mut self, codec: Codec) -> Self {
        self.config.codec = codec;
        self
    }

    /// Changes how the session behaves: windows, outbox, backoff, timeouts. What a call does while
    /// the outbox has no room is [`ClientConfig::backlog_calls`].
    pub fn configure(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Keeps the outbox in a file, so that it outlives this process: see `docs/outbox.md`. A command
    /// is accepted ([`Call::accepted`](super::Call::accepted)), numbered and sent only once that is
    /// saved; what an earlier process left is sent, and handed out by [`Client::recovered`].
    ///
    /// The time that a message declares counts across processes, by the wall clock, and so does
    /// [`ClientConfig::outbox_age`]: what may wait for hours needs a long `timeout`, and a greater
    /// age.
    #[cfg(feature = "outbox")]
    pub fn outbox(mut self, file: OutboxFile) -> Self {
        self.outbox = Some(file);
        self
    }

    /// Changes how the socket is read and written.
    pub fn transport(mut self, change: impl FnOnce(&mut TransportConfig)) -> Self {
        change(&mut self.transport);
        self
    }

    /// For tests that must be repeatable, such as simulations: this client's ids and backoff follow
    /// from `seed` instead of from the operating system's random numbers. Two clients of one server
    /// need two seeds.
    ///
    /// Never in production: whoever knows the seed knows the ids.
    pub const fn insecure_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Dials, and waits for the first connection. As long as it can't be had this keeps trying, as
    /// [`ClientConfig::backoff`] says.
    ///
    /// # Errors
    /// When the address is none, or the client has given up.
    ///
    /// # Cancellation
    /// Dropping the future closes the client.
    pub async fn connect(self) -> Result<C, ConnectError> {
        let client = self.start()?;
        let mut state = client.state();
        let reached = state.wait_for(|state| state.is_connected() || state.is_over()).await;
        match reached.as_deref() {
            Ok(ConnectionState::Failed { reason }) => {
                Err(ConnectError::Failed { reason: reason.clone() })
            }
            Ok(state) if state.is_connected() => Ok(C::from_inner(client)),
            _ => Err(ConnectError::Failed { reason: Close::lost("the client was closed") }),
        }
    }

    /// Begins to dial and returns at once: calls queue until there is a connection.
    ///
    /// # Errors
    /// When the address is none.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn connect_lazily(self) -> Result<C, ConnectError> {
        self.start().map(C::from_inner)
    }

    fn start(mut self) -> Result<Client<C::Commands>, ConnectError> {
        self.config.message_bytes = u32::try_from(self.transport.message_bytes).unwrap_or(u32::MAX);
        self.check_limits()?;
        let endpoint = Endpoint::parse(self.url, self.connector, self.token, self.transport)?;
        let seed = host::seed(self.seed);
        #[cfg(feature = "outbox")]
        if let Some(outbox) = self.outbox {
            let shared = with_outbox(self.config, seed, outbox)?;
            task::start(Arc::clone(&shared), endpoint);
            return Ok(Client::new(shared));
        }
        let shared = SharedClient::new(self.config, seed);
        task::start(Arc::clone(&shared), endpoint);
        Ok(Client::new(shared))
    }
}

#[cfg(feature = "outbox")]
fn with_outbox(
    config: ClientConfig,
    seed: [u8; 32],
    outbox: OutboxFile,
) -> Result<Arc<SharedClient>, ConnectError> {
    let path = outbox.path().to_owned();
    let (recovery, opened) = outbox.into_parts(config.protocol(), config.codec)?;
    let (version, (saver, requests)) = (config.version().to_owned(), std::sync::mpsc::channel());
    let shared = SharedClient::with_journal(config, seed, &recovery, saver);
    super::file::start(Arc::clone(&shared), opened, version, requests)
        .map_err(|error| OutboxError::io(&path, &error))?;
    Ok(shared)
}

impl<C: ClientStub> Builder<C> {
    /// A message that its declaration allows must fit the outbox, and an event what this client
    /// takes.
    fn check_limits(&self) -> Result<(), ConnectError> {
        let most = self.config.message_bytes;
        for topic in <C::Commands as ClientEnum>::ServerEnum::DESCRIPTION.topics {
            if topic.max_bytes > body_limit(most) {
                return Err(ConnectError::Limits {
                    message: topic.name,
                    bytes: topic.max_bytes,
                    setting: "TransportConfig::message_bytes",
                    limit: most,
                });
            }
        }
        for message in C::Commands::DESCRIPTION.messages {
            let (Kind::Request { max_bytes, .. } | Kind::Command { max_bytes, .. }) = message.kind
            else {
                continue;
            };
            if max_bytes > self.config.outbox_bytes {
                return Err(ConnectError::Limits {
                    message: message.name,
                    bytes: max_bytes,
                    setting: "ClientConfig::outbox_bytes",
                    limit: self.config.outbox_bytes,
                });
            }
        }
        Ok(())
    }
}

impl<C> fmt::Debug for Builder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
