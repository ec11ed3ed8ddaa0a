//! Heartbeats of one socket (PROTOCOL.md section 9): how long it was silent, and which ping is
//! under way. It says when nobody is there, and closes nothing.

use crate::session::Now;
use crate::wire::Heartbeat;

/// Whether the server on this socket is alive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Heart {
    interval_ms: u64,
    timeout_ms: u64,
    missed: u32,
    heard: Now,
    said: Now,
    pinged: Now,
    unanswered: u32,
    due: Option<u64>,
    asked: Option<(u64, Now)>,
}

/// What the heartbeat timer has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beat {
    /// Look again then.
    Wait(Now),
    /// Nobody is there.
    Dead,
}

impl Heart {
    /// A server's numbers are taken as they are, except that 0 would mean to look without pause.
    pub(super) fn new(now: Now, setting: &Heartbeat) -> Self {
        Self {
            interval_ms: setting.interval_ms.max(1),
            timeout_ms: setting.timeout_ms.max(1),
            missed: setting.missed.max(1),
            heard: now,
            said: now,
            pinged: now,
            unanswered: 0,
            due: None,
            asked: None,
        }
    }

    /// When to call [`Heart::look`] next.
    pub(super) fn next(&self) -> Now {
        match self.unanswered {
            0 => self.heard.min(self.said).after_ms(self.interval_ms),
            _ => self.pinged.after_ms(self.timeout_ms),
        }
    }

    /// Something arrived. Returns whether [`Heart::next`] became earlier than it may have been.
    pub(super) const fn hear(&mut self, now: Now) -> bool {
        let waited = self.unanswered > 0;
        self.heard = now;
        self.unanswered = 0;
        waited
    }

    /// Something is sent.
    pub(super) const fn say(&mut self, now: Now) {
        self.said = now;
    }

    /// Pings, or gives up, if it is time. `k` counts the pings of this client.
    pub(super) fn look(&mut self, now: Now, k: &mut u64) -> Beat {
        if self.unanswered == 0 && now < self.heard.after_ms(self.interval_ms) {
            if now >= self.said.after_ms(self.interval_ms) {
                // Nothing is asked: the server is to hear something (PROTOCOL.md 9.1).
                *k += 1;
                self.due = Some(*k);
                self.said = now;
            }
        } else if now >= self.next() {
            if self.unanswered >= self.missed {
                return Beat::Dead;
            }
            *k += 1;
            self.due = Some(*k);
            self.pinged = now;
            self.unanswered += 1;
        }
        Beat::Wait(self.next())
    }

    /// The ping to write now.
    pub(super) fn take_ping(&mut self, now: Now) -> Option<u64> {
        let k = self.due.take()?;
        self.asked = Some((k, now));
        Some(k)
    }

    /// The round trip that a pong completes, in milliseconds.
    pub(super) fn pong(&mut self, now: Now, k: u64) -> Option<u64> {
        let (_, at) = self.asked.take_if(|(asked, _)| *asked == k)?;
        Some(now.since(at))
    }
}
