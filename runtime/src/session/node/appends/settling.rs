//! Records whose publications are on their way into their logs, and the operation that marks them
//! as settled when they are there. It knows no topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::session::node::effects::{Effects, Purpose};
use crate::session::store::{StoreOp, StoreTime};
use crate::wire::{CommandNo, LeaseId};

/// Records that one operation marks as settled.
const SETTLED_AT_ONCE: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Settling {
    records: BTreeMap<(LeaseId, CommandNo), Owed>,
    /// All of their publications are in their logs.
    landed: Vec<(LeaseId, CommandNo)>,
    /// So many of them, the first ones, are being marked.
    under_way: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Owed {
    /// Publications that are not in their logs yet.
    left: u32,
    /// When the store last showed that it is not settled.
    seen: StoreTime,
    /// Whose command it was, if that is known here.
    principal: Option<Arc<str>>,
    /// One of its publications is not appended: somebody else has settled it, or it is gone.
    lost: bool,
}

impl Settling {
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// The store shows a record that is not settled. Whether its publications are on their way
    /// already.
    pub(super) fn sees(&mut self, record: (LeaseId, CommandNo), seen: StoreTime) -> bool {
        let known = self.records.get_mut(&record);
        known.map(|owed| owed.seen = seen).is_some()
    }

    /// So many publications of such a record are on their way from here on.
    pub(super) fn begin(
        &mut self,
        record: (LeaseId, CommandNo),
        seen: StoreTime,
        publishes: u32,
        principal: Option<Arc<str>>,
    ) {
        self.records.insert(record, Owed { left: publishes, seen, principal, lost: false });
    }

    /// Whose command it was, if that is known here.
    pub(super) fn principal(&self, record: (LeaseId, CommandNo)) -> Option<&Arc<str>> {
        self.records.get(&record)?.principal.as_ref()
    }

    pub(super) fn seen(&self, record: (LeaseId, CommandNo)) -> Option<StoreTime> {
        self.records.get(&record).map(|owed| owed.seen)
    }

    /// One of a record's publications is in its log, or won't be appended. Whether somebody has to
    /// look what became of the record.
    pub(super) fn one_less(
        &mut self,
        record: (LeaseId, CommandNo),
        landed: bool,
        fx: &mut Effects,
    ) -> bool {
        let Some(owed) = self.records.get_mut(&record) else {
            debug_assert!(false, "a record is owed while one of its publications waits");
            return false;
        };
        owed.left -= 1;
        owed.lost |= !landed;
        if owed.left > 0 {
            return false;
        }
        if owed.lost {
            self.records.remove(&record);
            return true;
        }
        self.landed.push(record);
        // One operation at a time, which takes what has landed by the time that it goes out.
        if self.landed.len() == 1 {
            fx.ask(Purpose::Settle);
        }
        false
    }

    /// Makes the operation; the same again when it is repeated.
    pub(super) fn op(&mut self) -> Option<StoreOp> {
        if self.under_way == 0 {
            self.under_way = self.landed.len().min(SETTLED_AT_ONCE);
        }
        let records = self.landed.get(..self.under_way)?.to_vec();
        (!records.is_empty()).then_some(StoreOp::Settle { records })
    }

    /// The records that were under way are marked, or that is given up.
    pub(super) fn ended(&mut self, fx: &mut Effects) {
        for record in self.landed.drain(..self.under_way) {
            self.records.remove(&record);
        }
        self.under_way = 0;
        if !self.landed.is_empty() {
            fx.ask(Purpose::Settle);
        }
    }
}
