//! Leases of clients that have nothing to command: this node knows them, the store is asked when
//! there is something (PROTOCOL.md 5.23 to 5.25). What the client is told is the router's.

use super::lease::{Issue, Lease};
use super::state::Leases;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::node::keys::{LeaseKey, SessionKey};
use crate::session::node::types::Principal;
use crate::session::store::{Claim, Holder, StoreOp};
use crate::session::{Now, millis};
use crate::wire::{Codec, Hello, LeaseId};

impl Leases {
    /// A lease that the store does not know.
    pub(crate) fn reserve(
        &mut self,
        id: LeaseId,
        codec: Codec,
        principal: &Principal,
        hello: &Hello,
    ) -> LeaseKey {
        let queue = self.places.join(principal.id());
        let mut lease = Lease::new(id, principal.clone(), codec, hello, queue);
        lease.issue = Issue::Reserved;
        let key = self.leases.insert(lease);
        self.ids.insert(id, key);
        key
    }

    /// Whether the store has a lease.
    pub(crate) fn is_issued(&self, key: LeaseKey) -> bool {
        self.leases.held(key).is_some_and(|lease| lease.issue == Issue::Done)
    }

    /// Its client has something to command: the store is asked, once.
    pub(crate) fn want(&mut self, key: LeaseKey, fx: &mut Effects) {
        let Some(lease) = self.leases.held_mut(key) else { return };
        if lease.issue == Issue::Reserved {
            lease.issue = Issue::Asked;
            fx.ask(Purpose::Issue(key, lease.id));
        }
    }

    /// A reserved lease gets another id. Its client has not heard of the one before.
    pub(crate) fn rename(&mut self, key: LeaseKey, id: LeaseId) {
        let Some(lease) = self.leases.held_mut(key) else { return };
        debug_assert!(lease.issue == Issue::Asked, "nobody knows the id of a reserved lease");
        self.ids.remove(&std::mem::replace(&mut lease.id, id));
        self.ids.insert(id, key);
    }

    /// The operation that issues a reserved lease; `None` if nobody wants it any more.
    pub(crate) fn issue_op(
        &self,
        key: LeaseKey,
        node: u128,
        config: &NodeConfig,
    ) -> Option<StoreOp> {
        let lease = self.leases.get(key)?;
        Some(StoreOp::OpenLease {
            id: lease.id,
            as_of: self.heard(),
            holder: Holder { node, instance: lease.instance, dial: lease.dial },
            principal: lease.principal.id(),
            codec: lease.codec,
            ttl_ms: millis(config.lease_ttl),
            unused_ttl_ms: millis(config.lease_unused_ttl),
            max_per_principal: config.leases_per_principal,
            held_ms: millis(config.held()),
        })
    }

    /// The store has a reserved lease now, and counts it as held; the session that has it. Without
    /// one it is nobody's any more.
    pub(crate) fn issued(
        &mut self,
        now: Now,
        key: LeaseKey,
        claim: &Claim,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<SessionKey> {
        let lease = self.leases.get_mut(key)?;
        lease.issue = Issue::Done;
        lease.contact.generation = claim.generation;
        let (session, held) = (lease.session, lease.contact.held);
        self.arm_renew(key, now.after(config.renewal(false)), fx);
        self.hold(key, held, fx);
        session
    }

    /// The store does not issue a reserved lease; the session that waits for it.
    pub(crate) fn not_issued(&mut self, key: LeaseKey) -> Option<SessionKey> {
        let lease = self.leases.get_mut(key)?;
        lease.issue = Issue::Reserved;
        lease.session
    }
}
