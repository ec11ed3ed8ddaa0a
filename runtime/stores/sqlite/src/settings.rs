//! How a local store works and how much it keeps. Every bound that it has is named here.

use std::time::Duration;

/// How a store works: its queue, its groups, its file. None of it changes what is stored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LocalSettings {
    /// Operations that may wait for the writer: 65,536. Beyond, operations are answered `Failed` at
    /// once, and the node asks again later.
    pub queue_operations: usize,
    /// Bytes of the operations that may wait for the writer: 256 MiB. Beyond, as above.
    pub queue_bytes: u64,
    /// Operations that share one COMMIT, as far as they wait when the one before is done: 4,096.
    pub group_operations: usize,
    /// Bytes of operations that share one COMMIT: 16 MiB. A longer batch has one of its own.
    pub group_bytes: u64,
    /// Connections that read pages of logs and unsettled records, each with a thread of its own: 2.
    pub readers: usize,
    /// Reads that may wait for them: 8,192. Beyond, reads are answered `Failed` at once.
    pub reads_waiting: usize,
    /// For how long a lock that another program holds on the file is waited for: 2 s. Beyond,
    /// operations are answered `Failed` until the lock is gone.
    pub lock_wait: Duration,
    /// Leases whose rows the writer remembers: 100,000.
    pub cached_leases: usize,
    /// Topics whose rows the writer remembers: 100,000.
    pub cached_topics: usize,
    /// Bytes of the file's pages that the writer remembers: 64 MiB.
    pub cached_pages: u64,
    /// Bytes of the write-ahead log after which it is brought into the file: 4 MiB.
    pub checkpoint_bytes: u64,
    /// Bytes that the write-ahead log may have: 1 GiB. It grows while another program reads the
    /// file in one long transaction; beyond, operations are answered `Failed` until that ends.
    pub wal_bytes: u64,
    /// For how long SQLite may work for one decision, which is the end of a handler in a
    /// transaction: 2 s. Beyond, its statement is interrupted, and its command ends with
    /// `internal`. Everybody waits while a decision runs, and what it does beside SQL has no bound.
    pub decision_time: Duration,
    /// How often the writer looks for what has expired while nobody asks for anything: 1 s.
    pub look: Duration,
    /// After how long the time served, and contact with leases and topics, are written though
    /// nothing else is: 1 min. After a crash so much of them may be missing, so things live longer
    /// by so much.
    pub idle_write: Duration,
    /// Whether the whole file is checked before it is opened, which takes seconds per gigabyte:
    /// no. [`LocalStore::check`](crate::LocalStore::check) does it on demand.
    pub check_at_open: bool,
}

impl Default for LocalSettings {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            queue_operations: 65_536,
            queue_bytes: 256 * MIB,
            group_operations: 4_096,
            group_bytes: 16 * MIB,
            readers: 2,
            reads_waiting: 8_192,
            lock_wait: Duration::from_secs(2),
            cached_leases: 100_000,
            cached_topics: 100_000,
            cached_pages: 64 * MIB,
            checkpoint_bytes: 4 * MIB,
            wal_bytes: 1024 * MIB,
            decision_time: Duration::from_secs(2),
            look: Duration::from_secs(1),
            idle_write: Duration::from_secs(60),
            check_at_open: false,
        }
    }
}

/// How much a store keeps. Bytes are those of names and bodies; beside them a lease takes about 250
/// bytes of the file, an id 150, a record 100 and an entry of a log 60, and each of these is bounded in
/// number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LocalLimits {
    /// For how long a topic's epoch and head outlive the time for which its last entry is kept:
    /// 1 h.
    pub topic_memory: Duration,
    /// For how long a topic that never had an entry is kept after its last use: 15 min, which is
    /// longer than a node holds it and than a client goes on dialling.
    pub empty_topic_memory: Duration,
    /// How many topics: 1,000,000. Beyond, the one that was idle longest is forgotten, those that
    /// never had an entry first.
    pub topics: usize,
    /// Bytes of the entries of all logs, with [`LogEntry::BYTES_BESIDE`] for each: 64 GiB. Beyond,
    /// the topics that were idle longest lose their entries, and keep their epochs and heads.
    ///
    /// [`LogEntry::BYTES_BESIDE`]: steadfast::session::store::LogEntry::BYTES_BESIDE
    pub log_bytes: u64,
    /// How many leases: 1,000,000. Beyond, none is issued until one ends.
    pub leases: usize,
    /// For how long the id of a lease that has ended is remembered, so that no operation that comes
    /// late opens it again: 10 min, which is longer than operations take. They are in memory: what
    /// another process was asked for ended with it.
    pub ended_memory: Duration,
    /// How many of these ids are remembered: 200,000, of about 100 bytes each. Beyond, the oldest
    /// are forgotten sooner, and a node may have to ask for a new lease twice.
    pub ended_leases: usize,
    /// Bytes of replies kept for one lease: 256 KiB. Beyond, those of the lowest numbers shrink to
    /// "unknown" (PROTOCOL.md 5.7); the latest one is kept.
    pub lease_bytes: u64,
    /// Bytes of replies kept for all leases of one principal: 4 MiB, in equal shares.
    pub principal_bytes: u64,
    /// Bytes of replies kept in all: 4 GiB. Beyond, leases lose their replies in turn.
    pub reply_bytes: u64,
    /// Bytes of publications that are not in their logs yet: 1 GiB. Beyond, commits that would add
    /// to them fail until some are.
    pub owed_bytes: u64,
    /// How many of the application's own ids (PROTOCOL.md 5.20) are in use: 10,000,000. Beyond,
    /// commands with other ids are refused until some have been kept for long enough. What runs at
    /// that time may still take its ids. What one principal may have becomes less as they become
    /// more ([`Quota`](steadfast::session::store::Quota)), so that newcomers find room.
    pub ids: u64,
    /// Bytes of these ids and of what they stand for: 4 GiB. Beyond, the same, and what still
    /// takes an id is kept as "unknown" (PROTOCOL.md 5.7).
    pub id_bytes: u64,
    /// For how long the key of a publication from outside of commands is remembered: 10 min, which
    /// is longer than a node repeats an operation.
    pub direct_keys: Duration,
    /// How many keys of publications from outside of commands are remembered: 1,000,000. Beyond,
    /// the oldest are forgotten.
    pub direct_keys_max: u64,
    /// For how long the unsettled records of an ended lease are kept, so that their publications
    /// still arrive: 1 h.
    pub owed: Duration,
}

impl Default for LocalLimits {
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            topic_memory: Duration::from_secs(3_600),
            empty_topic_memory: Duration::from_secs(15 * 60),
            topics: 1_000_000,
            log_bytes: 64 * 1024 * MIB,
            leases: 1_000_000,
            ended_memory: Duration::from_secs(600),
            ended_leases: 200_000,
            lease_bytes: MIB / 4,
            principal_bytes: 4 * MIB,
            reply_bytes: 4 * 1024 * MIB,
            owed_bytes: 1024 * MIB,
            ids: 10_000_000,
            id_bytes: 4 * 1024 * MIB,
            direct_keys: Duration::from_secs(600),
            direct_keys_max: 1_000_000,
            owed: Duration::from_secs(3_600),
        }
    }
}
