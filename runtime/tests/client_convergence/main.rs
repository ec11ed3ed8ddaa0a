//! A client against a small server that keeps the rules of PROTOCOL.md and checks them, over a
//! network that cuts, with a server that forgets sessions and leases, refuses, and trims: each
//! command runs at most once and in order, every outcome is known or reported as unknown, every gap
//! is reported, and nothing stalls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../client_support/mod.rs"]
mod client_support;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use client_support::{Rig, command, lost};
use proptest::prelude::*;
use server::{CREDIT, Server};
use steadfast::session::client::{
    CallId, CallOutcome, ConnectionState, Event, Item, SubId, Submission,
};
use steadfast::wire::{ClientFrame, Position, ResetReason};

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
