//! A node with scripted clients, in virtual time: the test says what clients, handlers and (if it
//! likes) the store do; the bench carries everything else at once and keeps what came out.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses its part"
)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod clients;
mod looks;
mod server;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Display;
use std::sync::Arc;

use steadfast::session::node::{
    ConnId, Executed, Execution, Node, NodeConfig, NodeEvent, StagedPublish, TopicVolatile,
};
use steadfast::session::store::{Decided, DecisionId, OpId, Publication, StoreOp, TopicId};
use steadfast::session::{Close, Now};
use steadfast::store::MemoryState;
use steadfast::wire::{Codec, LeaseGrant, ServerFrame, Welcome, Window};
use steadfast_rig::fixtures::{self, ANN, MALLORY, body};
use steadfast_rig::pump::{Begun, NodeHarness, assert_nothing_is_left, left_at_node, pump_node};

pub const WIDE: Window = Window { frames: 1000, bytes: 1 << 20 };

/// What a scripted client remembers of one socket.
#[derive(Debug, Default, Clone)]
pub struct Peer {
    pub seq: u64,
    pub recv: u64,
    pub low: u64,
    pub welcome: Option<Welcome>,
    pub lease: Option<LeaseGrant>,
    /// Answers may come again.
    pub rewound: bool,
}

pub struct Bench {
    pub node: Node,
    pub now: Now,
    pub store: MemoryState,
    /// What the store finds decided when it writes a record, and how often it has asked.
    pub decisions: BTreeMap<DecisionId, (Decided, u32)>,
    /// Operations stay in `ops` until the test answers them.
    pub by_hand: bool,
    pub ops: VecDeque<(OpId, StoreOp)>,
    pub executions: VecDeque<Execution>,
    /// Authentication and authorization are left to the test.
    pub hooks_by_hand: bool,
    pub events: Vec<NodeEvent>,
    pub frames: BTreeMap<ConnId, Vec<ServerFrame>>,
    pub closed: BTreeMap<ConnId, Close>,
    pub peers: BTreeMap<ConnId, Peer>,
    /// Sockets that take nothing.
    pub stuck: BTreeSet<ConnId>,
    /// Of the sockets that are accepted from here on.
    pub codec: Codec,
    /// Of those that were.
    codecs: BTreeMap<ConnId, Codec>,
    woken: BTreeSet<ConnId>,
    conns: u64,
    dials: u64,
}

pub fn lost() -> Close {
    Close::lost("cut")
}

pub fn event(topic: TopicId, text: impl Display) -> StagedPublish {
    fixtures::event(topic, body(text))
}

pub fn publication(topic: TopicId, text: impl Display) -> Publication {
    fixtures::publication(topic, body(text))
}

pub fn volatile(topic: TopicId, conflation: &str, text: impl Display) -> TopicVolatile {
    fixtures::volatile(topic, conflation, body(text))
}

/// What [`Bench::answers`] should be.
pub fn told_answers(pairs: &[(u64, &str)]) -> Vec<(u64, String)> {
    pairs.iter().map(|(n, what)| (*n, (*what).to_owned())).collect()
}

pub fn config() -> NodeConfig {
    let mut config = fixtures::node_config();
    config.live_entries = 8;
    config
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_| ())
    }

    pub fn with(set: impl FnOnce(&mut NodeConfig)) -> Self {
        let mut config = config();
        set(&mut config);
        Self::of(config, [3; 32])
    }

    pub fn of(config: NodeConfig, seed: [u8; 32]) -> Self {
        let mut bench = Self {
            node: Node::new(Arc::new(config), seed),
            now: Now(1_000),
            store: MemoryState::default(),
            decisions: BTreeMap::new(),
            by_hand: false,
            ops: VecDeque::new(),
            executions: VecDeque::new(),
            hooks_by_hand: false,
            events: Vec::new(),
            frames: BTreeMap::new(),
            closed: BTreeMap::new(),
            peers: BTreeMap::new(),
            stuck: BTreeSet::new(),
            codec: Codec::Json,
            codecs: BTreeMap::new(),
            woken: BTreeSet::new(),
            conns: 0,
            dials: 0,
        };
        bench.act(|node, now| node.start(now));
        bench
    }

    /// Does something to the node, and carries out what follows from it.
    pub fn act<R>(&mut self, act: impl FnOnce(&mut Node, Now) -> R) -> R {
        let result = act(&mut self.node, self.now);
        self.pump();
        result
    }

    fn pump(&mut self) {
        pump_node(self).expect("the node comes to rest");
        assert_nothing_is_left(left_at_node(&mut self.node, self.now));
    }

    /// The socket takes what there is, stuck or not.
    pub fn read(&mut self, conn: ConnId) {
        self.write(conn);
        self.pump();
    }

    fn write(&mut self, conn: ConnId) {
        while let Some(out) = self.node.poll_transmit(self.now, conn) {
            let codec = self.codecs[&conn];
            let message = codec.message(out);
            let frame = codec.read_server(&message).expect("what was written can be read");
            let peer = self.peers.entry(conn).or_default();
            match &frame {
                ServerFrame::Result { seq, .. }
                | ServerFrame::Failed { seq, .. }
                | ServerFrame::Refused { seq, .. }
                | ServerFrame::Direct { seq, .. } => {
                    assert!(
                        peer.rewound || seq.0 == peer.recv + 1,
                        "sequenced frames are numbered without gap"
                    );
                    peer.recv = seq.0;
                }
                ServerFrame::Welcome(welcome) => {
                    peer.seq = welcome.recv.0;
                    if !welcome.resumed {
                        peer.recv = 0;
                    }
                    peer.welcome = Some((**welcome).clone());
                    peer.lease = welcome.lease.clone();
                }
                ServerFrame::Lease(lease) => peer.lease = Some(lease.clone()),
                _ => {}
            }
            self.frames.entry(conn).or_default().push(frame);
        }
    }

    /// Lets time pass, and every timer on the way fire at its time.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now.after_ms(ms);
        while let Some(at) = self.node.poll_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.act(|node, now| node.handle_timeout(now));
        }
        self.now = end;
    }
}

impl NodeHarness for Bench {
    fn node(&mut self) -> (&mut Node, Now) {
        (&mut self.node, self.now)
    }

    fn event(&mut self, event: NodeEvent) {
        match &event {
            NodeEvent::Wake(conn) => drop(self.woken.insert(*conn)),
            NodeEvent::Close(conn, close) => {
                self.closed.insert(*conn, close.clone());
                self.woken.remove(conn);
                self.node.handle_disconnected(self.now, *conn, lost());
            }
            NodeEvent::Abort(_)
            | NodeEvent::Cancel(_)
            | NodeEvent::Returned(..)
            | NodeEvent::Published(..) => {}
        }
        self.events.push(event);
    }

    fn store(&mut self, op: OpId, what: StoreOp) {
        if self.by_hand {
            return self.ops.push_back((op, what));
        }
        let outcome = self.carry_out(what);
        self.node.handle_store(self.now, op, outcome);
    }

    fn begin(&mut self, execution: Execution) -> Begun {
        let executed = match &execution {
            Execution::Authenticate { token, .. } if !self.hooks_by_hand => {
                match token.as_deref().unwrap_or(ANN) {
                    MALLORY => fixtures::denied(),
                    user => fixtures::admitted(user),
                }
            }
            Execution::Authorize { .. } if !self.hooks_by_hand => Executed::Authorized(Ok(())),
            _ => {
                self.executions.push_back(execution);
                return Begun::Pends;
            }
        };
        self.node.handle_executed(self.now, execution.exec(), executed);
        Begun::Ended
    }

    fn transmit(&mut self) -> bool {
        let takes: Vec<ConnId> = self.woken.difference(&self.stuck).copied().collect();
        for conn in &takes {
            self.woken.remove(conn);
            self.write(*conn);
        }
        !takes.is_empty()
    }
}
