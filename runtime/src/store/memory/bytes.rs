//! What a memory store holds, in numbers and bytes. How much it may hold is not said here.

use std::ops::{AddAssign, Sub, SubAssign};

use crate::session::store::LogEntry;
use crate::store::admin::StoreFigures;

/// What a memory store holds at a moment, in bytes of names and bodies; each is bounded by the
/// setting that its line names. Beyond that there may be what operations under way are adding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MemoryBytes {
    /// Replies ([`super::MemoryLimits::reply_bytes`]).
    pub replies: u64,
    /// Ids of the application, and what they stand for ([`super::MemoryLimits::id_bytes`], which
    /// names of ids may exceed).
    pub ids: u64,
    /// Publications that are not in their logs yet ([`super::MemoryLimits::owed_bytes`], which one
    /// commit may exceed).
    pub owed: u64,
    /// Entries of logs ([`super::MemoryLimits::log_bytes`]).
    pub logs: u64,
}

/// What one principal has in a memory store, of each kind the one with most; each is bounded by
/// the setting that its line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct MemoryPeaks {
    /// Ids of one principal (`NodeConfig::ids_per_principal`, which those of commands that ran by
    /// then may exceed).
    pub principal_ids: u64,
    /// Bytes of one principal's ids, and of what they stand for
    /// (`NodeConfig::id_bytes_per_principal`, which the same may exceed).
    pub principal_id_bytes: u64,
}

/// Entries of one log, or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Weight {
    pub(super) entries: u64,
    /// Bytes of their names and bodies.
    pub(super) bytes: u64,
}

impl Weight {
    /// What they take, which [`super::MemoryLimits::log_bytes`] bounds.
    pub(super) const fn cost(&self) -> u64 {
        LogEntry::cost(self.entries, self.bytes)
    }
}

impl AddAssign for Weight {
    fn add_assign(&mut self, more: Self) {
        self.entries += more.entries;
        self.bytes += more.bytes;
    }
}

impl SubAssign for Weight {
    fn sub_assign(&mut self, less: Self) {
        self.entries -= less.entries;
        self.bytes -= less.bytes;
    }
}

impl Sub for Weight {
    type Output = Self;

    fn sub(mut self, less: Self) -> Self {
        self -= less;
        self
    }
}

/// What one shard holds, or all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    pub(super) leases: u64,
    /// Bytes of replies.
    pub(super) replies: u64,
    /// Bytes of publications that are not in their logs.
    pub(super) owed: u64,
    pub(super) ids: u64,
    pub(super) id_bytes: u64,
    pub(super) topics: u64,
    /// Bytes of entries.
    pub(super) logs: u64,
    /// How many entries.
    pub(super) entries: u64,
}

impl Sums {
    /// What the entries of all logs take, which [`super::MemoryLimits::log_bytes`] bounds.
    pub(super) const fn cost_of_logs(&self) -> u64 {
        Weight { entries: self.entries, bytes: self.logs }.cost()
    }

    pub(super) const fn bytes(&self) -> MemoryBytes {
        let Self { replies, id_bytes, owed, logs, .. } = *self;
        MemoryBytes { replies, ids: id_bytes, owed, logs }
    }

    pub(super) const fn figures(&self) -> StoreFigures {
        let Self { leases, replies, owed, ids, id_bytes, topics, logs, .. } = *self;
        StoreFigures {
            leases,
            topics,
            ids,
            reply_bytes: replies,
            id_bytes,
            owed_bytes: owed,
            log_bytes: logs,
        }
    }

    /// How many sums there are.
    pub(super) const COUNT: usize = 8;

    /// In an order that [`Sums::from_list`] knows.
    pub(super) const fn list(&self) -> [u64; Self::COUNT] {
        let Self { leases, replies, owed, ids, id_bytes, topics, logs, entries } = *self;
        [leases, replies, owed, ids, id_bytes, topics, logs, entries]
    }

    pub(super) const fn from_list(list: [u64; Self::COUNT]) -> Self {
        let [leases, replies, owed, ids, id_bytes, topics, logs, entries] = list;
        Self { leases, replies, owed, ids, id_bytes, topics, logs, entries }
    }

    /// What it is after a part of it was `before` and has become `after`.
    pub(super) fn changed(&self, before: &Self, after: &Self) -> Self {
        let (mut all, before, after) = (self.list(), before.list(), after.list());
        for (sum, (before, after)) in all.iter_mut().zip(before.into_iter().zip(after)) {
            *sum = sum.wrapping_sub(before).wrapping_add(after);
        }
        Self::from_list(all)
    }
}

/// How many of some records, of so many bytes each, make a page; the first one always does.
pub(super) fn fitting(records: impl Iterator<Item = u64>, max: u32, max_bytes: u64) -> usize {
    let mut bytes = 0_u64;
    let fits = |(at, more): &(usize, u64)| {
        bytes = bytes.saturating_add(*more);
        *at == 0 || bytes <= max_bytes
    };
    records.take(max as usize).enumerate().take_while(fits).count()
}
