//! Leaving in order: clients are told when to come back, what runs is finished, nothing new begins
//! (PROTOCOL.md 8.2).

use crate::session::Now;
use crate::session::node::effects::Timer;
use crate::session::node::router::{LEAVING, Node};
use crate::session::node::types::ConnId;
use crate::wire::ServerFrame;

impl Node {
    /// Tells every client to leave: GOAWAY with `after_ms` spread over `spread_ms`; new commands
    /// are refused; each connection is closed when nothing is owed to it, at the latest after
    /// `deadline_ms`. A second call changes nothing.
    pub fn drain(&mut self, now: Now, deadline_ms: u64, spread_ms: u64) {
        if self.draining.is_some() {
            return;
        }
        let until = now.after_ms(deadline_ms);
        self.draining = Some(until);
        self.fx.arm(until, Timer::Drain);
        for conn in self.seats.connections() {
            if self.seats.seat(conn).is_some() {
                let after_ms = self.random.up_to(spread_ms);
                // It is closed when this has been written, if nothing else is owed.
                self.control(now, conn, ServerFrame::GoAway { after_ms, deadline_ms });
            } else {
                self.close(now, conn, LEAVING);
            }
        }
    }

    /// Whether a drain has come to its end: no connection, no execution, no store operation.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.draining.is_some()
            && self.seats.is_empty()
            && self.fx.is_idle()
            && !self.leases.has_uncommitted()
            && self.appends.is_empty()
    }

    /// Closes a connection to which nothing is owed any more.
    pub(in crate::session::node) fn close_if_quiet(&mut self, now: Now, conn: ConnId) {
        if self.draining.is_none() {
            return;
        }
        // Something is owed to it, or it is gone.
        let Some(seat) = self.seats.quiet_seat(conn) else { return };
        if self.leases.is_idle(seat.lease) {
            self.close(now, conn, LEAVING);
        }
    }

    pub(super) fn on_drain_late(&mut self, now: Now) {
        for conn in self.seats.connections() {
            self.close(now, conn, LEAVING);
        }
    }
}
