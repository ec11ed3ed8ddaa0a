//! What the client waits for, and what it has to say about it. Setting, moving and cancelling a
//! timer costs O(log n), so that a full outbox of deadlines is as cheap as one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{CallId, Event, SubId};
use crate::session::Now;

/// Something that happens when its time has come; each exists at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ClientTimer {
    /// The next dial begins.
    Dial,
    /// The dial, or WELCOME, has taken too long.
    Handshake,
    /// There was no connection for too long.
    Elapsed,
    /// The server has not closed after its GOAWAY.
    Drain,
    /// The server may have gone silent.
    Heartbeat,
    /// What was accepted must be acknowledged.
    Ack,
    /// A refused command may be sent again.
    Retry,
    /// A caller's patience, or a command's time in the outbox, has ended.
    Call(CallId),
    /// A subscription may be asked for again.
    Subscribe(SubId),
    /// A position must be told.
    Position(SubId),
}

/// Timers by time and by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Now, ClientTimer)>,
    by_name: BTreeMap<ClientTimer, Now>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: ClientTimer, at: Now) {
        if let Some(before) = self.by_name.insert(timer, at) {
            self.by_time.remove(&(before, timer));
        }
        self.by_time.insert((at, timer));
    }

    /// Sets a timer unless it runs already: for delays that count from the first cause.
    pub(super) fn set_once(&mut self, timer: ClientTimer, at: Now) {
        if !self.by_name.contains_key(&timer) {
            self.set(timer, at);
        }
    }

    pub(super) fn cancel(&mut self, timer: ClientTimer) {
        if let Some(at) = self.by_name.remove(&timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Now> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes everything whose time has come. What these set in turn belongs to the next call, so no
    /// setting can spin.
    pub(super) fn due(&mut self, now: Now) -> Vec<ClientTimer> {
        let mut due = Vec::new();
        while let Some(&(at, timer)) = self.by_time.first() {
            if at > now {
                break;
            }
            self.by_time.pop_first();
            self.by_name.remove(&timer);
            due.push(timer);
        }
        due
    }

    pub(super) fn count(&self) -> usize {
        self.by_name.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What each part of the client may cause: events for the driver, and timers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Effects {
    pub(super) events: VecDeque<Event>,
    pub(super) timers: Timers,
}

impl Effects {
    pub(super) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }
}
