//! Topics at the server: places, gaps, snapshots, volatiles (PROTOCOL.md section 7).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, WIDE, config, event, publication, volatile};
use steadfast::session::node::{ConnId, Executed, Execution, NodeEvent, Output, PublishError};
use steadfast::session::store::{Outcome, StoreOp, StoreOutcome, TopicId};
use steadfast::wire::{
    ClientFrame, Epoch, Position, ServerFrame, SubNo, Subscribe, TopicNo, TopicSeq, UnsubscribeCode,
};
use steadfast_rig::fixtures::{body, log, room, undeclared};

fn published(count: u64, topic: &TopicId) -> Bench {
    let mut bench = Bench::new();
    (1..=count).for_each(|n| bench.publish(topic, n));
    bench
}

fn at(bench: &Bench, topic: &TopicId, ts: u64) -> Position {
    Position {
        epoch: bench.node.topic_head(topic).expect("the topic is held").epoch,
        ts: TopicSeq(ts),
    }
}

/// Opens a topic so that its epoch is known.
fn held(bench: &mut Bench, topic: &TopicId) -> (ConnId, TopicNo) {
    let conn = bench.attach();
    bench.subscribe(conn, 1, topic, None, WIDE);
    if topic.name == room("").name {
        bench.snapshot(Some("{}"));
    }
    let number = bench.subscribed(conn).number;
    (conn, number)
}

/// PROTOCOL.md 7.5
#[test]
fn a_first_subscription_starts_at_the_head() {
    let mut bench = published(3, &log("a"));
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.publish(&log("a"), 4);
    assert_eq!(bench.topics(conn), ["Initial at 3", "event 4"]);
}

/// PROTOCOL.md 7.5: the next frame of this topic is SNAPSHOT.
#[test]
fn a_first_subscription_with_a_state_hook_gets_the_snapshot_first() {
    let mut bench = published(3, &room("a"));
    let conn = bench.attach();
    bench.subscribe(conn, 1, &room("a"), None, WIDE);
    bench.publish(&room("a"), 4);
    assert_eq!(bench.topics(conn), ["Initial at 3"]);
    bench.snapshot(Some("{}"));
    assert_eq!(bench.topics(conn), ["snapshot 3", "event 4"]);
}

/// PROTOCOL.md 7.4, 7.6: a position equal to the head is never a gap.
#[test]
fn a_subscription_continues_from_its_position() {
    let mut bench = published(3, &log("a"));
    held(&mut bench, &log("a"));
    for (from, expected) in [(3, vec!["on from 3"]), (1, vec!["on from 1", "event 2", "event 3"])] {
        let conn = bench.attach();
        let position = at(&bench, &log("a"), from);
        bench.subscribe(conn, 1, &log("a"), Some(position), WIDE);
        assert_eq!(bench.topics(conn), expected);
    }
}

/// PROTOCOL.md 7.5: nothing is lost that is still held, unless a state replaces it.
#[test]
fn what_cannot_be_continued_says_why_and_goes_on_with_what_is_held() {
    let mut bench = published(30, &log("a"));
    (1..=30).for_each(|n| bench.publish(&room("a"), n));
    let other = Position { epoch: Epoch(1), ts: TopicSeq(3) };
    for topic in [log("a"), room("a")] {
        held(&mut bench, &topic);
        let state = topic == room("a");
        let oldest = if state { 30 } else { 22 };
        let trimmed = std::iter::once(format!("Trimmed at {oldest}"));
        let trimmed = trimmed.chain((oldest + 1..=30).map(|ts| format!("event {ts}"))).collect();
        let cases = [
            (at(&bench, &topic, 3), trimmed),
            (at(&bench, &topic, 31), vec!["Ahead at 30".to_owned()]),
            (other, vec!["Epoch at 30".to_owned()]),
        ];
        for (from, expected) in cases {
            let conn = bench.attach();
            bench.subscribe(conn, 1, &topic, Some(from), WIDE);
            assert_eq!(bench.topics(conn), expected);
        }
    }
}

/// PROTOCOL.md 7.5
#[test]
fn a_resume_after_everything_has_expired_begins_at_the_head() {
    let mut bench = published(30, &log("a"));
    held(&mut bench, &log("a"));
    let from = at(&bench, &log("a"), 29);
    bench.pass(600_001);
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), Some(from), WIDE);
    assert_eq!(bench.topics(conn), ["Trimmed at 30"]);
}

/// PROTOCOL.md 7.5: a client may have seen more than this node; only a read that began after it
/// came can say.
#[test]
fn a_position_beyond_what_a_node_has_read_is_no_gap() {
    let mut bench = published(3, &log("a"));
    held(&mut bench, &log("a"));
    let mut other = Bench::of(config(), [9; 32]);
    let position = at(&bench, &log("a"), 4);
    bench.by_hand = true;
    let head = Position { ts: TopicSeq(9), ..position };
    bench.hint(&log("a"), head);
    let (op, read) = bench.ops.pop_front().expect("a read");
    let stale = bench.store.apply(bench.now, read);
    std::mem::swap(&mut bench.store, &mut other.store);
    other.publish(&log("a"), 4);
    std::mem::swap(&mut bench.store, &mut other.store);
    bench.by_hand = false;
    let conn = bench.attach();
    bench.by_hand = true;
    bench.subscribe(conn, 1, &log("a"), Some(position), WIDE);
    bench.act(|node, now| node.handle_store(now, op, stale));
    assert!(bench.topics(conn).is_empty());
    bench.store_all();
    assert_eq!(bench.topics(conn), ["on from 4"]);
}

/// PROTOCOL.md 7.1: an answer that is older than an append which was heard of is no log rolled
/// back.
#[test]
fn a_read_that_is_overtaken_by_an_append_is_no_gap() {
    let mut bench = published(3, &log("a"));
    let (conn, _) = held(&mut bench, &log("a"));
    bench.by_hand = true;
    let head = at(&bench, &log("a"), 9);
    bench.hint(&log("a"), head);
    let (op, read) = bench.ops.pop_front().expect("a read");
    let old = bench.store.apply(bench.now, read);
    bench.publish(&log("a"), 4);
    bench.store_one();
    bench.act(|node, now| node.handle_store(now, op, old));
    bench.store_all();
    assert_eq!(bench.topics(conn), ["event 4"]);
}

/// PROTOCOL.md 7.6, 7.8: a new epoch has a new number; what the client says under the old one is
/// not heard.
#[test]
fn a_new_epoch_gets_a_new_number_and_a_reset() {
    let mut bench = published(3, &log("a"));
    let (conn, number) = held(&mut bench, &log("a"));
    bench.store = steadfast::store::MemoryState::default();
    bench.publish(&log("a"), 1);
    bench.publish(&log("a"), 2);
    let frames = bench.take(conn);
    let [ServerFrame::Subscribed(anew), ServerFrame::Event { topic, ts, .. }] = &frames[..] else {
        panic!("{frames:?}")
    };
    assert_ne!(anew.number, number);
    assert_eq!((*topic, ts.0, anew.ts.0, anew.head.0), (anew.number, 2, 1, 1));
    bench.position(conn, number, 99, 99);
    assert_eq!(bench.code(conn), None);
}

/// Events that another node has appended arrive when this one hears of them.
#[test]
fn events_of_another_node_are_read() {
    let mut bench = published(3, &log("a"));
    let (conn, _) = held(&mut bench, &log("a"));
    let mut other = Bench::of(config(), [9; 32]);
    std::mem::swap(&mut bench.store, &mut other.store);
    (4..=6).for_each(|n| other.publish(&log("a"), n));
    std::mem::swap(&mut bench.store, &mut other.store);
    let head = at(&bench, &log("a"), 6);
    bench.hint(&log("a"), head);
    assert_eq!(bench.topics(conn), ["event 4", "event 5", "event 6"]);
}

/// An append by this node finds that another one was there before.
#[test]
fn an_append_behind_another_nodes_is_read_too() {
    let mut bench = published(3, &log("a"));
    let (conn, _) = held(&mut bench, &log("a"));
    let mut other = Bench::of(config(), [9; 32]);
    std::mem::swap(&mut bench.store, &mut other.store);
    other.publish(&log("a"), 4);
    std::mem::swap(&mut bench.store, &mut other.store);
    bench.publish(&log("a"), 5);
    // The earlier one may be on its way.
    bench.pass(50);
    assert_eq!(bench.topics(conn), ["event 4", "event 5"]);
}

/// One call of the state hook serves all that wait, also those who come while it runs.
#[test]
fn one_snapshot_serves_all_that_wait() {
    let mut bench = published(2, &room("a"));
    let conns: Vec<_> = (0..3).map(|_| bench.attach()).collect();
    bench.subscribe(conns[0], 1, &room("a"), None, WIDE);
    bench.publish(&room("a"), 3);
    bench.subscribe(conns[1], 1, &room("a"), None, WIDE);
    bench.subscribe(conns[2], 1, &room("a"), None, WIDE);
    assert_eq!(bench.executions.len(), 1);
    bench.snapshot(Some("{}"));
    for conn in conns {
        assert_eq!(bench.topics(conn), ["Initial at 2", "snapshot 2", "event 3"]);
    }
    assert!(bench.executions.is_empty());
}

/// A state that the log has left behind by the time that it is there is read again, a bounded
/// number of times.
#[test]
fn a_snapshot_that_the_log_has_left_behind_is_taken_again() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &room("a"), None, WIDE);
    (1..=20).for_each(|n| bench.publish(&room("a"), n));
    bench.snapshot(Some("{}"));
    assert_eq!(bench.topics(conn), ["Initial at 0"]);
    bench.snapshot(Some("{}"));
    assert_eq!(bench.topics(conn), ["snapshot 20"]);
    let conn = bench.attach();
    bench.subscribe(conn, 1, &room("a"), None, WIDE);
    for n in 0..4 {
        (1..=20).for_each(|n| bench.publish(&room("a"), n));
        bench.snapshot(Some("{}"));
        assert_eq!(bench.topics(conn).last().map(String::as_str) == Some("ended Internal"), n == 3);
    }
}

/// PROTOCOL.md 7.10
#[test]
fn a_snapshot_that_fails_or_is_late_ends_the_subscription_for_now() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &room("a"), None, WIDE);
    bench.snapshot(None);
    assert_eq!(bench.topics(conn), ["Initial at 0", "ended Internal"]);
    bench.subscribe(conn, 2, &room("a"), None, WIDE);
    bench.pass(10_000);
    assert_eq!(bench.topics(conn), ["Initial at 0", "ended Internal"]);
}

/// PROTOCOL.md 7.3, 7.10
#[test]
fn what_may_not_be_subscribed_is_told() {
    let mut bench = Bench::with(|config| config.subscriptions = 2);
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.subscribe(conn, 2, &log("a"), None, WIDE);
    let none = undeclared();
    bench.subscribe(conn, 3, &none, None, WIDE);
    bench.subscribe(conn, 4, &log(&"k".repeat(257)), None, WIDE);
    bench.subscribe(conn, 5, &log("b"), None, WIDE);
    bench.subscribe(conn, 6, &log("c"), None, WIDE);
    let ends =
        ["ended Duplicate", "ended Unsupported", "ended Invalid", "Initial at 0", "ended Overload"];
    assert_eq!(bench.topics(conn)[1..], ends);
    bench.subscribe(conn, 5, &log("d"), None, WIDE);
    assert_eq!(bench.code(conn), Some(4400), "a number is used once");
}

/// PROTOCOL.md 7.10: who may subscribe is decided by a hook.
#[test]
fn a_hook_decides_who_may_subscribe() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.hooks_by_hand = true;
    let cases = [(Some(UnsubscribeCode::Forbidden), "ended Forbidden"), (None, "ended Internal")];
    for (sub, (answer, expected)) in (1..).zip(cases) {
        bench.subscribe(conn, sub, &log("a"), None, WIDE);
        let execution = bench.executions.pop_front().unwrap();
        match answer {
            Some(code) => bench.executed(&execution, Executed::Authorized(Err(code))),
            None => bench.pass(10_000),
        }
        assert_eq!(bench.topics(conn), [expected]);
    }
}

/// PROTOCOL.md 7.10
#[test]
fn unsubscribing_while_a_hook_runs_leaves_nothing() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.hooks_by_hand = true;
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    let execution = bench.executions.pop_front().unwrap();
    bench.frame(conn, ClientFrame::Unsubscribe { sub: SubNo(1) });
    bench.executed(&execution, Executed::Authorized(Ok(())));
    assert!(bench.topics(conn).is_empty());
    assert_eq!((bench.node.load().executions, bench.node.load().topics), (0, 0));
    assert!(bench.node.load().timers <= 2, "{:?}", bench.node.load());
}

/// PROTOCOL.md 7.10
#[test]
fn after_unsubscribe_nothing_comes() {
    let mut bench = Bench::new();
    let (conn, _) = held(&mut bench, &log("a"));
    bench.frame(conn, ClientFrame::Unsubscribe { sub: SubNo(1) });
    bench.publish(&log("a"), 1);
    assert!(bench.topics(conn).is_empty());
    bench.subscribe(conn, 2, &log("a"), None, WIDE);
    assert_eq!(bench.topics(conn), ["Initial at 1"]);
}

/// PROTOCOL.md 7.11
#[test]
fn volatiles_are_conflated_and_bounded() {
    let mut bench = Bench::with(|config| config.volatiles = 2);
    let (conn, _) = held(&mut bench, &log("a"));
    bench.stuck.insert(conn);
    for (key, text) in [("ann", 1), ("bob", 2), ("ann", 3), ("cid", 4)] {
        bench.act(|node, now| node.publish_volatile(now, volatile(log("a"), key, text)));
    }
    bench.read(conn);
    assert_eq!(bench.topics(conn), ["volatile 3", "volatile 4"]);
}

/// The bound on topics: one that nobody follows goes first, then a subscription is refused.
#[test]
fn topics_are_bounded() {
    let mut bench = Bench::with(|config| config.topics_held = 2);
    let conn = bench.attach();
    (1..=3).for_each(|sub| bench.subscribe(conn, sub, &log(&sub.to_string()), None, WIDE));
    assert_eq!(bench.topics(conn), ["Initial at 0", "Initial at 0", "ended Overload"]);
    bench.frame(conn, ClientFrame::Unsubscribe { sub: SubNo(1) });
    bench.subscribe(conn, 4, &log("4"), None, WIDE);
    assert_eq!(bench.topics(conn), ["Initial at 0"]);
    assert_eq!(bench.node.load().topics, 2);
    bench.cut(conn);
    bench.pass(600_000);
    assert_eq!(bench.node.load().topics, 0, "nobody has followed them for long");
}

/// A topic that the store does not give ends the subscription for now.
#[test]
fn a_topic_that_cannot_be_read_is_told() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::from_millis(50));
    let conn = bench.attach();
    bench.by_hand = true;
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.outcome(StoreOutcome::Failed);
    bench.pass(50);
    bench.outcome(StoreOutcome::Unknown);
    assert_eq!(bench.topics(conn), ["ended Internal"]);
    assert_eq!(bench.node.load().topics, 0);
}

/// PROTOCOL.md 5.6: publications commit with their record, in order.
#[test]
fn what_a_command_publishes_is_in_the_log_in_order_when_it_is_answered() {
    let mut bench = Bench::new();
    let (conn, _) = held(&mut bench, &log("a"));
    bench.post(conn, 1);
    let publishes = vec![event(log("a"), 1), event(log("a"), 2)];
    bench.finish_with(1, Outcome::Ok(body("{}")), publishes);
    assert_eq!(bench.topics(conn), ["event 1", "event 2"]);
    bench.post(conn, 2);
    let failed = Outcome::failed(
        steadfast::wire::FailureCode::Error,
        steadfast::wire::Name::EMPTY,
        body("{}"),
    );
    bench.finish_with(2, failed, vec![event(log("a"), 3)]);
    assert!(bench.topics(conn).is_empty(), "what a failed command published is discarded");
}

/// A commit that was found done tells the subscribers of this node all the same.
#[test]
fn a_commit_that_was_done_by_an_unheard_try_reaches_subscribers() {
    let mut bench = Bench::new();
    let (conn, _) = held(&mut bench, &log("a"));
    bench.post(conn, 1);
    bench.by_hand = true;
    bench.finish_with(1, Outcome::Ok(body("{}")), vec![event(log("a"), 1)]);
    let (op, what) = bench.ops.pop_front().unwrap();
    bench.store.apply(bench.now, what);
    bench.act(|node, now| node.handle_store(now, op, StoreOutcome::Unknown));
    bench.pass(50);
    bench.store_all();
    assert_eq!(bench.topics(conn), ["event 1"]);
}

/// Publications from outside are bounded, checked, and told.
#[test]
fn a_publication_from_outside_is_told_what_became_of_it() {
    let mut bench = Bench::with(|config| {
        config.publishes_waiting = 1;
        config.store_patience = Duration::ZERO;
    });
    bench.by_hand = true;
    let none = undeclared();
    bench.publish(&log("a"), 1);
    bench.publish(&log("a"), 2);
    bench.publish(&none, 3);
    bench.ops.retain(|(_, op)| matches!(op, StoreOp::Append { .. }));
    bench.outcome(StoreOutcome::Unknown);
    bench.pass(50);
    bench.ops.retain(|(_, op)| matches!(op, StoreOp::Append { .. }));
    bench.outcome(StoreOutcome::Failed);
    let results: Vec<_> = bench
        .events
        .iter()
        .filter_map(|event| {
            if let NodeEvent::Published(_, result) = event {
                Some(result.clone().err())
            } else {
                None
            }
        })
        .collect();
    let expected =
        [PublishError::Full, PublishError::Invalid, PublishError::Store { maybe: true }].map(Some);
    assert_eq!(results, expected);
    assert_eq!(bench.node.load().publishes_waiting, 0);
    let again = publication(log("a"), 4);
    bench.act(|node, now| node.publish(now, again));
    assert_eq!(bench.node.load().publishes_waiting, 1);
}

/// The snapshot hook is told what its state must contain.
#[test]
fn a_snapshot_is_asked_for_at_a_position() {
    let mut bench = published(3, &room("a"));
    let conn = bench.attach();
    bench.subscribe(conn, 1, &room("a"), None, WIDE);
    let Some(Execution::Snapshot { position, key, .. }) = bench.executions.front().cloned() else {
        panic!()
    };
    assert_eq!((position.ts.0, &*key), (3, "a"));
}

/// PROTOCOL.md 7.1: the store forgets topics that nobody asks for; one that is followed is not
/// among them.
#[test]
fn a_quiet_topic_that_is_followed_keeps_its_epoch() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.publish(&log("a"), 1);
    bench.take(conn);
    for _ in 0..6 * 180 {
        bench.pass(20_000);
        bench.ack(conn);
    }
    bench.publish(&log("a"), 2);
    let frames = bench.take(conn);
    let event =
        frames.iter().any(|frame| matches!(frame, ServerFrame::Event { ts: TopicSeq(2), .. }));
    let reset = frames.iter().any(|frame| matches!(frame, ServerFrame::Subscribed(_)));
    assert!(event && !reset, "{frames:?}");
}

/// A process that slept finds its deadlines over before it has looked for what to do.
#[test]
fn a_hook_that_is_late_before_it_was_handed_out_is_never_handed_out() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let topic = room("a");
    let subscribe = Subscribe {
        sub: SubNo(1),
        topic: topic.name,
        key: topic.key.to_string(),
        from: None,
        last: None,
        credit: WIDE,
    };
    let now = bench.now;
    bench.node.handle_frame(now, conn, ClientFrame::Subscribe(Box::new(subscribe)));
    bench.node.handle_timeout(now.after(bench.node.config().hook_timeout));
    let mut outputs = std::iter::from_fn(|| bench.node.poll_output(now));
    let executes = |output| matches!(output, Output::Execute { .. });
    assert!(!outputs.any(executes), "nobody would end it");
}
