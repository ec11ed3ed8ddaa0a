//! How much a memory store keeps.

use std::time::Duration;

/// Bounds of a memory store. Bytes are those of names and bodies. Beside them a lease takes about
/// 700 bytes, an id 500 and a record 150, and each of these is bounded in number: records by a
/// node's span for each lease. What an entry of a log takes beside its own counts, because no
/// number bounds entries.
///
/// Bounds of one lease, principal or topic are kept exactly. Those of the whole store are looked at
/// before and after each operation, and operations run at the same time: what those under way add
/// may be beyond them until they end. What has expired goes within a second, if there are
/// operations.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MemoryLimits {
    /// For how long a topic's epoch and head outlive the time for which its last entry is kept:
    /// 1 h.
    pub topic_memory: Duration,
    /// For how long a topic that never had an entry is kept after its last use: 15 min, which is
    /// longer than a node holds it and than a client goes on dialling.
    pub empty_topic_memory: Duration,
    /// How many topics: 1,000,000. Beyond, the one that was idle longest is forgotten, those that
    /// never had an entry first.
    pub topics: usize,
    /// Bytes of the entries of all logs, with [`LogEntry::BYTES_BESIDE`] for each: 1 GiB. Beyond,
    /// the topics that were idle longest lose their entries, and keep their epochs and heads.
    ///
    /// [`LogEntry::BYTES_BESIDE`]: crate::session::store::LogEntry::BYTES_BESIDE
    pub log_bytes: u64,
    /// How many leases: 1,000,000. Beyond, none is issued until one ends.
    pub leases: usize,
    /// For how long the id of a lease that has ended is remembered, so that no operation that comes
    /// late opens it again: 10 min, which is longer than operations take.
    pub ended_memory: Duration,
    /// How many of these ids are remembered: 200,000, of about 100 bytes each. Each of the store's
    /// 32 parts has an equal share. Beyond, the oldest are forgotten sooner, and a node may have to
    /// ask for a new lease twice.
    pub ended_leases: usize,
    /// Bytes of replies kept for one lease: 256 KiB. Beyond, those of the lowest numbers shrink to
    /// "unknown" (PROTOCOL.md 5.7); the latest one is kept.
    pub lease_bytes: u64,
    /// Bytes of replies kept for all leases of one principal: 4 MiB. Beyond, those of its leases
    /// without contact for longest shrink.
    pub principal_bytes: u64,
    /// Bytes of replies kept in all: 1 GiB. Beyond, leases lose their replies in turn.
    pub reply_bytes: u64,
    /// How many of the application's own ids (PROTOCOL.md 5.20) are in use: 1,000,000. Beyond,
    /// commands with other ids are refused until some have been kept for long enough. What runs at
    /// that time may still take its ids. What one principal may have becomes less as they become
    /// more ([`Quota`](crate::session::store::Quota)), so that newcomers find room.
    pub ids: usize,
    /// Bytes of these ids and of what they stand for: 256 MiB. Beyond, the same; and what still
    /// takes an id is kept as "unknown" (PROTOCOL.md 5.7).
    pub id_bytes: u64,
    /// Bytes of publications that are not in their logs yet: 256 MiB. Beyond, commits that would
    /// add to them fail until some are.
    pub owed_bytes: u64,
    /// How many keys of publications from outside of commands are remembered: 1,000,000, of about
    /// 150 bytes each. Each of the store's 32 parts has an equal share. Beyond, the oldest are
    /// forgotten.
    pub direct_keys: usize,
    /// For each node that shares the store, bytes of news that it has not asked for yet: 4 MiB.
    /// Beyond, it is told that it has missed some.
    pub news_bytes: u64,
    /// Makes the memory store behave as one whose records and logs lie apart, for tests: it settles
    /// nothing in a commit, and an append does not look at its record. It refuses what was seen
    /// unsettled longer ago than this, and remembers keys for longer after their records are
    /// settled (see [`StoreOp::Append`](crate::session::store::StoreOp::Append)); no other setting
    /// bounds those keys. `None`: an append looks at its record.
    pub append_window: Option<Duration>,
    /// For how long the unsettled records of an ended lease are kept, so that their publications
    /// still arrive: 1 h.
    pub owed: Duration,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            topic_memory: Duration::from_secs(3_600),
            empty_topic_memory: Duration::from_secs(15 * 60),
            topics: 1_000_000,
            log_bytes: 1024 * 1024 * 1024,
            leases: 1_000_000,
            ended_memory: Duration::from_secs(600),
            ended_leases: 200_000,
            lease_bytes: 256 * 1024,
            principal_bytes: 4 * 1024 * 1024,
            reply_bytes: 1024 * 1024 * 1024,
            ids: 1_000_000,
            id_bytes: 256 * 1024 * 1024,
            owed_bytes: 256 * 1024 * 1024,
            direct_keys: 1_000_000,
            news_bytes: 4 * 1024 * 1024,
            append_window: None,
            owed: Duration::from_secs(3_600),
        }
    }
}
