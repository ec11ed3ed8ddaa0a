//! Whatever clients, handlers and a store without sense do: the node does not panic, and comes to
//! rest with nothing left.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, event, lost, publication, volatile};
use proptest::prelude::*;
use steadfast::session::Close;
use steadfast::session::node::{ConnId, Executed, Execution, Node, StagedPublish};
use steadfast::session::store::{
    AppendOutcome, Decided, DecisionId, Outcome, StoreOutcome, StoreTime,
};
use steadfast::wire::{
    ClientFrame, CloseCode, CommandFrame, CommandNo, Epoch, FailureCode, MAX_SEQUENCE, Name,
    Position, RefusalCode, Seq, SubNo, Subscribe, TopicNo, TopicSeq, UnsubscribeCode, Window,
};
use steadfast_rig::fixtures::{
    self, CONCURRENT, LOG, ORDERED, ROOM, VOLATILE, body, log, name, room,
};

/// What a model checker needs.
#[test]
fn the_state_of_a_node_can_be_compared_and_hashed() {
    fn needs<T: Clone + Eq + std::hash::Hash + Send>() {}
    needs::<Node>();
    let (mut one, mut other) = (Bench::new(), Bench::new());
    for bench in [&mut one, &mut other] {
        let conn = bench.attach();
        bench.post(conn, 1);
        bench.finish(1);
    }
    assert_eq!(one.node, other.node, "same inputs, same state");
    other.pass(30_000);
    assert_ne!(one.node, other.node);
}

#[derive(Debug, Clone)]
enum Step {
    /// Again as who, whether with its session, and whether it says that it needs no lease yet.
    Connect(Option<usize>, bool, bool),
    Cut(usize, bool),
    /// The next command in sequence, with a number near the last one.
    Command(usize, u64, u8),
    Frame(usize, ClientFrame),
    Executed(usize, u8),
    Store(usize, u8),
    Publish(u8),
    Advanced(u64),
    Rewind(usize, u64),
    Stick(usize),
    Pass(u64),
    Drain,
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0_u64..6, 1 => Just(MAX_SEQUENCE), 1 => 0_u64..=MAX_SEQUENCE]
}

fn frame() -> impl Strategy<Value = ClientFrame> {
    let command =
        (number(), number(), number(), number(), any::<bool>(), proptest::option::of(0_u64..100))
            .prop_map(|(seq, ack, n, low, ordered, deadline_ms)| {
                ClientFrame::Command(CommandFrame {
                    seq: Seq(seq),
                    ack: Seq(ack),
                    n: CommandNo(n),
                    low: CommandNo(low.min(n)),
                    deadline_ms,
                    name: name(if ordered { ORDERED } else { CONCURRENT }),
                    body: body("{}"),
                })
            });
    let subscribe = (
        number(),
        any::<bool>(),
        0_u8..3,
        proptest::option::of(number()),
        proptest::option::of(0_u32..9),
        0_u32..50,
    )
        .prop_map(|(sub, snapshot, key, from, last, credit)| {
            let topic = name(if snapshot { ROOM } else { LOG });
            let from = from.map(|ts| Position { epoch: Epoch(1), ts: TopicSeq(ts) });
            let credit = Window { frames: credit, bytes: credit };
            ClientFrame::Subscribe(Box::new(Subscribe {
                sub: SubNo(sub),
                topic,
                key: key.to_string(),
                from,
                last,
                credit,
            }))
        });
    prop_oneof![
        2 => command,
        4 => subscribe,
        2 => (number(), number()).prop_map(|(ack, low)| ClientFrame::Ack { ack: Seq(ack), low: CommandNo(low) }),
        4 => (number(), number(), number())
            .prop_map(|(topic, ts, bytes)| ClientFrame::Position { topic: TopicNo(topic), ts: TopicSeq(ts), bytes }),
        2 => number().prop_map(|sub| ClientFrame::Unsubscribe { sub: SubNo(sub) }),
        2 => Just(ClientFrame::Volatile { name: name(VOLATILE), body: body("{}") }),
        2 => Just(ClientFrame::Lease),
        4 => number().prop_map(|n| ClientFrame::Cancel { n: CommandNo(n) }),
        1 => number().prop_map(|k| ClientFrame::Ping { k }),
        1 => Just(ClientFrame::Ignored { kind: 200 }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let who = || 0_usize..4;
    prop_oneof![
        3 => (proptest::option::of(who()), any::<bool>(), proptest::bool::weighted(0.3))
            .prop_map(|(again, resume, later)| Step::Connect(again, resume, later)),
        2 => (who(), any::<bool>()).prop_map(|(who, clean)| Step::Cut(who, clean)),
        12 => (who(), 0_u64..4, any::<u8>()).prop_map(|(who, ahead, kind)| Step::Command(who, ahead, kind)),
        8 => (who(), frame()).prop_map(|(who, frame)| Step::Frame(who, frame)),
        12 => (any::<usize>(), any::<u8>()).prop_map(|(which, what)| Step::Executed(which, what)),
        16 => (any::<usize>(), any::<u8>()).prop_map(|(which, what)| Step::Store(which, what)),
        3 => any::<u8>().prop_map(Step::Publish),
        1 => number().prop_map(Step::Advanced),
        1 => (who(), number()).prop_map(|(who, recv)| Step::Rewind(who, recv)),
        1 => who().prop_map(Step::Stick),
        4 => prop_oneof![0_u64..300, 0_u64..40_000].prop_map(Step::Pass),
        1 => proptest::bool::weighted(0.1).prop_map(|yes| if yes { Step::Drain } else { Step::Pass(1) }),
    ]
}

fn conn(bench: &Bench, who: usize) -> Option<ConnId> {
    bench.peers.keys().rev().nth(who).copied()
}

fn executed(execution: &Execution, what: u8) -> Executed {
    let topic = if what.is_multiple_of(2) { log("0") } else { room("0") };
    match (execution, what % 10) {
        (Execution::Command { .. }, 0) => Executed::Refused(RefusalCode::RateLimited),
        (Execution::Command { .. }, 1) => Executed::Refused(RefusalCode::Invalid),
        (Execution::Command { .. }, 2) => {
            let failed = Outcome::failed(FailureCode::Error, Name::EMPTY, body("{}"));
            Executed::Command { outcome: failed, publishes: Vec::new() }
        }
        (Execution::Command { .. }, 9) => Executed::Decides,
        (Execution::Command { .. }, 3..) => {
            let publishes = vec![
                event(topic.clone(), what),
                StagedPublish::Volatile(volatile(topic, "k", what)),
            ];
            Executed::Command { outcome: Outcome::Ok(body(what)), publishes }
        }
        (Execution::Volatile { .. }, 1..) => {
            Executed::Volatile { publishes: vec![event(topic, what)] }
        }
        (Execution::Snapshot { .. }, 2..) => fixtures::state(body("{}")),
        (Execution::Snapshot { .. }, 1) => Executed::Snapshot(None),
        (Execution::Authorize { .. }, 1) => Executed::Authorized(Err(UnsubscribeCode::Forbidden)),
        (Execution::Authorize { .. }, 2..) => Executed::Authorized(Ok(())),
        // An answer that does not fit.
        _ => Executed::Volatile { publishes: Vec::new() },
    }
}

fn nonsense(what: u8) -> StoreOutcome {
    match what % 9 {
        0 => StoreOutcome::LeaseGone,
        1 => StoreOutcome::TopicGone,
        2 => StoreOutcome::Done,
        3 => StoreOutcome::Unsettled { at: StoreTime::default(), records: Vec::new() },
        4 => fixtures::committed(Vec::new()),
        5 => StoreOutcome::Appended(vec![AppendOutcome::Stale; 3]),
        6 => StoreOutcome::Appended(vec![AppendOutcome::Settled; 3]),
        7 => StoreOutcome::Lease {
            at: StoreTime::default(),
            low: CommandNo(2),
            claim: fixtures::claim(9, 9),
            records: Vec::new(),
        },
        _ => StoreOutcome::Lease {
            at: StoreTime::default(),
            low: CommandNo(2),
            claim: fixtures::claim(1, 1),
            records: Vec::new(),
        },
    }
}

fn answer(bench: &mut Bench, which: usize, what: u8, sense: bool) {
    if bench.ops.is_empty() {
        return;
    }
    let at = which % bench.ops.len();
    let (op, wanted) = bench.ops.remove(at).unwrap();
    let outcome = match what % 16 {
        0 => StoreOutcome::Failed,
        1 => {
            bench.carry_out(wanted);
            StoreOutcome::Unknown
        }
        2 if !sense => nonsense(what / 16),
        3 => {
            bench.store = steadfast::store::MemoryState::default();
            bench.carry_out(wanted)
        }
        _ => bench.carry_out(wanted),
    };
    bench.act(|node, now| node.handle_store(now, op, outcome));
}

fn run(bench: &mut Bench, step: Step, sense: bool) {
    match step {
        Step::Connect(again, resume, later) => {
            let known = again
                .and_then(|who| conn(bench, who))
                .filter(|conn| bench.peers[conn].welcome.is_some());
            let mut hello = match known {
                Some(conn) => bench.again(conn),
                None => bench.hello(),
            };
            if !resume {
                hello.resume = None;
            }
            hello.lease_later = later && hello.lease.is_none();
            bench.dial(hello);
        }
        Step::Cut(who, clean) => {
            if let Some(conn) = conn(bench, who) {
                let close = if clean { Close::new(CloseCode::NORMAL, "") } else { lost() };
                bench.act(|node, now| node.handle_disconnected(now, conn, close));
            }
        }
        Step::Command(who, ahead, kind) => {
            let Some(conn) = conn(bench, who) else { return };
            let n = (bench.peers[&conn].seq + 1 + ahead).saturating_sub(1);
            if kind % 5 == 0 {
                bench.peer(conn).low = n.saturating_sub(2).max(1);
            }
            bench.send(conn, if kind % 2 == 0 { CONCURRENT } else { ORDERED }, n, "{}");
        }
        Step::Frame(who, frame) => {
            if let Some(conn) = conn(bench, who) {
                bench.frame(conn, frame);
            }
        }
        Step::Executed(which, what) => {
            if !bench.executions.is_empty() {
                let at = which % bench.executions.len();
                let execution = bench.executions.remove(at).unwrap();
                let answer = executed(&execution, what);
                if answer == Executed::Decides {
                    let publishes = vec![publication(log("0"), what)];
                    let decided = Decided { outcome: Outcome::Ok(body(what)), publishes };
                    bench.decisions.insert(DecisionId(execution.exec().0), (decided, 0));
                }
                bench.executed(&execution, answer);
            }
        }
        Step::Store(which, what) => answer(bench, which, what, sense),
        Step::Publish(what) => {
            let publication = publication(if what % 2 == 0 { log("0") } else { room("0") }, what);
            bench.act(|node, now| node.publish(now, publication));
        }
        Step::Advanced(ts) => {
            let head = Position { epoch: Epoch(1), ts: TopicSeq(ts) };
            bench.hint(&log("0"), head);
        }
        Step::Rewind(who, recv) => {
            if let Some(conn) = conn(bench, who) {
                bench.peer(conn).rewound = true;
                bench.act(|node, now| node.rewind(now, conn, Seq(recv)));
            }
        }
        Step::Stick(who) => {
            if let Some(conn) = conn(bench, who) {
                bench.stuck.insert(conn);
            }
        }
        Step::Pass(ms) => bench.pass(ms),
        Step::Drain => bench.act(|node, now| node.drain(now, 1_000, 10)),
    }
}

/// Everybody leaves, the store answers, every deadline passes: nothing may be left.
fn rest(bench: &mut Bench) {
    bench.by_hand = false;
    for conn in bench.peers.keys().copied().collect::<Vec<_>>() {
        bench.cut(conn);
    }
    for _ in 0..40 {
        bench.store_all();
        bench.executions.clear();
        bench.pass(100_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    /// With a store that keeps its word: no panic, and in the end no session, lease, execution,
    /// operation or timer is left.
    #[test]
    fn nothing_is_left_of_anything(steps in proptest::collection::vec(step(), 1..150)) {
        let mut bench = Bench::with(|config| {
            (config.executions, config.span, config.topics_held, config.subscriptions) = (3, 6, 3, 3);
            (config.lease_queue_bytes, config.publishes_waiting) = (6, 4);
            config.store_patience = Duration::from_millis(150);
            config.live_entries = 2;
        });
        (bench.by_hand, bench.hooks_by_hand) = (true, false);
        for step in steps {
            run(&mut bench, step, true);
            let load = bench.node.load();
            prop_assert!(load.topics <= 3);
        }
        rest(&mut bench);
        let load = bench.node.load();
        let left = [load.connections, load.sessions, load.leases, load.executions, load.store_operations, load.topics];
        prop_assert_eq!(left, [0; 6], "{:?}", load);
        prop_assert_eq!([load.publishes_waiting, load.unsettled, load.timers], [0; 3], "{:?}", load);
    }

    /// With a store that makes no sense at all: no panic.
    #[test]
    fn a_store_without_sense_does_not_harm(steps in proptest::collection::vec(step(), 1..150)) {
        let mut bench = Bench::with(|config| (config.executions, config.span) = (3, 6));
        (bench.by_hand, bench.hooks_by_hand) = (true, false);
        for step in steps {
            run(&mut bench, step, false);
        }
    }
}
