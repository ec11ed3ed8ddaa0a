//! What a client that keeps to no manners can make a node hold: each of these grew without a bound
//! once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, WIDE, volatile};
use steadfast::session::node::{Executed, Execution};
use steadfast::session::store::Outcome;
use steadfast::wire::{ClientFrame, CommandNo, Seq, SubNo};
use steadfast_rig::fixtures::{VOLATILE, body, log, name};

#[test]
fn volatile_handlers_of_lost_sockets_count_until_they_end() {
    let mut bench = Bench::with(|config| (config.executions, config.volatile_executions) = (5, 2));
    for _ in 0..20 {
        let conn = bench.attach();
        for _ in 0..3 {
            bench.frame(conn, ClientFrame::Volatile { name: name(VOLATILE), body: body("{}") });
        }
        bench.bye(conn);
    }
    assert_eq!(bench.executions.len(), 5, "as many as commands, and no more");
    for execution in std::mem::take(&mut bench.executions) {
        assert!(matches!(execution, Execution::Volatile { .. }));
        bench.executed(&execution, Executed::Volatile { publishes: Vec::new() });
    }
    let conn = bench.attach();
    bench.frame(conn, ClientFrame::Volatile { name: name(VOLATILE), body: body("{}") });
    assert_eq!(bench.executions.len(), 1, "and there is room again");
}

/// A client that calls resolved what was never answered, while the store is slow.
#[test]
fn what_waits_for_the_store_is_bounded_by_the_span() {
    let mut bench = Bench::with(|config| config.span = 8);
    let conn = bench.attach();
    bench.by_hand = true;
    let mut executed = 0;
    for n in 1..=100 {
        bench.ask(conn, n);
        for execution in std::mem::take(&mut bench.executions) {
            executed += 1;
            let outcome = Outcome::Ok(body("\"a long reply\""));
            bench.executed(&execution, Executed::Command { outcome, publishes: Vec::new() });
        }
        let received = Seq(bench.peers[&conn].recv);
        bench.frame(conn, ClientFrame::Ack { ack: received, low: CommandNo(n + 1) });
    }
    assert!(executed <= 17, "{executed} records wait for the store");
}

/// The latest one is kept, whatever its length.
#[test]
fn volatiles_that_wait_are_bounded_in_bytes() {
    let mut bench = Bench::with(|config| config.volatile_bytes = 40);
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.topics(conn);
    bench.stuck.insert(conn);
    for (key, text) in [("ann", 1), ("bob", 2), ("cid", 3)] {
        bench.act(|node, now| node.publish_volatile(now, volatile(log("a"), key, text)));
        let peaks = bench.node.peaks();
        assert!((1..=2).contains(&peaks.volatiles), "{peaks:?}");
        assert!(peaks.volatile_bytes <= 40, "{peaks:?}");
    }
    bench.read(conn);
    assert_eq!(bench.topics(conn), ["volatile 2", "volatile 3"]);
    let mut bench = Bench::with(|config| config.volatile_bytes = 1);
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.topics(conn);
    bench.stuck.insert(conn);
    for (key, text) in [("ann", 1), ("bob", 2)] {
        bench.act(|node, now| node.publish_volatile(now, volatile(log("a"), key, text)));
    }
    bench.read(conn);
    assert_eq!(bench.topics(conn), ["volatile 2"]);
}

/// Bytes of all topics together that a node of these tests may hold: some twenty events.
const ALL_BYTES: u64 = 400;

fn with_little_room_for_logs() -> Bench {
    Bench::with(|config| {
        config.topics_bytes = ALL_BYTES;
        config.topics_mut().iter_mut().for_each(|topic| topic.retention.entries = 1_000);
    })
}

#[test]
fn what_nobody_follows_makes_room_for_what_somebody_does() {
    let mut bench = with_little_room_for_logs();
    let conn = bench.attach();
    for (sub, key) in [(1, "a"), (2, "b")] {
        bench.subscribe(conn, sub, &log(key), None, WIDE);
        bench.publish(&log(key), 0);
    }
    bench.frame(conn, ClientFrame::Unsubscribe { sub: SubNo(1) });
    bench.topics(conn);
    assert_eq!(bench.node.load().topics, 2);
    for n in 2..=50 {
        bench.publish(&log("b"), n);
        assert_eq!(bench.topics(conn), [format!("event {n}")]);
        assert!(bench.node.load().topics_bytes <= ALL_BYTES, "{:?}", bench.node.load());
    }
    assert_eq!(bench.node.load().topics, 1, "the other one was forgotten");
}

/// Whoever fills most of it gives up its oldest entries; others keep theirs.
#[test]
fn tails_of_all_topics_together_are_bounded_in_bytes() {
    let mut bench = with_little_room_for_logs();
    let (quick, slow) = (bench.attach(), bench.attach());
    for conn in [quick, slow] {
        bench.subscribe(conn, 1, &log("quiet"), None, WIDE);
        bench.subscribe(conn, 2, &log("loud"), None, WIDE);
        bench.topics(conn);
    }
    bench.stuck.insert(slow);
    bench.publish(&log("quiet"), 1);
    assert_eq!(bench.topics(quick), ["event 1"]);
    for n in 1..=50 {
        bench.publish(&log("loud"), n);
        assert_eq!(bench.topics(quick), [format!("event {n}")]);
        assert!(bench.node.load().topics_bytes <= ALL_BYTES, "{:?}", bench.node.load());
    }
    bench.read(slow);
    let told = bench.topics(slow);
    assert_eq!(told, ["event 1", "Trimmed at 50"], "of the quiet one, and a gap in the loud one");
}

/// A single one that is longer than all may be is not held, and is told as a gap.
#[test]
fn an_event_that_there_is_no_room_for_is_a_gap_and_the_next_one_is_served() {
    let mut bench = with_little_room_for_logs();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.topics(conn);
    bench.publish(&log("a"), format_args!("\"{}\"", "x".repeat(500)));
    assert_eq!(bench.node.load().topics_bytes, 0);
    bench.publish(&log("a"), 2);
    assert_eq!(bench.topics(conn), ["Trimmed at 1", "event 2"]);
}
