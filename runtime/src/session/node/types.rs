//! What goes in and out of a node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::session::store::{Appended, MessageId, OpId, Outcome, Publication, StoreOp, TopicId};
use crate::session::{Build, Close};
use crate::wire::{
    Body, Codec, CommandNo, LeaseId, Name, Position, RefusalCode, ResumeFailure, UnsubscribeCode,
};

/// Names a socket of this process; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Names an execution of this process; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecId(pub u64);

/// Names a publication from outside a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishId(pub u64);

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    user: Arc<str>,
    attributes: Option<Arc<BTreeMap<String, String>>>,
}

impl Principal {
    /// A principal with a stable, unique name; sessions and leases are bound to it.
    #[must_use]
    pub fn new(user: impl Into<Arc<str>>) -> Self {
        Self { user: user.into(), attributes: None }
    }

    /// Adds a fact for handlers; not part of the identity.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let map = self.attributes.get_or_insert_with(Arc::default);
        Arc::make_mut(map).insert(name.into(), value.into());
        self
    }

    /// The stable, unique name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The name, shared.
    #[must_use]
    pub fn id(&self) -> Arc<str> {
        Arc::clone(&self.user)
    }

    /// A fact that the authentication hook added.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.as_ref()?.get(name).map(String::as_str)
    }
}

/// What an authentication hook found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Identity {
    /// Who it is.
    pub principal: Principal,
    /// For how long the credentials are good; the connection is closed with 4202 then. `None`:
    /// until the connection ends.
    pub expires_in: Option<Duration>,
}

impl Identity {
    /// Good until the connection ends.
    #[must_use]
    pub const fn new(principal: Principal) -> Self {
        Self { principal, expires_in: None }
    }

    /// Good for so long.
    #[must_use]
    pub const fn expiring(principal: Principal, expires_in: Duration) -> Self {
        Self { principal, expires_in: Some(expires_in) }
    }
}

/// A hook's no.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Denied {
    /// For the close reason or a log.
    pub reason: String,
}

/// Whether a command may have run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attempt {
    /// Certainly for the first time.
    First,
    /// It may have run, or begun to run, elsewhere without a record: effects outside of the context
    /// may exist.
    MaybeRetry,
}

/// Something for the application's code to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Execution {
    /// Check credentials; answer [`Executed::Authenticated`].
    Authenticate {
        /// For the answer.
        exec: ExecId,
        /// Whose.
        conn: ConnId,
        /// From HELLO.
        token: Option<String>,
        /// What the client was built from.
        client: Arc<Build>,
    },
    /// Run a command's handler; answer [`Executed::Command`] or [`Executed::Refused`].
    Command {
        /// For the answer.
        exec: ExecId,
        /// The connection that brought it, which may be gone.
        conn: ConnId,
        /// Its lease, with `n` the idempotency key.
        lease: LeaseId,
        /// Its number.
        n: CommandNo,
        /// The application's own id, if its message declares one: then that is the idempotency
        /// key, and `attempt` is always [`Attempt::MaybeRetry`].
        id: Option<Box<MessageId>>,
        /// Whether it may have run before.
        attempt: Attempt,
        /// Index of the message.
        message: u16,
        /// Its fields.
        body: Body,
        /// How they are encoded, and how the reply must be.
        codec: Codec,
        /// Who asks.
        principal: Principal,
        /// What their client was built from.
        client: Arc<Build>,
        /// Milliseconds left; [`NodeEvent::Abort`] comes then.
        timeout_ms: u64,
    },
    /// Run a volatile's handler; answer [`Executed::Volatile`].
    Volatile {
        /// For the answer.
        exec: ExecId,
        /// The connection that brought it.
        conn: ConnId,
        /// Index of the message.
        message: u16,
        /// Its fields.
        body: Body,
        /// How they are encoded.
        codec: Codec,
        /// Who sends.
        principal: Principal,
        /// What their client was built from.
        client: Arc<Build>,
        /// Milliseconds left; [`NodeEvent::Abort`] comes then.
        timeout_ms: u64,
    },
    /// Ask whether somebody may subscribe; answer [`Executed::Authorized`].
    Authorize {
        /// For the answer.
        exec: ExecId,
        /// Whose subscription.
        conn: ConnId,
        /// Who asks.
        principal: Principal,
        /// Index of the topic.
        topic: u16,
        /// Its key.
        key: Arc<str>,
    },
    /// Read a topic's state, at least as fresh as `position`; answer [`Executed::Snapshot`].
    Snapshot {
        /// For the answer.
        exec: ExecId,
        /// Index of the topic.
        topic: u16,
        /// Its key.
        key: Arc<str>,
        /// What the state must contain.
        position: Position,
        /// The codecs that are wanted.
        codecs: Vec<Codec>,
    },
}

impl Execution {
    /// What its answer names.
    #[must_use]
    pub const fn exec(&self) -> ExecId {
        match self {
            Self::Authenticate { exec, .. }
            | Self::Command { exec, .. }
            | Self::Volatile { exec, .. }
            | Self::Authorize { exec, .. }
            | Self::Snapshot { exec, .. } => *exec,
        }
    }

    /// The id, if this is a command.
    #[must_use]
    pub const fn command(&self) -> Option<ExecId> {
        match self {
            Self::Command { exec, .. } => Some(*exec),
            _ => None,
        }
    }
}

/// A volatile for a topic's present subscribers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TopicVolatile {
    /// The topic.
    pub topic: TopicId,
    /// Wire name.
    pub name: Name,
    /// The latest one per key wins while it waits.
    pub conflation: String,
    /// The body in each enabled codec.
    pub bodies: Vec<(Codec, Body)>,
}

/// A message outside of topics (PROTOCOL.md 4.16).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DirectMessage {
    /// Whom it is for.
    pub to: Recipient,
    /// Wire name.
    pub name: Name,
    /// The body in each enabled codec.
    pub bodies: Vec<(Codec, Body)>,
}

/// Whom a direct message is for. Only sessions of this node are found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Recipient {
    /// Every session of a principal.
    Principal(Arc<str>),
    /// The session that has a lease by then.
    Lease(LeaseId),
    /// The session that a connection is attached to, if it still is.
    Connection(ConnId),
}

impl Recipient {
    /// Every session of the principal with this name, as the authentication hook gives it.
    #[must_use]
    pub fn principal(user: impl Into<Arc<str>>) -> Self {
        Self::Principal(user.into())
    }
}

/// What became of a direct message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sent {
    /// Sessions that have it now: they get it, unless they end before.
    pub sessions: u32,
    /// Sessions that have as many waiting as they may
    /// ([`super::NodeConfig::directs_per_session`]), and do not get it.
    pub full: u32,
    /// Sessions whose clients do not take messages so long (PROTOCOL.md 2.6), and do not get it.
    pub too_long: u32,
}

/// What a handler published through its context.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StagedPublish {
    /// Commits with the result.
    Event(Publication),
    /// Goes out once the result is committed.
    Volatile(TopicVolatile),
    /// The same, to a session or a principal.
    Direct(DirectMessage),
}

/// What came of an execution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Executed {
    /// Of [`Execution::Authenticate`].
    Authenticated(Result<Identity, Denied>),
    /// Of [`Execution::Command`]: it ran. Publications of an outcome other than `Ok` are discarded.
    Command {
        /// What the caller is told.
        outcome: Outcome,
        /// What the handler published.
        publishes: Vec<StagedPublish>,
    },
    /// Of [`Execution::Command`]: it ran, and the store decides the outcome when it writes the
    /// record. It has been given what decides, under the number of this execution; what was handed
    /// out ahead behind it goes back, as if it went on ([`super::Node::handle_unbegun`]).
    Decides,
    /// Of [`Execution::Command`]: it did not run (its body did not fit). A terminal code: retry
    /// codes are the node's own to give.
    Refused(RefusalCode),
    /// Of [`Execution::Volatile`].
    Volatile {
        /// What the handler published.
        publishes: Vec<StagedPublish>,
    },
    /// Of [`Execution::Authorize`].
    Authorized(Result<(), UnsubscribeCode>),
    /// Of [`Execution::Snapshot`]: name, and body per codec; `None` if it failed.
    Snapshot(Option<(Name, Vec<(Codec, Body)>)>),
}

/// What a node wants done, in the order in which it wants it: see [`super::Node::poll_output`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// Do this, or pass it on.
    Event(NodeEvent),
    /// Carry this out; the answer goes to [`super::Node::handle_store`].
    Store(OpId, StoreOp),
    /// Tell the store whether this node wants news of a topic: before it opens the topic, and after
    /// it has let go of it.
    Interest {
        /// Which topic.
        topic: TopicId,
        /// Whether it does from here on.
        interested: bool,
    },
    /// Run this; what comes of it goes to [`super::Node::handle_executed`].
    Execute {
        /// What.
        execution: Execution,
        /// It is handed out ahead of its order: it begins after the execution that was handed out
        /// before it has ended, or goes back unbegun ([`super::Node::handle_unbegun`]).
        ahead: bool,
    },
}

/// What a node's driver must do or pass on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum NodeEvent {
    /// A connection has something for [`super::Node::poll_transmit`]. Said once until that returned
    /// `None`.
    Wake(ConnId),
    /// Write what was taken for the connection already, then close it, within a bounded time. The
    /// node has forgotten it.
    Close(ConnId, Close),
    /// Stop an execution; its answer is no longer wanted. If it has left its outcome to the store,
    /// what decides there is not needed any more.
    Abort(ExecId),
    /// The caller of a command that runs does not want it any more: its handler may be told, and
    /// ends it as it likes. What has not begun yet, or is over, need not hear of it.
    Cancel(ExecId),
    /// A client has come back: whether its session goes on, or why it could not.
    Returned(Principal, Result<(), ResumeFailure>),
    /// What came of [`super::Node::publish`].
    Published(PublishId, Result<Appended, PublishError>),
}

/// Why a publication from outside a command failed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// As many publications wait for the store as the configuration allows. Not published.
    #[error("too many publications wait for the store")]
    Full,
    /// The topic is not declared, or the body is longer than its topic allows. Not published.
    #[error("the publication does not fit its topic")]
    Invalid,
    /// The store failed each time. `maybe` says whether it may be in the log all the same.
    #[error("the store failed")]
    Store {
        /// Whether it may have been published.
        maybe: bool,
    },
}
