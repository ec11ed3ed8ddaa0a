//! From an execution's end to its record and into the logs, with a store that fails (PROTOCOL.md
//! 5.6).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, WIDE, event, told_answers};
use steadfast::session::node::StagedPublish;
use steadfast::session::store::{
    Append, AppendKey, AppendOutcome, CommitOutcome, Outcome, Record, StoreOp, StoreOutcome,
    StoreTime,
};
use steadfast::wire::CommandNo;
use steadfast_rig::fixtures::{body, committed, log, undeclared};

fn done(bench: &mut Bench, n: u64, publishes: Vec<StagedPublish>) {
    bench.finish_with(n, Outcome::Ok(body("{}")), publishes);
}

fn commits(op: &StoreOp) -> Vec<u64> {
    match op {
        StoreOp::Commit { commits, .. } => commits.iter().map(|commit| commit.n.0).collect(),
        other => panic!("a commit, not {other:?}"),
    }
}

fn nothing_unsettled() -> StoreOutcome {
    StoreOutcome::Unsettled { at: StoreTime::default(), records: Vec::new() }
}

/// What an append carries.
fn appends(op: &StoreOp) -> Vec<Append> {
    match op {
        StoreOp::Append { appends, .. } => appends.clone(),
        other => panic!("an append, not {other:?}"),
    }
}

/// One operation of a lease is under way at a time, and carries all that has ended by then.
#[test]
fn one_commit_carries_several_records() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=4).for_each(|n| bench.ask(conn, n));
    bench.by_hand = true;
    for n in [2, 1, 4] {
        done(&mut bench, n, Vec::new());
    }
    assert_eq!(bench.ops.len(), 1);
    assert_eq!(commits(&bench.ops[0].1), [2]);
    bench.store_one();
    assert_eq!(commits(&bench.ops[0].1), [1, 4]);
    bench.store_one();
    assert_eq!(bench.answers(conn), told_answers(&[(2, "ok"), (1, "ok"), (4, "ok")]));
}

/// A commit that failed, or perhaps did not, is tried again; the command is not.
#[test]
fn a_commit_of_doubtful_fate_is_tried_again_and_the_handler_is_not() {
    for (happened, outcome) in [
        (false, StoreOutcome::Failed),
        (false, StoreOutcome::Unknown),
        (true, StoreOutcome::Unknown),
    ] {
        let mut bench = Bench::new();
        let conn = bench.attach();
        bench.post(conn, 1);
        bench.by_hand = true;
        done(&mut bench, 1, vec![event(log("a"), 1)]);
        if happened {
            let what = bench.ops[0].1.clone();
            bench.store.apply(bench.now, what);
        }
        bench.outcome(outcome);
        assert!(bench.ops.is_empty());
        bench.pass(50);
        bench.store_all();
        assert_eq!(bench.answers(conn), told_answers(&[(1, "ok")]));
        assert!(bench.running().is_empty());
        let head = StoreOp::OpenTopic {
            topic: log("a"),
            fresh_epoch: steadfast::wire::Epoch(0),
            retention: steadfast::session::store::Retention::new(8, Duration::from_secs(1)),
        };
        let StoreOutcome::Topic(head) = bench.store.apply(bench.now, head) else { panic!() };
        assert_eq!(head.head.0, 1, "once in the log");
    }
}

/// PROTOCOL.md 5.7: the outcome is not known.
#[test]
fn a_commit_that_is_given_up_is_told_as_unknown() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::from_millis(150));
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.post(conn, 2);
    bench.by_hand = true;
    done(&mut bench, 1, Vec::new());
    done(&mut bench, 2, Vec::new());
    for wait in [50, 100, 0] {
        bench.outcome(StoreOutcome::Unknown);
        bench.pass(wait);
    }
    assert_eq!(bench.answers(conn), told_answers(&[(1, "Unknown")]));
    bench.store_all();
    assert_eq!(bench.answers(conn), told_answers(&[(2, "ok")]));
    bench.post(conn, 1);
    assert_eq!(bench.answers(conn), told_answers(&[(1, "Unknown again")]));
}

/// PROTOCOL.md 5.6, 5.8: a record that exists stands, and its outcome is what the caller is told.
#[test]
fn a_record_that_exists_stands() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    done(&mut bench, 1, Vec::new());
    let StoreOp::Commit { commits, .. } = &bench.ops[0].1 else { panic!() };
    let theirs = Record { outcome: Outcome::Ok(body("\"theirs\"")), ..commits[0].record.clone() };
    let exists = CommitOutcome::Exists(Box::new(theirs));
    bench.outcome(committed(vec![(CommandNo(1), exists)]));
    assert_eq!(bench.answers(conn), told_answers(&[(1, "ok")]));
    bench.post(conn, 2);
    done(&mut bench, 2, Vec::new());
    let StoreOp::Commit { commits, .. } = &bench.ops[0].1 else { panic!() };
    let other = Record { hash: 1, ..commits[0].record.clone() };
    bench.outcome(committed(vec![(CommandNo(2), CommitOutcome::Exists(Box::new(other)))]));
    assert_eq!(bench.code(conn), Some(4409), "with other bytes it is another command");
}

/// PROTOCOL.md 5.6
#[test]
fn a_commit_below_low_has_no_effect_and_no_answer() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    done(&mut bench, 1, vec![event(log("a"), 1)]);
    bench.outcome(committed(vec![(CommandNo(1), CommitOutcome::BelowLow)]));
    assert!(bench.answers(conn).is_empty());
    assert!(bench.ops.is_empty());
    assert_eq!(bench.code(conn), None);
}

/// PROTOCOL.md 1.3
#[test]
fn a_commit_without_a_lease_ends_the_session() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.post(conn, 2);
    bench.by_hand = true;
    done(&mut bench, 1, Vec::new());
    bench.outcome(StoreOutcome::LeaseGone);
    assert_eq!(bench.code(conn), Some(4100));
    assert_eq!(
        (bench.node.load().executions, bench.node.load().leases),
        (0, 0),
        "what ran is stopped"
    );
}

/// A store that settles in the same transaction needs no more; another one is asked step by step.
#[test]
fn a_record_is_settled_by_the_commit_or_step_by_step() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    done(&mut bench, 1, vec![event(log("a"), 1), event(log("b"), 1)]);
    bench.store_one();
    assert!(bench.ops.is_empty());
    bench.post(conn, 2);
    done(&mut bench, 2, vec![event(log("a"), 1), event(log("a"), 2), event(log("b"), 1)]);
    let written = CommitOutcome::Written { settled: None };
    let StoreOp::Commit { lease, low, mut commits } = bench.ops[0].1.clone() else { panic!() };
    commits[0].settle = false;
    bench.store.apply(bench.now, StoreOp::Commit { lease, low, commits });
    bench.outcome(committed(vec![(CommandNo(2), written)]));
    assert_eq!(bench.answers(conn), told_answers(&[(1, "ok"), (2, "ok")]));
    let appends = |bench: &Bench| {
        bench.ops.iter().filter(|(_, op)| matches!(op, StoreOp::Append { .. })).count()
    };
    assert_eq!(appends(&bench), 2, "one per topic, with all that waits");
    bench.store_one();
    bench.store_one();
    assert!(matches!(bench.ops[0].1, StoreOp::Settle { .. }));
    bench.store_all();
    assert_eq!(bench.node.load().unsettled, 0);
}

/// While an append to a topic is under way no later commit may overtake it there.
#[test]
fn publications_keep_their_order() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.take(conn);
    bench.by_hand = true;
    bench.publish(&log("a"), "\"first\"");
    let append = bench.ops.pop_front().unwrap();
    bench.post(conn, 1);
    done(&mut bench, 1, vec![event(log("a"), "\"second\"")]);
    let StoreOp::Commit { commits, .. } = &bench.ops[0].1 else { panic!() };
    assert!(!commits[0].settle);
    bench.store_all();
    bench.ops.push_back(append);
    bench.store_all();
    let bodies: Vec<_> = bench
        .take(conn)
        .into_iter()
        .filter_map(|frame| match frame {
            steadfast::wire::ServerFrame::Event { body, .. } => Some(body),
            _ => None,
        })
        .collect();
    assert_eq!(bodies, [body("\"first\""), body("\"second\"")]);
}

/// An append that a record owes is never given up, so what the command published never changes its
/// order.
#[test]
fn an_append_that_is_owed_is_tried_for_ever() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::from_millis(50));
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.take(conn);
    bench.by_hand = true;
    bench.post(conn, 1);
    done(&mut bench, 1, vec![event(log("a"), 1), event(log("a"), 2)]);
    bench.written_unsettled();
    for _ in 0..10 {
        bench.outcome(StoreOutcome::Failed);
        bench.pass(100_000);
        bench.ops.retain(|(_, op)| matches!(op, StoreOp::Append { .. }));
        assert_eq!(bench.ops.len(), 1);
    }
    bench.by_hand = false;
    let (op, what) = bench.ops.pop_front().unwrap();
    let bodies: Vec<_> = appends(&what).iter().map(|it| it.bodies[0].1.clone()).collect();
    assert_eq!(bodies, [body(1), body(2)]);
    let outcome = bench.store.apply(bench.now, what);
    bench.act(|node, now| node.handle_store(now, op, outcome));
    assert_eq!(bench.node.load().unsettled, 0);
}

/// What waits while an append is under way goes with the next one, as far as its bounds allow.
#[test]
fn an_append_carries_all_that_waits_within_its_bounds() {
    let mut bench = Bench::with(|config| {
        (config.append_entries, config.append_bytes) = (3, 5);
    });
    bench.by_hand = true;
    for text in ["1", "2", "3", "4", "5", "666666", "7777", "8", "9"] {
        bench.publish(&log("a"), text);
    }
    let mut carried = Vec::new();
    while let Some((_, op)) = bench.ops.front() {
        carried.push(appends(op).len());
        bench.store_one();
    }
    // The first has gone out by the time that the second comes; the sixth is too long for
    // company, and so is the seventh with what follows.
    assert_eq!(carried, [1, 3, 1, 1, 2, 1]);
    assert_eq!(bench.node.load().publishes_waiting, 0);
}

/// Records that have landed while others are being marked are marked by the next operation.
#[test]
fn records_that_land_together_are_settled_together() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=3).for_each(|n| bench.ask(conn, n));
    bench.by_hand = true;
    (1..=3).for_each(|n| done(&mut bench, n, vec![event(log("a"), n)]));
    bench.written_unsettled();
    bench.ops.rotate_left(1);
    bench.written_unsettled();
    bench.store_one();
    let settles = |bench: &Bench| match &bench.ops[0].1 {
        StoreOp::Settle { records } => records.iter().map(|(_, n)| n.0).collect(),
        _ => Vec::new(),
    };
    assert_eq!(settles(&bench), [1]);
    bench.ops.rotate_left(1);
    assert_eq!(appends(&bench.ops[0].1).len(), 2);
    bench.store_one();
    assert_eq!(bench.ops.len(), 1, "one at a time");
    bench.store_one();
    assert_eq!(settles(&bench), [2, 3]);
    bench.store_all();
    assert_eq!(bench.node.load().unsettled, 0);
}

/// A store whose records and logs lie apart does not believe what was seen long ago: the node looks
/// at the record again, and appends with what it saw.
#[test]
fn a_stale_append_is_asked_for_again_with_a_newer_look_at_its_record() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    done(&mut bench, 1, vec![event(log("a"), 1)]);
    bench.written_unsettled();
    let seen = appends(&bench.ops[0].1)[0].as_of;
    assert!(seen.is_some());
    bench.pass(1_000);
    bench.outcome(StoreOutcome::Appended(vec![AppendOutcome::Stale]));
    assert!(matches!(bench.ops[0].1, StoreOp::ListUnsettled { max, .. } if max > 1));
    bench.store_one();
    let AppendKey::Command { n, .. } = appends(&bench.ops[0].1)[0].key else { panic!() };
    assert_eq!(n, CommandNo(1));
    assert!(appends(&bench.ops[0].1)[0].as_of > seen);
    bench.store_all();
    assert_eq!(bench.node.load().unsettled, 0);
}

/// The same when somebody else has settled the record meanwhile: it is in its log already.
#[test]
fn a_stale_append_whose_record_is_settled_is_dropped() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    done(&mut bench, 1, vec![event(log("a"), 1)]);
    bench.written_unsettled();
    bench.publish(&log("a"), 2);
    bench.outcome(StoreOutcome::Appended(vec![AppendOutcome::Stale]));
    bench.outcome(nothing_unsettled());
    assert_eq!(appends(&bench.ops[1].1)[0].bodies[0].1, body(2), "what waits behind it goes on");
    assert_eq!(bench.node.load().unsettled, 0);
}

/// One append may carry what is owed and what is not: only the latter is given up.
#[test]
fn what_nobody_owes_is_given_up_beside_what_is_owed() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::ZERO);
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    bench.publish(&log("a"), 1);
    done(&mut bench, 1, vec![event(log("a"), 2)]);
    bench.ops.rotate_left(1);
    bench.written_unsettled();
    bench.publish(&log("a"), 3);
    bench.store_one();
    bench.outcome(StoreOutcome::Failed);
    bench.pass(1_000);
    bench.outcome(StoreOutcome::Failed);
    assert_eq!(bench.node.load().publishes_waiting, 1);
    bench.pass(1_000);
    let left = appends(&bench.ops[0].1);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].bodies[0].1, body(2));
}

/// The bound on what is owed: commands wait at their clients while the logs do not take what is
/// published.
#[test]
fn commands_are_refused_while_too_many_publications_wait() {
    let mut bench = Bench::with(|config| config.publishes_waiting = 2);
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    done(&mut bench, 1, vec![event(log("a"), 1), event(log("a"), 2)]);
    bench.written_unsettled();
    bench.post(conn, 2);
    assert_eq!(bench.answers(conn), told_answers(&[(1, "ok"), (2, "refused Overload")]));
    bench.store_all();
    bench.post(conn, 2);
    assert_eq!(bench.running(), [2]);
}

/// Limits per command: it fails, and publishes nothing.
#[test]
fn a_command_that_publishes_too_much_fails_alone() {
    let mut bench = Bench::with(|config| {
        config.publishes_per_command = 2;
        config.publish_bytes_per_command = 100;
    });
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    let none = undeclared();
    let cases = [
        (0..3).map(|n| event(log("a"), n)).collect(),
        vec![event(log("a"), "1".repeat(101))],
        vec![event(none, 1)],
        vec![event(log(&"k".repeat(257)), 1)],
    ];
    for (n, publishes) in (1..).zip(cases) {
        bench.post(conn, n);
        done(&mut bench, n, publishes);
        assert_eq!(bench.answers(conn), told_answers(&[(n, "Internal")]));
    }
    assert_eq!(bench.node.topic_head(&log("a")).unwrap().ts.0, 0);
}

/// A claim that the store can't answer is given up, and tried by the client again.
#[test]
fn a_lease_that_the_store_does_not_give_closes_the_socket() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::from_millis(50));
    bench.by_hand = true;
    bench.ops.clear();
    let hello = bench.hello();
    let conn = bench.dial(hello);
    bench.outcome(StoreOutcome::Failed);
    bench.pass(50);
    bench.outcome(StoreOutcome::Failed);
    assert_eq!(bench.code(conn), Some(4004));
    let hello = bench.hello();
    let conn = bench.dial(hello);
    bench.outcome(StoreOutcome::LeaseGone);
    assert_eq!(bench.code(conn), Some(4004), "a store that issues nothing is not asked for ever");
    assert_eq!(bench.node.load().store_operations, 0);
}
