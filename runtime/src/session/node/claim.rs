//! Leases as attachments get and lose them: issued, claimed, taken over, renewed, released
//! (PROTOCOL.md 1.3, 5.1, 5.15).

use super::lease::{Lease, Slot, SlotState};
use super::state::{LeaseKey, Leasing, Phase};
use super::timer::Timer;
use super::types::{ConnId, Principal};
use super::{Node, OpKind};
use crate::session::store::{Record, StoreOutcome};
use crate::session::{Close, CloseCode, Now};
use crate::wire::{CommandNo, Hello, LeaseId, LeaseState};

impl Node {
    pub(super) fn ask_for_lease(
        &mut self,
        now: Now,
        conn: ConnId,
        hello: Hello,
        principal: Principal,
    ) {
        if self.is_full(&hello) {
            return self.close(now, conn, FULL);
        }
        let fresh = hello.lease.is_none().then(|| LeaseId(self.random.u128()));
        if let Some(claim) = &hello.lease {
            self.claims.insert((claim.id, conn), false);
        }
        if let Some(state) = self.conns.get_mut(&conn) {
            state.phase = Phase::Leasing(Box::new(Leasing { hello, principal, fresh }));
        }
        self.submit(OpKind::Lease(conn));
    }

    pub(super) fn on_lease(&mut self, now: Now, conn: ConnId, outcome: StoreOutcome) {
        let fresh = LeaseId(self.random.u128());
        let Some(state) = self.conns.get_mut(&conn) else { return };
        let Phase::Leasing(leasing) = &mut state.phase else { return };
        let claimed = leasing.hello.lease.as_ref().map(|claim| claim.id);
        let stale = claimed.and_then(|id| self.claims.remove(&(id, conn))).unwrap_or_default();
        match outcome {
            // What this node has committed since the store answered is not in the answer, and not
            // in the table any more.
            StoreOutcome::Lease { .. } if stale && leasing.fresh.is_none() => {
                self.claims.extend(claimed.map(|id| ((id, conn), false)));
                self.submit(OpKind::Lease(conn));
            }
            StoreOutcome::Lease { low, records } => {
                let Phase::Leasing(leasing) = std::mem::replace(&mut state.phase, Phase::Silent)
                else {
                    return;
                };
                let codec = state.codec;
                self.on_lease_granted(now, conn, codec, *leasing, low, records);
            }
            StoreOutcome::TooManyLeases => {
                let close = Close::new(
                    CloseCode::OVERLOADED,
                    "this principal has as many clients as it may",
                );
                self.close(now, conn, close);
            }
            // The client's own is gone: it gets a new one, and learns from its id that the old one
            // is lost.
            _ if leasing.fresh.is_none() => {
                let lost = leasing.hello.lease.as_ref().map(|claim| claim.id);
                leasing.fresh = Some(fresh);
                let (user, codec) = (leasing.principal.id(), state.codec);
                if let Some(lost) = lost
                    && self.is_theirs(lost, &user, codec)
                {
                    self.drop_lease(now, lost);
                }
                self.submit(OpKind::Lease(conn));
            }
            _ => self.close(
                now,
                conn,
                Close::new(CloseCode::OVERLOADED, "the store issues no lease"),
            ),
        }
    }

    /// Whether a lease that this node holds is bound to this user and codec: a stranger who names
    /// it must not end it.
    fn is_theirs(&self, id: LeaseId, user: &str, codec: crate::wire::Codec) -> bool {
        let lease = self.lease_ids.get(&id).and_then(|key| self.leases.get(*key));
        lease.is_some_and(|lease| lease.principal.user() == user && lease.codec == codec)
    }

    fn on_lease_granted(
        &mut self,
        now: Now,
        conn: ConnId,
        codec: crate::wire::Codec,
        leasing: Leasing,
        low: CommandNo,
        records: Vec<(CommandNo, Record)>,
    ) {
        let Leasing { hello, principal, fresh } = leasing;
        if self.is_stale(&hello) {
            return self.close(
                now,
                conn,
                Close::new(CloseCode::STALE_DIAL, "a newer socket has taken over"),
            );
        }
        if self.is_full(&hello) {
            return self.close(now, conn, FULL);
        }
        let (id, state) = match (fresh, &hello.lease) {
            (Some(id), _) => (id, LeaseState::New),
            (None, Some(claim)) => (claim.id, LeaseState::Ok),
            (None, None) => return,
        };
        let lease = match self.lease_ids.get(&id) {
            Some(key) => *key,
            None => {
                let key = self.leases.insert(Lease::new(id, principal.clone(), codec, &hello));
                self.lease_ids.insert(id, key);
                self.arm_renew(key, now.after_ms(self.renew_ms()));
                key
            }
        };
        if let Some(lease) = self.leases.get_mut(lease) {
            lease.principal = principal.clone();
        }
        self.take_lease(now, lease, &hello, state == LeaseState::Ok, low, records);
        let session = self.new_session(now, conn, &hello, principal, lease);
        self.welcome(now, conn, session, lease, false, state);
    }

    /// Makes the execution table fit what the store and the client know, and frees the lease from
    /// an earlier session.
    fn take_lease(
        &mut self,
        now: Now,
        key: LeaseKey,
        hello: &Hello,
        claimed: bool,
        low: CommandNo,
        records: Vec<(CommandNo, Record)>,
    ) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        let earlier = lease.session.take();
        let other_process = lease.instance != hello.instance;
        lease.instance = hello.instance;
        lease.dial = hello.dial;
        if claimed && let Some(claim) = &hello.lease {
            lease.retry_below = lease.retry_below.max(claim.next);
            lease.highest = lease.highest.max(CommandNo(claim.next.0.saturating_sub(1)));
            lease.used |= claim.next.0 > 1;
        }
        for slot in &mut lease.slots {
            slot.asked = false;
            slot.owed = false;
        }
        let id = lease.id;
        if claimed && let Some(claim) = &hello.lease {
            self.raise_low(now, key, low.max(claim.low));
        }
        if let Some(session) = earlier {
            if let Some(conn) = self.sessions.get(session).and_then(|session| session.conn) {
                self.replace_conn(now, conn, other_process);
            }
            self.remove_session(session);
        }
        for (n, record) in records {
            if !record.settled {
                self.settle(id, n, &record);
            }
            self.adopt_record(key, n, record);
        }
        self.start_next_ordered(now, key);
    }

    /// A record that the store has, of a command that this node may have waiting.
    fn adopt_record(&mut self, key: LeaseKey, n: CommandNo, record: Record) {
        let limit = u64::from(self.config.lease_record_bytes);
        let span = u64::from(self.config.span);
        let Some(lease) = self.leases.get_mut(key) else { return };
        if n.0 >= lease.low.0 + span {
            return;
        }
        let Some(slot) = lease.slot_entry(n) else { return };
        match &slot.state {
            SlotState::Vacant => lease.keep(n, record.hash, record.outcome, limit),
            SlotState::Waiting(waiting) => {
                let bytes = waiting.body.len() as u64;
                lease.queue_bytes -= bytes;
                lease.stop_waiting(n);
                lease.keep(n, record.hash, record.outcome, limit);
            }
            // Ours runs too: its commit will find the record and take it over.
            SlotState::Running { .. } | SlotState::Committing(_) | SlotState::Done { .. } => {}
        }
    }

    pub(super) fn on_renewed(&mut self, now: Now, key: LeaseKey, outcome: &StoreOutcome) {
        let Some(lease) = self.leases.get(key) else { return };
        if matches!(outcome, StoreOutcome::LeaseGone) {
            let id = lease.id;
            self.drop_lease(now, id);
        } else {
            self.arm_renew(key, now.after_ms(self.renew_ms()));
        }
    }

    /// Some time after the client has resolved something: the store is told, unless a commit has
    /// told it.
    pub(super) fn on_rest(&mut self, key: LeaseKey) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        lease.rest_timer = None;
        lease.shrink_to_fit();
        let untold = lease.told_low < lease.low;
        lease.told_low = lease.low;
        if let Some(session) = lease.session.and_then(|session| self.sessions.get_mut(session)) {
            session.shrink_to_fit();
        }
        if untold {
            self.submit(OpKind::Forget(key));
        }
    }

    pub(super) fn on_forgotten(&mut self, now: Now, key: LeaseKey, outcome: &StoreOutcome) {
        if let (Some(lease), StoreOutcome::LeaseGone) = (self.leases.get(key), outcome) {
            let id = lease.id;
            self.drop_lease(now, id);
        }
    }

    /// Contact is told to the store often enough for the shortest life of a lease.
    pub(super) fn renew_ms(&self) -> u64 {
        (self.config.lease_ttl_ms.min(self.config.lease_unused_ttl_ms) / 3).max(1)
    }

    /// A lease that the store no longer has: whoever holds it must get another one.
    pub(super) fn drop_lease(&mut self, now: Now, id: LeaseId) {
        let Some(mut lease) =
            self.lease_ids.get(&id).copied().and_then(|key| self.remove_lease(key))
        else {
            return;
        };
        self.orphan(&mut lease);
        for slot in lease.slots {
            self.stop_slot(slot);
        }
        self.fill_places(now);
        if let Some(session) = lease.session {
            if let Some(conn) = self.sessions.get(session).and_then(|session| session.conn) {
                self.close(
                    now,
                    conn,
                    Close::new(CloseCode::SESSION_ENDED, "the lease has expired"),
                );
            }
            self.remove_session(session);
        }
    }

    fn stop_slot(&mut self, slot: Slot) {
        if let SlotState::Running { exec, .. } = slot.state {
            self.commands_running -= 1;
            self.abort(exec);
        }
    }

    /// Forgets a lease that nobody holds and of which nothing runs; the store keeps it.
    pub(super) fn release_lease(&mut self, key: LeaseKey) {
        let free = |lease: &Lease| lease.session.is_none() && lease.is_idle();
        if self.leases.get(key).is_some_and(free)
            && let Some(lease) = self.remove_lease(key)
        {
            let first = (lease.id, ConnId(0));
            let theirs = self.claims.range_mut(first..).take_while(|((id, _), _)| *id == lease.id);
            theirs.for_each(|(_, stale)| *stale = true);
        }
    }

    fn remove_lease(&mut self, key: LeaseKey) -> Option<Lease> {
        let lease = self.leases.remove(key)?;
        self.turn.retain(|(waiting, _)| *waiting != key);
        self.lease_ids.remove(&lease.id);
        self.disarm(lease.renew_timer, Timer::Renew(key));
        self.disarm(lease.overdue_timer, Timer::Overdue(key));
        self.disarm(lease.rest_timer, Timer::Rest(key));
        Some(lease)
    }
}

const FULL: Close =
    Close::new(CloseCode::OVERLOADED, "this server holds as many sessions as it may");
