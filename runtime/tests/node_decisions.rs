//! Outcomes that the store decides when it writes the record: what the caller is told, what is
//! published, and what may begin before.

#![allow(clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, WIDE, config, publication, told_answers};
use steadfast::session::node::{ConnId, ExecId, NodeEvent};
use steadfast::session::store::{
    CommitOutcome, DecisionId, Outcome, ReadFrom, StoreOp, StoreOutcome, TopicId,
};
use steadfast::wire::{Body, CommandNo, FailureCode, ServerFrame};
use steadfast_rig::fixtures::{body, committed, log, name};

fn ok(text: &str) -> Outcome {
    Outcome::Ok(body(text))
}

fn error() -> Outcome {
    Outcome::failed(FailureCode::Error, name("muted"), Body::UNIT)
}

/// A client, and the store answered by the test.
fn by_hand() -> (Bench, ConnId) {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.by_hand = true;
    (bench, conn)
}

fn aborted(bench: &Bench, id: DecisionId) -> bool {
    bench.events.contains(&NodeEvent::Abort(ExecId(id.0)))
}

fn asked(bench: &Bench, id: DecisionId) -> u32 {
    bench.decisions[&id].1
}

/// What is in the log of a topic.
fn said(bench: &mut Bench, topic: &TopicId) -> Vec<String> {
    let heads = bench.carry_out(StoreOp::Heads { topics: vec![topic.clone()] });
    let StoreOutcome::Heads(heads) = heads else { panic!("{heads:?}") };
    let Some(head) = heads[0] else { return Vec::new() };
    let (topic, from) = (topic.clone(), ReadFrom::Last(100));
    let read = StoreOp::ReadLog { topic, epoch: head.epoch, from, max: 100, max_bytes: 10_000 };
    let outcome = bench.carry_out(read);
    let StoreOutcome::Log { entries, .. } = outcome else { panic!("{outcome:?}") };
    let text = |body: &Body| String::from_utf8_lossy(body.as_bytes()).into_owned();
    entries.iter().map(|entry| text(&entry.bodies[0].1)).collect()
}

#[test]
fn what_the_store_decides_is_told_and_published() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.take(conn);
    bench.post(conn, 1);
    let id = bench.decides(1, ok("{}"), vec![publication(log("a"), "one")]);
    let told: Vec<_> = bench.take(conn);
    assert!(told.iter().any(|frame| matches!(frame, ServerFrame::Result { .. })), "{told:?}");
    assert!(told.iter().any(|frame| matches!(frame, ServerFrame::Event { .. })), "{told:?}");
    assert_eq!(asked(&bench, id), 1);
    assert!(!aborted(&bench, id), "the store has let go of it");
}

#[test]
fn a_decision_for_an_error_publishes_nothing() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.decides(1, error(), vec![publication(log("a"), "one")]);
    assert_eq!(bench.answers(conn), told_answers(&[(1, "Error")]));
    assert!(said(&mut bench, &log("a")).is_empty());
}

#[test]
fn a_decision_that_breaks_the_terms_is_a_failure() {
    let mut config = config();
    (config.publishes_per_command, config.reply_bytes) = (1, 10);
    let mut bench = Bench::of(config, [3; 32]);
    let conn = bench.attach();
    for n in 1..=3 {
        bench.post(conn, n);
    }
    let two = vec![publication(log("a"), "one"), publication(log("a"), "two")];
    bench.decides(1, ok("{}"), two);
    bench.decides(2, ok("\"a long reply\""), Vec::new());
    bench.decides(3, ok("{}"), vec![publication(log("a"), "three")]);
    let failed = "Internal";
    assert_eq!(bench.answers(conn), told_answers(&[(1, failed), (2, failed), (3, "ok")]));
    assert_eq!(said(&mut bench, &log("a")), ["three"]);
}

#[test]
fn what_comes_after_it_in_the_order_waits_for_the_decision() {
    let (mut bench, conn) = by_hand();
    for n in 1..=3 {
        bench.post(conn, n);
    }
    bench.decides(1, ok("{}"), Vec::new());
    assert!(bench.running().is_empty(), "1 has not been decided");
    bench.store_one();
    assert_eq!(bench.running(), [2]);
    bench.finish(2);
    assert_eq!(bench.running(), [3], "2 has decided by itself");
}

#[test]
fn commands_without_order_wait_for_no_decision() {
    let (mut bench, conn) = by_hand();
    bench.ask(conn, 1);
    bench.ask(conn, 2);
    bench.decides(1, ok("{}"), Vec::new());
    assert_eq!(bench.running(), [2]);
    bench.decides(2, ok("{}"), Vec::new());
    bench.store_all();
    assert_eq!(bench.answers(conn), told_answers(&[(1, "ok"), (2, "ok")]));
}

#[test]
fn a_commit_that_fails_is_repeated_with_its_decision() {
    let (mut bench, conn) = by_hand();
    bench.post(conn, 1);
    bench.post(conn, 2);
    let id = bench.decides(1, ok("{}"), Vec::new());
    bench.outcome(StoreOutcome::Failed);
    bench.pass(1_000);
    bench.outcome(StoreOutcome::Unknown);
    assert!(!aborted(&bench, id) && bench.running().is_empty());
    bench.pass(1_000);
    bench.store_one();
    assert_eq!(bench.answers(conn), told_answers(&[(1, "ok")]));
    assert_eq!((asked(&bench, id), bench.running()), (1, vec![2]));
}

/// The store has written it, and its answer was lost.
#[test]
fn a_decision_whose_answer_was_lost_is_not_made_again() {
    let (mut bench, conn) = by_hand();
    bench.post(conn, 1);
    let id = bench.decides(1, error(), Vec::new());
    let (_, commit) = bench.ops[0].clone();
    bench.carry_out(commit);
    bench.outcome(StoreOutcome::Unknown);
    bench.pass(1_000);
    bench.store_one();
    assert_eq!(bench.answers(conn), told_answers(&[(1, "Error")]));
    assert_eq!(asked(&bench, id), 1);
}

#[test]
fn a_decision_that_is_given_up_is_unknown_and_withdrawn() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::from_secs(1));
    let conn = bench.attach();
    bench.by_hand = true;
    bench.post(conn, 1);
    bench.post(conn, 2);
    let id = bench.decides(1, ok("{}"), Vec::new());
    while !aborted(&bench, id) {
        bench.pass(100);
        while !bench.ops.is_empty() {
            bench.outcome(StoreOutcome::Unknown);
        }
    }
    assert_eq!(bench.answers(conn), told_answers(&[(1, "Unknown")]));
    assert_eq!(bench.running(), [2]);
}

#[test]
fn a_decision_of_a_lease_that_is_gone_is_withdrawn() {
    let (mut bench, conn) = by_hand();
    bench.post(conn, 1);
    let id = bench.decides(1, ok("{}"), Vec::new());
    bench.outcome(StoreOutcome::LeaseGone);
    assert!(aborted(&bench, id) && bench.closed.contains_key(&conn));
    assert_eq!(asked(&bench, id), 0);
}

/// Another node has answered it. Until the store has told, it may still come to a decision here.
#[test]
fn a_decision_that_the_client_calls_resolved_is_waited_for() {
    let (mut bench, conn) = by_hand();
    bench.post(conn, 1);
    bench.post(conn, 2);
    let id = bench.decides(1, ok("{}"), Vec::new());
    bench.peer(conn).low = 2;
    bench.ack(conn);
    assert!(bench.running().is_empty());
    let below = CommitOutcome::BelowLow;
    bench.outcome(committed(vec![(CommandNo(1), below)]));
    assert_eq!(bench.running(), [2]);
    assert!(!aborted(&bench, id), "the store has told");
}

#[test]
fn a_decision_publishes_behind_what_waits_for_the_same_topic() {
    let (mut bench, conn) = by_hand();
    bench.post(conn, 1);
    bench.publish(&log("a"), "first");
    bench.decides(1, ok("{}"), vec![publication(log("a"), "second")]);
    let commit = bench.ops.iter().position(|(_, op)| matches!(op, StoreOp::Commit { .. }));
    bench.ops.swap(0, commit.expect("it is committed"));
    bench.store_one();
    let owed = StoreOp::ListUnsettled { max: 10, max_bytes: 9_999, after: None, older_than_ms: 0 };
    let outcome = bench.store.apply(bench.now, owed);
    let StoreOutcome::Unsettled { records, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(records.len(), 1, "it waits for what was said before");
    bench.store_all();
    bench.pass(1_000);
    bench.store_all();
    assert_eq!(said(&mut bench, &log("a")), ["first", "second"]);
}
