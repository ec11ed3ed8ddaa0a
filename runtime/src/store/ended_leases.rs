//! Ids of leases that have ended: none of them is opened again by an operation that was asked for
//! before and is carried out late (see [`StoreOp::OpenLease`]). What lives is not known here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::session::Now;
#[cfg(doc)]
use crate::session::store::StoreOp;
use crate::session::store::{StoreOutcome, StoreTime};
use crate::wire::LeaseId;

/// Remembers the ids of leases that have ended, for a time and up to a number, and when the latest
/// one ended of those that it has forgotten. For authors of stores.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct EndedLeases {
    /// When each ended.
    ids: BTreeMap<LeaseId, Now>,
    /// The same in the order in which they ended.
    order: VecDeque<(Now, LeaseId)>,
    /// When the latest of those ended that are forgotten.
    forgotten: Option<Now>,
}

impl EndedLeases {
    /// A lease has ended. Those are forgotten that did so longer ago than `memory`, and, while there
    /// are more than `max`, the one that ended first.
    pub fn remember(&mut self, now: Now, id: LeaseId, (memory, max): (Duration, usize)) {
        self.ids.insert(id, now);
        self.order.push_back((now, id));
        let is_old = |(ended, _): &(Now, LeaseId)| ended.after(memory) <= now;
        while self.order.len() > max || self.order.front().is_some_and(is_old) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((ended, id)) = self.order.pop_front() else { return };
        // It may have been written down twice: a store may undo what it did.
        if self.ids.get(&id) == Some(&ended) {
            self.ids.remove(&id);
        }
        self.forgotten = self.forgotten.max(Some(ended));
    }

    /// What is answered to somebody who asks, as of then, for a lease that does not live; `None` if
    /// it may be opened.
    #[must_use]
    pub fn before_open(
        &self,
        id: LeaseId,
        as_of: StoreTime,
        now: StoreTime,
    ) -> Option<StoreOutcome> {
        if self.ids.contains_key(&id) {
            return Some(StoreOutcome::LeaseGone);
        }
        let is_fresh = as_of.incarnation == now.incarnation
            && self.forgotten.is_none_or(|forgotten| as_of.ms > forgotten.0);
        (!is_fresh).then_some(StoreOutcome::Stale { at: now })
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}
