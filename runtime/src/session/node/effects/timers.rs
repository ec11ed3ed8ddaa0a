//! Deadlines by time. Timers are armed late and looked at when they fire, so that traffic does not
//! move them.

use std::collections::BTreeSet;

use crate::session::Now;
use crate::session::node::keys::{LeaseKey, OperationKey, SessionKey};
use crate::session::node::types::{ConnId, ExecId};
use crate::wire::TopicNo;

/// A deadline's reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// HELLO, authentication and lease take too long (PROTOCOL.md 4.1).
    Handshake(ConnId),
    /// Silence (PROTOCOL.md 9.1).
    Heartbeat(ConnId),
    /// An ack has found no frame to ride on (PROTOCOL.md 4.5).
    Ack(ConnId),
    /// Credentials are good no longer.
    Credentials(ConnId),
    /// A detached session has lived long enough.
    Session(SessionKey),
    /// A lease's contact is to be told to the store.
    Renew(LeaseKey),
    /// A lease may have come to rest.
    Rest(LeaseKey),
    /// One of a lease's handlers may have run too long.
    Overdue(LeaseKey),
    /// A hook, or the handler of a volatile, has run too long.
    Hook(ExecId),
    /// A store operation is to be repeated.
    Retry(OperationKey),
    /// A topic's log is to be read again.
    Read(TopicNo),
    /// Events of a topic that came too early have waited long enough for those before them.
    Ahead(TopicNo),
    /// A topic's state that was read is not fresh any more.
    Kept(TopicNo),
    /// Records may be left unsettled.
    Sweep,
    /// The drain has lasted long enough.
    Drain,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Timers(BTreeSet<(Now, Timer)>);

impl Timers {
    pub(super) fn arm(&mut self, at: Now, timer: Timer) {
        self.0.insert((at, timer));
    }

    pub(super) fn disarm(&mut self, at: Now, timer: Timer) {
        self.0.remove(&(at, timer));
    }

    pub(super) fn next(&self) -> Option<Now> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(super) fn pop_due(&mut self, now: Now) -> Option<Timer> {
        self.0.first().filter(|(at, _)| *at <= now)?;
        self.0.pop_first().map(|(_, timer)| timer)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
