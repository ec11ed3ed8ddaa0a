//! How much a node holds, for metrics and for the proof that everything is bounded.

/// How much a node holds at a moment, for metrics and for checks that everything is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NodeLoad {
    /// Sockets.
    pub connections: usize,
    /// Sessions, attached or not.
    pub sessions: usize,
    /// Answers that wait for a client's window, in all sessions.
    pub answers_waiting: usize,
    /// Commands whose turn has come, and that wait for a place among the executions.
    pub commands_waiting: usize,
    /// Leases in the execution table.
    pub leases: usize,
    /// Handlers and hooks that run.
    pub executions: usize,
    /// Store operations under way or waiting to be repeated.
    pub store_operations: usize,
    /// Commits among them that have failed and are repeated. When one has been for
    /// [`super::NodeConfig::store_failing_after`], no command begins.
    pub commits_failing: usize,
    /// Topics held.
    pub topics: usize,
    /// Bytes of what is held of their logs ([`super::NodeConfig::topics_bytes`]).
    pub topics_bytes: u64,
    /// Bytes of topics' states that are kept for those who wait for them
    /// ([`super::NodeConfig::snapshots_bytes`]).
    pub snapshot_bytes: u64,
    /// Publications that wait for the store.
    pub publishes_waiting: usize,
    /// Bytes of their bodies.
    pub publish_bytes_waiting: u64,
    /// Records whose publications are on their way into their logs.
    pub unsettled: usize,
    /// Deadlines that are armed.
    pub timers: usize,
}

/// The fullest buffer of each kind; each is bounded by the setting that its line names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NodePeaks {
    /// Frames of one connection that wait for nothing but its socket: 64, and two per subscription.
    pub control: usize,
    /// Subscriptions of one connection ([`super::NodeConfig::subscriptions`]).
    pub subscriptions: usize,
    /// Subscriptions of one principal ([`super::NodeConfig::subscriptions_per_principal`]).
    pub principal_subscriptions: u32,
    /// Volatiles that wait for one subscriber ([`super::NodeConfig::volatiles`]).
    pub volatiles: usize,
    /// Bytes of the volatiles of the subscriber with most of them, those with a single one left out
    /// ([`super::NodeConfig::volatile_bytes`]).
    pub volatile_bytes: u64,
    /// Answers of one session that are not acknowledged (the client's window,
    /// [`super::NodeConfig::max_client_window`]).
    pub unacknowledged: usize,
    /// Bytes of the bodies of the session with most of them, those with a single answer left out.
    pub unacknowledged_bytes: u64,
    /// Answers of one session that wait for its window ([`super::NodeConfig::span`]).
    pub answers_waiting: usize,
    /// Places in one lease's execution table ([`super::NodeConfig::span`]).
    pub slots: usize,
    /// Bytes of commands that wait or run under one lease
    /// ([`super::NodeConfig::lease_queue_bytes`]).
    pub queue_bytes: u64,
    /// Bytes of replies that one lease keeps, those with a single reply left out
    /// ([`super::NodeConfig::lease_record_bytes`]).
    pub record_bytes: u64,
    /// Commands of one principal that run ([`super::NodeConfig::executions_per_principal`]).
    pub principal_executions: u32,
    /// Commands of one principal that wait for a place: those that were accepted before it had its
    /// quota ([`super::NodeConfig::commands_waiting_per_principal`]), and one that keeps its order
    /// for each lease.
    pub principal_waiting: u32,
    /// Publications of one principal that wait for the store
    /// ([`super::NodeConfig::publishes_waiting_per_principal`]), and those of commands that were
    /// accepted before it had its quota.
    pub principal_publishes: u32,
    /// Bytes of the bodies of one principal's publications
    /// ([`super::NodeConfig::publish_bytes_waiting_per_principal`]).
    pub principal_publish_bytes: u64,
    /// Commands of one lease that run ([`super::NodeConfig::executions_per_lease`]).
    pub lease_executions: u32,
    /// Ordered commands of one lease that bar later ones ([`super::NodeConfig::span`]).
    pub barred: usize,
    /// Entries of one topic ([`super::NodeConfig::live_entries`], or the topic's retention if that
    /// is more).
    pub topic_entries: usize,
    /// Events of one topic that came before earlier ones
    /// ([`super::NodeConfig::reorder_entries`]).
    pub topic_ahead: usize,
    /// Bytes of the entries of one topic, those with a single entry left out
    /// ([`super::NodeConfig::topic_bytes`]).
    pub topic_bytes: u64,
    /// Sessions of one principal ([`super::NodeConfig::sessions_per_principal`]).
    pub principal_sessions: u32,
    /// Direct messages of one session ([`super::NodeConfig::directs_per_session`]).
    pub directs: u32,
    /// Bytes of their bodies, those of a single one left out
    /// ([`super::NodeConfig::direct_bytes_per_session`]).
    pub direct_bytes: u64,
    /// Expired sessions that are remembered ([`super::NodeConfig::expired_sessions`]).
    pub expired_sessions: usize,
}
