//! Commands at the server: acceptance, order, duplicates, refusals, deadlines (PROTOCOL.md section 5), and the sequences
//! that carry them (section 4).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, body, lost, told_answers as told};
use steadfast::session::node::{Attempt, Executed, Execution, NodeEvent};
use steadfast::session::store::{Outcome, StoreOp, StoreOutcome};
use steadfast::wire::{Body, ClientFrame, CommandNo, FailureCode, Name, RefusalCode, Seq, ServerFrame, Window};

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
        bench.finish_with(n, Outcome::Failed { code, name: Name::EMPTY, body: body("{}") }, Vec::new());
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
    let what = ["refused Unsupported", "refused Unsupported", "refused TooLarge", "refused Invalid", "ok"];
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
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (2, "refused Expired")]), "recorded, so in its turn");
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
    assert!(bench.events.contains(&NodeEvent::Abort(node_support::exec_of(&execution))));
    assert_eq!(bench.running(), [2]);
    bench.executed(&execution, Executed::Command { outcome: Outcome::Ok(body("{}")), publishes: Vec::new() });
    bench.post(conn, 1);
    assert_eq!(bench.answers(conn), told(&[(1, "Timeout again")]));
}

/// PROTOCOL.md 5.3
#[test]
fn a_command_beyond_the_span_is_an_error() {
    let mut bench = Bench::with(|config| config.span = 4);
    let conn = bench.attach();
    (1..=4).for_each(|n| bench.ask(conn, n));
    assert_eq!(bench.code(conn), None);
    bench.ask(conn, 5);
    assert_eq!(bench.code(conn), Some(4410));
}

/// PROTOCOL.md 5.4: a low mark above what was used can't be; one below the highest seen is ignored.
#[test]
fn a_low_mark_is_honest_and_never_falls() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.finish(1);
    bench.peer(conn).low = 2;
    bench.ack(conn);
    bench.peer(conn).low = 1;
    bench.ack(conn);
    assert_eq!(bench.code(conn), None);
    bench.peer(conn).low = 3;
    bench.ack(conn);
    assert_eq!(bench.code(conn), Some(4410));
}

/// PROTOCOL.md 5.4: answers that still wait for the window are forgotten too, so a client that never acks costs no more
/// than its window.
#[test]
fn answers_below_low_do_not_pile_up_behind_a_full_window() {
    let mut bench = Bench::new();
    let mut hello = bench.hello();
    hello.window = Window { frames: 2, bytes: 1_000 };
    let conn = bench.dial(hello);
    for n in 1..=20 {
        let mut command = bench.command_frame(conn, "post", n, "{}");
        command.ack = Seq::ZERO;
        command.low = CommandNo(n);
        bench.frame(conn, ClientFrame::Command(command));
        bench.finish(n);
    }
    assert_eq!(bench.answers(conn), told(&[(1, "ok"), (2, "ok")]));
    bench.peer(conn).low = 20;
    bench.ack(conn);
    assert_eq!(bench.answers(conn), told(&[(20, "ok")]), "nobody waits for those in between");
}

/// PROTOCOL.md 4.2
#[test]
fn a_gap_or_a_repetition_in_the_sequence_is_an_error() {
    for seq in [0, 1, 3, (1 << 53) - 1] {
        let mut bench = Bench::new();
        let conn = bench.attach();
        bench.post(conn, 1);
        let mut command = bench.command_frame(conn, "post", 2, "{}");
        command.seq = Seq(seq);
        bench.frame(conn, ClientFrame::Command(command));
        assert_eq!(bench.code(conn), Some(4410), "{seq}");
    }
}

/// PROTOCOL.md 4.6
#[test]
fn a_client_that_exceeds_the_window_is_cut_off() {
    let mut bench = Bench::with(|config| config.window = Window { frames: 2, bytes: 1_000_000 });
    let conn = bench.attach();
    bench.stuck.insert(conn);
    (1..=3).for_each(|n| bench.ask(conn, n));
    assert_eq!(bench.code(conn), Some(4410));
}

/// PROTOCOL.md 4.6: one frame may always be sent.
#[test]
fn one_frame_larger_than_the_window_may_be_sent_alone() {
    let mut bench = Bench::with(|config| config.window = Window { frames: 10, bytes: 10 });
    let conn = bench.attach();
    bench.send(conn, "ask", 1, &"1".repeat(100));
    assert_eq!(bench.code(conn), None);
    bench.stuck.insert(conn);
    bench.send(conn, "ask", 2, "1");
    bench.send(conn, "ask", 3, &"1".repeat(100));
    assert_eq!(bench.code(conn), Some(4410));
}

/// PROTOCOL.md 4.6: the client's window holds for the server.
#[test]
fn answers_wait_for_the_clients_window() {
    let mut bench = Bench::new();
    let mut hello = bench.hello();
    hello.window = Window { frames: 2, bytes: 1_000 };
    let conn = bench.dial(hello);
    (1..=5).for_each(|n| bench.ask(conn, n));
    (1..=5).for_each(|n| bench.finish(n));
    assert_eq!(bench.answers(conn).len(), 2);
    bench.ack(conn);
    assert_eq!(bench.answers(conn).len(), 2);
    bench.ack(conn);
    assert_eq!(bench.answers(conn).len(), 1);
}

/// PROTOCOL.md 4.4
#[test]
fn an_ack_above_what_was_sent_is_an_error_and_one_below_is_ignored() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=2).for_each(|n| bench.ask(conn, n));
    (1..=2).for_each(|n| bench.finish(n));
    bench.ack(conn);
    bench.peer(conn).recv = 1;
    bench.ack(conn);
    assert_eq!(bench.code(conn), None);
    bench.peer(conn).recv = 3;
    bench.ack(conn);
    assert_eq!(bench.code(conn), Some(4410));
}

fn acks(frames: &[ServerFrame]) -> Vec<u64> {
    frames.iter().filter_map(|frame| if let ServerFrame::Ack { ack } = frame { Some(ack.0) } else { None }).collect()
}

/// PROTOCOL.md 4.5
#[test]
fn an_ack_goes_out_alone_by_count_by_bytes_and_by_time() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    (1..=31).for_each(|n| bench.ask(conn, n));
    assert!(acks(&bench.take(conn)).is_empty());
    bench.ask(conn, 32);
    assert_eq!(acks(&bench.take(conn)), [32]);
    bench.ask(conn, 33);
    bench.pass(250);
    assert_eq!(acks(&bench.take(conn)), [33]);
    let mut bench = Bench::with(|config| config.window = Window { frames: 100, bytes: 100 });
    let conn = bench.attach();
    bench.send(conn, "ask", 1, &"1".repeat(50));
    assert_eq!(acks(&bench.take(conn)), [1]);
    let mut bench = Bench::with(|config| config.window = Window { frames: 4, bytes: 100_000 });
    let conn = bench.attach();
    bench.ask(conn, 1);
    bench.ask(conn, 2);
    assert_eq!(acks(&bench.take(conn)), [2]);
}

/// PROTOCOL.md 4.5: not if another frame has carried it.
#[test]
fn an_answer_carries_the_ack() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.ask(conn, 1);
    bench.finish(1);
    bench.pass(1_000);
    let frames = bench.take(conn);
    assert!(matches!(&frames[..], [ServerFrame::Result { ack: Seq(1), .. }]), "{frames:?}");
}

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
    assert_eq!(bench.answers(conn).len(), 5, "timeouts and passed deadlines give their places back");
    assert_eq!(bench.node.load().executions, 0);
}

/// PROTOCOL.md 5.16
#[test]
fn volatiles_are_dropped_under_load_and_leave_nothing() {
    let mut bench = Bench::with(|config| config.volatile_executions = 2);
    let conn = bench.attach();
    let nudge = || ClientFrame::Volatile { name: node_support::name("nudge"), body: body("{}") };
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

/// Requirements row A7: a retry after a restart is told that it may be one.
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
    assert!(bench.events.contains(&NodeEvent::Abort(node_support::exec_of(&first))));
    assert_eq!(bench.running(), [1], "that of the other lease");
    bench.finish(1);
    bench.finish(2);
    assert_eq!(bench.node.load().executions, 0);
}

/// A number whose outcome another node has recorded is not run because it waited for its place here.
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
    let lease = bench.welcome(conn).lease.id;
    // The client goes to another node and comes back.
    let record = record_elsewhere(&mut bench, lease, 1, "ask");
    bench.cut(conn);
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
    let lease = bench.welcome(conn).lease.id;
    record_elsewhere(&mut bench, lease, 1, "post");
    bench.cut(conn);
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
fn record_elsewhere(bench: &mut Bench, lease: steadfast::wire::LeaseId, n: u64, message: &'static str) -> StoreOutcome {
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
    let claim = StoreOp::ClaimLease { id: lease, principal: "bob".into(), codec: steadfast::wire::Codec::Json, low };
    bench.store.apply(bench.now, claim)
}

/// Requirements row P6 and critique 25: kept outcomes of a lease are bounded, errors' too.
#[test]
fn old_replies_shrink_to_unknown() {
    for failing in [false, true] {
        let mut bench = Bench::with(|config| config.lease_record_bytes = 250);
        let conn = bench.attach();
        for n in 1..=3 {
            bench.ask(conn, n);
            let body = body("1".repeat(100));
            let failed = Outcome::Failed { code: FailureCode::Error, name: Name::EMPTY, body: body.clone() };
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

/// PROTOCOL.md 4.7: what is sent again by both sides is answered once.
#[test]
fn answers_do_not_pile_up_over_resumes_without_acks() {
    let mut bench = Bench::new();
    let mut conn = bench.attach();
    for _ in 0..20 {
        let first = bench.peers[&conn].seq;
        for n in 1..=50 {
            let mut frame = bench.command_frame(conn, "post", n, "{}");
            frame.ack = Seq(0);
            bench.frame(conn, ClientFrame::Command(frame));
            if first == 0 {
                bench.finish(n);
            }
        }
        let mut hello = bench.again(conn);
        hello.resume.as_mut().expect("a session").recv = Seq(0);
        bench.cut(conn);
        conn = bench.dial(hello);
        bench.read(conn);
        assert!(bench.node.load().answers_waiting <= 256, "{:?}", bench.node.load());
    }
}

/// A reply that nobody could carry is the handler's failure, and nothing that it published is committed.
#[test]
fn a_reply_beyond_its_bound_fails_the_command() {
    let mut bench = Bench::with(|config| config.reply_bytes = 10);
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.finish_with(1, Outcome::Ok(Body(bytes::Bytes::from_static(b"\"0123456789\""))), Vec::new());
    assert_eq!(bench.answers(conn), told(&[(1, "Internal")]));
}
