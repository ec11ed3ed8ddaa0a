//! A client against a small server that keeps the rules of PROTOCOL.md and checks them, over a
//! network that cuts, with a server that forgets sessions and leases, refuses, and trims: each
//! command runs at most once and in order, every outcome is known or reported as unknown, every gap
//! is reported, and nothing stalls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod client_support;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use client_support::{Rig, command, lost, name};
use proptest::prelude::*;
use steadfast::session::client::{
    CallId, CallOutcome, ConnectionState, Event, Item, SubId, Submission,
};
use steadfast::wire::{
    Body, ClientFrame, CommandFrame, CommandNo, Dial, Epoch, Hello, LeaseId, Position, RefusalCode,
    ResetReason, ResumeFailure, ResumeToken, Seq, ServerFrame, SessionId, Subscribe, Subscribed,
    TopicNo, TopicSeq, Window,
};

const WINDOW: Window = Window { frames: 4, bytes: 12 };
const SPAN: u32 = 6;
const CREDIT: Window = Window { frames: 6, bytes: 500 };
const RETRY_MS: u64 = 50;

#[derive(Debug, Clone, Copy)]
enum Step {
    Submit,
    Publish,
    Poll,
    Up,
    Down,
    Cut,
    ForgetSession,
    ForgetLease,
    Refuse(u8),
    Trim,
    NewEpoch,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Submit),
        6 => Just(Step::Publish),
        6 => Just(Step::Poll),
        12 => Just(Step::Up),
        12 => Just(Step::Down),
        2 => Just(Step::Cut),
        1 => Just(Step::ForgetSession),
        1 => proptest::bool::weighted(0.3).prop_map(|yes| if yes { Step::ForgetLease } else { Step::Up }),
        2 => (1_u8..4).prop_map(Step::Refuse),
        1 => Just(Step::Trim),
        1 => proptest::bool::weighted(0.3).prop_map(|yes| if yes { Step::NewEpoch } else { Step::Trim }),
        3 => (0_u64..400).prop_map(Step::Pass),
        1 => Just(Step::Pass(2_000)),
    ]
}

struct Session {
    id: u128,
    tokens: (u128, u128),
    recv: u64,
    told: u64,
    sent: u64,
    retained: VecDeque<(u64, u64, bool)>,
}

struct Feed {
    cursor: u64,
    position: u64,
    sent: u64,
    reported: u64,
    credit: Window,
    sub: steadfast::wire::SubNo,
    number: TopicNo,
    /// SNAPSHOT comes next.
    snapshot: bool,
}

#[derive(Default)]
struct Server {
    attached: Option<Dial>,
    ids: u128,
    session: Option<Session>,
    lease: Option<u128>,
    records: BTreeMap<u64, Body>,
    gate: BTreeSet<u64>,
    refuse: u8,
    executed: Vec<u64>,
    epoch: u64,
    head: u64,
    trimmed: u64,
    snapshots: bool,
    feed: Option<Feed>,
    feeds: u64,
    down: VecDeque<ServerFrame>,
}

impl Server {
    fn id(&mut self) -> u128 {
        self.ids += 1;
        self.ids
    }

    fn hear(&mut self, dial: Dial, frame: ClientFrame, rig: &Rig) {
        match frame {
            ClientFrame::Hello(hello) => return self.hello(dial, &hello, rig),
            ClientFrame::Command(command) => {
                self.acked(command.ack);
                self.command(command);
            }
            ClientFrame::Ack { ack, .. } => self.acked(ack),
            ClientFrame::Subscribe(ask) => self.subscribe(&ask),
            ClientFrame::Position { topic, ts, bytes } => {
                if let Some(feed) = self.feed.as_mut().filter(|feed| feed.number == topic) {
                    assert!(
                        ts.0 <= feed.cursor && bytes <= feed.sent,
                        "a position above what was sent"
                    );
                    feed.position = feed.position.max(ts.0);
                    feed.reported = feed.reported.max(bytes);
                }
            }
            ClientFrame::Ping { k } => self.down.push_back(ServerFrame::Pong { k }),
            _ => {}
        }
        if let Some(session) = &mut self.session {
            session.tokens.1 = session.tokens.0;
        }
        self.pump();
    }

    fn hello(&mut self, dial: Dial, hello: &Hello, rig: &Rig) {
        self.attached = Some(dial);
        self.feed = None;
        self.down.clear();
        let token = self.id();
        let resumed = match (&hello.resume, &mut self.session) {
            (Some(resume), Some(session)) if session.id == resume.session.0 => {
                let known = [session.tokens.0, session.tokens.1].contains(&resume.token.0);
                assert!(known, "a token that the session does not accept");
                session.tokens = (token, resume.token.0);
                while session.retained.front().is_some_and(|(seq, ..)| *seq <= resume.recv.0) {
                    session.retained.pop_front();
                }
                true
            }
            _ => false,
        };
        let claimed = hello.lease.as_ref().map(|claim| claim.id.0);
        if claimed.is_none() || claimed != self.lease {
            assert!(!resumed);
            self.lease = Some(self.id());
            self.records.clear();
            self.gate.clear();
        }
        if !resumed {
            if hello.resume.is_some() {
                self.down.push_back(ServerFrame::ResumeFailed { reason: ResumeFailure::Unknown });
            }
            let id = self.id();
            let retained = VecDeque::new();
            self.session =
                Some(Session { id, tokens: (token, token), recv: 0, told: 0, sent: 0, retained });
        }
        let session = self.session.as_mut().unwrap();
        session.told = session.recv;
        let mut welcome = rig.welcome(resumed, session.recv);
        (welcome.session, welcome.token) = (SessionId(session.id), ResumeToken(token));
        welcome.window = WINDOW;
        let lease = welcome.lease.as_mut().unwrap();
        (lease.id, lease.span) = (LeaseId(self.lease.unwrap()), SPAN);
        self.down.push_back(ServerFrame::Welcome(Box::new(welcome)));
        let again: Vec<_> = session.retained.iter().copied().collect();
        for (seq, n, done) in again {
            self.answer_at(seq, n, done);
        }
    }

    fn acked(&mut self, ack: Seq) {
        let session = self.session.as_mut().unwrap();
        assert!(ack.0 <= session.sent);
        while session.retained.front().is_some_and(|(seq, ..)| *seq <= ack.0) {
            session.retained.pop_front();
        }
    }

    fn command(&mut self, command: CommandFrame) {
        let session = self.session.as_mut().unwrap();
        assert_eq!(command.seq.0, session.recv + 1, "a gap in the sequence");
        let ahead = command.seq.0 - session.told;
        assert!(ahead <= u64::from(WINDOW.frames), "beyond the window");
        session.recv = command.seq.0;
        let n = command.n.0;
        assert!(command.low <= command.n && n - command.low.0 < u64::from(SPAN), "beyond the span");
        if let Some(body) = self.records.get(&n) {
            assert_eq!(*body, command.body, "a number used for two commands");
            return self.answer(n, true);
        }
        let held_back = self.gate.first().is_some_and(|first| *first < n);
        if self.refuse > 0 || held_back {
            self.refuse = self.refuse.saturating_sub(1);
            self.gate.insert(n);
            return self.answer(n, false);
        }
        self.gate.remove(&n);
        let text = std::str::from_utf8(command.body.as_bytes()).unwrap().parse().unwrap();
        assert!(self.executed.last().is_none_or(|last| *last < text), "out of order, or twice");
        self.executed.push(text);
        self.records.insert(n, command.body);
        self.answer(n, true);
    }

    fn answer(&mut self, n: u64, done: bool) {
        let session = self.session.as_mut().unwrap();
        session.sent += 1;
        let seq = session.sent;
        session.retained.push_back((seq, n, done));
        self.answer_at(seq, n, done);
    }

    fn answer_at(&mut self, seq: u64, n: u64, done: bool) {
        let session = self.session.as_mut().unwrap();
        session.told = session.recv;
        let (seq, ack, n) = (Seq(seq), Seq(session.recv), CommandNo(n));
        self.down.push_back(match done {
            true => ServerFrame::Result { seq, ack, n, dup: false, body: Body::UNIT },
            false => ServerFrame::Refused {
                seq,
                ack,
                n,
                code: RefusalCode::Overload,
                retry_ms: RETRY_MS,
            },
        });
    }

    fn subscribe(&mut self, ask: &Subscribe) {
        let reset = match ask.from {
            None => Some(ResetReason::Initial),
            Some(from) if from.epoch.0 != self.epoch => Some(ResetReason::Epoch),
            Some(from) if from.ts.0 > self.head => Some(ResetReason::Ahead),
            Some(from) if from.ts.0 < self.trimmed => Some(ResetReason::Trimmed),
            Some(_) => None,
        };
        let from = ask.from.map_or(0, |from| from.ts.0);
        self.feed = Some(Feed {
            cursor: from,
            position: from,
            sent: 0,
            reported: 0,
            credit: ask.credit,
            sub: ask.sub,
            number: TopicNo(0),
            snapshot: false,
        });
        self.begin(reset);
    }

    /// SUBSCRIBED. A new epoch gets a new number; otherwise number and bytes go on (PROTOCOL.md
    /// 7.6, 7.8).
    fn begin(&mut self, reset: Option<ResetReason>) {
        let Some(feed) = self.feed.as_mut() else { return };
        if feed.number == TopicNo(0) || reset == Some(ResetReason::Epoch) {
            self.feeds += 1;
            feed.number = TopicNo(self.feeds);
        }
        let snapshot = self.snapshots && reset.is_some();
        if reset.is_some() {
            feed.cursor =
                if snapshot { self.head } else { self.trimmed.max(self.head.saturating_sub(2)) };
            feed.position = feed.cursor;
        }
        feed.snapshot = snapshot;
        let (number, ts) = (feed.number, TopicSeq(feed.cursor));
        let (epoch, head) = (Epoch(self.epoch), TopicSeq(self.head));
        let subscribed =
            Subscribed { sub: feed.sub, number, epoch, ts, head, snapshot, reset, credit: None };
        self.down.push_back(ServerFrame::Subscribed(Box::new(subscribed)));
    }

    fn pump(&mut self) {
        if self.feed.as_ref().is_some_and(|feed| !feed.snapshot && feed.cursor < self.trimmed) {
            self.begin(Some(ResetReason::Trimmed));
        }
        let Some(feed) = self.feed.as_mut() else { return };
        let bytes = client_support::MESSAGE_BYTES as u64;
        while feed.sent - feed.reported < u64::from(feed.credit.bytes) {
            let topic = feed.number;
            if std::mem::take(&mut feed.snapshot) {
                (feed.cursor, feed.position) = (self.head, self.head);
                let ts = TopicSeq(self.head);
                self.down.push_back(ServerFrame::Snapshot {
                    topic,
                    ts,
                    name: name("state"),
                    body: Body::UNIT,
                });
            } else if feed.cursor < self.head
                && feed.cursor < feed.position + u64::from(feed.credit.frames)
            {
                feed.cursor += 1;
                let ts = TopicSeq(feed.cursor);
                self.down.push_back(ServerFrame::Event {
                    topic,
                    ts,
                    name: name("posted"),
                    body: Body::UNIT,
                });
            } else {
                return;
            }
            feed.sent += bytes;
        }
    }
}

struct World {
    rig: Rig,
    server: Server,
    up: VecDeque<ClientFrame>,
    sub: SubId,
    submitted: Vec<CallId>,
    outcomes: BTreeMap<CallId, CallOutcome>,
    seen: Option<Position>,
}

impl World {
    fn new(snapshots: bool) -> Self {
        let mut rig = Rig::with(|config| {
            config.credit = CREDIT;
            config.outbox_age = Duration::MAX;
            config.backoff.attempts = None;
            config.backoff.elapsed = None;
            config.ack_frames = 3;
        });
        let sub = rig.subscribe(None);
        rig.start();
        let server = Server { snapshots, epoch: 1, ..Server::default() };
        let (up, outcomes) = (VecDeque::new(), BTreeMap::new());
        Self { rig, server, up, sub, submitted: Vec::new(), outcomes, seen: None }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Submit => {
                let text = self.submitted.len() + 1;
                let patient = Submission { timeout_ms: u64::MAX, ..command(text) };
                let call = self.rig.act(|client, now| client.submit(now, patient)).unwrap();
                self.submitted.push(call);
            }
            Step::Publish => {
                self.server.head += 1;
                self.server.pump();
            }
            Step::Poll => self.poll(),
            Step::Up => self.up(),
            Step::Down => {
                if let Some(frame) = self.server.down.pop_front() {
                    self.rig.frame(frame);
                    let sound = self.rig.closes().is_empty();
                    assert!(
                        sound,
                        "the client calls a sound server broken: {:?}",
                        self.rig.closes()
                    );
                }
            }
            Step::Cut => {
                self.rig.closed(lost());
                self.gone();
            }
            Step::ForgetSession => {
                self.step(Step::Cut);
                self.server.session = None;
            }
            Step::ForgetLease => {
                self.step(Step::ForgetSession);
                self.server.lease = None;
            }
            Step::Refuse(count) => self.server.refuse = count,
            Step::Trim => {
                self.server.trimmed = self.server.head;
                self.server.pump();
            }
            Step::NewEpoch => {
                self.server.epoch += 1;
                self.server.head = 0;
                self.server.trimmed = 0;
                self.server.begin(Some(ResetReason::Epoch));
            }
            Step::Pass(ms) => self.rig.pass(ms),
        }
        self.note();
    }

    /// Both directions of the socket are lost.
    fn gone(&mut self) {
        self.up.clear();
        self.rig.sent.clear();
        self.server.down.clear();
        self.server.attached = None;
        self.server.feed = None;
    }

    fn up(&mut self) {
        let dial = self.rig.dial;
        if self.server.attached != Some(dial) {
            self.up.clear();
            self.server.down.clear();
            self.server.feed = None;
            self.rig.act(|client, now| client.handle_connected(now, dial, None));
            self.note();
        }
        if let Some(frame) = self.up.pop_front() {
            self.server.hear(dial, frame, &self.rig);
        }
    }

    fn note(&mut self) {
        let (events, frames) = self.rig.take();
        if events
            .iter()
            .any(|event| matches!(event, Event::Dial { .. } | Event::CloseSocket { .. }))
        {
            self.gone();
        }
        self.up.extend(frames);
        for event in events {
            if let Event::Resolved { call, outcome } = event {
                assert_eq!(self.outcomes.insert(call, outcome), None, "resolved twice");
            }
        }
    }

    fn poll(&mut self) {
        let Some(item) = self.rig.item(self.sub) else { return };
        match item {
            Item::Event { position, .. } => {
                if let Some(seen) = self.seen {
                    let next = Position { epoch: seen.epoch, ts: seen.ts.next() };
                    assert_eq!(position, next, "a gap that was not reported, or a duplicate");
                }
                self.seen = Some(position);
            }
            Item::Snapshot { position, gap, .. } => {
                assert_eq!(gap.is_some(), self.seen.is_some());
                assert!(gap.is_none_or(|gap| gap.last == self.seen));
                self.seen = Some(position);
            }
            Item::Gap(gap) => {
                assert!(
                    gap.last == self.seen || self.seen.is_none(),
                    "{gap:?} after {:?}",
                    self.seen
                );
                self.seen = Some(Position { epoch: gap.epoch, ts: gap.resumes_after });
            }
            Item::Volatile { .. } => {}
        }
    }

    /// No more faults: everything must come to its end.
    fn settle(&mut self) {
        self.server.refuse = 0;
        for _ in 0..400 {
            for _ in 0..30 {
                [Step::Up, Step::Down, Step::Poll].into_iter().for_each(|step| self.step(step));
            }
            self.step(Step::Pass(500));
        }
        assert!(matches!(self.rig.client.state(), ConnectionState::Connected { .. }));
        assert_eq!(self.rig.client.outbox(), (0, 0), "a command never ended");
        let sent = self.server.feed.as_ref().map(|feed| feed.cursor);
        assert_eq!(sent, Some(self.server.head), "a subscription stalled");
        // Who has seen nothing began silently at the head.
        assert!(
            self.seen.is_none_or(|seen| seen.ts.0 == self.server.head),
            "an item was not handed out"
        );
    }

    fn judge(&self) {
        for (index, call) in self.submitted.iter().enumerate() {
            let ran = self.server.executed.contains(&(index as u64 + 1));
            match self.outcomes.get(call) {
                Some(CallOutcome::Reply(_)) => assert!(ran, "a reply to what never ran"),
                Some(CallOutcome::OutcomeUnknown) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 5_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn everything_ends_well_over_a_bad_network(snapshots: bool, steps in proptest::collection::vec(step(), 1..300)) {
        let mut world = World::new(snapshots);
        for step in steps {
            world.step(step);
        }
        world.settle();
        world.judge();
    }
}
