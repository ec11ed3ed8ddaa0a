//! A node with a store that keeps its word, and one honest client beside whoever is hostile. It
//! keeps virtual time, carries messages to and fro, and checks that the honest client is served
//! whatever the others do.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use steadfast::session::node::{
    ConnId, Denied, Executed, Execution, Identity, Node, NodeConfig, NodeEvent, Principal,
};
use steadfast::session::store::{OpId, Outcome, StoreOp, StoreOutcome};
use steadfast::session::{Close, Now};
use steadfast::store::{MemoryLimits, MemoryState};
use steadfast::wire::{Body, Codec, CommandNo, LeaseId, RefusalCode, UnsubscribeCode, Window};
use steadfast_rig::fixtures::{self, ANN, MALLORY, event, failed, log, room};
use steadfast_rig::pump::{
    Begun, NodeHarness, assert_nothing_is_left, left_at_node, pump_client, pump_node,
};

use crate::honest::Honest;
use crate::size::size;

/// Rounds in which everything must have come to rest.
const ROUNDS: usize = 5_000;

/// Timers that fire in one stretch of time; then the rest of it does not pass.
const FIRED: usize = 200;

/// Milliseconds that an operation may wait for the script: a store that is silent for hours may
/// forget, and who follows a topic is then told of a gap.
const STORE_MS: u64 = 20_000;

/// Milliseconds in which the honest client is served, at the latest: a hostile one may hold every
/// place for a handler until its time is over.
const SERVED_MS: u64 = 120_000;

/// Sockets that a target may have open beside the honest one.
pub(crate) const SOCKETS: usize = 3;

/// Small limits, so that a short script reaches each of them.
fn config() -> NodeConfig {
    let mut config = fixtures::node_config();
    config.messages_mut().iter_mut().for_each(|message| message.max_bytes = 500);
    config.window = Window { frames: 8, bytes: 2_000 };
    config.max_client_window = Window { frames: 8, bytes: 2_000 };
    config.max_credit = Window { frames: 8, bytes: 2_000 };
    (config.frame_bytes, config.span, config.executions, config.subscriptions) = (2_000, 8, 4, 3);
    (config.executions_per_principal, config.executions_per_lease) = (3, 2);
    (config.commands_waiting_per_principal, config.commands_waiting) = (4, 6);
    config.sessions_per_principal = 5;
    (config.sessions, config.leases_per_principal, config.expired_sessions) = (8, 3, 4);
    (config.lease_queue_bytes, config.lease_record_bytes) = (1_000, 1_000);
    (config.live_entries, config.topics_held, config.topic_bytes) = (8, 24, 4_000);
    (config.volatile_executions, config.volatiles, config.publishes_waiting) = (2, 4, 16);
    config.volatile_bytes = 300;
    config
}

/// Tight ones, so that what escapes them shows within one script.
fn limits() -> MemoryLimits {
    let mut limits = MemoryLimits::default();
    (limits.lease_bytes, limits.principal_bytes, limits.reply_bytes) = (1_000, 2_000, 3_000);
    (limits.owed_bytes, limits.log_bytes) = (4_000, 4_000);
    limits
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) node: Node,
    pub(crate) now: Now,
    store: MemoryState,
    pub(crate) honest: Honest,
    last_conn: u64,
    /// Operations wait in `ops` for the script.
    pub(crate) store_by_hand: bool,
    pub(crate) ops: VecDeque<(Now, OpId, StoreOp)>,
    /// Times that an operation may still fail: fewer than a node tries.
    failures: u32,
    /// Hooks about topics wait in `executions`, as commands of others than the honest client always
    /// do.
    pub(crate) hooks_by_hand: bool,
    pub(crate) executions: VecDeque<Execution>,
    /// Sockets that take nothing.
    pub(crate) stuck: BTreeSet<ConnId>,
    woken: BTreeSet<ConnId>,
    /// What went out on sockets of others than the honest client.
    pub(crate) sent: VecDeque<(ConnId, Bytes)>,
    /// Those of them that the node has closed.
    pub(crate) closed: Vec<(ConnId, Close)>,
    /// Handlers that ran, to see that none runs twice.
    pub(crate) ran: Vec<(LeaseId, CommandNo)>,
}

impl World {
    /// A world in which the honest client is connected and follows its topic.
    pub(crate) fn new() -> Self {
        let mut world = Self {
            node: Node::new(Arc::new(config()), [1; 32]),
            now: Now(1_000),
            store: MemoryState::new(limits()),
            honest: Honest::new(Now(1_000)),
            last_conn: 0,
            store_by_hand: false,
            ops: VecDeque::new(),
            failures: 3,
            hooks_by_hand: false,
            executions: VecDeque::new(),
            stuck: BTreeSet::new(),
            woken: BTreeSet::new(),
            sent: VecDeque::new(),
            closed: Vec::new(),
            ran: Vec::new(),
        };
        world.node.start(world.now);
        world.pump();
        world.the_honest_client_is_served();
        world
    }

    pub(crate) fn connect(&mut self) -> ConnId {
        self.last_conn += 1;
        let conn = ConnId(self.last_conn);
        self.node.handle_connected(self.now, conn, Codec::Json);
        conn
    }

    /// A message arrives, as a driver takes it. `Err` if it ends the socket.
    pub(crate) fn message(&mut self, conn: ConnId, message: &[u8]) -> Result<(), Close> {
        match Codec::Json.read_client(message) {
            Ok(frame) => {
                self.node.handle_frame(self.now, conn, frame);
                Ok(())
            }
            Err(error) => {
                let close =
                    Close { code: Some(error.close_code()), reason: error.to_string().into() };
                self.node.handle_disconnected(self.now, conn, close.clone());
                Err(close)
            }
        }
    }

    // ---- carrying ----

    /// The two cores here speak with each other at once: both are pumped until neither moves.
    pub(crate) fn pump(&mut self) {
        let rests = (0..ROUNDS).any(|_| !self.pump_both());
        assert!(rests, "the node comes to rest");
        assert_nothing_is_left(left_at_node(&mut self.node, self.now));
        self.honest.has_nothing_left();
    }

    fn pump_both(&mut self) -> bool {
        let (node, last_conn) = (&mut self.node, &mut self.last_conn);
        let ends = pump_client(&mut self.honest.at(node, self.now, last_conn));
        let honest = ends.expect("the honest client comes to rest");
        honest.moved() | pump_node(self).expect("the node comes to rest").moved()
    }

    /// A socket takes what there is.
    pub(crate) fn read(&mut self, conn: ConnId) {
        while let Some(out) = self.node.poll_transmit(self.now, conn) {
            self.sent.push_back((conn, Codec::Json.message(out)));
        }
    }

    /// Lets time pass, and every timer on the way fire at its time.
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        for _ in 0..FIRED {
            let next =
                [self.node.poll_timeout(), self.honest.poll_timeout()].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.node.handle_timeout(self.now);
            self.honest.handle_timeout(self.now);
            while self.ops.front().is_some_and(|(since, ..)| self.now.since(*since) > STORE_MS) {
                self.answer_next();
            }
            self.pump();
        }
    }

    // ---- the application ----

    /// What it answers at once; `None` if the script says when and how.
    fn answers(&mut self, execution: &Execution) -> Option<Executed> {
        Some(match execution {
            Execution::Authenticate { conn, token, .. } => {
                Executed::Authenticated(self.identity(*conn, token.as_deref()))
            }
            Execution::Command { body, principal, lease, n, .. } => {
                self.ran.push((*lease, *n));
                if principal.user() != ANN {
                    return None;
                }
                let publishes = vec![event(room(ANN), body.clone())];
                Executed::Command { outcome: Outcome::Ok(body.clone()), publishes }
            }
            Execution::Authorize { key, .. } | Execution::Snapshot { key, .. }
                if self.hooks_by_hand && **key != *ANN =>
            {
                return None;
            }
            Execution::Volatile { .. } => return None,
            Execution::Authorize { key, .. } if &**key == "no" => {
                Executed::Authorized(Err(UnsubscribeCode::Forbidden))
            }
            Execution::Authorize { .. } => Executed::Authorized(Ok(())),
            Execution::Snapshot { .. } => fixtures::state(Body::UNIT),
        })
    }

    /// By the socket, not by what it says: the hostile one may guess every word.
    fn identity(&self, conn: ConnId, token: Option<&str>) -> Result<Identity, Denied> {
        let principal = Principal::new(if self.honest.is(conn) { ANN } else { MALLORY });
        match token {
            Some("no") => Err(Denied { reason: "no".to_owned() }),
            Some("soon") => Ok(Identity::expiring(principal, Duration::from_secs(1))),
            _ => Ok(Identity::new(principal)),
        }
    }

    /// Ends an execution that waits, in one of several ways.
    pub(crate) fn execute(&mut self, which: usize, what: u64) {
        if self.executions.is_empty() {
            return;
        }
        let Some(execution) = self.executions.remove(which % self.executions.len()) else { return };
        let unit = |topic| event(topic, Body::UNIT);
        let executed = match (&execution, what % 8) {
            (Execution::Command { lease, n, .. }, 0) => {
                // Its body did not fit: it has not run, and the same command would be refused
                // again.
                self.ran.retain(|ran| *ran != (*lease, *n));
                Executed::Refused(RefusalCode::Invalid)
            }
            (Execution::Command { .. }, 1) => {
                Executed::Command { outcome: failed("nope"), publishes: vec![unit(log("0"))] }
            }
            (Execution::Command { .. }, 2) => {
                let publishes = vec![unit(log("0")), unit(room("0"))];
                Executed::Command { outcome: Outcome::Ok(Body::UNIT), publishes }
            }
            (Execution::Command { body, .. }, _) => fixtures::ok(body.clone()),
            (Execution::Volatile { .. }, _) => {
                Executed::Volatile { publishes: vec![unit(log("0"))] }
            }
            (Execution::Authorize { .. }, 0) => {
                Executed::Authorized(Err(UnsubscribeCode::Overload))
            }
            (Execution::Authorize { .. }, _) => Executed::Authorized(Ok(())),
            (Execution::Snapshot { .. }, 0) => Executed::Snapshot(None),
            (Execution::Snapshot { .. }, _) => fixtures::state(Body::UNIT),
            (Execution::Authenticate { .. }, _) => return,
        };
        self.node.handle_executed(self.now, execution.exec(), executed);
    }

    /// Answers an operation that waits: it happens, and mostly that is told.
    pub(crate) fn answer(&mut self, which: usize, what: u64) {
        if self.ops.is_empty() {
            return;
        }
        let Some((_, op, wanted)) = self.ops.remove(which % self.ops.len()) else { return };
        let fails = what % 8 < 3 && self.failures > 0;
        let outcome = match what % 8 {
            0 if fails => StoreOutcome::Failed,
            1 if fails => StoreOutcome::Unknown,
            2 if fails => {
                self.store.apply(self.now, wanted);
                StoreOutcome::Unknown
            }
            _ => self.store.apply(self.now, wanted),
        };
        self.failures -= u32::from(fails);
        self.node.handle_store(self.now, op, outcome);
    }

    // ---- what must hold ----

    /// The store answers at once from here on, oldest operation first.
    pub(crate) fn store_by_itself(&mut self) {
        self.store_by_hand = false;
        while !self.ops.is_empty() {
            self.answer_next();
        }
        self.pump();
    }

    fn answer_next(&mut self) {
        if let Some((_, op, wanted)) = self.ops.pop_front() {
            let outcome = self.store.apply(self.now, wanted);
            self.node.handle_store(self.now, op, outcome);
        }
    }

    /// Its command is answered, and its event arrives after those before.
    pub(crate) fn the_honest_client_is_served(&mut self) {
        self.store_by_itself();
        self.honest.post(self.now);
        let deadline = self.now.after_ms(SERVED_MS);
        self.pump();
        while !self.honest.is_served() {
            let next =
                [self.node.poll_timeout(), self.honest.poll_timeout()].into_iter().flatten().min();
            let wait = next.map_or(SERVED_MS, |at| at.since(self.now)).max(1);
            assert!(self.now <= deadline, "the honest client waits: {:?}", self.honest);
            self.pass(wait);
        }
    }

    /// Whatever was sent: what the node holds is bounded by its configuration, and by what its
    /// sockets may hold.
    pub(crate) fn is_bounded(&self) {
        let (load, config) = (self.node.load(), self.node.config());
        let conns = SOCKETS + 1;
        let subs = conns * config.subscriptions as usize;
        let hooks = conns * (1 + config.volatile_executions as usize) + subs + load.topics;
        assert!(load.connections <= conns, "{load:?}");
        assert!(load.sessions <= config.sessions as usize, "{load:?}");
        assert!(load.executions <= config.executions as usize + hooks, "{load:?}");
        assert!(load.topics <= config.topics_held as usize, "{load:?}");
        assert!(load.snapshot_bytes <= config.snapshots_bytes, "{load:?}");
        assert!(load.answers_waiting <= load.sessions * config.span as usize, "{load:?}");
        assert!(load.leases <= LEASES, "{load:?}");
        // One more of each principal, and one that keeps its order of each lease.
        let waiting = config.commands_waiting as usize + 2 * load.leases;
        assert!(load.commands_waiting <= waiting, "{load:?}");
        assert!(
            load.timers
                <= 8 * (conns + load.sessions + load.leases + load.topics + load.store_operations)
                    + 64
        );
        let bytes = size(&self.node);
        assert!(bytes <= NODE_BYTES, "{bytes} bytes: {load:?}");
        let (held, limits) = (self.store.bytes(), limits());
        assert!(held.replies <= limits.reply_bytes && held.logs <= limits.log_bytes, "{held:?}");
        let bytes = size(&self.store);
        assert!(bytes <= STORE_BYTES, "{bytes} bytes in the store: {held:?}");
    }
}

/// Leases in the table: those of sessions, and those with something under way.
const LEASES: usize = 64;

/// Bytes that the node's state goes over when it is hashed: several times what millions of scripts
/// came to, and less than one script can make it when something grows with every step.
const NODE_BYTES: u64 = 20_000;

/// The same of the store's state.
const STORE_BYTES: u64 = 60_000;

impl NodeHarness for World {
    fn node(&mut self) -> (&mut Node, Now) {
        (&mut self.node, self.now)
    }

    fn event(&mut self, event: NodeEvent) {
        match event {
            NodeEvent::Wake(conn) => drop(self.woken.insert(conn)),
            NodeEvent::Close(conn, close) => {
                assert!(!self.honest.is(conn), "the honest client's socket was closed: {close}");
                self.node.handle_disconnected(self.now, conn, Close::lost("closed"));
                self.woken.remove(&conn);
                self.closed.push((conn, close));
            }
            NodeEvent::Abort(_)
            | NodeEvent::Cancel(_)
            | NodeEvent::Returned(..)
            | NodeEvent::Published(..) => {}
        }
    }

    fn store(&mut self, op: OpId, what: StoreOp) {
        if self.store_by_hand {
            return self.ops.push_back((self.now, op, what));
        }
        let outcome = self.store.apply(self.now, what);
        self.node.handle_store(self.now, op, outcome);
    }

    fn begin(&mut self, execution: Execution) -> Begun {
        let Some(executed) = self.answers(&execution) else {
            self.executions.push_back(execution);
            return Begun::Pends;
        };
        self.node.handle_executed(self.now, execution.exec(), executed);
        Begun::Ended
    }

    fn transmit(&mut self) -> bool {
        let takes: Vec<ConnId> = self.woken.difference(&self.stuck).copied().collect();
        for conn in &takes {
            self.woken.remove(conn);
            if self.honest.is(*conn) {
                self.honest.read(&mut self.node, self.now);
            } else {
                self.read(*conn);
            }
        }
        !takes.is_empty()
    }
}
