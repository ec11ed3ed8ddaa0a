//! A server for a protocol: handlers behind a router for axum, or alone on a port. Owns sockets,
//! tasks and timers around the node; refuses every decision of the protocol, which are
//! [`crate::session::node`]'s.

mod auth;
mod builder;
mod connection;
mod cx;
mod execute;
mod hints;
mod publication;
mod serve;
mod shared;
mod timer;
mod upgrade;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;

pub use auth::{Credentials, bearer};
pub use builder::{AccessDecided, Builder, Decided, Undecided};
pub use cx::{Cx, IdempotencyKey, TopicCx};
pub use publication::EncodeFailure;

/// What [`Server::serve_listener`] accepts connections from; axum's.
pub use axum::serve::Listener;

use crate::session::millis;
pub use crate::session::node::{
    Attempt, Denied, Heartbeat, Identity, NodeConfig, NodeLoad, Principal,
};
use crate::session::node::{PublishError as NodePublishError, StagedPublish};
use crate::stub::{ClientEnum, Publish};
pub use crate::transport::TransportConfig;
use crate::wire::Position;
use builder::Parts;
use shared::Shared;

/// Limits beside the node's own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Sockets at a time; more are refused before the upgrade with 503: 50,000.
    pub connections: u32,
    /// Connections at a time that have not asked for their upgrade yet, in
    /// [`Server::serve_listener`]; more wait to be accepted. Each has [`NodeConfig::handshake`]:
    /// 1,000.
    pub handshakes: u32,
    /// What `Retry-After` tells them, in whole seconds, rounded up: 5 s.
    pub retry_after: Duration,
    /// Time over which a drain spreads the return of its clients: 5 s.
    pub drain_spread: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 50_000,
            handshakes: 1_000,
            retry_after: Duration::from_secs(5),
            drain_spread: Duration::from_secs(5),
        }
    }
}

/// A server of the protocol whose client enum is `C`. A handle: clones are the same server.
pub struct Server<C> {
    shared: Arc<Shared>,
    protocol: PhantomData<fn() -> C>,
}

/// Why a publication from outside a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message can't be encoded, or does not fit its topic. Not published.
    #[error(transparent)]
    Encode(#[from] EncodeFailure),
    /// Too many wait for the store ([`NodeConfig::publishes_waiting`]), or the topic is not this
    /// server's. Not published.
    #[error(transparent)]
    Refused(NodePublishError),
    /// The store failed each time.
    #[error("the store failed; it may have been published all the same: {maybe}")]
    Store {
        /// Whether it may have been published.
        maybe: bool,
    },
}

impl From<NodePublishError> for PublishError {
    fn from(error: NodePublishError) -> Self {
        match error {
            NodePublishError::Store { maybe } => Self::Store { maybe },
            error => Self::Refused(error),
        }
    }
}

impl<C: ClientEnum> Server<C> {
    fn new(parts: Parts) -> Self {
        Self { shared: Shared::new(parts), protocol: PhantomData }
    }

    /// Publishes an event or a volatile from outside any command. An event is numbered and stored
    /// before this returns with its position; a volatile goes to whoever follows its topic on this
    /// node now, and has none.
    ///
    /// Publications of one task that awaits each are in the order of its calls.
    ///
    /// # Errors
    /// See [`PublishError`]. After `Store { maybe: true }` it may be in the log.
    ///
    /// # Cancellation
    /// Dropping the future does not take the publication back.
    pub async fn publish<P>(&self, message: &P) -> Result<Option<Position>, PublishError>
    where
        P: Publish<Events = C::ServerEnum>,
    {
        self.shared.start();
        let told = match publication::staged(&self.shared.config, message)?.0 {
            StagedPublish::Volatile(volatile) => {
                self.shared.turn(|now, inner| inner.node.publish_volatile(now, volatile));
                return Ok(None);
            }
            StagedPublish::Event(event) => {
                let (tell, told) = oneshot::channel();
                self.shared.turn(|now, inner| {
                    let id = inner.node.publish(now, event);
                    inner.expect_published(id, tell);
                });
                told
            }
        };
        // The sender lives as long as the node, which answers every publication.
        let appended = told.await.unwrap_or(Err(NodePublishError::Store { maybe: true }))?;
        Ok(Some(Position { epoch: appended.epoch, ts: appended.ts }))
    }

    /// Sockets from their upgrade to their end.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.sockets.load(Ordering::Acquire)
    }

    /// How much the node holds.
    #[must_use]
    pub fn load(&self) -> NodeLoad {
        self.shared.lock().node.load()
    }

    /// Leaves in order (PROTOCOL.md 8.2): new sockets are refused, every client is told to come
    /// back at a moment of its own, what runs is finished, and what is still there after `deadline`
    /// is closed. Returns when nothing is left, at the latest a closing handshake's time after
    /// `deadline`. What [`Server::serve`] serves ends too.
    ///
    /// # Cancellation
    /// Dropping the future does not stop the drain.
    pub async fn shutdown(&self, deadline: Duration) {
        self.shared.start();
        let (deadline_ms, spread_ms) = (millis(deadline), millis(self.shared.limits.drain_spread));
        self.shared.leaving.send_replace(true);
        self.shared.turn(|now, inner| inner.drain(now, deadline_ms, spread_ms));
        let closing = self.shared.transport.close_timeout;
        let _ = tokio::time::timeout(deadline.saturating_add(closing), self.shared.drained()).await;
        let _ = tokio::time::timeout(closing, self.shared.no_sockets()).await;
    }
}

impl<C> Clone for Server<C> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), protocol: PhantomData }
    }
}

impl<C> fmt::Debug for Server<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("protocol", &self.shared.config.protocol())
            .finish_non_exhaustive()
    }
}
