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

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: (Duration, usize) = (Duration::from_secs(60), 2);

    fn opens(ended: &EndedLeases, id: u128, as_of: u64) -> Option<StoreOutcome> {
        let time = |ms| StoreTime { incarnation: 3, ms };
        ended.before_open(LeaseId(id), time(as_of), time(90_000))
    }

    #[test]
    fn what_is_remembered_is_gone_and_others_are_opened_as_of_any_time() {
        let mut ended = EndedLeases::default();
        ended.remember(Now(5), LeaseId(1), MEMORY);
        assert_eq!(opens(&ended, 1, 90_000), Some(StoreOutcome::LeaseGone));
        assert_eq!(opens(&ended, 2, 0), None);
    }

    #[test]
    fn what_may_be_forgotten_is_opened_only_as_of_a_later_time() {
        let stale = StoreOutcome::Stale { at: StoreTime { incarnation: 3, ms: 90_000 } };
        for later in [(6, 7), (70_000, 70_000)] {
            let mut ended = EndedLeases::default();
            ended.remember(Now(5), LeaseId(1), MEMORY);
            ended.remember(Now(later.0), LeaseId(2), MEMORY);
            ended.remember(Now(later.1), LeaseId(3), MEMORY);
            assert_eq!(ended.len(), 2);
            assert_eq!(opens(&ended, 1, 5), Some(stale.clone()));
            assert_eq!(opens(&ended, 9, 5), Some(stale.clone()));
            assert_eq!(opens(&ended, 9, 6), None);
            assert_eq!(opens(&ended, 3, 6), Some(StoreOutcome::LeaseGone));
        }
    }

    #[test]
    fn another_incarnation_proves_nothing() {
        let (before, now) =
            (StoreTime { incarnation: 2, ms: 9 }, StoreTime { incarnation: 3, ms: 9 });
        let ended = EndedLeases::default();
        let stale = Some(StoreOutcome::Stale { at: now });
        assert_eq!(ended.before_open(LeaseId(1), before, now), stale);
    }

    /// As a store does that has undone the first end.
    #[test]
    fn who_ended_twice_is_remembered_from_the_second_time() {
        let mut ended = EndedLeases::default();
        ended.remember(Now(0), LeaseId(1), MEMORY);
        ended.remember(Now(50_000), LeaseId(1), MEMORY);
        ended.remember(Now(70_000), LeaseId(2), MEMORY);
        assert_eq!(opens(&ended, 1, 90_000), Some(StoreOutcome::LeaseGone));
    }
}
