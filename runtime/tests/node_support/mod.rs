//! A node with scripted clients, in virtual time: the test says what clients, handlers and (if it
//! likes) the store do; the bench carries everything else at once and keeps what came out.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file is a crate of its own and uses its part"
)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use steadfast::session::node::{
    ConnId, Denied, ExecId, Executed, Execution, Identity, MessageKind, MessageSpec, Node,
    NodeConfig, NodeEvent, Output, Principal, StagedPublish, TopicSpec, TopicVolatile,
};
use steadfast::session::store::{
    OpId, Outcome, Publication, Retention, StoreOp, StoreOutcome, TopicId,
};
use steadfast::session::{Close, CloseCode, Now};
use steadfast::store::MemoryState;
use steadfast::wire::{
    Body, ClientFrame, Codec, CommandFrame, CommandNo, Dial, Hello, InstanceId, LeaseClaim, Name,
    Position, Resume, Seq, ServerFrame, SubNo, Subscribe, Subscribed, TopicNo, TopicSeq, Welcome,
    Window,
};

pub const WIDE: Window = Window { frames: 1000, bytes: 1 << 20 };

/// What a scripted client remembers of one socket.
#[derive(Debug, Default, Clone)]
pub struct Peer {
    pub seq: u64,
    pub recv: u64,
    pub low: u64,
    pub welcome: Option<Welcome>,
    /// Answers may come again.
    pub rewound: bool,
}

pub struct Bench {
    pub node: Node,
    pub now: Now,
    pub store: MemoryState,
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
    conns: u64,
    dials: u64,
}

pub fn name(text: &'static str) -> Name {
    Name::from_static(text).unwrap()
}

pub fn body(text: impl std::fmt::Display) -> Body {
    Body(text.to_string().into_bytes().into())
}

pub fn lost() -> Close {
    Close::lost("cut")
}

pub fn room(key: &str) -> TopicId {
    TopicId { name: name("room"), key: key.into() }
}

pub fn log(key: &str) -> TopicId {
    TopicId { name: name("log"), key: key.into() }
}

pub fn event(topic: TopicId, text: impl std::fmt::Display) -> StagedPublish {
    StagedPublish::Event(publication(topic, text))
}

pub fn publication(topic: TopicId, text: impl std::fmt::Display) -> Publication {
    Publication { topic, name: name("posted"), bodies: vec![(Codec::Json, body(text))] }
}

pub fn volatile(topic: TopicId, conflation: &str, text: impl std::fmt::Display) -> TopicVolatile {
    let conflation = conflation.into();
    TopicVolatile {
        topic,
        name: name("typing"),
        conflation,
        bodies: vec![(Codec::Json, body(text))],
    }
}

pub fn exec_of(execution: &Execution) -> ExecId {
    match execution {
        Execution::Authenticate { exec, .. }
        | Execution::Command { exec, .. }
        | Execution::Volatile { exec, .. }
        | Execution::Authorize { exec, .. }
        | Execution::Snapshot { exec, .. } => *exec,
    }
}

pub fn config() -> NodeConfig {
    let mut config = NodeConfig::new("chat");
    let kinds = [
        ("ask", 1, MessageKind::Command { ordered: false }),
        ("nudge", 2, MessageKind::Volatile),
        ("post", 0, MessageKind::Command { ordered: true }),
    ];
    for (text, index, kind) in kinds {
        let spec = MessageSpec::new(name(text), index, kind);
        config.add_message(spec.with_limits(Duration::from_secs(10), 1_000));
    }
    let retention = Retention::new(8, Duration::from_secs(600));
    config.add_topic(TopicSpec::new(name("room"), retention, true));
    config.add_topic(TopicSpec::new(name("log"), retention, false));
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
            by_hand: false,
            ops: VecDeque::new(),
            executions: VecDeque::new(),
            hooks_by_hand: false,
            events: Vec::new(),
            frames: BTreeMap::new(),
            closed: BTreeMap::new(),
            peers: BTreeMap::new(),
            stuck: BTreeSet::new(),
            conns: 0,
            dials: 0,
        };
        bench.act(|node, now| node.start(now));
        bench
    }

    // ---- carrying ----

    /// Does something to the node and drains it.
    pub fn act<R>(&mut self, act: impl FnOnce(&mut Node, Now) -> R) -> R {
        let result = act(&mut self.node, self.now);
        self.drain();
        result
    }

    pub fn drain(&mut self) {
        let mut before = None;
        loop {
            match self.node.poll_output(self.now) {
                None => return,
                Some(Output::Execute { execution, ahead: true }) => {
                    // Nothing here begins ahead of its order.
                    let before = before.expect("something is ahead of it");
                    self.node.handle_unbegun(self.now, before, vec![execution]);
                }
                Some(Output::Execute { execution, ahead: false }) => {
                    before = Some(execution.exec());
                    self.take_execution(execution);
                }
                Some(Output::Store(op, what)) if self.by_hand => self.ops.push_back((op, what)),
                Some(Output::Store(op, what)) => {
                    let outcome = self.store.apply(self.now, what);
                    self.node.handle_store(self.now, op, outcome);
                }
                Some(Output::Event(event)) => self.take_event(event),
            }
        }
    }

    fn take_event(&mut self, event: NodeEvent) {
        match &event {
            NodeEvent::Wake(conn) if !self.stuck.contains(conn) => self.read(*conn),
            NodeEvent::Close(conn, close) => {
                self.closed.insert(*conn, close.clone());
                self.node.handle_disconnected(self.now, *conn, lost());
            }
            _ => {}
        }
        self.events.push(event);
    }

    fn take_execution(&mut self, execution: Execution) {
        let executed = match &execution {
            Execution::Authenticate { token, .. } if !self.hooks_by_hand => {
                let user = token.clone().unwrap_or_else(|| "ann".into());
                Executed::Authenticated(match user.as_str() {
                    "mallory" => Err(Denied { reason: "no".into() }),
                    _ => Ok(Identity::new(Principal::new(user))),
                })
            }
            Execution::Authorize { .. } if !self.hooks_by_hand => Executed::Authorized(Ok(())),
            _ => return self.executions.push_back(execution),
        };
        self.node.handle_executed(self.now, exec_of(&execution), executed);
    }

    /// The socket takes what there is.
    pub fn read(&mut self, conn: ConnId) {
        while let Some(out) = self.node.poll_transmit(self.now, conn) {
            let message = Codec::Json.message(out);
            let frame = Codec::Json.read_server(&message).expect("what was written can be read");
            let peer = self.peers.entry(conn).or_default();
            match &frame {
                ServerFrame::Result { seq, .. }
                | ServerFrame::Failed { seq, .. }
                | ServerFrame::Refused { seq, .. } => {
                    assert!(
                        peer.rewound || seq.0 == peer.recv + 1,
                        "answers are numbered without gap"
                    );
                    peer.recv = seq.0;
                }
                ServerFrame::Welcome(welcome) => {
                    peer.seq = welcome.recv.0;
                    if !welcome.resumed {
                        peer.recv = 0;
                    }
                    peer.welcome = Some((**welcome).clone());
                }
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

    // ---- clients ----

    pub fn hello(&mut self) -> Hello {
        self.dials += 1;
        Hello {
            v: 1,
            protocol: "chat".into(),
            version: "1.0".into(),
            token: None,
            instance: InstanceId(7),
            dial: Dial(self.dials),
            window: Window { frames: 256, bytes: 262_144 },
            resume: None,
            lease: None,
        }
    }

    /// A HELLO that goes on where `conn` was.
    pub fn again(&mut self, conn: ConnId) -> Hello {
        let peer = self.peers[&conn].clone();
        let welcome = peer.welcome.expect("WELCOME came");
        let mut hello = self.hello();
        hello.resume =
            Some(Resume { session: welcome.session, token: welcome.token, recv: Seq(peer.recv) });
        let low = CommandNo(peer.low.max(1));
        hello.lease = Some(LeaseClaim { id: welcome.lease.id, low, next: CommandNo(peer.seq + 1) });
        hello
    }

    pub fn accept(&mut self) -> ConnId {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.peers.insert(conn, Peer { low: 1, ..Peer::default() });
        self.act(|node, now| node.handle_connected(now, conn, Codec::Json));
        conn
    }

    pub fn dial(&mut self, hello: Hello) -> ConnId {
        let conn = self.accept();
        if let Some(resume) = &hello.resume {
            self.peer(conn).recv = resume.recv.0;
        }
        self.frame(conn, ClientFrame::Hello(Box::new(hello)));
        conn
    }

    /// A socket with a new session and lease.
    pub fn attach(&mut self) -> ConnId {
        let hello = self.hello();
        let conn = self.dial(hello);
        assert!(self.peers[&conn].welcome.is_some(), "{:?}", self.closed);
        self.ack(conn);
        self.take(conn);
        conn
    }

    /// Loses `conn` and resumes its session.
    pub fn resume(&mut self, conn: ConnId) -> ConnId {
        self.cut(conn);
        let hello = self.again(conn);
        let low = self.peers[&conn].low;
        let next = self.dial(hello);
        self.peer(next).low = low;
        assert!(self.welcome(next).resumed);
        next
    }

    pub fn cut(&mut self, conn: ConnId) {
        self.act(|node, now| node.handle_disconnected(now, conn, lost()));
    }

    pub fn bye(&mut self, conn: ConnId) {
        self.act(|node, now| {
            node.handle_disconnected(now, conn, Close::new(CloseCode::NORMAL, "done"))
        });
    }

    pub fn peer(&mut self, conn: ConnId) -> &mut Peer {
        self.peers.get_mut(&conn).unwrap()
    }

    pub fn welcome(&self, conn: ConnId) -> Welcome {
        self.peers[&conn]
            .welcome
            .clone()
            .unwrap_or_else(|| panic!("no WELCOME: {:?}", self.closed.get(&conn)))
    }

    pub fn frame(&mut self, conn: ConnId, frame: ClientFrame) {
        self.act(|node, now| node.handle_frame(now, conn, frame));
    }

    pub fn ack(&mut self, conn: ConnId) {
        let peer = self.peer(conn);
        let frame = ClientFrame::Ack { ack: Seq(peer.recv), low: CommandNo(peer.low) };
        self.frame(conn, frame);
    }

    /// The next command in sequence.
    pub fn command_frame(
        &mut self,
        conn: ConnId,
        name_: &'static str,
        n: u64,
        text: &str,
    ) -> CommandFrame {
        let peer = self.peer(conn);
        peer.seq += 1;
        let (seq, ack, low) = (Seq(peer.seq), Seq(peer.recv), CommandNo(peer.low));
        CommandFrame {
            seq,
            ack,
            n: CommandNo(n),
            low,
            deadline_ms: None,
            name: name(name_),
            body: body(text),
        }
    }

    pub fn send(&mut self, conn: ConnId, name: &'static str, n: u64, text: &str) {
        let command = self.command_frame(conn, name, n, text);
        self.frame(conn, ClientFrame::Command(command));
    }

    pub fn post(&mut self, conn: ConnId, n: u64) {
        self.send(conn, "post", n, &format!("{{\"n\":{n}}}"));
    }

    pub fn ask(&mut self, conn: ConnId, n: u64) {
        self.send(conn, "ask", n, &format!("{{\"n\":{n}}}"));
    }

    pub fn subscribe(
        &mut self,
        conn: ConnId,
        sub: u64,
        topic: &TopicId,
        from: Option<Position>,
        credit: Window,
    ) {
        let (topic, key) = (topic.name.clone(), topic.key.to_string());
        let subscribe = Subscribe { sub: SubNo(sub), topic, key, from, credit };
        self.frame(conn, ClientFrame::Subscribe(Box::new(subscribe)));
    }

    pub fn position(&mut self, conn: ConnId, topic: TopicNo, ts: u64, bytes: u64) {
        self.frame(conn, ClientFrame::Position { topic, ts: TopicSeq(ts), bytes });
    }

    // ---- handlers ----

    /// The numbers of the commands that were handed out and not answered.
    pub fn running(&self) -> Vec<u64> {
        let number = |execution: &Execution| match execution {
            Execution::Command { n, .. } => Some(n.0),
            _ => None,
        };
        self.executions.iter().filter_map(number).collect()
    }

    /// Takes an execution of a command out of those that run.
    pub fn started(&mut self, n: u64) -> Execution {
        let is = |execution: &Execution| matches!(execution, Execution::Command { n: of, .. } if of.0 == n);
        let at = self.executions.iter().position(is).unwrap_or_else(|| panic!("{n} does not run"));
        self.executions.remove(at).unwrap()
    }

    pub fn executed(&mut self, execution: &Execution, executed: Executed) {
        let exec = exec_of(execution);
        self.act(|node, now| node.handle_executed(now, exec, executed));
    }

    pub fn finish(&mut self, n: u64) {
        self.finish_with(n, Outcome::Ok(body(format!("{{\"done\":{n}}}"))), Vec::new());
    }

    pub fn finish_with(&mut self, n: u64, outcome: Outcome, publishes: Vec<StagedPublish>) {
        let execution = self.started(n);
        self.executed(&execution, Executed::Command { outcome, publishes });
    }

    pub fn publish(&mut self, topic: &TopicId, text: impl std::fmt::Display) {
        let publication = publication(topic.clone(), text);
        self.act(|node, now| node.publish(now, publication));
    }

    /// Answers the state hook that runs.
    pub fn snapshot(&mut self, text: Option<&str>) {
        let at = self
            .executions
            .iter()
            .position(|execution| matches!(execution, Execution::Snapshot { .. }));
        let execution = self.executions.remove(at.expect("a state hook runs")).unwrap();
        let state = text.map(|text| (name("state"), vec![(Codec::Json, body(text))]));
        self.executed(&execution, Executed::Snapshot(state));
    }

    // ---- the store ----

    /// Answers the oldest operation that waits.
    pub fn outcome(&mut self, outcome: StoreOutcome) {
        let (op, _) = self.ops.pop_front().expect("an operation waits");
        self.act(|node, now| node.handle_store(now, op, outcome));
    }

    /// Carries the oldest operation out, and tells.
    pub fn store_one(&mut self) {
        let (op, what) = self.ops.pop_front().expect("an operation waits");
        let outcome = self.store.apply(self.now, what);
        self.act(|node, now| node.handle_store(now, op, outcome));
    }

    pub fn store_all(&mut self) {
        while !self.ops.is_empty() {
            self.store_one();
        }
    }

    // ---- looks ----

    /// What went out on a socket since the last look.
    pub fn take(&mut self, conn: ConnId) -> Vec<ServerFrame> {
        self.frames.remove(&conn).unwrap_or_default()
    }

    pub fn code(&self, conn: ConnId) -> Option<u16> {
        self.closed.get(&conn).and_then(|close| close.code).map(|code| code.0)
    }

    /// Answers since the last look: number and what it was.
    pub fn answers(&mut self, conn: ConnId) -> Vec<(u64, String)> {
        self.take(conn).into_iter().filter_map(answer).collect()
    }

    /// What came of topics since the last look.
    pub fn topics(&mut self, conn: ConnId) -> Vec<String> {
        self.take(conn).into_iter().filter_map(told).collect()
    }

    pub fn subscribed(&mut self, conn: ConnId) -> Subscribed {
        let frames = self.take(conn).into_iter();
        let mut subscribed = frames.filter_map(|frame| {
            if let ServerFrame::Subscribed(frame) = frame { Some(*frame) } else { None }
        });
        subscribed.next().expect("SUBSCRIBED came")
    }
}

fn answer(frame: ServerFrame) -> Option<(u64, String)> {
    let dup = |dup: bool| if dup { " again" } else { "" };
    Some(match frame {
        ServerFrame::Result { n, dup: again, .. } => (n.0, format!("ok{}", dup(again))),
        ServerFrame::Failed { n, dup: again, code, .. } => (n.0, format!("{code:?}{}", dup(again))),
        ServerFrame::Refused { n, code, .. } => (n.0, format!("refused {code:?}")),
        _ => return None,
    })
}

fn told(frame: ServerFrame) -> Option<String> {
    Some(match frame {
        ServerFrame::Event { ts, .. } => format!("event {ts}"),
        ServerFrame::Snapshot { ts, .. } => format!("snapshot {ts}"),
        ServerFrame::Skip { ts, .. } => format!("skip {ts}"),
        ServerFrame::TopicVolatile { body, .. } => format!("volatile {body:?}"),
        ServerFrame::Subscribed(frame) => match frame.reset {
            Some(reset) => format!("{reset:?} at {}", frame.ts),
            None => format!("on from {}", frame.ts),
        },
        ServerFrame::Unsubscribed { code, .. } => format!("ended {code:?}"),
        _ => return None,
    })
}

pub fn told_answers(pairs: &[(u64, &str)]) -> Vec<(u64, String)> {
    pairs.iter().map(|(n, what)| (*n, (*what).to_owned())).collect()
}
