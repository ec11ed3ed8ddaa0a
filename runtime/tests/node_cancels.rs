//! Callers that do not want their commands any more (PROTOCOL.md 5.27).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, told_answers as told};
use steadfast::session::node::{ConnId, Execution, NodeEvent, Output};
use steadfast::session::store::Outcome;
use steadfast::wire::{ClientFrame, CommandNo, FailureCode, Name};
use steadfast_rig::fixtures::{CONCURRENT_WITH_ID, body, with_id};

impl Bench {
    fn cancel(&mut self, conn: ConnId, n: u64) {
        self.frame(conn, ClientFrame::Cancel { n: CommandNo(n) });
    }

    /// How often the driver was told to tell the handler.
    fn told_handler(&self, execution: &Execution) -> usize {
        let told = NodeEvent::Cancel(execution.exec());
        self.events.iter().filter(|event| **event == told).count()
    }
}

#[test]
fn a_command_that_waits_is_answered_at_once_and_never_begins() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=3).for_each(|n| bench.post(conn, n));
    bench.cancel(conn, 2);
    assert_eq!(bench.answers(conn), told(&[(2, "refused Expired")]), "1 still runs");
    bench.finish(1);
    assert_eq!(bench.running(), [3]);
    bench.finish(3);
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (3, "ok")]));
    bench.post(conn, 2);
    assert!(bench.running().is_empty(), "it is recorded");
    assert_eq!(bench.answers(conn), told(&[(2, "refused Expired")]));
}

#[test]
fn another_node_finds_that_it_never_ran() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.post(conn, 2);
    bench.cancel(conn, 2);
    let hello = bench.again(conn);
    let mut other = Bench::of(node_support::config(), [4; 32]);
    other.store = bench.store;
    other.now = bench.now;
    let conn = other.dial(hello);
    other.post(conn, 1);
    other.post(conn, 2);
    assert_eq!(other.running(), [1]);
    assert_eq!(other.answers(conn), told(&[(2, "refused Expired")]));
}

#[test]
fn of_a_command_that_runs_the_handler_is_told_once_and_decides() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.ask(conn, 2);
    let (first, second) = (bench.started(1), bench.started(2));
    for n in [1, 1, 2] {
        bench.cancel(conn, n);
    }
    assert_eq!((bench.told_handler(&first), bench.told_handler(&second)), (1, 1));
    assert!(bench.node.is_cancelled(first.exec()));
    assert!(bench.answers(conn).is_empty());
    let gives_up = Outcome::failed(FailureCode::Error, Name::EMPTY, body("{}"));
    for (execution, outcome) in [(first, gives_up), (second, Outcome::Ok(body("1")))] {
        let publishes = Vec::new();
        let executed = steadfast::session::node::Executed::Command { outcome, publishes };
        bench.executed(&execution, executed);
        assert!(!bench.node.is_cancelled(execution.exec()));
    }
    assert_eq!(bench.answers(conn), told(&[(1, "Error"), (2, "ok")]));
}

#[test]
fn a_command_that_waits_for_a_place_gives_it_to_the_next() {
    let mut bench = Bench::with(|config| config.executions = 1);
    let conn = bench.attach();
    (1..=3).for_each(|n| bench.ask(conn, n));
    assert_eq!(bench.node.load().commands_waiting, 2);
    bench.cancel(conn, 2);
    assert_eq!(bench.node.load().commands_waiting, 1);
    assert_eq!(bench.answers(conn), told(&[(2, "refused Expired")]));
    bench.finish(1);
    assert_eq!(bench.running(), [3]);
    bench.finish(3);
    assert_eq!(bench.node.load().executions, 0);
}

/// Its order has come, and the place has not: the one behind it waits for neither.
#[test]
fn an_ordered_command_that_waits_for_a_place_lets_the_next_one_wait() {
    let mut bench = Bench::with(|config| config.executions = 1);
    let blocker = bench.attach();
    bench.ask(blocker, 1);
    let conn = bench.attach_as("bob");
    (1..=2).for_each(|n| bench.post(conn, n));
    bench.cancel(conn, 1);
    assert_eq!(bench.answers(conn), told(&[(1, "refused Expired")]));
    bench.finish(1);
    assert_eq!(bench.running(), [2]);
}

#[test]
fn a_command_whose_id_is_looked_up_does_not_begin() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.finish(1);
    bench.by_hand = true;
    let text = with_id(7, "x");
    bench.send(conn, CONCURRENT_WITH_ID, 2, std::str::from_utf8(text.as_bytes()).unwrap());
    bench.cancel(conn, 2);
    bench.store_all();
    assert!(bench.running().is_empty());
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (2, "refused Expired")]));
}

#[test]
fn a_command_that_was_handed_out_ahead_and_goes_back_does_not_begin() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let first = bench.command_frame(conn, "post", 1, "{}");
    let second = bench.command_frame(conn, "post", 2, "{}");
    for frame in [first, second] {
        bench.node.handle_frame(bench.now, conn, ClientFrame::Command(frame));
    }
    let mut handed_out = Vec::new();
    while let Some(output) = bench.node.poll_output(bench.now) {
        match output {
            Output::Execute { execution, .. } => handed_out.push(execution),
            Output::Store(op, what) => {
                let outcome = bench.carry_out(what);
                bench.node.handle_store(bench.now, op, outcome);
            }
            Output::Event(_) | Output::Interest { .. } => {}
        }
    }
    let ahead = handed_out.pop().unwrap();
    let first = handed_out.pop().unwrap();
    bench.cancel(conn, 2);
    bench.act(|node, now| node.handle_unbegun(now, first.exec(), vec![ahead]));
    bench.executions.push_back(first);
    bench.finish(1);
    bench.ack(conn);
    bench.read(conn);
    assert!(bench.running().is_empty());
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (2, "refused Expired")]));
}

#[test]
fn a_number_that_the_lease_does_not_hold_says_nothing() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.finish(1);
    for n in [0, 1, 2, 300, (1 << 53) - 1] {
        bench.cancel(conn, n);
    }
    assert!(bench.closed.is_empty());
    bench.post(conn, 2);
    assert_eq!(bench.running(), [2], "one that came too early says nothing either");
}
