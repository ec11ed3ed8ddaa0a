//! Signs of life and dials, once more by a naive hand (PROTOCOL.md 8.1a, 8.2, section 9): when each
//! end last heard and said something, how often a client has dialled in a row, and what follows. It
//! knows no PING and no core.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast::session::client::{Backoff, ConnectionState};
use steadfast::session::node::ConnId;
use steadfast::session::{Close, CloseCode, Now};
use steadfast_rig::Rule;

use super::{Checkers, Owed};

/// A client process, or a node process and one of its connections.
pub(super) type End = (u64, Option<ConnId>);

/// When each attached end heard something last, by its own clock.
pub(super) type Heard = BTreeMap<End, Now>;

/// What a client process has gone through, as far as its next dial depends on it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Row {
    /// Dials since the last connection that held, its own one included.
    dials: u32,
    welcomed: Option<Now>,
    /// What GOAWAY asked for on the present attachment.
    after_ms: Option<u64>,
    /// The upgrade was answered, which has a rule of its own.
    refused: bool,
}

/// The longest delay before the k-th dial in a row.
fn ceiling(backoff: &Backoff, k: u32) -> Duration {
    backoff.base.saturating_mul(1 << k.saturating_sub(1).min(20)).min(backoff.cap)
}

/// Codes after which a client comes back without backing off (the table of 8.1).
fn comes_soon(close: &Close) -> bool {
    close.code.is_some_and(|code| matches!(code.0, 4001..=4003 | 4200..=4299 | 4410))
}

impl Checkers {
    /// WELCOME went out, or arrived.
    pub(super) fn lives(&mut self, end: End, now: Now) {
        // WELCOME may have had to wait for room: what a node heard is what came before.
        self.heard.entry(end).or_insert(now);
        self.promise(end.0, Owed::Voice(end.1), now.after(self.node_config.heartbeat.interval));
    }

    /// Something arrived, be it a part of a message only.
    pub(super) fn hears_something(&mut self, end: End, now: Now) {
        self.heard.insert(end, now);
    }

    /// Something was written, or could not be for want of room: within so long it is due again,
    /// whatever is heard meanwhile.
    pub fn says_something(&mut self, end: (u64, Option<ConnId>), now: Now) {
        if self.owes(end.0, Owed::Voice(end.1)) {
            let by = now.after(self.node_config.heartbeat.interval);
            self.promise(end.0, Owed::Voice(end.1), by);
        }
    }

    pub(super) fn is_detached(&mut self, end: End) {
        self.heard.remove(&end);
        self.kept(end.0, Owed::Voice(end.1));
    }

    /// Who is heard is not given up: nobody leaves for missed heartbeats before silence has lasted
    /// for all of them.
    pub fn nobody_leaves_a_living_peer(
        &mut self,
        end: (u64, Option<ConnId>),
        now: Now,
        close: &Close,
    ) {
        if close.code != Some(CloseCode::HEARTBEAT) {
            return;
        }
        let Some(heard) = self.heard.get(&end).copied() else { return };
        let heartbeat = self.node_config.heartbeat;
        let least = heartbeat.interval + heartbeat.timeout * heartbeat.missed.max(1);
        self.require(now >= heard.after(least), Rule::LifeIsNotLeft, || {
            format!("{end:?} heard something at {heard:?}, and leaves at {now:?}")
        });
    }

    /// A client asks for a socket.
    pub(super) fn counts_a_dial(&mut self, process: u64) {
        let row = self.rows.entry(process).or_default();
        (row.dials, row.refused) = (row.dials + 1, false);
    }

    /// WELCOME has arrived, or GOAWAY.
    pub(super) fn is_told_to_leave(&mut self, process: u64, after_ms: Option<u64>) {
        self.rows.entry(process).or_default().after_ms = after_ms;
    }

    /// A client's upgrade was answered with something else.
    pub(super) fn dial_was_refused(&mut self, process: u64) {
        self.rows.entry(process).or_default().refused = true;
    }

    /// The next dial comes when the table says: after a connection that held as if it were the
    /// first, soon where only the socket was meant, and as GOAWAY asked.
    pub(super) fn dials_when_it_should(&mut self, process: u64, now: Now, state: &ConnectionState) {
        let row = self.rows.entry(process).or_default();
        match state {
            ConnectionState::Connected { since, .. } => {
                row.welcomed = Some(*since);
            }
            ConnectionState::Reconnecting { next_dial: Some(at), since, reason, .. } => {
                let (backoff, welcomed) = (&self.backoff, row.welcomed.take());
                let after_ms = row.after_ms.filter(|_| welcomed.is_some());
                if welcomed.is_some_and(|welcomed| welcomed.after(backoff.stable) <= *since) {
                    row.dials = 1;
                }
                let refused = std::mem::take(&mut row.refused);
                let k = if comes_soon(reason) { 1 } else { row.dials };
                // A process that was stopped tells late.
                let (least, most) = match after_ms {
                    Some(ms) => (since.after_ms(ms), since.after_ms(ms)),
                    None => (*since, now.after(ceiling(backoff, k))),
                };
                let when = refused || (least..=most).contains(at);
                self.require(when, Rule::DialsInTime, || {
                    format!(
                        "process {process} dials at {at:?}, not within {least:?} to {most:?}, after \
                         {reason}"
                    )
                });
            }
            _ => {}
        }
    }
}
