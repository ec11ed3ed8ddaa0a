//! What a run is made of: sizes, delays, odds. A seed draws one; a named test writes its own. It
//! decides nothing while the run goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use steadfast::session::client::ClientConfig;
use steadfast::session::node::{Heartbeat, NodeConfig};
use steadfast::session::store::Retention;
use steadfast::wire::{Codec, Window};
use steadfast_rig::fixtures::{self, LOG, ROOM};

pub use steadfast_rig::fixtures::{
    CONCURRENT, CONCURRENT_WITH_ID, ORDERED, ORDERED_WITH_ID, VOLATILE, name,
};

use crate::journal::JournalPlan;
use crate::mistake::Mistake;
use crate::rng::Rng;
use crate::shorten::{Deed, Ease};
use crate::store_plan::{ENOUGH, StorePlan};

/// Topics by index: the first has no snapshot, the second has one.
pub const TOPICS: [&str; 2] = [LOG, ROOM];
/// Keys in use.
pub const KEYS: [&str; 2] = ["a", "b"];

/// One run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Client processes at a time.
    pub clients: usize,
    /// The last so many of them never command anything.
    pub readers: usize,
    /// How many of them are devices of one user.
    pub devices: usize,
    /// Nodes, which share one store.
    pub nodes: usize,
    /// The codecs of users, by turns; nodes have all of these enabled.
    pub codecs: &'static [Codec],
    /// Settings of each client.
    pub client: Arc<ClientConfig>,
    /// Settings of each node.
    pub node: Arc<NodeConfig>,
    /// Milliseconds that a frame is under way.
    pub latency_ms: (u64, u64),
    /// Milliseconds that a process's clock reads at most when it starts.
    pub clock_origin_ms: u64,
    /// Whether clocks jump forwards.
    pub clocks_jump: bool,
    /// Messages of 1000 that come in parts, on a slow line.
    pub parts: u32,
    /// What clients save beyond their processes.
    pub journal: JournalPlan,
    /// How the store misbehaves.
    pub store: StorePlan,
    /// How handlers and hooks behave.
    pub handlers: HandlerPlan,
    /// Milliseconds between faults of network, nodes and clients; `None`: there are none.
    pub faults_ms: Option<(u64, u64)>,
    /// Milliseconds between actions of applications; `None`: only what a test asks for.
    pub work_ms: Option<(u64, u64)>,
    /// Milliseconds of work and faults, before everything heals.
    pub active_ms: u64,
    /// Steps after which the run heals early.
    pub active_steps: u64,
    /// Milliseconds in which everything must have come to rest after that.
    pub heal_ms: u64,
    /// What the harness does wrong on purpose, to see a checker catch it.
    pub mistake: Option<Mistake>,
    /// The only deeds that are done; `None`: all that chance asks for.
    pub only: Option<Arc<BTreeSet<Deed>>>,
}

/// Odds per 1000 executions, and delays.
#[derive(Debug, Clone, Copy)]
pub struct HandlerPlan {
    /// A test answers commands itself.
    pub manual: bool,
    /// Milliseconds that a handler takes.
    pub delay_ms: (u64, u64),
    /// The application's own error.
    pub error: u32,
    /// A failing handler.
    pub internal: u32,
    /// Whether handlers find some bodies unfit, always the same ones.
    pub invalid: u32,
    /// A handler that never ends.
    pub never: u32,
    /// Handlers that leave their outcomes to the store.
    pub decides: u32,
    /// Events that a handler publishes at most.
    pub publishes: u64,
    /// Credentials that are refused.
    pub bad_credentials: u32,
    /// Credentials that expire soon.
    pub expiring: u32,
    /// Dials for which somebody else has logged in.
    pub other_user: u32,
    /// Subscriptions that are forbidden.
    pub forbidden: u32,
    /// Snapshots that fail.
    pub snapshot_fails: u32,
}

impl HandlerPlan {
    const CALM: Self = Self {
        manual: false,
        delay_ms: (0, 5),
        error: 0,
        internal: 0,
        invalid: 0,
        never: 0,
        decides: 0,
        publishes: 1,
        bad_credentials: 0,
        expiring: 0,
        other_user: 0,
        forbidden: 0,
        snapshot_fails: 0,
    };
}

impl Plan {
    /// One client, one node, nothing goes wrong unless a test makes it.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            clients: 1,
            readers: 0,
            devices: 1,
            nodes: 1,
            codecs: &[Codec::Json],
            client: Arc::new(client_config()),
            node: Arc::new(node_config()),
            latency_ms: (1, 1),
            clock_origin_ms: 0,
            clocks_jump: false,
            parts: 0,
            journal: JournalPlan::NONE,
            store: StorePlan::CALM,
            handlers: HandlerPlan::CALM,
            faults_ms: None,
            work_ms: None,
            active_ms: 0,
            active_steps: u64::MAX,
            heal_ms: 120_000,
            mistake: None,
            only: None,
        }
    }

    /// Takes one kind of trouble away.
    pub fn ease(&mut self, ease: Ease) {
        match ease {
            Ease::Store => {
                let StorePlan { settles, keeps_settled, append_window_ms, .. } = self.store;
                self.store =
                    StorePlan { settles, keeps_settled, append_window_ms, ..StorePlan::CALM }
            }
            Ease::Handlers => {
                self.handlers =
                    HandlerPlan { publishes: self.handlers.publishes, ..HandlerPlan::CALM }
            }
            Ease::Latency => self.latency_ms = (1, 1),
            Ease::Clients => (self.clients, self.readers) = (1, 0),
            Ease::Nodes => self.nodes = 1,
        }
    }

    /// Changes the settings of clients.
    #[must_use]
    pub fn client(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        change(Arc::make_mut(&mut self.client));
        self
    }

    /// Changes the settings of nodes.
    #[must_use]
    pub fn node(mut self, change: impl FnOnce(&mut NodeConfig)) -> Self {
        change(Arc::make_mut(&mut self.node));
        self
    }

    /// The run of a seed.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        let mut plan = Self::calm();
        plan.clients = rng.pick(&[1, 2, 2, 3, 3, 8]);
        plan.nodes = rng.pick(&[1, 1, 2, 2, 2, 3, 5]);
        plan.clock_origin_ms = rng.pick(&[0, 1_000, 10_000_000]);
        plan.clocks_jump = rng.chance(300);
        plan.latency_ms = rng.pick(&[(1, 1), (1, 10), (5, 80), (0, 300)]);
        plan.faults_ms = rng.pick(&[None, Some((50, 800)), Some((200, 3_000)), Some((20, 200))]);
        plan.work_ms = Some(rng.pick(&[(1, 20), (5, 60), (20, 400)]));
        plan.active_ms = rng.within((500, 15_000));
        plan.active_steps = rng.within((150, 500));
        plan.store = StorePlan::random(rng);
        plan.handlers = random_handlers(rng);
        plan.journal = JournalPlan::random(rng, Arc::make_mut(&mut plan.client));
        randomise_client(rng, Arc::make_mut(&mut plan.client));
        randomise_node(rng, Arc::make_mut(&mut plan.node));
        randomise_outage(&mut rng.clone(), &mut plan);
        randomise_leases(&mut rng.clone(), &mut plan);
        let mut apart = rng.clone();
        randomise_messages(&mut apart, &mut plan);
        randomise_ids(&mut apart, &mut plan);
        plan.store.randomise_bounds(&mut apart);
        randomise_codecs(&mut apart, &mut plan);
        plan
    }

    /// The codec of a client. Devices of a user have one: what a message id stands for is in it.
    #[must_use]
    pub fn codec_of(&self, client: usize) -> Codec {
        self.codecs[client / self.devices % self.codecs.len()]
    }

    /// Whether nodes or the store let go of replies that take too much room.
    #[must_use]
    pub fn replies_shrink(&self) -> bool {
        let (lease, principal, all) = self.store.reply_bytes;
        // No run's replies of one lease come to so many bytes.
        self.node.lease_record_bytes < 50_000 || lease.min(principal).min(all) < ENOUGH
    }
}

fn client_config() -> ClientConfig {
    let mut config = fixtures::client_config();
    config.backoff.base = Duration::from_millis(100);
    config.backoff.cap = Duration::from_secs(1);
    config.backoff.stable = Duration::from_millis(500);
    (config.backoff.attempts, config.backoff.elapsed) = (None, None);
    config.dial_timeout = Duration::from_secs(1);
    config.welcome_timeout = Duration::from_secs(1);
    config.credential_refusals = 50;
    config.retry_after_cap = Duration::from_secs(3);
    config
}

fn node_config() -> NodeConfig {
    let mut config = fixtures::node_config();
    fixtures::with_contracts(&mut config);
    for message in config.messages_mut() {
        (message.timeout, message.max_bytes) = (Duration::from_secs(2), 2_048);
    }
    for topic in config.topics_mut() {
        topic.retention = Retention::new(100, Duration::from_secs(600));
    }
    config.heartbeat = Heartbeat::new(Duration::from_secs(1), Duration::from_millis(400), 2);
    config.handshake = Duration::from_secs(2);
    config.session_ttl = Duration::from_secs(30);
    config
}

/// Other numbers than the next ones, so that a seed's other settings stay what they were.
pub(crate) fn apart(rng: &Rng) -> Rng {
    let mut apart = rng.clone();
    apart.next_u64();
    apart
}

fn random_handlers(rng: &mut Rng) -> HandlerPlan {
    HandlerPlan {
        manual: false,
        delay_ms: rng.pick(&[(0, 0), (0, 10), (5, 200), (50, 900)]),
        error: rng.pick(&[0, 50, 200]),
        internal: rng.pick(&[0, 20]),
        invalid: rng.pick(&[0, 20]),
        never: rng.pick(&[0, 0, 50]),
        decides: apart(rng).pick(&[0, 0, 100, 500]),
        publishes: rng.within((0, 3)),
        bad_credentials: rng.pick(&[0, 0, 50, 200]),
        expiring: rng.pick(&[0, 0, 100]),
        other_user: rng.pick(&[0, 0, 0, 100]),
        forbidden: rng.pick(&[0, 0, 100]),
        snapshot_fails: rng.pick(&[0, 0, 100]),
    }
}

fn small_window(rng: &mut Rng) -> Window {
    Window { frames: rng.pick(&[1, 2, 3, 8, 64]), bytes: rng.pick(&[1, 200, 2_000, 64_000]) }
}

fn randomise_client(rng: &mut Rng, config: &mut ClientConfig) {
    if rng.chance(400) {
        config.window = small_window(rng);
        config.credit = small_window(rng);
        config.outbox_commands = rng.pick(&[2, 5, 50]);
        config.outbox_bytes = rng.pick(&[300, 3_000, 100_000]);
        config.backlog_calls = rng.pick(&[0, 1, 5, 1_024]);
        config.backlog_bytes = rng.pick(&[200, 5_000, 100_000]);
        config.subscriptions = rng.pick(&[1, 2, 8]);
        config.volatiles = rng.pick(&[1, 3]);
        config.volatile_bytes = rng.clone().pick(&[1, 40, 100_000]);
    }
    if rng.chance(300) {
        config.outbox_age = Duration::from_millis(rng.within((200, 5_000)));
    }
    config.backoff.base = Duration::from_millis(rng.pick(&[20, 100, 400]));
    config.backoff.cap = Duration::from_millis(rng.pick(&[400, 2_000]));
    config.dial_timeout = Duration::from_millis(rng.within((700, 2_000)));
    config.welcome_timeout = Duration::from_millis(rng.within((400, 2_500)));
    config.ack_frames = rng.pick(&[1, 4, 32]);
    config.ack_delay = Duration::from_millis(rng.pick(&[10, 250]));
    config.position_delay = Duration::from_millis(rng.pick(&[0, 20, 200]));
}

fn randomise_node(rng: &mut Rng, config: &mut NodeConfig) {
    config.heartbeat.interval = Duration::from_millis(rng.pick(&[400, 1_000, 3_000]));
    config.heartbeat.timeout = Duration::from_millis(rng.pick(&[700, 1_000]));
    config.heartbeat.missed = rng.within((1, 3)) as u32;
    config.handshake = Duration::from_millis(rng.within((700, 3_000)));
    config.session_ttl = Duration::from_millis(rng.pick(&[200, 1_500, 30_000]));
    config.lease_ttl = Duration::from_millis(rng.pick(&[600, 6_000, 60_000, 3_600_000]));
    config.lease_contact = Duration::from_millis(rng.pick(&[700, 2_000]));
    config.lease_unused_ttl = Duration::from_millis(rng.pick(&[6_000, 20_000]));
    config.hook_timeout = Duration::from_millis(rng.within((300, 2_000)));
    config.topic_idle = Duration::from_millis(rng.pick(&[300, 5_000, 600_000]));
    config.retry_after = Duration::from_millis(rng.pick(&[20, 250]));
    config.store_retry = Duration::from_millis(rng.pick(&[5, 50]));
    config.sweep_age = Duration::from_millis(rng.pick(&[0, 500, 5_000]));
    config.read_bytes = rng.pick(&[1, 60, 1_000_000]);
    config.sweep_interval = Duration::from_millis(rng.pick(&[1_000, 60_000]));
    config.reorder_wait = Duration::from_millis(rng.pick(&[0, 50, 500]));
    config.heads_every = Duration::from_millis(rng.pick(&[300, 1_000, 5_000]));
    config.heads_per_look = rng.pick(&[1, 2, 256]);
    config.ack_frames = rng.pick(&[1, 4, 32]);
    config.ack_delay = Duration::from_millis(rng.pick(&[10, 250]));
    for topic in config.topics_mut() {
        topic.retention = Retention::new(
            rng.pick(&[2, 5, 20, 100]),
            Duration::from_millis(rng.pick(&[500, 600_000])),
        )
        .with_bytes(rng.pick(&[60, 300, 100_000]));
    }
    for message in config.messages_mut() {
        message.timeout = Duration::from_millis(rng.pick(&[150, 600, 2_000]));
    }
    if rng.chance(400) {
        config.window = small_window(rng);
        config.span = rng.pick(&[1, 2, 4, 16]);
        config.executions = rng.pick(&[1, 2, 100]);
        randomise_quotas(&mut rng.clone(), config);
        config.volatile_executions = 1;
        config.lease_queue_bytes = rng.pick(&[50, 500, 100_000]);
        config.lease_record_bytes = rng.pick(&[50, 500, 100_000]);
        config.leases_per_principal = rng.pick(&[1, 2, 16]);
        config.subscriptions = rng.pick(&[1, 2, 8]);
        config.topics_held = rng.pick(&[1, 2, 100]);
        config.volatiles = rng.pick(&[1, 3]);
        config.live_entries = rng.pick(&[1, 4, 256]);
        config.reorder_entries = rng.pick(&[0, 1, 256]);
        config.topic_bytes = rng.pick(&[100, 1_000, 1_000_000]);
        config.snapshot_tries = rng.pick(&[1, 3]);
        config.publishes_waiting = rng.pick(&[1, 100]);
        config.append_entries = apart(rng).pick(&[1, 2, 256]);
        config.append_bytes = apart(rng).pick(&[40, 1, 1_000_000]);
        config.store_patience = Duration::from_millis(rng.pick(&[0, 300, 5_000]));
        config.max_credit =
            Window { frames: rng.pick(&[1, 4, 4_096]), bytes: rng.pick(&[100, 1_000_000]) };
    }
}

/// How long ids are kept and how many there may be, and who shares a user with whom. Drawn apart
/// like what follows.
fn randomise_ids(rng: &mut Rng, plan: &mut Plan) {
    let node = Arc::make_mut(&mut plan.node);
    fixtures::keep_ids(node, Duration::from_millis(rng.pick(&[1_500, 86_400_000, 86_400_000])));
    node.ids_per_principal = rng.pick(&[1, 4, 100_000]);
    // Each device has a lease and a session, and earlier ones for a while.
    let room = node.leases_per_principal.min(node.sessions_per_principal) > 4;
    plan.devices = if room { rng.pick(&[1, 2, 3]) } else { 1 };
}

/// Which codecs are spoken. Drawn last, and apart like what comes before.
fn randomise_codecs(rng: &mut Rng, plan: &mut Plan) {
    const JSON: &[Codec] = &[Codec::Json];
    plan.codecs = rng.pick(&[JSON, JSON, JSON, &[Codec::Binary], &Codec::ALL]);
    let node = Arc::make_mut(&mut plan.node);
    node.codecs = plan.codecs.to_vec();
    // There is room for one state at least.
    node.snapshots_bytes *= plan.codecs.len() as u64;
}

/// The store is away for more than a minute, while clients go on. Drawn apart like what follows.
fn randomise_outage(rng: &mut Rng, plan: &mut Plan) {
    let node = Arc::make_mut(&mut plan.node);
    node.store_failing_after = Duration::from_millis(rng.pick(&[0, 150, 1_000]));
    if rng.chance(40) {
        plan.store.away = Some((rng.within((200, 3_000)), rng.within((60_000, 75_000))));
        node.store_patience = Duration::from_millis(rng.pick(&[10_000, 80_000, 80_000]));
        plan.work_ms = Some((200, 3_000));
        (plan.active_ms, plan.active_steps) = (90_000, 4_000);
    }
}

/// Some clients only read, and some ask for their lease at once. Drawn apart, too.
fn randomise_leases(rng: &mut Rng, plan: &mut Plan) {
    let mut rng = Rng::new(rng.next_u64().rotate_left(32));
    plan.readers = if plan.clients > 1 && rng.chance(400) { 1 } else { 0 };
    Arc::make_mut(&mut plan.client).lease_at_once = rng.chance(300);
}

/// Long messages: on slow lines, and for clients that do not take them. Drawn apart, too.
fn randomise_messages(rng: &mut Rng, plan: &mut Plan) {
    // Not the numbers that an outage is drawn from.
    let mut rng = Rng::new(!rng.next_u64());
    plan.parts = rng.pick(&[0, 0, 0, 30, 100]);
    Arc::make_mut(&mut plan.client).message_bytes =
        rng.pick(&[45, 80, u32::MAX, u32::MAX, u32::MAX, u32::MAX]);
    let (client, node) = (Arc::make_mut(&mut plan.client), Arc::make_mut(&mut plan.node));
    (client.inbox_messages, client.inbox_bytes) = rng.pick(&[(1, 10), (3, 1_000), (256, 100_000)]);
    (node.directs_per_session, node.direct_bytes_per_session) =
        rng.pick(&[(1, 1_000), (4, 50), (256, 100_000)]);
}

/// What one principal may have. Drawn apart, so that a seed's other settings stay what they were.
fn randomise_quotas(rng: &mut Rng, config: &mut NodeConfig) {
    config.executions_per_principal = rng.pick(&[1, 2, 100]);
    config.executions_per_lease = rng.pick(&[1, 100]);
    config.commands_waiting_per_principal = rng.pick(&[1, 3, 100]);
    config.sessions_per_principal = rng.pick(&[1, 2, 64]);
    config.subscriptions_per_principal = rng.pick(&[2, 4, 100]);
    config.snapshot_interval = Duration::from_millis(rng.pick(&[0, 100, 2_000]));
    config.snapshots_bytes = rng.pick(&[20, 1_000_000]);
    config.publishes_waiting_per_principal = rng.pick(&[1, 4, 100]);
    config.publish_bytes_waiting_per_principal = rng.pick(&[10, 1_000_000]);
    config.publish_bytes_waiting = rng.pick(&[20, 1_000_000]);
    config.volatile_bytes = rng.pick(&[1, 40, 100_000]);
    config.sweep_records = rng.pick(&[1, 2, 1_024]);
    config.sweep_bytes = rng.pick(&[0, 50, 1_000_000]);
    config.topics_bytes = rng.pick(&[60, 300, 1_000_000]);
}
