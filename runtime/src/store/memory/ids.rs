//! The application's own ids of commands (PROTOCOL.md 5.20): who has used which, and what each
//! stands for. They outlive the leases of the commands that took them. Which outcomes take an id is
//! not decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::bytes::{Sums, fitting};
use super::limits::MemoryLimits;
use crate::session::Now;
use crate::session::store::{
    CommitId, MessageId, Outcome, PrincipalId, Quota, StoreOutcome, UsedId,
};
use crate::store::admin::ListedId;
use crate::wire::{FailureCode, Name};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Ids {
    used: BTreeMap<MessageId, Kept>,
    /// Each of them by the time until which it is kept.
    due: BTreeSet<(Now, MessageId)>,
    people: BTreeMap<PrincipalId, Share>,
    /// Bytes of all of them.
    pub(super) bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kept {
    used: UsedId,
    until: Now,
}

/// What a principal has of the ids.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Share {
    count: usize,
    bytes: u64,
}

impl Ids {
    pub(super) fn len(&self) -> usize {
        self.used.len()
    }

    /// The most that one principal has of them, and of their bytes.
    pub(super) fn most(&self) -> (u64, u64) {
        let shares = self.people.values();
        shares.fold((0, 0), |(count, bytes), share| {
            (count.max(share.count as u64), bytes.max(share.bytes))
        })
    }

    pub(super) fn get(&self, id: &MessageId) -> Option<&UsedId> {
        self.used.get(id).map(|kept| &kept.used)
    }

    pub(super) fn find(
        &self,
        id: &MessageId,
        (max, max_bytes): (u32, u64),
        all: &Sums,
        limits: &MemoryLimits,
    ) -> StoreOutcome {
        if let Some(used) = self.get(id) {
            return StoreOutcome::UsedId(Box::new(used.clone()));
        }
        let (count, bytes) =
            self.people.get(&id.principal).map_or((0, 0), |share| (share.count, share.bytes));
        let counted = Quota::new(max.into(), limits.ids as u64);
        let weighed = Quota::new(max_bytes, limits.id_bytes);
        let may = counted.admits(count as u64, all.ids) && weighed.admits(bytes, all.id_bytes);
        if may { StoreOutcome::UnusedId } else { StoreOutcome::TooManyIds }
    }

    /// A command takes an id that is not in use. What would be beyond the bytes of all ids is kept
    /// as "unknown": the command must not run again all the same.
    pub(super) fn take(
        &mut self,
        now: Now,
        taken: CommitId,
        mut outcome: Outcome,
        all: &Sums,
        limits: &MemoryLimits,
    ) {
        let CommitId { id, hash, keep_ms } = taken;
        if all.id_bytes + id.bytes() + outcome.said_bytes() > limits.id_bytes {
            outcome = Outcome::plain_failure(FailureCode::Unknown);
        }
        let bytes = id.bytes() + outcome.said_bytes();
        let share = self.people.entry(id.principal.clone()).or_default();
        share.count += 1;
        share.bytes += bytes;
        self.bytes += bytes;
        let until = now.after_ms(keep_ms);
        self.due.insert((until, id.clone()));
        self.used.insert(id, Kept { used: UsedId { hash, outcome }, until });
    }

    /// A page of them, and the first one that doesn't fit: it says where a page of several shards
    /// must end.
    pub(super) fn list(
        &self,
        now: Now,
        after: Option<&MessageId>,
        (max, max_bytes): (u32, u64),
    ) -> Vec<ListedId> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.used.range::<MessageId, _>((from, Bound::Unbounded));
        let bytes = behind.clone().map(|(id, kept)| id.bytes() + kept.used.outcome.said_bytes());
        let fit = fitting(bytes, max, max_bytes);
        let listed = behind.take(fit + 1).map(|(id, kept)| ListedId {
            id: id.clone(),
            used: kept.used.clone(),
            keep_ms: kept.until.since(now),
        });
        listed.collect()
    }

    /// Takes one that another store had; why not, if it can't.
    pub(super) fn import(
        &mut self,
        now: Now,
        ListedId { id, used, keep_ms }: ListedId,
        all: &Sums,
        limits: &MemoryLimits,
    ) -> Result<(), String> {
        if self.used.contains_key(&id) {
            return Err(format!("{id:?} is in use"));
        }
        let bytes = id.bytes() + used.outcome.said_bytes();
        if all.ids >= limits.ids as u64 || all.id_bytes + bytes > limits.id_bytes {
            return Err("there is no room for more ids".to_owned());
        }
        let taken = CommitId { id, hash: used.hash, keep_ms };
        self.take(now, taken, used.outcome, all, limits);
        Ok(())
    }

    /// Lets go of those that have been kept for long enough.
    pub(super) fn expire(&mut self, now: Now) {
        while self.due.first().is_some_and(|(until, _)| *until <= now)
            && let Some((_, id)) = self.due.pop_first()
        {
            self.forget(&id);
        }
    }

    /// Lets go of those of a principal; how many.
    pub(super) fn forget_all_of(&mut self, principal: &PrincipalId) -> u64 {
        let first = MessageId {
            principal: Arc::clone(principal),
            message: Name::EMPTY,
            text: Arc::from(""),
        };
        let theirs = self.used.range(first..).take_while(|(id, _)| id.principal == *principal);
        let theirs: Vec<_> = theirs.map(|(id, kept)| (kept.until, id.clone())).collect();
        for due in &theirs {
            self.due.remove(due);
            self.forget(&due.1);
        }
        theirs.len() as u64
    }

    fn forget(&mut self, id: &MessageId) {
        let Some(kept) = self.used.remove(id) else {
            debug_assert!(false, "what is due is in use");
            return;
        };
        let bytes = id.bytes() + kept.used.outcome.said_bytes();
        self.bytes -= bytes;
        if let Some(share) = self.people.get_mut(&id.principal) {
            share.count -= 1;
            share.bytes -= bytes;
            if share.count == 0 {
                self.people.remove(&id.principal);
            }
        }
    }
}
