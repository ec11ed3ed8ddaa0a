//! Leases as sessions get and lose them: issued, claimed, taken over, renewed, released
//! (PROTOCOL.md 1.3, 5.1, 5.15). What the sessions are told is the router's.

use std::sync::Arc;

use super::lease::{Contact, Issue, Lease};
use super::slot::SlotState;
use super::state::Leases;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose, Timer};
use crate::session::node::keys::{LeaseKey, SessionKey};
use crate::session::node::types::{ConnId, Principal};
use crate::session::store::{Generation, Record, StoreOp};
use crate::session::{Build, Now};
use crate::wire::{Codec, CommandNo, Hello, LeaseId, LeaseState};

/// Leases that are renewed in a millisecond when all of them are to be.
const RENEWALS_PER_MS: u64 = 16;

/// A lease that the store has granted to whoever said this HELLO.
pub(crate) struct Grant<'a> {
    pub(crate) id: LeaseId,
    pub(crate) state: LeaseState,
    pub(crate) generation: Generation,
    pub(crate) codec: Codec,
    pub(crate) principal: &'a Principal,
    pub(crate) hello: &'a Hello,
}

/// A lease that has a new holder.
pub(crate) struct Taken {
    pub(crate) key: LeaseKey,
    /// The session that held it.
    pub(crate) earlier: Option<SessionKey>,
    pub(crate) other_process: bool,
}

impl Leases {
    pub(super) fn find(&self, id: LeaseId) -> Option<&Lease> {
        self.leases.held(*self.ids.get(&id)?)
    }

    fn named(&self, hello: &Hello) -> Option<&Lease> {
        self.find(hello.lease.as_ref()?.id)
    }

    /// Whether a newer socket of the same process holds the lease that this HELLO names
    /// (PROTOCOL.md 4.9).
    pub(crate) fn is_stale(&self, hello: &Hello) -> bool {
        self.named(hello)
            .is_some_and(|lease| lease.instance == hello.instance && hello.dial <= lease.dial)
    }

    /// Whether the session that this user needs for this lease takes the place of another one. A
    /// stranger who names it gets a lease and a session of its own.
    pub(crate) fn replaces(&self, id: LeaseId, user: &str, codec: Codec) -> bool {
        self.is_theirs(id, user, codec) && self.holder(id).is_some()
    }

    /// Whether a lease that this node holds is bound to this user and codec: a stranger who names
    /// it must not end it.
    pub(crate) fn is_theirs(&self, id: LeaseId, user: &str, codec: Codec) -> bool {
        self.find(id).is_some_and(|lease| lease.principal.user() == user && lease.codec == codec)
    }

    /// The session that has a lease.
    pub(crate) fn holder(&self, id: LeaseId) -> Option<SessionKey> {
        self.find(id)?.session
    }

    // ---- claims ----

    /// The store is asked for a lease that a client names.
    pub(crate) fn claim(&mut self, id: LeaseId, conn: ConnId) {
        self.claims.insert((id, conn), false);
    }

    /// A claim was answered, or its connection is gone. `true` if this node has let go of the
    /// lease since: what it has committed then is not in the answer, and not in the table any more.
    pub(crate) fn end_claim(&mut self, id: LeaseId, conn: ConnId) -> bool {
        self.claims.remove(&(id, conn)).unwrap_or_default()
    }

    // ---- holders ----

    /// A lease has got a session by a resume.
    pub(crate) fn resumed(&mut self, key: LeaseKey, hello: &Hello, principal: Principal) {
        if let Some(lease) = self.leases.held_mut(key) {
            lease.instance = hello.instance;
            lease.dial = hello.dial;
            lease.principal = principal;
        }
    }

    /// What the holder of a lease was built from.
    pub(crate) fn introduce(&mut self, key: LeaseKey, client: Arc<Build>) {
        if let Some(lease) = self.leases.held_mut(key) {
            lease.client = client;
        }
    }

    /// A lease is taken, by its first holder or over from an earlier one: the execution table is
    /// made to fit what the client knows.
    pub(crate) fn take(
        &mut self,
        now: Now,
        grant: &Grant<'_>,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<Taken> {
        let key = match self.ids.get(&grant.id) {
            Some(key) => *key,
            None => self.insert(now, grant, config, fx),
        };
        let lease = self.leases.held_mut(key)?;
        let hello = grant.hello;
        let other_process = lease.instance != hello.instance;
        lease.principal = grant.principal.clone();
        lease.instance = hello.instance;
        lease.dial = hello.dial;
        if let Some(claim) = hello.lease.as_ref().filter(|_| grant.state == LeaseState::Ok) {
            lease.retry_below = lease.retry_below.max(claim.next);
            lease.highest = lease.highest.max(CommandNo(claim.next.0.saturating_sub(1)));
            lease.used |= claim.next.0 > 1;
        }
        lease.contact.generation = lease.contact.generation.max(grant.generation);
        // The store counts it as held, unless it is just being told something else.
        if !lease.contact.under_way {
            lease.contact.told_held = true;
        }
        lease.forget_asked();
        Some(Taken { key, earlier: lease.session.take(), other_process })
    }

    fn insert(
        &mut self,
        now: Now,
        grant: &Grant<'_>,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> LeaseKey {
        let queue = self.places.join(grant.principal.id());
        let lease = Lease::new(grant.id, grant.principal.clone(), grant.codec, grant.hello, queue);
        let key = self.leases.insert(lease);
        self.ids.insert(grant.id, key);
        self.arm_renew(key, now.after(config.renewal(false)), fx);
        key
    }

    /// A record that the store has, of a command that this node may have waiting.
    pub(crate) fn adopt(
        &mut self,
        key: LeaseKey,
        n: CommandNo,
        record: Record,
        config: &NodeConfig,
    ) {
        let limit = u64::from(config.lease_record_bytes);
        let Some(lease) = self.leases.held_mut(key) else { return };
        if n.0 >= lease.low.0 + u64::from(config.span) {
            return;
        }
        // Below `low` nobody can ask for it.
        let Some(slot) = lease.slot_entry(n) else { return };
        match &slot.state {
            SlotState::Vacant => lease.keep(n, record.hash, record.outcome, limit),
            SlotState::Waiting(waiting) => {
                let bytes = waiting.body.len() as u64;
                lease.queue_bytes -= bytes;
                lease.order.stop(n);
                lease.keep(n, record.hash, record.outcome, limit);
            }
            // Ours runs too: its commit will find the record and take it over.
            SlotState::Asking(_)
            | SlotState::Running(_)
            | SlotState::Committing(_)
            | SlotState::Done { .. } => {}
        }
    }

    /// The takeover is over: a session holds the lease, and what waits may begin.
    pub(crate) fn seat(
        &mut self,
        now: Now,
        key: LeaseKey,
        session: SessionKey,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        if let Some(lease) = self.leases.held_mut(key) {
            lease.session = Some(session);
        }
        self.start_next(now, key, config, fx);
    }

    /// A session has ended.
    pub(crate) fn unseat(&mut self, key: LeaseKey, session: SessionKey) {
        // A newer session may hold it already.
        if let Some(lease) = self.leases.get_mut(key)
            && lease.session == Some(session)
        {
            lease.session = None;
        }
    }

    // ---- contact ----

    pub(crate) fn arm_renew(&mut self, key: LeaseKey, at: Now, fx: &mut Effects) {
        if let Some(lease) = self.leases.held_mut(key) {
            fx.disarm(lease.timers.renew.replace(at), Timer::Renew(key));
            fx.arm(at, Timer::Renew(key));
        }
    }

    /// A lease's contact is due. Nobody's contact is nobody's to tell: the store lets it expire.
    pub(crate) fn on_renew(&mut self, key: LeaseKey, config: &NodeConfig, fx: &mut Effects) {
        if let Some(lease) = self.leases.held_mut(key) {
            lease.timers.renew = None;
        }
        if !self.release(key, config, fx) {
            self.tell_contact(key, fx);
        }
    }

    /// A client has connected that has the lease, or is gone. The store is told at once, so that a
    /// lease that nobody holds makes room for another one.
    pub(crate) fn hold(&mut self, key: LeaseKey, held: bool, fx: &mut Effects) {
        // It may have been dropped.
        let Some(lease) = self.leases.get_mut(key) else { return };
        lease.contact.held = held;
        if held != lease.contact.told_held || lease.contact.under_way {
            self.tell_contact(key, fx);
        }
    }

    pub(super) fn tell_contact(&mut self, key: LeaseKey, fx: &mut Effects) {
        let Some(lease) = self.leases.held_mut(key) else { return };
        if lease.contact.is_elsewhere() || lease.issue != Issue::Done {
            return;
        }
        lease.contact.again = lease.contact.under_way;
        if !std::mem::replace(&mut lease.contact.under_way, true) {
            fx.ask(Purpose::Renew(key));
        }
    }

    /// The store may have lost leases: each is renewed, so many in a millisecond.
    pub(crate) fn renew_all(&mut self, now: Now, fx: &mut Effects) {
        let keys: Vec<LeaseKey> = self.ids.values().copied().collect();
        for (place, key) in (0..).zip(keys) {
            let Some(lease) = self.leases.held_mut(key) else { continue };
            if lease.contact.under_way {
                // It may have come to the store before.
                lease.contact.again = true;
            } else {
                self.arm_renew(key, now.after_ms(place / RENEWALS_PER_MS), fx);
            }
        }
    }

    /// The store has been told of a lease's contact.
    pub(crate) fn renewed(
        &mut self,
        now: Now,
        key: LeaseKey,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let Some(lease) = self.leases.held_mut(key) else { return };
        let Contact { again, recorded, .. } = lease.contact;
        lease.contact.under_way = false;
        if again {
            self.tell_contact(key, fx);
        } else {
            self.arm_renew(key, now.after(config.renewal(recorded)), fx);
        }
    }

    /// The store could not be told, for now.
    pub(crate) fn not_renewed(
        &mut self,
        now: Now,
        key: LeaseKey,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        // It may have been dropped, or released, meanwhile.
        if let Some(lease) = self.leases.get_mut(key) {
            lease.contact.under_way = false;
            let wait = config.renewal(lease.contact.recorded).min(config.store_pause());
            self.arm_renew(key, now.after(wait), fx);
        }
    }

    /// Some time after a client has resolved something: the store is told, unless a commit has
    /// told it. The session that holds the lease.
    pub(crate) fn on_rest(&mut self, key: LeaseKey, fx: &mut Effects) -> Option<SessionKey> {
        let lease = self.leases.held_mut(key)?;
        lease.timers.rest = None;
        lease.shrink_to_fit();
        let session = lease.session;
        if lease.told_low < lease.low {
            self.tell_contact(key, fx);
        }
        session
    }

    /// The operation that tells the store of a lease's contact and of its low-water mark.
    pub(crate) fn renew_op(&mut self, key: LeaseKey) -> Option<StoreOp> {
        let lease = self.leases.get_mut(key)?;
        lease.contact.told_held = lease.contact.held;
        lease.contact.again = false;
        lease.told_low = lease.low;
        let Contact { generation, held, .. } = lease.contact;
        Some(StoreOp::RenewLease { id: lease.id, generation, held, low: lease.low })
    }

    // ---- ends ----

    /// A lease that the store no longer has; the session that held it.
    pub(crate) fn drop_lease(
        &mut self,
        now: Now,
        id: LeaseId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<SessionKey> {
        // It may have been dropped, or released, since the store was asked.
        let key = *self.ids.get(&id)?;
        let lease = self.remove(key, config, fx)?;
        Self::orphan(&lease, fx);
        for (_, slot) in lease.slots() {
            if let Some(running) = slot.state.running() {
                fx.abort(running.exec);
            }
        }
        self.give_way_gone(key, fx);
        self.fill_places(now, config, fx);
        lease.session
    }

    /// Forgets a lease that nobody holds and of which nothing runs; the store keeps it. `false` if
    /// it is held, or not idle.
    pub(crate) fn release(&mut self, key: LeaseKey, config: &NodeConfig, fx: &mut Effects) -> bool {
        let free = |lease: &Lease| lease.session.is_none() && lease.is_idle();
        if !self.leases.get(key).is_some_and(free) {
            return false;
        }
        let Some(lease) = self.remove(key, config, fx) else { return false };
        let first = (lease.id, ConnId(0));
        let theirs = self.claims.range_mut(first..).take_while(|((id, _), _)| *id == lease.id);
        theirs.for_each(|(_, stale)| *stale = true);
        true
    }
}
