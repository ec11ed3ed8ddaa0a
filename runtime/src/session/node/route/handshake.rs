//! From HELLO to WELCOME, and the ends of sessions and leases (PROTOCOL.md 4.1, 4.7 to 4.10, 5.1).

use std::sync::Arc;

use crate::session::node::effects::{Purpose, Running};
use crate::session::node::keys::{LeaseKey, Seat, SessionKey};
use crate::session::node::leases::Grant;
use crate::session::node::router::{LEAVING, Node};
use crate::session::node::seats::{Found, Leasing, Opening, Replaced, Vacancy};
use crate::session::node::types::{ConnId, Denied, Execution, Identity, NodeEvent, Principal};
use crate::session::store::{Generation, Holder, Record, StoreOp, StoreOutcome, StoreTime};
use crate::session::{Close, CloseCode, Now, millis};
use crate::wire::{Codec, CommandNo, Hello, LeaseGrant, LeaseId, LeaseState, ServerFrame};

const FULL: Close =
    Close::new(CloseCode::OVERLOADED, "this server holds as many sessions as it may");
pub(super) const PRINCIPAL_FULL: Close =
    Close::new(CloseCode::OVERLOADED, "this principal has as many clients as it may");
const STALE: Close = Close::new(CloseCode::STALE_DIAL, "a newer socket has taken over");

/// The records that a lease has, and when it had them.
type Seen = (StoreTime, Vec<(CommandNo, Record)>);

impl Node {
    pub(in super::super) fn on_hello(&mut self, now: Now, conn: ConnId, hello: Box<Hello>) {
        if hello.v != 1 || hello.protocol != self.config.protocol {
            let close = Close::new(
                CloseCode::UNSUPPORTED,
                "this server speaks another protocol, or another version of steadfast",
            );
            return self.close(now, conn, close);
        }
        if self.draining.is_some() {
            return self.close(now, conn, LEAVING);
        }
        let exec = self.fx.begin_untimed(Running::Authenticate(conn));
        let token = hello.token.clone();
        let client = Arc::new(self.config.contracts.client(&hello));
        self.seats.authenticate(conn, hello, Arc::clone(&client), exec);
        self.fx.execute(Execution::Authenticate { exec, conn, token, client });
    }

    pub(super) fn on_authenticated(
        &mut self,
        now: Now,
        conn: ConnId,
        answer: Result<Identity, Denied>,
    ) {
        let Some(hello) = self.seats.authenticated(conn) else { return };
        let Identity { principal, expires_in, .. } = match answer {
            Ok(identity) => identity,
            Err(denied) => {
                let reason = shorten(denied.reason).into();
                let close = Close { code: Some(CloseCode::CREDENTIALS_REFUSED), reason };
                return self.close(now, conn, close);
            }
        };
        if let Some(time) = expires_in {
            self.seats.credentials_until(conn, now.after(time), &mut self.fx);
        }
        if self.draining.is_some() {
            return self.close(now, conn, LEAVING);
        }
        let stale = self.leases.is_stale(&hello);
        match self.seats.find(conn, &hello, &principal, stale) {
            Found::Resume(session) => self.resume(now, conn, &hello, session, principal),
            Found::Stale => self.close(now, conn, STALE),
            Found::Failed { reason, ended } => {
                if let Some(session) = ended {
                    self.end_session(now, session);
                }
                self.control(now, conn, ServerFrame::ResumeFailed { reason });
                self.fx.event(NodeEvent::Returned(principal.clone(), Err(reason)));
                self.begin_session(now, conn, *hello, principal);
            }
            Found::New => self.begin_session(now, conn, *hello, principal),
        }
    }

    fn resume(
        &mut self,
        now: Now,
        conn: ConnId,
        hello: &Hello,
        session: SessionKey,
        principal: Principal,
    ) {
        let who = principal.clone();
        let resumed = self.seats.resume(conn, hello, session, who, &mut self.random, &self.config);
        let Some((seat, earlier)) = resumed else { return };
        self.replace(now, earlier);
        self.fx.event(NodeEvent::Returned(principal.clone(), Ok(())));
        self.leases.resumed(seat.lease, hello, principal);
        self.leases.introduce(seat.lease, self.seats.client(conn));
        if let Some(claim) = &hello.lease {
            self.raise_low(now, seat.lease, claim.low);
        }
        let state = if hello.lease.is_some() { LeaseState::Ok } else { LeaseState::New };
        self.welcome(now, conn, seat, true, state);
        if !hello.lease_later {
            self.on_lease_wanted(seat);
        }
    }

    /// With a lease of the store's, unless the client needs none yet.
    fn begin_session(&mut self, now: Now, conn: ConnId, hello: Hello, principal: Principal) {
        if let Some(full) = self.is_full(conn, &hello, &principal) {
            self.close(now, conn, full);
        } else if hello.lease.is_none() && hello.lease_later {
            self.reserve_lease(now, conn, &hello, principal);
        } else {
            self.ask_for_lease(conn, hello, principal);
        }
    }

    /// Closes a socket that has lost its session to a newer one.
    pub(super) fn replace(&mut self, now: Now, earlier: Option<Replaced>) {
        let Some(Replaced { conn, other_process }) = earlier else { return };
        self.seats.unseat(conn);
        let close = match other_process {
            true => Close::new(CloseCode::SUPERSEDED, "another process has taken over"),
            false => Close::new(CloseCode::REPLACED, "a newer socket has taken over"),
        };
        self.close(now, conn, close);
    }

    /// Why there is no room for a session; `None` if there is, or one makes room.
    fn is_full(&self, conn: ConnId, hello: &Hello, principal: &Principal) -> Option<Close> {
        let user = principal.user();
        let claimed = hello.lease.as_ref().map(|claim| claim.id).zip(self.seats.codec(conn));
        match self.seats.vacancy(principal, &self.config) {
            // Its lease's own session makes room.
            _ if claimed.is_some_and(|(id, codec)| self.leases.replaces(id, user, codec)) => None,
            Vacancy::Free | Vacancy::InPlaceOf(_) => None,
            Vacancy::PrincipalFull => Some(PRINCIPAL_FULL),
            Vacancy::Full => Some(FULL),
        }
    }

    /// Ends a session to whose socket nobody has come back, if its room is needed.
    pub(super) fn make_room(&mut self, now: Now, principal: &Principal) {
        if let Vacancy::InPlaceOf(session) = self.seats.vacancy(principal, &self.config) {
            self.seats.remember_expired(session, &self.config);
            self.end_session(now, session);
        }
    }

    // ---- leases ----

    fn ask_for_lease(&mut self, conn: ConnId, hello: Hello, principal: Principal) {
        let fresh = hello.lease.is_none().then(|| LeaseId(self.random.u128()));
        if let Some(claim) = &hello.lease {
            self.leases.claim(claim.id, conn);
        }
        self.seats.await_lease(conn, Leasing { hello, principal, fresh });
        self.fx.ask(Purpose::Lease(conn));
    }

    /// The operation that a connection waits for, made from what it said.
    pub(super) fn lease_op(&mut self, conn: ConnId) -> Option<StoreOp> {
        // It may be gone.
        let (leasing, codec) = self.seats.leasing(conn)?;
        let principal = leasing.principal.id();
        let Hello { instance, dial, .. } = leasing.hello;
        let holder = Holder { node: self.id, instance, dial };
        let config = &self.config;
        Some(match (leasing.fresh, &leasing.hello.lease) {
            (None, Some(claim)) => {
                StoreOp::ClaimLease { id: claim.id, holder, principal, codec, low: claim.low }
            }
            (fresh, _) => StoreOp::OpenLease {
                id: fresh?,
                as_of: self.leases.heard(),
                holder,
                principal,
                codec,
                ttl_ms: millis(config.lease_ttl),
                unused_ttl_ms: millis(config.lease_unused_ttl),
                max_per_principal: config.leases_per_principal,
                held_ms: millis(config.held()),
            },
        })
    }

    pub(super) fn on_lease(&mut self, now: Now, conn: ConnId, outcome: StoreOutcome) {
        // The connection may be gone.
        let Some((leasing, codec)) = self.seats.leasing(conn) else { return };
        let (fresh, claimed) = (leasing.fresh, leasing.claimed());
        let user = leasing.principal.id();
        let stale = claimed.is_some_and(|id| self.leases.end_claim(id, conn));
        match (outcome, claimed.filter(|_| fresh.is_none())) {
            // What this node has committed since the store answered is not in the answer, and not
            // in the table any more.
            (StoreOutcome::Lease { .. }, Some(id)) if stale => {
                self.leases.claim(id, conn);
                self.fx.ask(Purpose::Lease(conn));
            }
            (StoreOutcome::Lease { at, low, claim, records }, _) => {
                self.on_granted(now, conn, low, claim.generation, (at, records));
            }
            (StoreOutcome::TooManyLeases, _) => self.close(now, conn, PRINCIPAL_FULL),
            // The client's own is gone: it gets a new one, and learns from its id that the old one
            // is lost.
            (_, Some(lost)) => self.on_lease_lost(now, conn, lost, &user, codec),
            (_, None) => self.close(
                now,
                conn,
                Close::new(CloseCode::OVERLOADED, "the store issues no lease"),
            ),
        }
    }

    /// Asks once more for the lease that a connection waits for: a new one under another id.
    pub(super) fn ask_for_another(&mut self, conn: ConnId) {
        let id = LeaseId(self.random.u128());
        if let Some((leasing, _)) = self.seats.leasing(conn) {
            leasing.fresh = leasing.fresh.map(|_| id);
        }
        self.fx.ask(Purpose::Lease(conn));
    }

    fn on_lease_lost(&mut self, now: Now, conn: ConnId, lost: LeaseId, user: &str, codec: Codec) {
        let fresh = LeaseId(self.random.u128());
        if let Some((leasing, _)) = self.seats.leasing(conn) {
            leasing.fresh = Some(fresh);
        }
        if self.leases.is_theirs(lost, user, codec) {
            self.drop_lease(now, lost);
        }
        self.fx.ask(Purpose::Lease(conn));
    }

    fn on_granted(
        &mut self,
        now: Now,
        conn: ConnId,
        low: CommandNo,
        generation: Generation,
        seen: Seen,
    ) {
        let Some((leasing, codec)) = self.seats.leased(conn) else { return };
        let Leasing { hello, principal, fresh } = *leasing;
        if self.leases.is_stale(&hello) {
            return self.close(now, conn, STALE);
        }
        if let Some(full) = self.is_full(conn, &hello, &principal) {
            return self.close(now, conn, full);
        }
        let (id, state) = match (fresh, &hello.lease) {
            (Some(id), _) => (id, LeaseState::New),
            (None, Some(claim)) => (claim.id, LeaseState::Ok),
            (None, None) => {
                debug_assert!(false, "a lease is issued or claimed");
                return;
            }
        };
        if self.leases.is_elsewhere(id, generation) {
            return self.close(now, conn, STALE);
        }
        let grant = Grant { id, state, generation, codec, principal: &principal, hello: &hello };
        let taken = self.leases.take(now, &grant, &self.config, &mut self.fx);
        let Some(taken) = taken else { return };
        let lease = taken.key;
        if let Some(claim) = hello.lease.as_ref().filter(|_| state == LeaseState::Ok) {
            self.raise_low(now, lease, low.max(claim.low));
        }
        if let Some(session) = taken.earlier {
            let other_process = taken.other_process;
            let conn = self.seats.conn_of(session);
            self.replace(now, conn.map(|conn| Replaced { conn, other_process }));
            self.seats.remove(session, &mut self.fx);
        }
        self.adopt(id, lease, seen);
        self.make_room(now, &principal);
        let opening = Opening { conn, codec, hello: &hello, principal, lease, lease_id: Some(id) };
        self.open(now, opening, state);
    }

    pub(super) fn open(&mut self, now: Now, opening: Opening<'_>, state: LeaseState) {
        let (conn, lease) = (opening.conn, opening.lease);
        let seat = self.seats.open(now, opening, &mut self.random, &self.config);
        self.leases.seat(now, lease, seat.session, &self.config, &mut self.fx);
        self.leases.introduce(lease, self.seats.client(conn));
        self.welcome(now, conn, seat, false, state);
    }

    /// Whoever takes a lease over settles what its predecessor left, before anything that comes
    /// later.
    fn adopt(&mut self, id: LeaseId, key: LeaseKey, (at, records): Seen) {
        for (n, record) in records {
            if !record.settled {
                self.settle(key, (id, n), at, record.publishes.clone());
            }
            self.leases.adopt(key, n, record, &self.config);
        }
    }

    fn welcome(&mut self, now: Now, conn: ConnId, seat: Seat, resumed: bool, state: LeaseState) {
        let Some(id) = self.leases.id(seat.lease) else {
            debug_assert!(false, "whoever is seated has a lease");
            return;
        };
        self.leases.hold(seat.lease, true, &mut self.fx);
        let lease = self.leases.is_issued(seat.lease).then(|| self.grant(id, state));
        let welcome =
            self.seats.welcome(now, (conn, seat), resumed, lease, &self.config, &mut self.fx);
        if let Some(welcome) = welcome {
            self.control(now, conn, welcome);
        }
    }

    pub(super) fn grant(&self, id: LeaseId, state: LeaseState) -> LeaseGrant {
        LeaseGrant { id, state, span: self.config.span, ttl_ms: millis(self.config.lease_ttl) }
    }

    // ---- ends ----

    /// Ends a session for good; its lease stays while something of it runs.
    pub(super) fn end_session(&mut self, now: Now, session: SessionKey) {
        self.close_session(now, session, "the session has ended");
        if let Some(lease) = self.seats.remove(session, &mut self.fx) {
            self.leases.unseat(lease, session);
            self.leases.release(lease, &self.config, &mut self.fx);
        }
    }

    fn close_session(&mut self, now: Now, session: SessionKey, why: &'static str) {
        if let Some(conn) = self.seats.conn_of(session) {
            self.close(now, conn, Close::new(CloseCode::SESSION_ENDED, why));
        }
    }

    /// A lease that the store no longer has: whoever holds it must get another one.
    pub(super) fn drop_lease(&mut self, now: Now, id: LeaseId) {
        let session = self.leases.drop_lease(now, id, &self.config, &mut self.fx);
        if let Some(session) = session {
            self.close_session(now, session, "the lease has expired");
            self.seats.remove(session, &mut self.fx);
        }
    }

    /// The client is done: the session ends, and the lease too if nothing of it is open
    /// (PROTOCOL.md 5.15).
    pub(in super::super) fn close_cleanly(&mut self, now: Now, seat: Seat) {
        let done = self.leases.is_done(seat.lease) && self.leases.is_issued(seat.lease);
        let id = self.leases.id(seat.lease).filter(|_| done);
        self.end_session(now, seat.session);
        if let Some(id) = id {
            self.fx.ask(Purpose::End(id));
        }
    }
}

/// A close reason has at most 123 bytes (RFC 6455 5.5).
fn shorten(mut reason: String) -> String {
    let mut end = reason.len().min(123);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason.truncate(end);
    reason
}
