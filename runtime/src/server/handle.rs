//! A running server as its application holds it: publish, look at its load, leave in order. Serving
//! is beside it, in `serve`.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
#[cfg(feature = "test")]
use tokio::task::AbortHandle;

use super::engine::Engine;
use super::env::Env;
use super::publication::{self, EncodeFailure, Published};
use super::registry::Unwritten;
use super::start::start;
use crate::protocol::{ClientEnum, Direct, Publish};
use crate::session::millis;
use crate::session::node::{NodeLoad, PublishError as NodePublishError, Recipient, Sent};
use crate::wire::Position;

/// A server of the protocol whose client enum is `C`. A handle: clones are the same server.
pub struct Server<C> {
    pub(super) engine: Arc<Engine>,
    protocol: PhantomData<fn() -> C>,
}

/// Why a publication from outside a command failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The message can't be encoded, or does not fit its topic. Not published.
    #[error(transparent)]
    Encode(#[from] EncodeFailure),
    /// Too many wait for the store
    /// ([`NodeConfig::publishes_waiting`](super::NodeConfig::publishes_waiting)), or the topic is
    /// not this server's. Not published.
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
    pub(super) fn new(env: Env, seed: Option<u64>) -> Self {
        Self { engine: Engine::new(env, seed), protocol: PhantomData }
    }

    /// Publishes an event or a volatile from outside any command. An event is numbered and stored
    /// before this returns with its position; a volatile goes to whoever follows its topic on this
    /// node now, and has none.
    ///
    /// Publications of one task that awaits each are in the order of its calls.
    ///
    #[cfg_attr(feature = "derive", doc = "```")]
    #[cfg_attr(not(feature = "derive"), doc = "```ignore")]
    /// # use steadfast::{UnknownMessage, WsProtocol};
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(server, protocol = "chat", topic(Room, key = room: u32, replay = 100, ttl = "10m"))]
    /// # pub enum ChatEvent {
    /// #     #[ws(event(Room))]
    /// #     Posted { room: u32, text: String },
    /// #     #[ws(unknown)]
    /// #     Unknown(UnknownMessage),
    /// # }
    /// # use steadfast::protocol::ClientEnum;
    /// use steadfast::server::{PublishError, Server};
    ///
    /// async fn announce<C>(server: &Server<C>, text: String) -> Result<(), PublishError>
    /// where
    ///     C: ClientEnum<ServerEnum = ChatEvent>,
    /// {
    ///     let position = server.publish(&ChatEventPosted { room: 7, text }).await?;
    ///     println!("stored at {position:?}");
    ///     Ok(())
    /// }
    /// ```
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
        start(&self.engine);
        let told = match publication::staged(&self.engine.env.config, message)?.0 {
            Published::Volatile(volatile) => {
                self.engine.turn(|now, state| state.node.publish_volatile(now, volatile));
                return Ok(None);
            }
            Published::Event(event) => {
                let (tell, told) = oneshot::channel();
                self.engine.turn(|now, state| {
                    let id = state.node.publish(now, event);
                    state.registry.expect_published(id, tell);
                });
                told
            }
        };
        // The sender lives as long as the node, which answers every publication.
        let appended = told.await.unwrap_or(Err(NodePublishError::Store { maybe: true }))?;
        Ok(Some(Position { epoch: appended.epoch, ts: appended.ts }))
    }

    /// Sends a message to a session or to all sessions of a principal, from outside any command.
    /// Says how many sessions have it; each gets it once, in the order of calls, unless it ends
    /// before its client has it, and then the client is told that something may be missing
    /// ([`InboxItem::Missed`](crate::client::InboxItem::Missed)). Only sessions of this server are
    /// found.
    ///
    #[cfg_attr(feature = "derive", doc = "```")]
    #[cfg_attr(not(feature = "derive"), doc = "```ignore")]
    /// # use steadfast::{UnknownMessage, WsProtocol};
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(server, protocol = "chat")]
    /// # pub enum ChatEvent {
    /// #     #[ws(direct)]
    /// #     Warned { text: String },
    /// #     #[ws(unknown)]
    /// #     Unknown(UnknownMessage),
    /// # }
    /// # use steadfast::protocol::ClientEnum;
    /// use steadfast::server::{Recipient, Server};
    ///
    /// # fn warn<C>(server: &Server<C>) -> Result<(), steadfast::server::EncodeFailure>
    /// # where
    /// #     C: ClientEnum<ServerEnum = ChatEvent>,
    /// # {
    /// let text = "The server restarts at noon.".to_owned();
    /// let sent = server.send_to(&Recipient::principal("ann"), &ChatEventWarned { text })?;
    /// if sent.sessions == 0 {
    ///     println!("ann is not here");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The message can't be encoded, or is longer than it declares. Nobody gets it.
    pub fn send_to<M>(&self, to: &Recipient, message: &M) -> Result<Sent, EncodeFailure>
    where
        M: Direct<Events = C::ServerEnum>,
    {
        let (message, _) = publication::direct(&self.engine.env.config, to, message)?;
        Ok(self.engine.turn(|now, state| state.node.send_to(now, &message)))
    }

    /// Sockets from their upgrade to their end.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.engine.gate.sockets()
    }

    /// How much the node holds.
    #[must_use]
    pub fn load(&self) -> NodeLoad {
        self.engine.load()
    }

    /// What waits to be written, on all sockets. Costs O(sockets).
    #[must_use]
    pub fn unwritten(&self) -> Unwritten {
        self.engine.unwritten()
    }

    /// Leaves in order (PROTOCOL.md 8.2): new sockets are refused, every client is told to come
    /// back at a moment of its own, what runs is finished, and what is still there after `deadline`
    /// is closed. Returns when nothing is left, at the latest a closing handshake's time after
    /// `deadline`. What [`Server::serve`] serves ends too.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use steadfast::protocol::ClientEnum;
    /// # use steadfast::server::Server;
    /// # async fn run<C: ClientEnum>(
    /// #     server: Server<C>,
    /// #     mut stop: tokio::sync::oneshot::Receiver<()>,
    /// # ) -> std::io::Result<()> {
    /// tokio::select! {
    ///     served = server.serve("127.0.0.1:8080") => served?,
    ///     // Whatever tells this process to stop.
    ///     _ = &mut stop => server.shutdown(Duration::from_secs(20)).await,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancellation
    /// Dropping the future does not stop the drain.
    pub async fn shutdown(&self, deadline: Duration) {
        start(&self.engine);
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let Engine { env, gate, .. } = &*self.engine;
        let spread_ms = millis(env.limits.drain_spread);
        gate.leave();
        self.engine.turn(|now, state| state.drain(now, deadline_ms, spread_ms));
        let closing = env.transport.close_timeout;
        let drained = gate.until(|| self.engine.is_drained());
        let _ = tokio::time::timeout(deadline.saturating_add(closing), drained).await;
        let _ = tokio::time::timeout(closing, gate.until(|| gate.sockets() == 0)).await;
    }
}

#[cfg(feature = "test")]
impl<C: ClientEnum> Server<C> {
    /// Stops everything that it does, as if its process were gone: what runs is dropped where it
    /// waits, and nobody is let in. The caller has taken its sockets and its store away before.
    pub(crate) fn kill(&self) {
        self.engine.gate.leave();
        let running = self.engine.turn(|_, state| state.registry.take_tasks());
        running.iter().for_each(AbortHandle::abort);
        self.engine.turn(|now, state| state.drain(now, 0, 0));
    }
}

impl<C> Clone for Server<C> {
    fn clone(&self) -> Self {
        Self { engine: Arc::clone(&self.engine), protocol: PhantomData }
    }
}

impl<C> fmt::Debug for Server<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("protocol", &self.engine.env.config.protocol())
            .finish_non_exhaustive()
    }
}
