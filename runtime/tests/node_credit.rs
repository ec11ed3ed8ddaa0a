//! Credit of a subscription, in events and in bytes, and what never waits for it (PROTOCOL.md 7.8,
//! 7.9).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, WIDE};
use steadfast::wire::{ClientFrame, ServerFrame, Window};
use steadfast_rig::fixtures::{log, room};

/// PROTOCOL.md 7.8
#[test]
fn events_wait_for_credit_in_events() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, Window { frames: 2, bytes: 10_000 });
    let number = bench.subscribed(conn).number;
    (1..=5).for_each(|n| bench.publish(&log("a"), n));
    assert_eq!(bench.topics(conn), ["event 1", "event 2"]);
    bench.position(conn, number, 1, 0);
    assert_eq!(bench.topics(conn), ["event 3"]);
    bench.position(conn, number, 0, 0);
    assert!(bench.topics(conn).is_empty());
    bench.position(conn, number, 99, 0);
    assert_eq!(bench.topics(conn), ["event 4", "event 5"], "counts as what was sent");
}

/// PROTOCOL.md 7.8
#[test]
fn events_wait_for_credit_in_bytes() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, Window { frames: 100, bytes: 30 });
    let number = bench.subscribed(conn).number;
    (1..=5).for_each(|n| bench.publish(&log("a"), n));
    assert_eq!(
        bench.topics(conn),
        ["event 1", "event 2"],
        "each has 18 bytes or so; one may begin below the limit"
    );
    bench.position(conn, number, 1, 18);
    assert_eq!(bench.topics(conn).len(), 1);
}

/// PROTOCOL.md 7.8: the race of a POSITION and a reset. The bytes go on, so the client's count and
/// the server's agree.
#[test]
fn a_position_that_meets_a_reset_does_not_grant_too_much() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, Window { frames: 4, bytes: 10_000 });
    let first = bench.subscribed(conn);
    (1..=13).for_each(|n| bench.publish(&log("a"), n));
    let told = bench.topics(conn);
    assert_eq!(told, ["event 1", "event 2", "event 3", "event 4", "Trimmed at 13"]);
    (14..=20).for_each(|n| bench.publish(&log("a"), n));
    assert_eq!(bench.topics(conn), ["event 14", "event 15", "event 16", "event 17"]);
    bench.position(conn, first.number, 4, 40);
    assert!(bench.topics(conn).is_empty(), "it is below where the subscription begins now");
}

/// PROTOCOL.md 7.8: bytes that were sent before the reset are still owed.
#[test]
fn a_reset_does_not_reset_the_bytes_sent() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &room("a"), None, Window { frames: 100, bytes: 20 });
    bench.snapshot(Some("{\"0123456789\":0}"));
    let number = bench.subscribed(conn).number;
    (1..=30).for_each(|n| bench.publish(&room("a"), n));
    assert_eq!(bench.topics(conn), ["Trimmed at 9"]);
    (0..2).for_each(|_| bench.snapshot(Some("{}")));
    assert!(bench.topics(conn).is_empty(), "no bytes are left");
    bench.position(conn, number, 0, 30);
    assert_eq!(
        bench.topics(conn),
        ["snapshot 30"],
        "the bytes of a position count although its ts is old"
    );
}

/// PROTOCOL.md 7.9
#[test]
fn answers_never_wait_for_credit() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, Window { frames: 1, bytes: 1 });
    (1..=3).for_each(|n| bench.publish(&log("a"), n));
    bench.ask(conn, 1);
    bench.finish(1);
    bench.subscribe(conn, 2, &log("b"), None, WIDE);
    bench.publish(&log("b"), 1);
    bench.frame(conn, ClientFrame::Ping { k: 5 });
    let frames = bench.take(conn);
    assert!(frames.iter().any(|frame| matches!(frame, ServerFrame::Result { .. })));
    assert!(frames.iter().any(|frame| matches!(frame, ServerFrame::Pong { k: 5 })));
    assert_eq!(frames.iter().filter(|frame| matches!(frame, ServerFrame::Event { .. })).count(), 2);
}
