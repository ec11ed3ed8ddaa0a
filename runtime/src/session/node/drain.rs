//! Leaving in order: clients are told when to come back, what runs is finished, nothing new begins
//! (PROTOCOL.md 8.2).

use super::Node;
use super::timer::Timer;
use super::types::ConnId;
use crate::session::{Close, CloseCode, Now};
use crate::wire::ServerFrame;

/// A drain under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Draining {
    until: Now,
}

impl Node {
    /// Tells every client to leave: GOAWAY with `after_ms` spread over `spread_ms`; new commands
    /// are refused; each connection is closed when nothing is owed to it, at the latest after
    /// `deadline_ms`. A second call changes nothing.
    pub fn drain(&mut self, now: Now, deadline_ms: u64, spread_ms: u64) {
        if self.draining.is_some() {
            return;
        }
        let until = now.after_ms(deadline_ms);
        self.draining = Some(Draining { until });
        self.arm(until, Timer::Drain);
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            if self.conns.get(&conn).is_some_and(|state| state.attached().is_some()) {
                let after_ms = self.random.up_to(spread_ms);
                self.control(now, conn, ServerFrame::GoAway { after_ms, deadline_ms });
                self.drain_if_quiet(now, conn);
            } else {
                self.close(now, conn, Close::new(CloseCode::DRAINING, "this server is leaving"));
            }
        }
    }

    /// Whether a drain has come to its end: no connection, no execution, no store operation.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.draining.is_some()
            && self.conns.is_empty()
            && self.running.is_empty()
            && self.ops.is_empty()
            && self.uncommitted.is_empty()
            && self.appends.is_empty()
    }

    /// Closes a connection to which nothing is owed any more.
    pub(super) fn drain_if_quiet(&mut self, now: Now, conn: ConnId) {
        if self.draining.is_none() {
            return;
        }
        let Some(state) = self.conns.get(&conn) else { return };
        let Some((session, lease)) = state.attached() else { return };
        let told = state.control.is_empty();
        let session = self.sessions.get(session).is_none_or(super::Session::owes_nothing);
        let lease = self.leases.get(lease).is_none_or(super::Lease::is_idle);
        if told && session && lease {
            self.close(now, conn, Close::new(CloseCode::DRAINING, "this server is leaving"));
        }
    }

    pub(super) fn on_drain_late(&mut self, now: Now) {
        if self.draining.as_ref().is_none_or(|draining| draining.until > now) {
            return;
        }
        let conns: Vec<ConnId> = self.conns.keys().copied().collect();
        for conn in conns {
            self.close(now, conn, Close::new(CloseCode::DRAINING, "this server is leaving"));
        }
    }
}
