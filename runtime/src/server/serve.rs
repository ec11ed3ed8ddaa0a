//! Serving: a router to mount, a port of one's own, any other listener, or one connection at a
//! time.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::routing::any;
use axum::serve::Listener;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::sync::Semaphore;

use super::engine::Engine;
use super::handle::Server;
use super::start::start;
use super::upgrade;
use crate::host;
use crate::protocol::ClientEnum;

impl<C: ClientEnum> Server<C> {
    /// A router that answers WebSocket upgrades at `/`, to be nested where the application likes.
    /// Serve it with `into_make_service_with_connect_info::<SocketAddr>()` if the authentication
    /// hook needs the peer's address.
    ///
    /// Must be served inside a tokio runtime.
    pub fn router(&self) -> Router {
        let engine = Arc::clone(&self.engine);
        let answer = move |request: Request| {
            start(&engine);
            std::future::ready(upgrade::upgrade(&engine, request))
        };
        Router::new().route("/", any(answer))
    }

    /// Serves on an address until [`Server::shutdown`].
    ///
    /// # Errors
    /// When the address can't be bound.
    ///
    /// # Cancellation
    /// Dropping the future stops accepting; sockets that are open go on.
    pub async fn serve(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        self.serve_listener(TcpListener::bind(address).await?).await
    }

    /// Serves on a listener until [`Server::shutdown`]: TCP, a Unix socket, or anything else that
    /// yields byte streams, such as TLS or a simulated network. The authentication hook is told the
    /// peer's address if the listener's addresses are [`SocketAddr`]s.
    ///
    /// A connection that has not been upgraded
    /// [`NodeConfig::handshake`](super::NodeConfig::handshake) after it was accepted is
    /// dropped.
    ///
    /// ```
    /// # use steadfast::server::{Listener, Server};
    /// # async fn serve<C: steadfast::protocol::ClientEnum>(server: Server<C>) -> std::io::Result<()> {
    /// # #[cfg(unix)]
    /// # {
    /// let listener = tokio::net::UnixListener::bind("/run/chat.sock")?;
    /// server.serve_listener(listener).await?;
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// None at present: a [`Listener`] sees to its own.
    ///
    /// # Cancellation
    /// As for [`Server::serve`].
    pub async fn serve_listener<L>(&self, mut listener: L) -> io::Result<()>
    where
        L: Listener<Addr: fmt::Debug + 'static>,
    {
        start(&self.engine);
        let mut leaving = self.engine.gate.watch();
        let room = Arc::new(Semaphore::new(self.engine.env.limits.handshakes.max(1) as usize));
        loop {
            let accept =
                async { (Arc::clone(&room).acquire_owned().await, listener.accept().await) };
            let (place, (stream, address)) = tokio::select! {
                biased;
                _ = leaving.wait_for(|leaving| *leaving) => return Ok(()),
                accepted = accept => accepted,
            };
            let peer = (&address as &dyn Any).downcast_ref::<SocketAddr>().copied();
            let engine = Arc::clone(&self.engine);
            host::spawn(async move {
                let _place = place;
                if let Err(error) = http(engine, stream, peer).await {
                    tracing::debug!(?address, %error, "a connection ended before its upgrade");
                }
            });
        }
    }

    /// Serves one connection that was accepted elsewhere: after a TLS handshake, from an inherited
    /// descriptor, or of a test that has no network at all. `peer` is for the authentication hook.
    ///
    /// Returns when HTTP is done with it; the WebSocket goes on in a task of its own.
    ///
    /// ```
    /// # use steadfast::server::Server;
    /// # fn serve<C: steadfast::protocol::ClientEnum>(server: Server<C>) {
    /// let (ours, theirs) = tokio::io::duplex(64 * 1024);
    /// tokio::spawn(async move { server.serve_connection(ours, None).await });
    /// # let _ = theirs;
    /// # }
    /// ```
    ///
    /// # Errors
    /// When it is not HTTP, breaks off, or is not upgraded within
    /// [`NodeConfig::handshake`](super::NodeConfig::handshake). A request that is refused is
    /// answered, and no error.
    ///
    /// # Cancellation
    /// Dropping the future drops a connection that was not upgraded yet; a WebSocket goes on.
    pub async fn serve_connection<S>(&self, stream: S, peer: Option<SocketAddr>) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        http(Arc::clone(&self.engine), stream, peer).await
    }

    /// Serves on an address until the process is told to stop (Ctrl-C, or SIGTERM), then leaves in
    /// order as [`Server::shutdown`] does, with `deadline` to finish.
    ///
    /// # Errors
    /// When the address can't be bound.
    ///
    /// # Cancellation
    /// As for [`Server::serve`]; a drain that has begun goes on.
    pub async fn serve_until_signal(
        &self,
        address: impl ToSocketAddrs,
        deadline: Duration,
    ) -> io::Result<()> {
        let listener = TcpListener::bind(address).await?;
        tokio::select! {
            served = self.serve_listener(listener) => served,
            () = told_to_stop() => {
                tracing::info!("told to stop: draining");
                self.shutdown(deadline).await;
                Ok(())
            }
        }
    }
}

/// HTTP on one stream, until it is upgraded or has ended.
async fn http<S>(engine: Arc<Engine>, stream: S, peer: Option<SocketAddr>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    start(&engine);
    let limit = engine.env.config.handshake;
    let answer = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        if let Some(peer) = peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        std::future::ready(Ok::<_, Infallible>(upgrade::upgrade_root(&engine, request)))
    });
    // The kind of connection that axum makes, so that its upgrades are taken apart in one way.
    let builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    let served = builder.serve_connection_with_upgrades(TokioIo::new(stream), answer);
    match tokio::time::timeout(limit, served).await {
        Ok(served) => served.map_err(io::Error::other),
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no upgrade in time")),
    }
}

async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // No signals here: the other end of the `select!` decides.
        std::future::pending::<()>().await;
    }
}
