//! Commands at the server: acceptance, order, duplicates, refusals, deadlines (PROTOCOL.md section
//! 5).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, told_answers as told};
use steadfast::session::node::{Executed, NodeEvent};
use steadfast::session::store::Outcome;
use steadfast::wire::{ClientFrame, FailureCode, Name, RefusalCode};
use steadfast_rig::fixtures::body;

/// PROTOCOL.md 5.6, 5.7: RESULT follows the commit.
#[test]
fn a_result_follows_its_commit() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.by_hand = true;
    bench.post(conn, 1);
    bench.finish(1);
    assert!(bench.answers(conn).is_empty());
    bench.store_all();
    assert_eq!(bench.answers(conn), told(&[(1, "ok")]));
}

/// PROTOCOL.md 5.7
#[test]
fn a_failure_is_told_with_its_code() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    for (n, code) in [(1, FailureCode::Error), (2, FailureCode::Internal)] {
        bench.post(conn, n);
        bench.finish_with(n, Outcome::failed(code, Name::EMPTY, body("{}")), Vec::new());
    }
    assert_eq!(bench.answers(conn), told(&[(1, "Error"), (2, "Internal")]));
}

/// PROTOCOL.md 5.5
#[test]
fn ordered_commands_run_one_after_the_other() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=3).for_each(|n| bench.post(conn, n));
    assert_eq!(bench.running(), [1]);
    bench.finish(1);
    assert_eq!(bench.running(), [2]);
    bench.finish(2);
    bench.finish(3);
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (2, "ok"), (3, "ok")]));
}

/// PROTOCOL.md 5.5
#[test]
fn concurrent_commands_wait_for_nobody() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.ask(conn, 2);
    bench.post(conn, 3);
    bench.ask(conn, 4);
    assert_eq!(bench.running(), [1, 2, 4]);
    bench.finish(4);
    assert_eq!(bench.answers(conn), told(&[(4, "ok")]));
}

/// PROTOCOL.md 5.5: order holds across sessions.
#[test]
fn order_holds_across_sessions() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.cut(conn);
    let mut hello = bench.again(conn);
    hello.resume = None;
    let next = bench.dial(hello);
    assert!(!bench.welcome(next).resumed);
    bench.post(next, 1);
    bench.post(next, 2);
    assert_eq!(bench.running(), [1], "the one of the first session still runs");
    bench.finish(1);
    assert_eq!(bench.running(), [2]);
    bench.finish(2);
    assert_eq!(bench.answers(next), told(&[(1, "ok"), (2, "ok")]));
}

/// PROTOCOL.md 5.8: it joins the running one.
#[test]
fn a_duplicate_joins_the_command_that_runs() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.post(conn, 1);
    assert_eq!(bench.running(), [1]);
    bench.finish(1);
    assert_eq!(bench.answers(conn), told(&[(1, "ok")]), "one answer is enough");
}

/// PROTOCOL.md 5.8
#[test]
fn a_duplicate_gets_the_recorded_outcome() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.finish(1);
    bench.post(conn, 1);
    assert!(bench.running().is_empty());
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (1, "ok again")]));
}

/// PROTOCOL.md 5.8: whatever has become of the first one.
#[test]
fn a_number_used_again_with_other_bytes_is_an_error() {
    for stage in 0..3 {
        let mut bench = Bench::new();
        let conn = bench.attach();
        bench.post(conn, 1);
        bench.by_hand = stage == 1;
        if stage > 0 {
            bench.finish(1);
        }
        bench.send(conn, "post", 1, "{}");
        assert_eq!(bench.code(conn), Some(4409), "{stage}");
    }
}

/// PROTOCOL.md 5.12
#[test]
fn what_cannot_be_run_is_refused_for_good() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.send(conn, "dance", 1, "{}");
    bench.send(conn, "nudge", 2, "{}");
    bench.send(conn, "post", 3, &"x".repeat(1_001));
    bench.post(conn, 4);
    let execution = bench.started(4);
    bench.executed(&execution, Executed::Refused(RefusalCode::Invalid));
    bench.post(conn, 5);
    bench.finish(5);
    let what =
        ["refused Unsupported", "refused Unsupported", "refused TooLarge", "refused Invalid", "ok"];
    let expected: Vec<_> = (1..).zip(what).collect();
    assert_eq!(bench.answers(conn), told(&expected));
}

/// PROTOCOL.md 5.10, 5.11
#[test]
fn a_retry_refusal_holds_back_every_later_ordered_command() {
    let mut bench = Bench::with(|config| config.lease_queue_bytes = 16);
    let conn = bench.attach();
    (1..=4).for_each(|n| bench.post(conn, n));
    assert_eq!(bench.answers(conn), told(&[(3, "refused Overload"), (4, "refused Overload")]));
    bench.finish(1);
    bench.finish(2);
    bench.post(conn, 4);
    bench.ask(conn, 5);
    assert_eq!(bench.running(), [5], "4 waits for 3 to come; 5 is concurrent");
    bench.finish(5);
    bench.post(conn, 3);
    assert_eq!(bench.running(), [3]);
    bench.finish(3);
    bench.post(conn, 4);
    bench.finish(4);
    let rest = [(1, "ok"), (2, "ok"), (4, "refused Overload"), (5, "ok"), (3, "ok"), (4, "ok")];
    assert_eq!(bench.answers(conn), told(&rest));
}

/// PROTOCOL.md 5.11: it ends when `low` has passed the refused number.
#[test]
fn a_refused_number_that_low_has_passed_holds_nothing_back() {
    let mut bench = Bench::with(|config| config.lease_queue_bytes = 8);
    let conn = bench.attach();
    (1..=2).for_each(|n| bench.post(conn, n));
    bench.finish(1);
    bench.peer(conn).low = 3;
    bench.post(conn, 3);
    assert_eq!(bench.running(), [3]);
}

/// PROTOCOL.md 5.11, for a handler that would rather not: what waits behind it must not overtake.
#[test]
fn a_handler_that_refuses_for_now_holds_back_what_waits() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=3).for_each(|n| bench.post(conn, n));
    let execution = bench.started(1);
    bench.executed(&execution, Executed::Refused(RefusalCode::RateLimited));
    assert!(bench.running().is_empty());
    let what = "refused RateLimited";
    assert_eq!(bench.answers(conn), told(&[(1, what), (2, what), (3, what)]));
    (1..=3).for_each(|n| bench.post(conn, n));
    assert_eq!(bench.running(), [1]);
}

/// PROTOCOL.md 5.13
#[test]
fn a_deadline_that_has_passed_is_answered_and_not_executed() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    let mut late = bench.command_frame(conn, "post", 2, "{}");
    late.deadline_ms = Some(100);
    bench.frame(conn, ClientFrame::Command(late));
    bench.post(conn, 3);
    bench.pass(101);
    bench.finish(1);
    assert_eq!(bench.running(), [3], "the next one starts");
    assert_eq!(
        bench.answers(conn),
        told(&[(1, "ok"), (2, "refused Expired")]),
        "recorded, so in its turn"
    );
}

/// PROTOCOL.md 5.7, and an answer that comes too late is dropped.
#[test]
fn a_handler_that_takes_too_long_is_told_and_its_late_answer_dropped() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    let execution = bench.started(1);
    bench.pass(9_000);
    bench.post(conn, 2);
    bench.pass(999);
    assert!(bench.answers(conn).is_empty());
    bench.pass(1);
    assert_eq!(bench.answers(conn), told(&[(1, "Timeout")]));
    assert!(bench.events.contains(&NodeEvent::Abort(execution.exec())));
    assert_eq!(bench.running(), [2]);
    bench.executed(
        &execution,
        Executed::Command { outcome: Outcome::Ok(body("{}")), publishes: Vec::new() },
    );
    bench.post(conn, 1);
    assert_eq!(bench.answers(conn), told(&[(1, "Timeout again")]));
}
