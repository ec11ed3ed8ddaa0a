//! The handle of a client that generated code wraps: calls, volatiles, subscriptions, state. It
//! hands everything on to what it shares with the client's task.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::sync::watch;

use super::call::Call;
#[cfg(feature = "outbox")]
use super::recovered::RecoveredCall;
use super::shared::SharedClient;
use super::slot::{CallEnd, CallSlot};
use super::state::{ConnectionState, Status};
use super::subscription::Subscribe;
use super::view::Handling;
use crate::protocol::{ClientEnum, EncodeError, TopicKey};
use crate::wire::{Body, Codec};

/// A client of the protocol whose client enum is `C`. A handle: clones share one connection, which
/// closes cleanly when the last one is dropped. A generated client wraps it, has its methods, and
/// adds one per message.
pub struct Client<C> {
    handle: Arc<Handle>,
    protocol: PhantomData<fn() -> C>,
}

/// Closes when the last one goes; calls and subscriptions do not keep a client open.
struct Handle {
    shared: Arc<SharedClient>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<C: ClientEnum> Client<C> {
    pub(super) fn new(shared: Arc<SharedClient>) -> Self {
        Self { handle: Arc::new(Handle { shared }), protocol: PhantomData }
    }

    /// Puts a request or command into the outbox. It takes its place now, not when the returned
    /// future is awaited.
    pub(crate) fn call<R, E>(&self, message: u16, body: Result<Body, EncodeError>) -> Call<R, E> {
        let shared = &self.handle.shared;
        let slot = match (body, C::DESCRIPTION.messages.get(usize::from(message))) {
            (Ok(body), Some(declared)) => shared.submit(declared, body),
            (Err(error), _) => CallSlot::over(CallEnd::Unencodable(error)),
            (Ok(_), None) => CallSlot::over(CallEnd::Unencodable(EncodeError::new(
                "the message is not declared",
            ))),
        };
        Call::new(slot, Arc::clone(shared))
    }

    /// Sends a volatile if there is a connection now. `false`, and dropped, if there is none or it
    /// can't be encoded. A later one of the same key replaces one that waits to be written.
    pub(crate) fn volatile(
        &self,
        message: u16,
        conflation: Result<String, EncodeError>,
        body: Result<Body, EncodeError>,
    ) -> bool {
        let (Ok(conflation), Ok(body)) = (conflation, body) else {
            tracing::warn!(message, "a volatile can't be encoded");
            return false;
        };
        let declared = C::DESCRIPTION.messages.get(usize::from(message));
        declared.is_some_and(|declared| self.handle.shared.volatile(declared, conflation, body))
    }

    /// Follows a topic; see [`Subscribe`].
    pub fn subscribe<T: TopicKey<Events = C::ServerEnum>>(&self, topic: T) -> Subscribe<T> {
        Subscribe::new(Arc::clone(&self.handle.shared), topic)
    }

    /// Follows a topic by the methods of a view; see [`Handling`].
    pub fn handle<T: TopicKey<Events = C::ServerEnum>, V>(
        &self,
        topic: T,
        view: V,
    ) -> Handling<T, V> {
        Handling::new(Arc::clone(&self.handle.shared), topic, view)
    }
}

#[cfg(feature = "outbox")]
impl<C: ClientEnum> Client<C> {
    /// The commands that an earlier process left in the outbox file, in their order, each with a way
    /// to its outcome. They are on their way whether somebody asks for them or not. Given once; what
    /// nobody asks for stays in the file, and is there again after the next start.
    ///
    /// Empty without an outbox file.
    #[must_use]
    pub fn recovered(&self) -> Vec<RecoveredCall<C>> {
        let shared = &self.handle.shared;
        let calls = shared.take_recovered().into_iter();
        calls.map(|call| RecoveredCall::new(call, Arc::clone(shared))).collect()
    }
}

impl<C> Client<C> {
    /// The connection's state, to be looked at or waited for.
    ///
    /// `Closed` and `Failed` are the last states: afterwards nothing changes, and whoever waits for
    /// another one ([`changed`](watch::Receiver::changed), [`wait_for`](watch::Receiver::wait_for))
    /// waits until every handle, call and subscription of this client is dropped, and gets an error
    /// then. A loop over the changes ends when [`ConnectionState::is_over`].
    ///
    /// # Cancellation
    /// A wait that is dropped has missed nothing: the next one looks at the present state.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConnectionState> {
        self.handle.shared.state().subscribe()
    }

    /// What a user interface shows.
    #[must_use]
    pub fn status(&self) -> Status {
        self.handle.shared.status()
    }

    /// Dials at once if the client waits to dial: for "the network is back", or a button.
    pub fn reconnect_now(&self) {
        self.handle.shared.reconnect_now();
    }

    /// Closes for good: tells the server, ends the session, and returns when every socket and task
    /// of this client is gone, within [`super::TransportConfig::close_timeout`]. Calls that are not
    /// resolved end with [`CallError::Closed`](super::CallError::Closed), subscriptions end, and so
    /// do all clones.
    ///
    /// # Cancellation
    /// Dropping the future does not stop the closing.
    pub async fn close(&self) {
        self.handle.shared.close();
        self.handle.shared.alive().closed().await;
    }

    /// How bodies are encoded.
    pub(crate) fn codec(&self) -> Codec {
        self.handle.shared.codec()
    }
}

impl<C> Clone for Client<C> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle), protocol: PhantomData }
    }
}

impl<C> fmt::Debug for Client<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("state", &*self.handle.shared.state().borrow())
            .finish_non_exhaustive()
    }
}
