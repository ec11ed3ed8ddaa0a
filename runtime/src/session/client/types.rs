//! What goes in and out of a client's core.

use std::sync::Arc;

pub use super::submission::{CallId, CallOutcome, Submission};

use super::recovery::Record;
use crate::session::{Build, Close, Now};
use crate::wire::{Body, Dial, Name, Position, UnsubscribeCode};

pub use crate::wire::Gap;

/// Names a save that a client with a journal asks for. Saves are numbered without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SaveNo(pub u64);

impl SaveNo {
    pub(super) const ZERO: Self = Self(0);

    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// What is to be saved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Saving {
    /// One more record, after all that were saved.
    Append(Record),
    /// These records in place of all that were saved: either they are there afterwards, or what was
    /// there before.
    Rewrite(Vec<Record>),
}

/// Names a subscription of this client; unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubId(pub u64);

/// Why a command did not get into the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SubmitError {
    /// The outbox holds as many commands or bytes as it may, and so does the backlog.
    #[error("the outbox is full")]
    Full,
    /// The body is longer than its message, or the server, allows.
    #[error("the message has {bytes} bytes, {limit} are allowed")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: u32,
    },
    /// The client was closed, or gave up.
    #[error("the client is closed")]
    Closed,
}

/// How far a command has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fate {
    /// It waits for room in the outbox, or for its journal; certainly never executed.
    Waiting,
    /// In the outbox (and saved, if that has a journal); certainly never executed.
    Queued,
    /// Handed to a socket; the server may have it.
    Written,
    /// Accepted by the server's core.
    Acked,
    /// Resolved with success.
    Done,
    /// Resolved without: an application error, a refusal, a failure.
    Failed,
    /// Its outcome can't be known.
    Unknown,
}

/// A topic to follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubscriptionRequest {
    /// Declared name of the topic.
    pub topic: Name,
    /// Which of these topics.
    pub key: String,
    /// Where to go on, if the application has stored a position.
    pub from: Option<Position>,
    /// Without a position: how many of the latest events to begin with, instead of the topic's
    /// state (PROTOCOL.md 7.25).
    pub last: Option<u32>,
}

/// Why a subscription could not be added.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// This client follows that topic already.
    #[error("this client already has a subscription of that topic")]
    Duplicate,
    /// As many as the configuration allows.
    #[error("this client has {limit} subscriptions, which is its limit")]
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// The client was closed, or gave up.
    #[error("the client is closed")]
    Closed,
}

/// What a subscription yields, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Item {
    /// The topic's state, at the start or after a gap.
    Snapshot {
        /// Where it stands.
        position: Position,
        /// Wire name.
        name: Name,
        /// The state.
        body: Body,
        /// The gap that made it necessary; `None` at the start.
        gap: Option<Gap>,
    },
    /// Events were missed, and the topic has no snapshot.
    Gap(Gap),
    /// The next event.
    Event {
        /// Where it stands.
        position: Position,
        /// Wire name.
        name: Name,
        /// Its fields.
        body: Body,
    },
    /// A message without a place in the topic.
    Volatile {
        /// Wire name.
        name: Name,
        /// Its fields.
        body: Body,
    },
}

/// A subscription goes on where it was, and nothing was missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Resumed {
    /// Where it was: everything up to here was finished with, or waits for the application.
    pub from: Position,
    /// Events that were published since, and come now.
    pub count: u64,
}

/// Why a subscription ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubscriptionEnd {
    /// The server said no, for good.
    Refused(UnsubscribeCode),
    /// The client was closed or gave up.
    Closed,
}

/// Where the connection stands. Illegal transitions can't be expressed: only the core makes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConnectionState {
    /// Not started.
    Disconnected,
    /// First dial, or dials before the first WELCOME; `attempt` counts from 1.
    Connecting {
        /// Which dial in a row.
        attempt: u32,
    },
    /// WELCOME has arrived.
    Connected {
        /// Whether the session went on.
        resumed: bool,
        /// Since when.
        since: Now,
    },
    /// The connection was lost.
    Reconnecting {
        /// Which dial in a row, the next one while waiting.
        attempt: u32,
        /// When the next dial begins; `None` while one is under way.
        next_dial: Option<Now>,
        /// When the connection was lost.
        since: Now,
        /// Why.
        reason: Close,
    },
    /// Given up.
    Failed {
        /// Why.
        reason: Close,
    },
    /// Closed by the application.
    Closed,
}

/// Why credentials are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DialReason {
    /// The first dial.
    First,
    /// A dial after a lost connection.
    Reconnect,
    /// The server refused the last credentials, or they expired.
    Refused,
}

/// What a client's driver must do or pass on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// Ask for credentials and open a socket. An earlier socket is abandoned.
    Dial {
        /// Its number.
        dial: Dial,
        /// For the credentials callback.
        reason: DialReason,
    },
    /// Write what [`super::Client::poll_transmit`] still has for this dial, then close it, within a
    /// bounded time.
    CloseSocket {
        /// Which.
        dial: Dial,
        /// How.
        close: Close,
    },
    /// The connection's state is another one.
    State(ConnectionState),
    /// A command has ended.
    Resolved {
        /// Which.
        call: CallId,
        /// How.
        outcome: CallOutcome,
    },
    /// The caller's patience has ended; the command stays until it is resolved.
    TimedOut {
        /// Which.
        call: CallId,
    },
    /// A command was taken back by [`super::Client::cancel`].
    Withdrawn {
        /// Which.
        call: CallId,
    },
    /// Something is to be saved, in this order; [`super::Client::handle_saved`] or
    /// [`super::Client::handle_unsaved`] says how that went. Only with a journal.
    Save {
        /// Which.
        no: SaveNo,
        /// What.
        saving: Saving,
    },
    /// A command has got further.
    Fate {
        /// Which.
        call: CallId,
        /// How far.
        fate: Fate,
    },
    /// A subscription is established (again) on the current attachment.
    Subscribed {
        /// Which.
        sub: SubId,
        /// It goes on where it was; `None` if it begins, or begins anew.
        resumed: Option<Resumed>,
    },
    /// A subscription has items for [`super::Client::poll_item`].
    Readable {
        /// Which.
        sub: SubId,
    },
    /// There is something in the inbox for [`super::Client::poll_inbox`].
    Inbox,
    /// A subscription has ended; items that wait can still be taken.
    SubscriptionEnded {
        /// Which.
        sub: SubId,
        /// Why.
        end: SubscriptionEnd,
    },
}

/// What a user interface shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Status {
    /// The state.
    pub state: ConnectionState,
    /// Whether an action is sent now, not queued.
    pub live: bool,
    /// Commands that are not resolved, those that wait for room in the outbox among them.
    pub queued: usize,
    /// Milliseconds until the next dial.
    pub next_dial_in_ms: Option<u64>,
    /// Milliseconds since the connection was lost.
    pub away_ms: Option<u64>,
    /// The last measured round trip of a heartbeat, in milliseconds.
    pub latency_ms: Option<u64>,
    /// What the server was built from, and how it fits this client, as of the last WELCOME.
    pub server: Option<Arc<Build>>,
}
