//! A node whose store fails for a while: what was accepted waits, what comes is refused before it
//! runs, and everything goes on by itself when the store answers (PROTOCOL.md 5.10, 5.13).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, event, told_answers as told};
use steadfast::session::node::ConnId;
use steadfast::session::store::{News, Outcome, StoreOp, StoreOutcome};
use steadfast::store::MemoryState;
use steadfast::wire::{ClientFrame, RefusalCode, ServerFrame};
use steadfast_rig::fixtures::{BOB, ORDERED, body, log};

/// A node that runs one command at a time for a lease, and whose store fails since the first
/// command of a client has ended; the second one runs, and the third one waits.
fn failing() -> (Bench, ConnId) {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=3).for_each(|n| bench.post(conn, n));
    bench.by_hand = true;
    bench.finish(1);
    for wait in [50, 100, 200, 400, 800] {
        bench.outcome(StoreOutcome::Failed);
        bench.pass(wait);
    }
    bench.outcome(StoreOutcome::Unknown);
    assert_eq!(bench.node.load().commits_failing, 1);
    (bench, conn)
}

/// Lets time pass in which the store does nothing, and the client shows that it is alive.
fn stays_away(bench: &mut Bench, conn: ConnId, ms: u64) {
    let end = bench.now.after_ms(ms);
    while bench.now < end {
        while !bench.ops.is_empty() {
            bench.outcome(StoreOutcome::Unknown);
        }
        bench.pass(end.since(bench.now).min(1_000));
        bench.frame(conn, ClientFrame::Ping { k: 1 });
    }
}

/// The store is back: what it is asked for is done from here on.
fn recovers(bench: &mut Bench) {
    bench.by_hand = false;
    bench.store_all();
    bench.pass(1_600);
}

#[test]
fn an_outage_of_a_minute_costs_waiting_and_no_outcome() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    bench.finish(1);
    stays_away(&mut bench, conn, 59_000);
    assert!(bench.answers(conn).is_empty());
    recovers(&mut bench);
    assert_eq!(bench.answers(conn), told(&[(1, "ok")]));
}

/// The last try comes when the time is over, however long the delay has grown.
#[test]
fn patience_counts_from_the_first_try() {
    let mut bench = Bench::with(|config| config.store_patience = Duration::from_secs(2));
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    bench.finish(1);
    for wait in [50, 100, 200, 400, 800, 449] {
        bench.outcome(StoreOutcome::Failed);
        bench.pass(wait);
    }
    assert!(bench.ops.is_empty() && bench.answers(conn).is_empty());
    bench.pass(1);
    bench.outcome(StoreOutcome::Failed);
    assert_eq!(bench.answers(conn), told(&[(1, "Unknown")]));
}

/// A process that stood still for longer than its patience has not tried for long.
#[test]
fn an_operation_is_repeated_at_least_once() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    bench.finish(1);
    bench.now = bench.now.after_ms(100_000);
    bench.outcome(StoreOutcome::Unknown);
    bench.pass(50);
    assert!(bench.answers(conn).is_empty());
    bench.ops.retain(|(_, op)| matches!(op, StoreOp::Commit { .. }));
    bench.store_all();
    assert_eq!(bench.answers(conn), told(&[(1, "ok")]));
}

#[test]
fn commands_are_refused_before_they_run_while_the_store_fails() {
    let (mut bench, conn) = failing();
    bench.post(conn, 4);
    bench.ask(conn, 5);
    let frames = bench.take(conn);
    let refused = |frame: &ServerFrame| match frame {
        ServerFrame::Refused { n, code: RefusalCode::Overload, retry_ms, .. } => {
            Some((n.0, *retry_ms))
        }
        _ => None,
    };
    assert_eq!(frames.iter().filter_map(refused).collect::<Vec<_>>(), [(4, 250), (5, 250)]);
    assert_eq!(bench.running(), [2]);
    recovers(&mut bench);
    bench.take(conn);
    bench.post(conn, 4);
    bench.ask(conn, 5);
    assert_eq!(bench.running(), [2, 5], "the fourth one waits for its order");
    [2, 5, 3, 4].into_iter().for_each(|n| bench.finish(n));
    assert_eq!(bench.answers(conn), told(&[(2, "ok"), (5, "ok"), (3, "ok"), (4, "ok")]));
}

#[test]
fn a_command_that_was_accepted_begins_by_itself_when_the_store_is_back() {
    let (mut bench, conn) = failing();
    bench.finish(2);
    assert!(bench.running().is_empty(), "the third one waits for the store");
    recovers(&mut bench);
    assert_eq!(bench.running(), [3]);
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (2, "ok")]));
    assert_eq!(bench.node.load().commits_failing, 0);
}

/// PROTOCOL.md 5.13: waiting for the store is waiting.
#[test]
fn a_deadline_counts_while_a_command_waits_for_the_store() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=2).for_each(|n| bench.post(conn, n));
    let mut command = bench.command_frame(conn, ORDERED, 3, "{}");
    command.deadline_ms = Some(3_000);
    bench.frame(conn, ClientFrame::Command(command));
    bench.by_hand = true;
    bench.finish(1);
    for wait in [50, 100, 200, 400, 800, 1_600] {
        bench.outcome(StoreOutcome::Failed);
        bench.pass(wait);
    }
    bench.outcome(StoreOutcome::Failed);
    bench.finish(2);
    recovers(&mut bench);
    assert!(bench.running().is_empty());
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (2, "ok"), (3, "refused Expired")]));
}

/// What one lease's commit shows is true of the store, so it holds for everybody.
#[test]
fn other_clients_of_a_failing_store_are_refused_too() {
    let (mut bench, conn) = failing();
    bench.by_hand = false;
    let bob = bench.attach_as(BOB);
    bench.ask(bob, 1);
    assert_eq!(bench.answers(bob), told(&[(1, "refused Overload")]));
    recovers(&mut bench);
    bench.ask(bob, 1);
    assert_eq!(bench.running(), [2, 1]);
    bench.take(conn);
}

/// A short hiccup costs nobody anything.
#[test]
fn commands_begin_while_a_commit_has_not_failed_for_long() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    bench.finish(1);
    bench.outcome(StoreOutcome::Failed);
    bench.pass(50);
    bench.outcome(StoreOutcome::Failed);
    bench.ask(conn, 2);
    assert_eq!(bench.running(), [2]);
}

/// A store that fails for longer than a node is patient: when the node has given up, it is as if
/// nothing had been tried, and the next command shows how it is.
#[test]
fn a_node_that_has_given_up_tries_the_next_command() {
    let (mut bench, conn) = failing();
    bench.finish(2);
    stays_away(&mut bench, conn, 190_000);
    let unknown = [(1, "Unknown"), (2, "Unknown"), (3, "Unknown")];
    assert_eq!(bench.answers(conn), told(&unknown), "the deadline of the third one passed");
    bench.post(conn, 4);
    assert_eq!(bench.running(), [4]);
}

/// A commit whose lease is gone keeps nobody waiting.
#[test]
fn a_commit_whose_lease_is_dropped_is_no_sign_of_a_failing_store() {
    let (mut bench, conn) = failing();
    bench.by_hand = false;
    let bob = bench.attach_as(BOB);
    bench.ask(bob, 1);
    assert_eq!(bench.answers(bob), told(&[(1, "refused Overload")]));
    bench.store = MemoryState::default();
    bench.act(|node, now| node.handle_news(now, News::Rolled));
    bench.pass(1);
    assert_eq!(bench.code(conn), Some(4100), "the store has lost its lease");
    assert_eq!(bench.node.load().commits_failing, 0);
}

/// An append that is owed may fail for ever; it keeps no command out.
#[test]
fn an_append_that_fails_keeps_no_command_out() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.by_hand = true;
    bench.post(conn, 1);
    bench.finish_with(1, Outcome::Ok(body("{}")), vec![event(log("a"), 1)]);
    let StoreOp::Commit { lease, low, mut commits } = bench.ops[0].1.clone() else { panic!() };
    commits[0].settle = false;
    let written = bench.store.apply(bench.now, StoreOp::Commit { lease, low, commits });
    bench.outcome(written);
    for _ in 0..10 {
        bench.outcome(StoreOutcome::Failed);
        bench.pass(1_600);
        bench.ops.retain(|(_, op)| matches!(op, StoreOp::Append { .. }));
    }
    bench.post(conn, 2);
    assert_eq!(bench.running(), [2]);
}
