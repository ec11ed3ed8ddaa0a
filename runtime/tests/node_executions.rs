//! Executions: places in the process, records from other nodes, sockets that end before them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, lost, told_answers as told};
use steadfast::session::node::{Attempt, Executed, Execution, NodeEvent};
use steadfast::session::store::{Outcome, StoreOp, StoreOutcome};
use steadfast::wire::{Body, ClientFrame, CommandNo, FailureCode, Name};
use steadfast_rig::fixtures::{VOLATILE, body, name};

/// The bound on handlers of one process: more wait for a place, in turn, and in their order.
#[test]
fn commands_wait_for_a_free_place() {
    let mut bench = Bench::with(|config| config.executions = 2);
    let conn = bench.attach();
    (1..=5).for_each(|n| bench.ask(conn, n));
    assert_eq!(bench.running(), [1, 2]);
    bench.finish(2);
    assert_eq!(bench.running(), [1, 3]);
    bench.pass(10_000);
    assert_eq!(
        bench.answers(conn).len(),
        5,
        "timeouts and passed deadlines give their places back"
    );
    assert_eq!(bench.node.load().executions, 0);
}

/// PROTOCOL.md 5.16
#[test]
fn volatiles_are_dropped_under_load_and_leave_nothing() {
    let mut bench = Bench::with(|config| config.volatile_executions = 2);
    let conn = bench.attach();
    let nudge = || ClientFrame::Volatile { name: name(VOLATILE), body: body("{}") };
    (0..5).for_each(|_| bench.frame(conn, nudge()));
    assert_eq!(bench.executions.len(), 2);
    for _ in 0..1_000 {
        let execution = bench.executions.pop_front().unwrap();
        bench.executed(&execution, Executed::Volatile { publishes: Vec::new() });
        bench.frame(conn, nudge());
    }
    assert!(bench.node.load().timers < 20, "{:?}", bench.node.load());
    bench.pass(10_000);
    assert_eq!(bench.node.load().executions, 0, "they time out");
    bench.frame(conn, nudge());
    assert_eq!(bench.node.load().executions, 1);
}

/// A retry after a restart is told that it may be one.
#[test]
fn a_command_of_a_lease_from_elsewhere_may_be_a_retry() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    assert!(matches!(bench.started(1), Execution::Command { attempt: Attempt::First, .. }));
    let mut other = Bench::new();
    std::mem::swap(&mut bench.store, &mut other.store);
    let hello = bench.again(conn);
    let conn = other.dial(hello);
    let welcome = other.welcome(conn);
    assert!(!welcome.resumed);
    other.post(conn, 1);
    other.ask(conn, 2);
    assert!(matches!(other.started(1), Execution::Command { attempt: Attempt::MaybeRetry, .. }));
    assert!(matches!(other.started(2), Execution::Command { attempt: Attempt::First, .. }));
}

/// PROTOCOL.md 5.4: what another node has answered need not run here.
#[test]
fn a_command_below_low_is_stopped_and_gives_its_place_back() {
    let mut bench = Bench::with(|config| config.executions = 1);
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.post(conn, 2);
    let other = {
        let mut hello = bench.hello();
        hello.instance = steadfast::wire::InstanceId(8);
        bench.dial(hello)
    };
    bench.ask(other, 1);
    assert_eq!(bench.running(), [1]);
    let first = bench.started(1);
    bench.peer(conn).low = 2;
    bench.ack(conn);
    assert!(bench.events.contains(&NodeEvent::Abort(first.exec())));
    assert_eq!(bench.running(), [1], "that of the other lease");
    bench.finish(1);
    bench.finish(2);
    assert_eq!(bench.node.load().executions, 0);
}

/// A number whose outcome another node has recorded is not run because it waited for its place
/// here.
#[test]
fn a_record_that_arrives_while_a_command_waits_for_its_place_stands() {
    let mut bench = Bench::with(|config| config.executions = 1);
    let blocker = bench.attach();
    bench.ask(blocker, 1);
    let mut hello = bench.hello();
    hello.token = Some("bob".into());
    let conn = bench.dial(hello);
    bench.ask(conn, 1);
    bench.ask(conn, 2);
    let lease = bench.lease(conn).id;
    // The client goes to another node and comes back before this one has noticed.
    let record = record_elsewhere(&mut bench, lease, 1, "ask");
    let mut hello = bench.again(conn);
    hello.resume = None;
    hello.token = Some("bob".into());
    let conn = bench.dial(hello);
    bench.ask(conn, 1);
    assert_eq!(bench.answers(conn), told(&[(1, "ok again")]));
    bench.finish(1);
    bench.ask(conn, 1);
    assert_eq!(bench.answers(conn), told(&[(1, "ok again")]), "{record:?}");
    assert_eq!(bench.running(), [2]);
}

/// The same for ordered ones: what comes after it starts.
#[test]
fn a_record_that_arrives_lets_the_next_ordered_command_start() {
    let mut bench = Bench::with(|config| config.executions = 1);
    let blocker = bench.attach();
    bench.ask(blocker, 1);
    let mut hello = bench.hello();
    hello.token = Some("bob".into());
    let conn = bench.dial(hello);
    bench.post(conn, 1);
    bench.post(conn, 2);
    let lease = bench.lease(conn).id;
    record_elsewhere(&mut bench, lease, 1, "post");
    let mut hello = bench.again(conn);
    hello.resume = None;
    hello.token = Some("bob".into());
    let conn = bench.dial(hello);
    bench.finish(1);
    assert_eq!(bench.running(), [2]);
    bench.post(conn, 1);
    bench.post(conn, 2);
    bench.finish(2);
    assert_eq!(bench.answers(conn), told(&[(1, "ok again"), (2, "ok")]));
}

/// Runs a command on another node with the same store.
fn record_elsewhere(
    bench: &mut Bench,
    lease: steadfast::wire::LeaseId,
    n: u64,
    message: &str,
) -> StoreOutcome {
    let mut other = Bench::of(node_support::config(), [9; 32]);
    std::mem::swap(&mut bench.store, &mut other.store);
    let mut hello = other.hello();
    hello.token = Some("bob".into());
    let (low, next) = (CommandNo(1), CommandNo(3));
    hello.lease = Some(steadfast::wire::LeaseClaim { id: lease, low, next });
    let conn = other.dial(hello);
    other.send(conn, message, n, &format!("{{\"n\":{n}}}"));
    other.finish(n);
    assert_eq!(other.answers(conn), told(&[(n, "ok")]));
    std::mem::swap(&mut bench.store, &mut other.store);
    let claim = StoreOp::ClaimLease {
        id: lease,
        holder: steadfast_rig::fixtures::holder(9),
        principal: "bob".into(),
        codec: steadfast::wire::Codec::Json,
        low,
    };
    bench.store.apply(bench.now, claim)
}

/// Kept outcomes of a lease are bounded, errors' too.
#[test]
fn old_replies_shrink_to_unknown() {
    for failing in [false, true] {
        let mut bench = Bench::with(|config| config.lease_record_bytes = 250);
        let conn = bench.attach();
        for n in 1..=3 {
            bench.ask(conn, n);
            let body = body("1".repeat(100));
            let failed = Outcome::failed(FailureCode::Error, Name::EMPTY, body.clone());
            bench.finish_with(n, if failing { failed } else { Outcome::Ok(body) }, Vec::new());
        }
        bench.ack(conn);
        bench.answers(conn);
        (1..=3).for_each(|n| bench.ask(conn, n));
        let kept = if failing { "Error again" } else { "ok again" };
        assert_eq!(bench.answers(conn), told(&[(1, "Unknown again"), (2, kept), (3, kept)]));
    }
}

/// An execution goes on when its socket ends, and its answer goes to whoever holds the lease then.
#[test]
fn an_execution_outlives_its_socket() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.cut(conn);
    bench.finish(1);
    let conn = {
        let hello = bench.again(conn);
        bench.dial(hello)
    };
    assert!(bench.welcome(conn).resumed);
    assert_eq!(bench.answers(conn), told(&[(1, "ok")]));
    assert_eq!(lost().code, None);
}

/// What waits for a free place is let go with what the client calls resolved.
#[test]
fn commands_that_wait_for_a_place_do_not_outlive_their_numbers() {
    let mut bench = Bench::with(|config| config.executions = 1);
    let busy = bench.attach();
    bench.post(busy, 1);
    let conn = bench.attach();
    for n in 1..=500 {
        bench.peer(conn).low = n;
        bench.post(conn, n);
    }
    assert!(bench.node.load().commands_waiting <= 1, "{:?}", bench.node.load());
}

/// A reply that nobody could carry is the handler's failure, and nothing that it published is
/// committed.
#[test]
fn a_reply_beyond_its_bound_fails_the_command() {
    let mut bench = Bench::with(|config| config.reply_bytes = 10);
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.finish_with(1, Outcome::Ok(Body::from("\"0123456789\"")), Vec::new());
    assert_eq!(bench.answers(conn), told(&[(1, "Internal")]));
}
