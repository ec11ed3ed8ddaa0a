//! What a configuration is made of: how many of everything, which faults and how many of them, what
//! the world does wrong on purpose. The settings of the cores are made here, and nothing happens
//! here.

use std::time::Duration;

use steadfast::session::client::ClientConfig;
use steadfast::session::node::{Heartbeat, NodeConfig, TopicSpec};
use steadfast::session::store::{Retention, TopicId};
use steadfast::wire::Window;
use steadfast_rig::fixtures::{self, ROOM, name};

use crate::mistake::Mistake;

/// The topic's key.
pub const KEY: &str = "a";
/// Longer than anything that is explored: timers with this delay never fire.
pub const NEVER_MS: u64 = 1 << 40;

/// The same, as a setting.
pub const NEVER: Duration = Duration::from_millis(NEVER_MS);

/// The one topic.
#[must_use]
pub fn topic() -> TopicId {
    fixtures::room(KEY)
}

/// How often each fault may happen, in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Budget {
    /// Sockets that break.
    pub cuts: u8,
    /// Node processes that end without a word.
    pub crashes: u8,
    /// Client processes that end without a word.
    pub client_crashes: u8,
    /// Nodes that leave in order.
    pub drains: u8,
    /// Store operations that end as "unknown", whether they happened or not.
    pub doubts: u8,
    /// Store operations that end as "unknown" before they happen: they still may, at any moment.
    pub late: u8,
    /// Tries of commits that fail. The store counts as failing from the first one on, and clients
    /// that were refused come again when it is back: how often they do so before makes no
    /// difference.
    pub failures: u8,
    /// Leases that the store lets expire.
    pub lapses: u8,
    /// Times that the store loses everything.
    pub losses: u8,
    /// Times that the store becomes another incarnation, as a backup does that is restored.
    pub rolls: u8,
    /// Dials for which somebody else has logged in.
    pub strangers: u8,
    /// Publications from outside commands; no fault, but bounded like one.
    pub events: u8,
    /// Calls that their applications cancel; no fault either.
    pub cancels: u8,
}

/// Which store operations take time: between the question and its answer anything else may happen.
/// The others are carried out at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StorePace {
    /// None.
    Instant,
    /// Commits alone.
    Commits,
    /// Everything that concerns leases, records and logs.
    Slow,
}

/// One configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Client processes at a time.
    pub clients: usize,
    /// Node processes at a time, with one store.
    pub nodes: usize,
    /// Commands of each client's application.
    pub commands: u64,
    /// Whether applications submit all of them at once, when they start; else whenever they like.
    pub prompt: bool,
    /// Whether all commands of all applications are one: the same message, id and body.
    pub one_id: bool,
    /// Events that the handler of each of these commands publishes, by their order; none beyond.
    pub publishes: &'static [u64],
    /// Sequenced frames and, as credit, events that may be under way.
    pub window: u32,
    /// Whether applications follow the topic.
    pub subscribed: bool,
    /// Whether applications take items when they like, not at once.
    pub slow_readers: bool,
    /// Whether handlers end when they like, not at once.
    pub slow_handlers: bool,
    /// Whether handlers leave their outcomes to the store.
    pub decides: bool,
    /// Whether the topic has a snapshot.
    pub snapshot: bool,
    /// Entries that are retained, in the store and in each node.
    pub retained: u32,
    /// Whether both ends of a socket learn at once that it is gone, and what was in flight is lost;
    /// else each in its time.
    pub clean_breaks: bool,
    /// What takes time in the store.
    pub store: StorePace,
    /// Whether what a node has asked is carried out and answered in any order; else in the order of
    /// asking.
    pub any_order: bool,
    /// Whether a commit appends its publications in the same transaction.
    pub settles: bool,
    /// Whether a session without a socket may expire at any moment; else never.
    pub sessions_expire: bool,
    /// Whether nodes forget sessions that nobody can resume, and topics that nobody follows, as
    /// soon as no client has anything to do with them; else never. Only for stores that answer at
    /// once and never doubt, and windows of 2: then no other timer of a node is ever due, and these
    /// need not be told apart.
    pub nodes_forget: bool,
    /// Whether nodes tell the store at any moment what clients have resolved; else only with the
    /// next commit.
    pub leases_rest: bool,
    /// Faults.
    pub budget: Budget,
    /// Whether orders that can make no difference are left out ([`crate::action`]).
    pub reduced: bool,
    /// What the world does wrong on purpose.
    pub mistake: Option<Mistake>,
}

impl Settings {
    /// One client, two nodes, a store that answers at once, and no fault.
    pub const CALM: Self = Self {
        clients: 1,
        nodes: 2,
        commands: 2,
        prompt: false,
        one_id: false,
        publishes: &[1, 1],
        window: 2,
        subscribed: true,
        slow_readers: false,
        slow_handlers: true,
        decides: false,
        snapshot: false,
        retained: 16,
        clean_breaks: false,
        store: StorePace::Instant,
        any_order: false,
        settles: true,
        sessions_expire: false,
        nodes_forget: false,
        leases_rest: false,
        budget: Budget {
            cuts: 0,
            crashes: 0,
            client_crashes: 0,
            drains: 0,
            doubts: 0,
            late: 0,
            failures: 0,
            lapses: 0,
            losses: 0,
            rolls: 0,
            strangers: 0,
            events: 0,
            cancels: 0,
        },
        reduced: true,
        mistake: None,
    };

    /// Whether events may be missed, so that a gap has to be reported.
    #[must_use]
    pub fn may_have_gaps(&self) -> bool {
        let of_commands: u64 = (1..=self.commands).map(|command| self.published_by(command)).sum();
        let published = of_commands * self.clients as u64 + u64::from(self.budget.events);
        self.budget.losses > 0 || self.budget.rolls > 0 || u64::from(self.retained) < published
    }

    /// Events that a command's handler publishes; commands are numbered through all clients, from
    /// 1.
    #[must_use]
    pub fn published_by(&self, command: u64) -> u64 {
        let place = usize::try_from((command - 1) % self.commands.max(1)).unwrap_or(usize::MAX);
        self.publishes.get(place).copied().unwrap_or(0)
    }

    /// Whether a lease may be lost, so that an outcome may be unknown.
    #[must_use]
    pub const fn may_lose_leases(&self) -> bool {
        let Budget { losses, rolls, lapses, strangers, .. } = self.budget;
        losses > 0 || rolls > 0 || lapses > 0 || strangers > 0
    }

    fn window(&self) -> Window {
        Window { frames: self.window, bytes: 1 << 20 }
    }

    /// A client's settings: whatever it waits for may come at once, so that the model decides when.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        let mut config = fixtures::client_config();
        (config.window, config.credit) = (self.window(), self.window());
        config.outbox_age = NEVER;
        (config.backoff.attempts, config.backoff.elapsed) = (None, None);
        (config.backoff.base, config.backoff.cap) = (Duration::ZERO, Duration::ZERO);
        config.backoff.stable = Duration::ZERO;
        (config.dial_timeout, config.welcome_timeout) = (NEVER, NEVER);
        (config.ack_delay, config.position_delay) = (Duration::ZERO, Duration::ZERO);
        config
    }

    /// A node's settings, alike.
    #[must_use]
    pub fn node(&self) -> NodeConfig {
        let at_once_if = |at_once: bool| if at_once { Duration::ZERO } else { NEVER };
        let retention = Retention::new(self.retained, NEVER);
        let room = TopicSpec::new(name(ROOM), retention, self.snapshot);
        let mut config = fixtures::node_config_with([room]);
        config.messages_mut().iter_mut().for_each(|message| message.timeout = NEVER);
        config.window = self.window();
        (config.handshake, config.hook_timeout) = (NEVER, NEVER);
        config.heartbeat = Heartbeat::new(NEVER, NEVER, 3);
        config.session_ttl = at_once_if(self.sessions_expire || self.nodes_forget);
        config.expired_sessions = if self.nodes_forget { 0 } else { 1024 };
        (config.lease_ttl, config.lease_unused_ttl) = (NEVER, NEVER);
        config.lease_contact = NEVER;
        config.lease_rest = at_once_if(self.leases_rest);
        config.live_entries = self.retained;
        config.topic_idle = at_once_if(self.nodes_forget);
        config.heads_every = NEVER;
        config.reorder_wait = Duration::ZERO;
        config.store_failing_after = at_once_if(self.budget.failures > 0);
        (config.store_retry, config.retry_after) = (Duration::ZERO, Duration::ZERO);
        config.ack_delay = Duration::ZERO;
        config
    }
}
