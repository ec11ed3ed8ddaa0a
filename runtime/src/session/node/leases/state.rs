//! The leases of a node, and what they hold in all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::lease::Lease;
use super::message_ids::MessageIds;
use super::places::Places;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::keys::{LeaseKey, LeaseRow, SessionKey};
use crate::session::node::load::{NodeLoad, NodePeaks};
use crate::session::node::types::ConnId;
use crate::session::store::{StoreTime, Terms};
use crate::session::table::Table;
use crate::wire::LeaseId;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Leases {
    pub(super) leases: Table<LeaseRow, Lease>,
    pub(super) ids: BTreeMap<LeaseId, LeaseKey>,
    /// Leases that the store is asked for, and whether this node has let go of one since.
    pub(super) claims: BTreeMap<(LeaseId, ConnId), bool>,
    pub(super) places: Places,
    pub(super) message_ids: MessageIds,
    /// Leases with executed commands that no operation carries yet.
    pub(super) uncommitted: VecDeque<LeaseKey>,
    /// What a command may answer and publish.
    pub(super) terms: Arc<Terms>,
    /// The latest time that the store has told.
    heard: StoreTime,
}

impl Leases {
    pub(crate) fn new(terms: Terms) -> Self {
        Self { terms: Arc::new(terms), ..Self::default() }
    }

    /// The store has told its time. An answer that comes late tells an earlier one.
    pub(crate) const fn hear(&mut self, at: StoreTime) {
        if at.incarnation != self.heard.incarnation || at.ms > self.heard.ms {
            self.heard = at;
        }
    }

    /// The latest time that the store has told.
    pub(crate) const fn heard(&self) -> StoreTime {
        self.heard
    }

    pub(crate) fn id(&self, key: LeaseKey) -> Option<LeaseId> {
        self.leases.get(key).map(|lease| lease.id)
    }

    /// Whose it is.
    pub(crate) fn owner(&self, key: LeaseKey) -> Option<Arc<str>> {
        self.leases.get(key).map(|lease| lease.principal.id())
    }

    pub(crate) fn session(&self, key: LeaseKey) -> Option<SessionKey> {
        self.leases.get(key)?.session
    }

    /// Whether nothing of a lease runs, waits, or is being committed.
    pub(crate) fn is_idle(&self, key: LeaseKey) -> bool {
        self.leases.get(key).is_none_or(Lease::is_idle)
    }

    /// Whether a command of a lease was ever accepted.
    pub(crate) fn is_used(&self, key: LeaseKey) -> bool {
        self.leases.get(key).is_some_and(|lease| lease.used)
    }

    /// Whether a lease's client has resolved every number that it used, and nothing is open.
    pub(crate) fn is_done(&self, key: LeaseKey) -> bool {
        self.leases.get(key).is_some_and(|lease| lease.is_resolved() && lease.is_idle())
    }

    /// Whether a commit waits to be asked of the store.
    pub(crate) fn has_uncommitted(&self) -> bool {
        !self.uncommitted.is_empty()
    }

    pub(crate) fn load(&self, load: &mut NodeLoad) {
        load.leases = self.leases.len();
        load.commands_waiting = self.places.waiting() as usize;
    }

    pub(crate) fn peaks(&self, peaks: &mut NodePeaks) {
        for lease in self.leases.values() {
            peaks.slots = peaks.slots.max(lease.places());
            peaks.queue_bytes = peaks.queue_bytes.max(lease.queue_bytes);
            peaks.barred = peaks.barred.max(lease.order.barred.len());
            let (kept, bytes) = lease.kept();
            if kept > 1 {
                peaks.record_bytes = peaks.record_bytes.max(bytes);
            }
            peaks.lease_executions = peaks.lease_executions.max(lease.running);
        }
        (peaks.principal_executions, peaks.principal_waiting) = self.places.most();
    }

    /// Takes a lease out of the table, with everything that is armed for it.
    pub(super) fn remove(
        &mut self,
        key: LeaseKey,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<Lease> {
        let lease = self.leases.remove(key)?;
        self.places.leave(key, &lease, config);
        self.ids.remove(&lease.id);
        fx.disarm(lease.timers.renew, Timer::Renew(key));
        fx.disarm(lease.timers.overdue, Timer::Overdue(key));
        fx.disarm(lease.timers.rest, Timer::Rest(key));
        Some(lease)
    }
}
