//! Every process has a clock of its own, which begins where it likes, jumps forwards and may stand
//! still while its process sleeps. A core's time never goes back.

use std::time::Duration;

use steadfast::session::Now;

use steadfast::store::MemoryLimits;

use super::{Due, World};
use crate::network::{End, Way};

/// A process's clock against the run's time.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    ahead_ms: i128,
    /// Until then the process does nothing.
    asleep_until: Now,
    /// The clock goes on while it sleeps.
    counts: bool,
}

impl Clock {
    /// A clock that reads `origin_ms` now.
    #[must_use]
    pub fn new(now: Now, origin_ms: u64) -> Self {
        Self {
            ahead_ms: i128::from(origin_ms) - i128::from(now.0),
            asleep_until: Now(0),
            counts: true,
        }
    }

    /// What it reads at a time of the run.
    #[must_use]
    pub fn reads(self, now: Now) -> Now {
        Now(u64::try_from(i128::from(now.0) + self.ahead_ms).unwrap_or_default())
    }

    /// When its process, awake, can first read `own`.
    #[must_use]
    pub fn when(self, own: Now) -> Now {
        Now(u64::try_from(i128::from(own.0) - self.ahead_ms).unwrap_or_default())
            .max(self.asleep_until)
    }

    /// Whether its process does nothing.
    #[must_use]
    pub fn sleeps(self, now: Now) -> bool {
        self.asleep_until > now
    }

    /// It is suddenly later.
    pub fn jump(&mut self, ms: u64) {
        self.ahead_ms += i128::from(ms);
    }

    /// Its process stops for a while, and the clock with it or not.
    pub fn sleep(&mut self, now: Now, ms: u64, counts: bool) {
        self.asleep_until = now.after_ms(ms);
        self.counts = counts;
        if !counts {
            self.ahead_ms -= i128::from(ms);
        }
    }

    fn wake(&mut self, now: Now) {
        if !self.counts {
            self.ahead_ms += i128::from(self.asleep_until.since(now));
        }
        self.asleep_until = self.asleep_until.min(now);
    }
}

impl World {
    pub(super) fn fresh_clock(&mut self) -> Clock {
        let origin_ms = self.rng.below(self.plan.clock_origin_ms + 1);
        Clock::new(self.now, origin_ms)
    }

    pub(super) fn client_now(&self, at: usize) -> Now {
        self.clients[at].clock.reads(self.now)
    }

    pub(super) fn node_now(&self, at: usize) -> Now {
        self.nodes[at].clock.reads(self.now)
    }

    pub(super) fn client_sleeps(&self, at: usize) -> bool {
        self.clients[at].clock.sleeps(self.now)
    }

    pub(super) fn node_sleeps(&self, at: usize) -> bool {
        self.nodes[at].clock.sleeps(self.now)
    }

    /// Until when something has to wait because whom it concerns is asleep.
    pub(super) fn waits_for_a_sleeper(&self, due: &Due) -> Option<Now> {
        let end = |id, end| {
            let socket = self.sockets.get(id)?;
            Some(match end {
                End::Client => self.clients[socket.client].clock,
                End::Server => self.nodes[socket.node].clock,
            })
        };
        let clock = match due {
            Due::Accept(id) | Due::Arrive(id, Way::Up) => end(id, End::Server),
            Due::Arrive(id, Way::Down) => end(id, End::Client),
            Due::Notice(id, who, _) => end(id, *who),
            Due::Answer(id, ..) => end(id, End::Client),
            Due::StoreAnswer { node, .. } | Due::Executed { node, .. } | Due::News { node, .. } => {
                Some(self.nodes[*node].clock)
            }
            Due::Poll { client, .. } | Due::Saved { client, .. } => {
                Some(self.clients[*client].clock)
            }
            Due::StoreApply { .. }
            | Due::Unblock
            | Due::Restart(_)
            | Due::Away(_)
            | Due::Act(_) => None,
        };
        clock.filter(|clock| clock.sleeps(self.now)).map(|clock| clock.asleep_until)
    }

    /// A client's process stops for a while: a laptop is shut, a phone puts an app to sleep.
    pub fn client_goes_to_sleep(&mut self, at: usize, ms: u64, counts: bool) {
        self.note(|_| format!("client {at}: sleeps for {ms} ms, its clock goes on: {counts}"));
        let now = self.now;
        self.clients[at].clock.sleep(now, ms, counts);
        self.checkers.sometimes.count("client slept");
        self.after(ms, Due::Unblock);
    }

    /// A node's process stops for a while, and does not know it: it believes that it holds what it
    /// held.
    pub fn node_goes_to_sleep(&mut self, at: usize, ms: u64, counts: bool) {
        self.note(|_| format!("node {at}: sleeps for {ms} ms, its clock goes on: {counts}"));
        let now = self.now;
        self.nodes[at].clock.sleep(now, ms, counts);
        self.checkers.sometimes.count("node slept");
        self.after(ms, Due::Unblock);
    }

    pub(super) fn random_sleep(&mut self) {
        let ms = self.rng.pick(&[100, 700, 3_000, 20_000]);
        let counts = self.rng.chance(500);
        if self.rng.chance(500) {
            let at = self.rng.below(self.clients.len() as u64) as usize;
            if !self.client_sleeps(at) {
                self.client_goes_to_sleep(at, ms, counts);
            }
        } else {
            let at = self.rng.below(self.nodes.len() as u64) as usize;
            if !self.node_sleeps(at) && self.nodes[at].core.is_some() {
                self.node_goes_to_sleep(at, ms, counts);
            }
        }
    }

    pub(super) fn random_jump(&mut self) {
        let ms = self.rng.pick(&[300, 2_000, 30_000, 4_000_000]);
        match self.rng.below(3) {
            0 => {
                let at = self.rng.below(self.clients.len() as u64) as usize;
                self.clients[at].clock.jump(ms);
                self.note(|_| format!("client {at}: its clock jumps by {ms} ms"));
                self.checkers.sometimes.count("client clock jumped");
            }
            1 => {
                let at = self.rng.below(self.nodes.len() as u64) as usize;
                self.nodes[at].clock.jump(ms);
                self.note(|_| format!("node {at}: its clock jumps by {ms} ms"));
                self.checkers.sometimes.count("node clock jumped");
            }
            _ => {
                self.shelf.clock.jump(ms);
                if Duration::from_millis(ms) >= MemoryLimits::default().owed {
                    self.checkers.what_is_owed_may_expire();
                }
                self.note(|_| format!("store: its clock jumps by {ms} ms"));
                self.checkers.sometimes.count("store clock jumped");
            }
        }
    }

    /// Whoever sleeps is woken, and hears what has happened.
    pub(super) fn everybody_wakes(&mut self) {
        let now = self.now;
        let waits = |(&key, due): (&(Now, u64), &Due)| {
            (self.waits_for_a_sleeper(due) == Some(key.0)).then_some(key)
        };
        let waiting: Vec<(Now, u64)> = self.due.iter().filter_map(waits).collect();
        for key in waiting {
            if let Some(due) = self.due.remove(&key) {
                self.after(1, due);
            }
        }
        self.clients.iter_mut().for_each(|slot| slot.clock.wake(now));
        self.nodes.iter_mut().for_each(|slot| slot.clock.wake(now));
    }
}
