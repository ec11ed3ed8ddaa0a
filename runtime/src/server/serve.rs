//! Serving: a router to mount, or a port of one's own.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::routing::any;
use axum::serve::ListenerExt;
use tokio::net::{TcpListener, ToSocketAddrs};

use super::{Server, upgrade};
use crate::stub::ClientEnum;

impl<C: ClientEnum> Server<C> {
    /// A router that answers WebSocket upgrades at `/`, to be nested where the application likes. Serve it with
    /// `into_make_service_with_connect_info::<SocketAddr>()` if the authentication hook needs the peer's address.
    ///
    /// Must be served inside a tokio runtime.
    pub fn router(&self) -> Router {
        let shared = Arc::clone(&self.shared);
        let answer = move |request: Request| {
            shared.start();
            std::future::ready(upgrade::upgrade(&shared, request))
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

    /// Serves on a listener until [`Server::shutdown`].
    ///
    /// # Errors
    /// When accepting fails for good.
    ///
    /// # Cancellation
    /// As for [`Server::serve`].
    pub async fn serve_listener(&self, listener: TcpListener) -> io::Result<()> {
        self.shared.start();
        let mut leaving = self.shared.leaving.subscribe();
        let listener = listener.tap_io(|stream| {
            // Whole batches are written: waiting for more to send with them only adds delay.
            let _ = stream.set_nodelay(true);
        });
        let service = self.router().into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(listener, service)
            .with_graceful_shutdown(async move {
                let _ = leaving.wait_for(|leaving| *leaving).await;
            })
            .await
    }

    /// Serves on an address until the process is told to stop (Ctrl-C, or SIGTERM), then leaves in order as
    /// [`Server::shutdown`] does, with `deadline` to finish.
    ///
    /// # Errors
    /// When the address can't be bound.
    ///
    /// # Cancellation
    /// As for [`Server::serve`]; a drain that has begun goes on.
    pub async fn serve_until_signal(&self, address: impl ToSocketAddrs, deadline: Duration) -> io::Result<()> {
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
