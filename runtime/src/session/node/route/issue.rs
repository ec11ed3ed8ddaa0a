//! Leases that are asked for when there is something to command (PROTOCOL.md 5.23 to 5.25). A
//! lease that HELLO asks for is the handshake's.

use super::handshake::PRINCIPAL_FULL;
use crate::session::node::effects::Purpose;
use crate::session::node::keys::{LeaseKey, Seat};
use crate::session::node::router::Node;
use crate::session::node::seats::Opening;
use crate::session::node::types::{ConnId, Principal};
use crate::session::store::StoreOutcome;
use crate::session::{Close, CloseCode, Now};
use crate::wire::{Hello, LeaseId, LeaseState, ServerFrame};

impl Node {
    /// A session whose lease the store does not know.
    pub(super) fn reserve_lease(
        &mut self,
        now: Now,
        conn: ConnId,
        hello: &Hello,
        principal: Principal,
    ) {
        let Some(codec) = self.seats.codec(conn) else { return };
        let id = LeaseId(self.random.u128());
        let lease = self.leases.reserve(id, codec, &principal, hello);
        self.make_room(now, &principal);
        let opening = Opening { conn, codec, hello, principal, lease, lease_id: None };
        self.open(now, opening, LeaseState::New);
    }

    /// A client has something to command. Who is leaving gets no lease, and one that was granted
    /// is on its way.
    pub(in super::super) fn on_lease_wanted(&mut self, seat: Seat) {
        if self.draining.is_none() {
            self.leases.want(seat.lease, &mut self.fx);
        }
    }

    pub(super) fn on_issued(
        &mut self,
        now: Now,
        lease: LeaseKey,
        id: LeaseId,
        outcome: &StoreOutcome,
    ) {
        let claim = match outcome {
            StoreOutcome::Lease { claim, .. } => claim,
            StoreOutcome::TooManyLeases => return self.not_issued(now, lease, PRINCIPAL_FULL),
            _ => {
                let close = Close::new(CloseCode::OVERLOADED, "the store issues no lease");
                return self.not_issued(now, lease, close);
            }
        };
        let session = self.leases.issued(now, lease, claim, &self.config, &mut self.fx);
        // Its session has ended: nobody knows the lease.
        let Some(session) = session else { return self.fx.ask(Purpose::End(id)) };
        if let Some(conn) = self.seats.leased_later(session, id) {
            let lease = self.grant(id, LeaseState::New);
            self.control(now, conn, ServerFrame::Lease(lease));
        }
    }

    /// Whoever waits for a lease is told in the same way as at a handshake.
    pub(super) fn not_issued(&mut self, now: Now, lease: LeaseKey, close: Close) {
        let session = self.leases.not_issued(lease);
        if let Some(conn) = session.and_then(|session| self.seats.conn_of(session)) {
            self.close(now, conn, close);
        }
    }
}
