//! How much a memory store keeps.

use std::time::Duration;

/// Bounds of a memory store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MemoryLimits {
    /// For how long a topic's epoch and head outlive the time for which its last entry is kept:
    /// 1 h.
    pub topic_memory: Duration,
    /// How many topics: 1,000,000. Beyond, the one that was idle longest is forgotten.
    pub topics: usize,
    /// How many leases: 1,000,000. Beyond, none is issued until one ends.
    pub leases: usize,
    /// For each topic, how many keys of publications from outside of commands are remembered: 1024.
    pub direct_keys: usize,
    /// For each node that shares the store, bytes of news that it has not asked for yet: 4 MiB.
    /// Beyond, it is told that it has missed some.
    pub news_bytes: u64,
    /// For how long the unsettled records of an ended lease are kept, so that their publications
    /// still arrive: 1 h.
    pub owed: Duration,
}

impl Default for MemoryLimits {
    fn default() -> Self {
        Self {
            topic_memory: Duration::from_secs(3_600),
            topics: 1_000_000,
            leases: 1_000_000,
            direct_keys: 1024,
            news_bytes: 4 * 1024 * 1024,
            owed: Duration::from_secs(3_600),
        }
    }
}
