//! What a store counts of itself, for metrics. It is told, and never decides anything.

use std::sync::atomic::{AtomicU64, Ordering};

/// How much a store holds and does, at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct LocalMetrics {
    /// Operations that wait for the writer.
    pub waiting: usize,
    /// Bytes of them.
    pub waiting_bytes: u64,
    /// Transactions since the store was opened.
    pub groups: u64,
    /// Operations in them.
    pub operations: u64,
    /// Transactions that failed.
    pub failed_groups: u64,
    /// Leases, ended ones that owe something included.
    pub leases: u64,
    /// Topics.
    pub topics: u64,
    /// Bytes of replies.
    pub reply_bytes: u64,
    /// Bytes of publications that are not in their logs.
    pub owed_bytes: u64,
    /// Ids of the application.
    pub ids: u64,
    /// Bytes of these ids and of what they stand for.
    pub id_bytes: u64,
    /// Bytes of the entries of all logs.
    pub log_bytes: u64,
    /// Bytes of the write-ahead log that are not in the file yet.
    pub wal_bytes: u64,
}

/// The same, as threads share it.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) groups: AtomicU64,
    pub(crate) operations: AtomicU64,
    pub(crate) failed_groups: AtomicU64,
    leases: AtomicU64,
    topics: AtomicU64,
    reply_bytes: AtomicU64,
    owed_bytes: AtomicU64,
    ids: AtomicU64,
    id_bytes: AtomicU64,
    log_bytes: AtomicU64,
    wal_bytes: AtomicU64,
}

impl Counts {
    /// Takes over what a group has changed.
    pub(crate) fn keep(&self, now: &LocalMetrics) {
        self.leases.store(now.leases, Ordering::Relaxed);
        self.topics.store(now.topics, Ordering::Relaxed);
        self.reply_bytes.store(now.reply_bytes, Ordering::Relaxed);
        self.owed_bytes.store(now.owed_bytes, Ordering::Relaxed);
        self.ids.store(now.ids, Ordering::Relaxed);
        self.id_bytes.store(now.id_bytes, Ordering::Relaxed);
        self.log_bytes.store(now.log_bytes, Ordering::Relaxed);
        self.wal_bytes.store(now.wal_bytes, Ordering::Relaxed);
    }

    pub(crate) fn metrics(&self, (waiting, waiting_bytes): (usize, u64)) -> LocalMetrics {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LocalMetrics {
            waiting,
            waiting_bytes,
            groups: read(&self.groups),
            operations: read(&self.operations),
            failed_groups: read(&self.failed_groups),
            leases: read(&self.leases),
            topics: read(&self.topics),
            reply_bytes: read(&self.reply_bytes),
            owed_bytes: read(&self.owed_bytes),
            ids: read(&self.ids),
            id_bytes: read(&self.id_bytes),
            log_bytes: read(&self.log_bytes),
            wal_bytes: read(&self.wal_bytes),
        }
    }
}
