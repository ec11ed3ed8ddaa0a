//! What the client waits for, and what it has to say about it. Setting, moving and cancelling a
//! timer costs O(log n) at most, so that a full outbox of deadlines is as cheap as one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::types::{CallId, Event, SubId};
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
    /// Saving may be tried again.
    Save,
    /// A caller's patience, or a command's time in the outbox, has ended.
    Call(CallId),
    /// A subscription may be asked for again.
    Subscribe(SubId),
    /// A position must be told.
    Position(SubId),
}

/// Timers that exist once in a client, in the order of their names.
const SINGLE: [ClientTimer; 8] = [
    ClientTimer::Dial,
    ClientTimer::Handshake,
    ClientTimer::Elapsed,
    ClientTimer::Drain,
    ClientTimer::Heartbeat,
    ClientTimer::Ack,
    ClientTimer::Retry,
    ClientTimer::Save,
];

impl ClientTimer {
    /// Its place in [`SINGLE`]; `None` for those of a call or a subscription.
    const fn single(self) -> Option<usize> {
        Some(match self {
            Self::Dial => 0,
            Self::Handshake => 1,
            Self::Elapsed => 2,
            Self::Drain => 3,
            Self::Heartbeat => 4,
            Self::Ack => 5,
            Self::Retry => 6,
            Self::Save => 7,
            Self::Call(_) | Self::Subscribe(_) | Self::Position(_) => return None,
        })
    }
}

/// The two say the same.
const _: () = {
    let mut place = 0;
    while place < SINGLE.len() {
        assert!(matches!(SINGLE[place].single(), Some(at) if at == place), "the order of `SINGLE`");
        place += 1;
    }
};

/// Timers by time and by name. Those that exist once are set with every frame, so they have a
/// place of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Timers {
    single: [Option<Now>; SINGLE.len()],
    by_time: BTreeSet<(Now, ClientTimer)>,
    by_name: BTreeMap<ClientTimer, Now>,
}

impl Timers {
    pub(super) fn set(&mut self, timer: ClientTimer, at: Now) {
        if let Some(place) = timer.single() {
            self.single[place] = Some(at);
            return;
        }
        if let Some(before) = self.by_name.insert(timer, at) {
            if before == at {
                return;
            }
            self.by_time.remove(&(before, timer));
        }
        self.by_time.insert((at, timer));
    }

    /// Sets a timer unless it runs already: for delays that count from the first cause.
    pub(super) fn set_once(&mut self, timer: ClientTimer, at: Now) {
        let runs = match timer.single() {
            Some(place) => self.single[place].is_some(),
            None => self.by_name.contains_key(&timer),
        };
        if !runs {
            self.set(timer, at);
        }
    }

    pub(super) fn cancel(&mut self, timer: ClientTimer) {
        if let Some(place) = timer.single() {
            self.single[place] = None;
        } else if let Some(at) = self.by_name.remove(&timer) {
            self.by_time.remove(&(at, timer));
        }
    }

    pub(super) fn next(&self) -> Option<Now> {
        let named = self.by_time.first().map(|(at, _)| at);
        self.single.iter().flatten().chain(named).min().copied()
    }

    fn first(&self) -> Option<(Now, ClientTimer)> {
        let single = self.single.iter().zip(SINGLE).filter_map(|(at, timer)| Some(((*at)?, timer)));
        single.chain(self.by_time.first().copied()).min()
    }

    /// Takes everything whose time has come. What these set in turn belongs to the next call, so no
    /// setting can spin.
    pub(super) fn due(&mut self, now: Now) -> Vec<ClientTimer> {
        let mut due = Vec::new();
        while let Some((_, timer)) = self.first().filter(|(at, _)| *at <= now) {
            self.cancel(timer);
            due.push(timer);
        }
        due
    }

    pub(super) fn count(&self) -> usize {
        self.single.iter().flatten().count() + self.by_name.len()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What each part of the client may cause: events for the driver, and timers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Effects {
    events: VecDeque<Event>,
    pub(super) timers: Timers,
}

impl Effects {
    pub(super) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub(super) fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}
