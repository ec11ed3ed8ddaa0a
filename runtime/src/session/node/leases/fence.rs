//! Leases that another node has claimed: nothing more of one starts here, what runs ends and is
//! committed. It closes nothing, and a claim that this node makes anew is not its business.

use super::lease::Lease;
use super::slot::{Slot, SlotState};
use super::state::Leases;
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::Effects;
use crate::session::node::keys::{LeaseKey, SessionKey};
use crate::session::store::{Claim, Generation};
use crate::wire::{CommandNo, LeaseId};

/// A lease that is another node's.
pub(crate) struct Fenced {
    /// The session that held it here.
    pub(crate) session: Option<SessionKey>,
    pub(crate) other_process: bool,
}

impl Lease {
    /// Gives up what has not begun.
    fn drop_waiting(&mut self) {
        let waiting = |(n, slot): (CommandNo, &Slot)| match &slot.state {
            SlotState::Waiting(waiting) => Some((n, waiting.body.len() as u64)),
            _ => None,
        };
        let waiting: Vec<_> = self.slots().filter_map(waiting).collect();
        for (n, bytes) in waiting {
            if let Some(slot) = self.slot_mut(n) {
                slot.state = SlotState::Vacant;
            }
            self.queue_bytes -= bytes;
            self.order.stop(n);
        }
    }
}

impl Leases {
    /// Whether another node is known to have claimed a lease after the claim of this generation.
    pub(crate) fn is_elsewhere(&self, id: LeaseId, generation: Generation) -> bool {
        self.find(id).is_some_and(|lease| lease.contact.elsewhere > generation)
    }

    /// The store says whose the latest claim of a lease is; what is to end if it is another node's
    /// and news.
    pub(crate) fn on_latest_claim(
        &mut self,
        now: Now,
        key: LeaseKey,
        claim: &Claim,
        node: u128,
        (config, fx): (&NodeConfig, &mut Effects),
    ) -> Option<Fenced> {
        let lease = self.leases.get_mut(key)?;
        let Claim { generation, holder } = claim;
        if *generation <= lease.contact.generation.max(lease.contact.elsewhere) {
            return None;
        }
        if holder.node == node {
            // The answer to this node's own claim is under way, or its connection is gone. The
            // store counts the lease as held since.
            lease.contact.generation = *generation;
            lease.contact.told_held = true;
            self.tell_contact(key, fx);
            return None;
        }
        lease.contact.elsewhere = *generation;
        let fenced = Fenced {
            session: lease.session.take(),
            other_process: lease.instance != holder.instance,
        };
        self.stop(key, config, fx);
        self.fill_places(now, config, fx);
        Some(fenced)
    }

    /// Nothing that waits of a lease begins any more.
    pub(super) fn stop(&mut self, key: LeaseKey, config: &NodeConfig, fx: &mut Effects) {
        self.stop_asking(key, config, fx);
        let Some(lease) = self.leases.held_mut(key) else { return };
        lease.drop_waiting();
        self.places.forget_all(lease);
    }
}
