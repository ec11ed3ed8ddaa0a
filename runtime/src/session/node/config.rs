//! What a node serves, and every limit. Decides nothing.

use std::time::Duration;

use super::declared::{MessageSpec, TopicSpec};
use crate::session::store::{Retention, Terms, TopicId};
use crate::session::{Contracts, millis};
use crate::wire::{self, Codec, Name, Window};

/// When a silent peer is asked for a sign of life, and given up (PROTOCOL.md section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Heartbeat {
    /// Silence before the first PING: 25 s.
    pub interval: Duration,
    /// Time to wait for a sign of life after each PING: 10 s.
    pub timeout: Duration,
    /// PINGs in a row that may be followed by silence: 3.
    pub missed: u32,
}

impl Heartbeat {
    /// A PING after `interval` of silence and then each `timeout`, `missed` times.
    #[must_use]
    pub const fn new(interval: Duration, timeout: Duration, missed: u32) -> Self {
        Self { interval, timeout, missed }
    }

    /// As WELCOME says it.
    pub(super) const fn on_wire(self) -> wire::Heartbeat {
        wire::Heartbeat {
            interval_ms: millis(self.interval),
            timeout_ms: millis(self.timeout),
            missed: self.missed,
        }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new(Duration::from_secs(25), Duration::from_secs(10), 3)
    }
}

/// Settings of a node; see each field for its default.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct NodeConfig {
    pub(super) protocol: String,
    /// Sorted by name, for look-up.
    pub(super) messages: Vec<MessageSpec>,
    pub(super) topics: Vec<TopicSpec>,
    /// The contract that clients are told of, and earlier ones by which they are judged: none.
    pub contracts: Contracts,
    /// Codecs that are served; every publication is encoded in each.
    pub codecs: Vec<Codec>,
    /// Sequenced frames and bytes that a client may have under way: 256 frames, 256 KiB.
    pub window: Window,
    /// Upper bound on the window that a client asks for: 1000 frames, 1 MiB.
    pub max_client_window: Window,
    /// The longest message after HELLO, in bytes: 1 MiB.
    pub frame_bytes: u32,
    /// Time from accept to HELLO, and for the authentication hook: 10 s.
    pub handshake: Duration,
    /// Time for a hook that authorizes a subscription or reads a topic's state: 10 s.
    pub hook_timeout: Duration,
    /// Heartbeats: 25 s, 10 s, 3.
    pub heartbeat: Heartbeat,
    /// For how long a session outlives its socket: 5 min.
    pub session_ttl: Duration,
    /// Expired sessions that are remembered, so that their clients are told `expired` and not
    /// `unknown`: 1024.
    pub expired_sessions: u32,
    /// Sessions, attached or not: 100,000. Beyond, the one makes room that has been without a socket
    /// for longest, of those without any command first; while all have sockets, more are refused
    /// with 4004.
    pub sessions: u32,
    /// Sessions of one principal: 64, one for each lease that it may have. Beyond, one of its own
    /// makes room in the same way, or it is refused with 4004.
    pub sessions_per_principal: u32,
    /// Direct messages that a session may have waiting or unacknowledged: 256, a full window of a
    /// client. It does not get more ([`Sent::full`](super::Sent::full)).
    pub directs_per_session: u32,
    /// Bytes of their bodies: 256 KiB, but a single one may be longer.
    pub direct_bytes_per_session: u32,
    /// How far a lease's numbers may run ahead: 256.
    pub span: u32,
    /// Bytes of commands that wait or run, per lease; more are refused with `overload`: 1 MiB.
    pub lease_queue_bytes: u32,
    /// Bytes of replies kept per lease; beyond, the oldest ones shrink to "unknown": 256 KiB.
    pub lease_record_bytes: u32,
    /// For how long a lease lives after its last contact: 24 h.
    pub lease_ttl: Duration,
    /// The same, before its first command: 10 min.
    pub lease_unused_ttl: Duration,
    /// Longest time between contacts that are told to the store while a session has the lease; a
    /// third of the lease's time to live if that is less: 5 min. A lease whose node has crashed
    /// makes room for another one of its principal after twice this time.
    pub lease_contact: Duration,
    /// Time after which the store is told what a client has resolved, if no commit has told it by
    /// then; what a burst needed in memory is given back then too: 1 s.
    pub lease_rest: Duration,
    /// Leases per principal, one per client that has something to command: 64. A client beyond
    /// takes the place of the one that has been disconnected for longest, and is refused with 4004
    /// while all are connected.
    pub leases_per_principal: u32,
    /// Executions of commands at a time in this process; more wait: 10,000. As many of volatiles
    /// beside them; more are dropped.
    pub executions: u32,
    /// Commands at a time of one principal, whatever its number of leases: 1,000, so that nine others
    /// find places while one has all that it may. More wait, and get places in turn with those of
    /// other principals.
    pub executions_per_principal: u32,
    /// Commands at a time under one lease: 256, which is what [`NodeConfig::span`] allows. More
    /// wait, and get places in turn with the principal's other leases.
    pub executions_per_lease: u32,
    /// Commands that wait for a place in this process: 10,000, as many as run. Beyond, new ones are
    /// refused with `overload`, except that each principal may have one that waits.
    pub commands_waiting: u32,
    /// Commands of one principal that wait for a place: 1,000, as many as it may have running, and
    /// fewer as more wait in all ([`Quota`](crate::session::store::Quota)). New ones beyond are
    /// refused with `overload`, and so is one that may not wait for as long as the last one of its
    /// principal has waited.
    pub commands_waiting_per_principal: u32,
    /// Longest message id (PROTOCOL.md 5.20), in bytes: 256. Longer ones are `invalid`.
    pub message_id_bytes: u32,
    /// Message ids that a principal may have in use: 100,000, and fewer as the store has more in
    /// all ([`Quota`](crate::session::store::Quota)). Beyond, commands with other ids are refused
    /// with `overload`; those that run by then still take theirs.
    pub ids_per_principal: u32,
    /// Bytes of these ids and of the outcomes that they stand for: 16 MiB. Beyond, the same.
    pub id_bytes_per_principal: u64,
    /// Volatile executions at a time per connection; more are dropped: 16.
    pub volatile_executions: u32,
    /// Subscriptions per connection: 256.
    pub subscriptions: u32,
    /// Subscriptions of one principal, on all its connections: 4,096, a twenty-fifth of the topics
    /// that a process holds. More are refused with `overload`.
    pub subscriptions_per_principal: u32,
    /// Upper bound on the credit that a client asks for: 4096 events, 4 MiB.
    pub max_credit: Window,
    /// Entries of a topic that this process holds for its live subscribers, even if fewer are
    /// retained for a resume: 256.
    pub live_entries: u32,
    /// Bytes of a topic's entries that this process holds: 16 MiB.
    pub topic_bytes: u32,
    /// Bytes of the entries of all topics that it holds: 1 GiB. Beyond, topics that nobody follows
    /// are forgotten, idle longest first; then those with most bytes give up their oldest entries.
    /// Followers that had not been sent these have a gap (`trimmed`), so this should be several
    /// times `topic_bytes`.
    pub topics_bytes: u64,
    /// Bytes that one read of a log asks for: 1 MiB. A longer log comes in several.
    pub read_bytes: u32,
    /// Topics that this process holds: 100,000. Beyond, one that nobody follows is forgotten; while
    /// all are followed, whoever follows most gives up one for a principal that follows fewer, and
    /// others are refused with `overload`.
    pub topics_held: u32,
    /// Time after which a topic that nobody follows is forgotten by this process: 10 min.
    pub topic_idle: Duration,
    /// Time between looks at the heads of the topics that are followed: 5 s. So long an event may
    /// take whose news was lost, and so often a store hears of a quiet topic.
    pub heads_every: Duration,
    /// Topics that one such look, which is one store operation, asks for: 256. The next one follows
    /// when it is answered.
    pub heads_per_look: u32,
    /// Time for which an event that the store has told of too early waits for those before it;
    /// then the log is read: 50 ms. Answers of a store come in any order.
    pub reorder_wait: Duration,
    /// Events of a topic that may wait so; with one more the log is read at once: 256. Their bytes
    /// count in [`Self::topic_bytes`].
    pub reorder_entries: u32,
    /// Volatiles that wait per subscription; the oldest is dropped: 64.
    pub volatiles: u32,
    /// Bytes of their messages; the same, but the latest one is kept however long it is: 256 KiB.
    pub volatile_bytes: u32,
    /// Longest topic key, in bytes: 256.
    pub topic_key_bytes: u32,
    /// Publications per command: 64.
    pub publishes_per_command: u32,
    /// Bytes of a reply, or of an application error's fields; a command that answers more fails
    /// with `internal`: 1 MiB. It should be less than what the least of the clients takes, which is
    /// 16 MiB for ours and told in HELLO (PROTOCOL.md 2.6): a reply is on record, so a client that
    /// does not take it gets it again after each resume, and stops after a few (2.7). No server
    /// knows that of its clients when it is built.
    pub reply_bytes: u32,
    /// Bytes of publications per command: 256 KiB.
    pub publish_bytes_per_command: u32,
    /// Publications that may wait for the store: 65,536. Beyond, those from outside commands fail,
    /// and new commands are refused with `overload`, except those of a principal of which none
    /// waits.
    pub publishes_waiting: u32,
    /// Bytes of their bodies: 256 MiB. Beyond, the same.
    pub publish_bytes_waiting: u64,
    /// Publications of one principal's commands that may wait for the store: 6,553, a tenth of all,
    /// and fewer as more wait in all ([`Quota`](crate::session::store::Quota)). Beyond, its new
    /// commands are refused with `overload`; those that were accepted by then still publish.
    pub publishes_waiting_per_principal: u32,
    /// Bytes of their bodies: 25 MiB. Beyond, the same.
    pub publish_bytes_waiting_per_principal: u64,
    /// Publications that one append carries into a topic's log: 256. More follow when it is
    /// answered.
    pub append_entries: u32,
    /// Bytes of their bodies: 1 MiB. The first one is carried however long it is.
    pub append_bytes: u32,
    /// The longest state of a topic, in bytes of one codec: 16 MiB, which is what our client takes. A
    /// subscription that would get a longer one ends with `too_large`.
    pub snapshot_bytes: u32,
    /// Bytes of the states of all topics that wait for somebody to take them, each counted once:
    /// 256 MiB. The oldest give way to new ones; whoever had not taken theirs by then gets a later
    /// one, for which the hook is called again. It must be at least `snapshot_bytes` for each codec.
    pub snapshots_bytes: u64,
    /// Time between two calls of a topic's snapshot hook: 100 ms. Who comes in between gets the
    /// state that was read last, or waits for the next one if there were events since. Zero: a
    /// newcomer never waits, and shares no state but with those who come while it is read.
    pub snapshot_interval: Duration,
    /// Tries of a snapshot whose position the log has left behind by the time that it is there: 3.
    pub snapshot_tries: u32,
    /// For how long a store operation that fails is repeated, counted from the first time that it
    /// was asked for: 60 s. It is repeated at least once. Then it is given up; the outcome of a
    /// command whose commit it was is unknown. An append of what a record publishes is never given
    /// up, and the handshake waits for a lease no longer than [`Self::handshake`].
    pub store_patience: Duration,
    /// For how long a commit may have been under way and failing, counted in the same way, before
    /// the store counts as failing: 1 s. From then on new commands are refused with `overload`, and
    /// those that have been accepted don't begin, until every such commit has been written or given
    /// up.
    pub store_failing_after: Duration,
    /// Time before the first repetition of a store operation, doubled each time until it is 32 times
    /// as long: 50 ms, which becomes 1.6 s. After a store has recovered, commands wait for no longer
    /// than that.
    pub store_retry: Duration,
    /// Time between looks for records that a process which is gone, or a store that went back, has
    /// left unsettled: 60 s. Each look is one store operation.
    pub sweep_interval: Duration,
    /// How old a record is before such a look takes it up: 5 s. Younger ones are as a rule being
    /// settled by the node that wrote them.
    pub sweep_age: Duration,
    /// Records that the store is asked for at a time: 1024, at least 1. The next ones are asked for
    /// while there is room for what they publish.
    pub sweep_records: u32,
    /// Bytes of the bodies that they publish: 4 MiB. One record comes however long it is.
    pub sweep_bytes: u64,
    /// What REFUSED and UNSUBSCRIBED tell a client to wait: 250 ms.
    pub retry_after: Duration,
    /// Unacknowledged frames after which an ACK goes out alone: 32 (PROTOCOL.md 4.5).
    pub ack_frames: u32,
    /// Time after which an ACK goes out alone: 250 ms (PROTOCOL.md 4.5).
    pub ack_delay: Duration,
}

impl NodeConfig {
    /// The defaults, for a protocol without messages and topics.
    #[must_use]
    pub fn new(protocol: impl Into<String>) -> Self {
        Self {
            protocol: protocol.into(),
            messages: Vec::new(),
            topics: Vec::new(),
            contracts: Contracts::default(),
            codecs: vec![Codec::Json],
            window: Window { frames: 256, bytes: 256 * 1024 },
            max_client_window: Window { frames: 1000, bytes: 1024 * 1024 },
            frame_bytes: 1024 * 1024,
            handshake: Duration::from_secs(10),
            hook_timeout: Duration::from_secs(10),
            heartbeat: Heartbeat::default(),
            session_ttl: Duration::from_secs(300),
            expired_sessions: 1024,
            sessions: 100_000,
            sessions_per_principal: 64,
            directs_per_session: 256,
            direct_bytes_per_session: 256 * 1024,
            span: 256,
            lease_queue_bytes: 1024 * 1024,
            lease_record_bytes: 256 * 1024,
            lease_ttl: Duration::from_secs(24 * 3_600),
            lease_contact: Duration::from_secs(300),
            lease_rest: Duration::from_secs(1),
            lease_unused_ttl: Duration::from_secs(600),
            leases_per_principal: 64,
            executions: 10_000,
            executions_per_principal: 1_000,
            executions_per_lease: 256,
            commands_waiting: 10_000,
            commands_waiting_per_principal: 1_000,
            message_id_bytes: 256,
            ids_per_principal: 100_000,
            id_bytes_per_principal: 16 * 1024 * 1024,
            volatile_executions: 16,
            subscriptions: 256,
            subscriptions_per_principal: 4_096,
            max_credit: Window { frames: 4096, bytes: 4 * 1024 * 1024 },
            live_entries: 256,
            topic_bytes: 16 * 1024 * 1024,
            topics_bytes: 1024 * 1024 * 1024,
            read_bytes: 1024 * 1024,
            topics_held: 100_000,
            topic_idle: Duration::from_secs(600),
            heads_every: Duration::from_secs(5),
            heads_per_look: 256,
            reorder_wait: Duration::from_millis(50),
            reorder_entries: 256,
            volatiles: 64,
            volatile_bytes: 256 * 1024,
            topic_key_bytes: 256,
            publishes_per_command: 64,
            reply_bytes: 1024 * 1024,
            publish_bytes_per_command: 256 * 1024,
            publishes_waiting: 65_536,
            publish_bytes_waiting: 256 * 1024 * 1024,
            publishes_waiting_per_principal: 6_553,
            publish_bytes_waiting_per_principal: 25 * 1024 * 1024,
            append_entries: 256,
            append_bytes: 1024 * 1024,
            snapshot_bytes: 16 * 1024 * 1024,
            snapshots_bytes: 256 * 1024 * 1024,
            snapshot_interval: Duration::from_millis(100),
            snapshot_tries: 3,
            store_patience: Duration::from_secs(60),
            store_failing_after: Duration::from_secs(1),
            store_retry: Duration::from_millis(50),
            sweep_interval: Duration::from_secs(60),
            sweep_age: Duration::from_secs(5),
            sweep_records: 1024,
            sweep_bytes: 4 * 1024 * 1024,
            retry_after: Duration::from_millis(250),
            ack_frames: 32,
            ack_delay: Duration::from_millis(250),
        }
    }

    /// Name of the application's protocol.
    #[must_use]
    pub fn protocol(&self) -> &str {
        &self.protocol
    }

    /// What clients may send; sorted by name.
    #[must_use]
    pub fn messages(&self) -> &[MessageSpec] {
        &self.messages
    }

    /// The same, to change their limits.
    pub const fn messages_mut(&mut self) -> &mut [MessageSpec] {
        self.messages.as_mut_slice()
    }

    /// What clients may follow; by index.
    #[must_use]
    pub fn topics(&self) -> &[TopicSpec] {
        &self.topics
    }

    /// The same, to change their retention.
    pub const fn topics_mut(&mut self) -> &mut [TopicSpec] {
        self.topics.as_mut_slice()
    }

    /// Adds a message; keeps the order that look-up needs.
    pub fn add_message(&mut self, spec: MessageSpec) {
        let at = self.messages.partition_point(|other| other.name < spec.name);
        self.messages.insert(at, spec);
    }

    /// Adds a topic, with the next index.
    pub fn add_topic(&mut self, spec: TopicSpec) {
        self.topics.push(spec);
    }

    /// A message that is declared longer than a frame can carry beside its head, and its declared
    /// length.
    #[must_use]
    pub fn unsendable(&self) -> Option<(&Name, u32)> {
        let most = wire::body_limit(self.frame_bytes);
        let specs = self.messages.iter().map(|spec| (&spec.name, spec.max_bytes));
        specs.into_iter().find(|(_, bytes)| *bytes > most)
    }

    /// Finds a message by wire name or alias.
    #[must_use]
    pub fn message(&self, name: &Name) -> Option<&MessageSpec> {
        self.messages.binary_search_by(|spec| spec.name.cmp(name)).ok().map(|at| &self.messages[at])
    }

    /// What a command may answer and publish.
    pub(super) fn terms(&self) -> Terms {
        let topics = self.topics.iter().map(|spec| (spec.name.clone(), spec.retention));
        Terms {
            reply_bytes: self.reply_bytes.into(),
            publishes: self.publishes_per_command as usize,
            publish_bytes: self.publish_bytes_per_command as usize,
            key_bytes: self.topic_key_bytes as usize,
            topics: topics.collect(),
        }
    }

    /// Whether something may be published to a topic: it is declared, and its key is not too long.
    pub(super) fn declares(&self, topic: &TopicId) -> bool {
        self.topic(&topic.name).is_some() && topic.key.len() <= self.topic_key_bytes as usize
    }

    /// How long a topic's entries are kept; nothing is kept of a topic that is not declared.
    pub(super) fn retention(&self, topic: &Name) -> Retention {
        self.topic(topic).map_or(Retention::new(0, Duration::ZERO), |(_, spec)| spec.retention)
    }

    /// How long to wait before a store operation is repeated that has failed so often.
    pub(super) fn store_delay(&self, tries: u32) -> Duration {
        self.store_retry.saturating_mul(1 << tries.saturating_sub(1).min(5))
    }

    /// For how long a store that has failed again and again is left alone.
    pub(super) const fn store_pause(&self) -> Duration {
        self.store_retry.saturating_mul(1 << 10)
    }

    /// How often contact is told to the store, for a lease of which a command has a record or for
    /// one that may end sooner.
    pub(super) fn renewal(&self, recorded: bool) -> Duration {
        let shortest = self.lease_ttl.min(self.lease_unused_ttl);
        let ttl = if recorded { self.lease_ttl } else { shortest };
        (ttl / 3).min(self.lease_contact).max(Duration::from_millis(1))
    }

    /// Time without contact after which no node can hold a lease.
    pub(super) fn held(&self) -> Duration {
        self.renewal(true).max(self.renewal(false)).saturating_mul(2)
    }

    /// A topic's declaration by index.
    pub(super) fn topic_at(&self, index: u16) -> Option<&TopicSpec> {
        self.topics.get(usize::from(index))
    }

    /// Finds a topic's declaration by name.
    #[must_use]
    pub fn topic(&self, name: &Name) -> Option<(u16, &TopicSpec)> {
        let index = self.topics.iter().position(|spec| spec.name == *name)?;
        Some((u16::try_from(index).ok()?, &self.topics[index]))
    }
}
