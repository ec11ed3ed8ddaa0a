//! States of topics and what they cost: one call of the hook and one body for all, within bounds;
//! and what one principal may follow.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, WIDE};
use steadfast::session::node::{ConnId, Execution};
use steadfast_rig::fixtures::{ANN, BOB, log, room};

fn hooks(bench: &Bench) -> usize {
    let is = |execution: &&Execution| matches!(execution, Execution::Snapshot { .. });
    bench.executions.iter().filter(is).count()
}

fn with_interval(ms: u64) -> Bench {
    Bench::with(|config| config.snapshot_interval = Duration::from_millis(ms))
}

#[test]
fn newcomers_within_the_interval_share_a_state() {
    let mut bench = with_interval(100);
    for index in 0..50 {
        let conn = bench.attach();
        bench.subscribe(conn, 1, &room("a"), None, WIDE);
        if index == 0 {
            bench.snapshot(Some("{}"));
        }
        assert_eq!(hooks(&bench), 0, "{index}");
        assert_eq!(bench.topics(conn), ["Initial at 0", "snapshot 0"], "{index}");
        bench.pass(1);
    }
}

/// Who has done something and then looks finds it in the state.
#[test]
fn a_state_that_is_older_than_the_head_serves_nobody_and_is_not_asked_for_too_often() {
    let mut bench = with_interval(100);
    let (first, second) = (bench.attach(), bench.attach());
    bench.subscribe(first, 1, &room("a"), None, WIDE);
    bench.snapshot(Some("{}"));
    bench.publish(&room("a"), "{}");
    bench.subscribe(second, 1, &room("a"), None, WIDE);
    assert_eq!((hooks(&bench), bench.topics(second)), (0, vec!["Initial at 1".to_owned()]));
    bench.pass(99);
    assert_eq!(hooks(&bench), 0);
    bench.pass(1);
    bench.snapshot(Some("{}"));
    assert_eq!(bench.topics(second), ["snapshot 1"]);
}

/// SUBSCRIBE and UNSUBSCRIBE in a row cost one call of the hook for each interval.
#[test]
fn churn_does_not_keep_the_hook_busy() {
    let mut bench = with_interval(100);
    let conn = bench.attach();
    let mut called = 0;
    for sub in 1..=1_000 {
        bench.subscribe(conn, sub, &room("a"), None, WIDE);
        if hooks(&bench) > 0 {
            called += 1;
            bench.snapshot(Some("{}"));
        }
        bench.frame(
            conn,
            steadfast::wire::ClientFrame::Unsubscribe { sub: steadfast::wire::SubNo(sub) },
        );
        bench.pass(1);
    }
    assert!((9..=11).contains(&called), "{called}");
    bench.pass(5_000);
    assert_eq!(bench.node.load().snapshot_bytes, 0, "and nothing stays");
}

/// Who reads nothing costs no state of its own, however often it changes.
#[test]
fn states_that_nobody_takes_are_counted_once_for_each_topic() {
    let text = format!("{{\"state\":\"{}\"}}", "x".repeat(1_000));
    let mut bench = with_interval(10);
    for round in 0..20 {
        let conn = bench.attach();
        bench.stuck.insert(conn);
        bench.subscribe(conn, 1, &room("a"), None, WIDE);
        bench.snapshot(Some(&text));
        assert_eq!(bench.node.load().snapshot_bytes, text.len() as u64, "{round}");
        bench.publish(&room("a"), "{}");
        bench.pass(2_000);
    }
    let slow: Vec<ConnId> = bench.stuck.iter().copied().collect();
    bench.stuck.clear();
    for conn in slow {
        bench.read(conn);
        let told = bench.topics(conn);
        assert!(told.contains(&"snapshot 19".to_owned()), "each gets the latest: {told:?}");
    }
    bench.pass(2_000);
    assert_eq!(bench.node.load().snapshot_bytes, 0);
}

#[test]
fn a_state_that_is_too_long_ends_its_own_subscription() {
    let mut bench = Bench::with(|config| config.snapshot_bytes = 10);
    let conn = bench.attach();
    bench.subscribe(conn, 1, &room("a"), None, WIDE);
    bench.snapshot(Some("{\"x\":12345}"));
    assert_eq!(bench.topics(conn), ["Initial at 0", "ended TooLarge"]);
    bench.subscribe(conn, 2, &room("b"), None, WIDE);
    bench.snapshot(Some("{\"x\":1234}"));
    assert_eq!(bench.topics(conn), ["Initial at 0", "snapshot 0"]);
}

#[test]
fn states_of_many_topics_that_nobody_takes_are_bounded() {
    let mut bench = Bench::with(|config| config.snapshots_bytes = 25);
    let conn = bench.attach();
    bench.stuck.insert(conn);
    for (sub, key) in (1..).zip(["a", "b", "c"]) {
        bench.subscribe(conn, sub, &room(key), None, WIDE);
        bench.snapshot(Some("{\"x\":1234}"));
    }
    assert_eq!(bench.node.load().snapshot_bytes, 20);
    bench.read(conn);
    let told = bench.topics(conn);
    assert_eq!(told.iter().filter(|told| *told == "ended Overload").count(), 1, "{told:?}");
    assert_eq!(bench.node.load().snapshot_bytes, 0);
}

/// A topic whose state is read again and again leaves room for those of others.
#[test]
fn a_state_that_nobody_waits_for_gives_way_to_one_that_somebody_does() {
    let mut bench = Bench::with(|config| {
        config.snapshots_bytes = 15;
        config.snapshot_interval = Duration::from_millis(100);
    });
    let (first, second) = (bench.attach(), bench.attach());
    bench.subscribe(first, 1, &room("a"), None, WIDE);
    bench.snapshot(Some("{\"x\":1234}"));
    bench.subscribe(second, 2, &room("b"), None, WIDE);
    bench.snapshot(Some("{\"x\":5678}"));
    assert_eq!(bench.topics(second), ["Initial at 0", "snapshot 0"]);
    assert_eq!(bench.node.load().snapshot_bytes, 10);
    // The first topic's hook is left alone for as long as it would have been.
    let third = bench.attach();
    bench.subscribe(third, 3, &room("a"), None, WIDE);
    bench.pass(99);
    assert_eq!(hooks(&bench), 0);
    bench.pass(1);
    bench.snapshot(Some("{\"x\":4321}"));
    assert_eq!(bench.topics(third), ["Initial at 0", "snapshot 0"]);
    bench.pass(5_000);
    assert_eq!(bench.node.load().snapshot_bytes, 0, "and nothing stays");
}

// ---- what one principal may follow ----

#[test]
fn a_principal_follows_no_more_than_its_quota_on_all_its_sockets() {
    let mut bench = Bench::with(|config| config.subscriptions_per_principal = 3);
    let (first, second, ann) = (bench.attach_as(BOB), bench.attach_as(BOB), bench.attach_as(ANN));
    for (conn, key) in [(first, "a"), (first, "b"), (second, "c"), (second, "d"), (ann, "d")] {
        bench.subscribe(conn, key.as_bytes()[0].into(), &log(key), None, WIDE);
    }
    assert_eq!(bench.topics(second), ["Initial at 0", "ended Overload"]);
    assert_eq!(bench.topics(ann), ["Initial at 0"]);
    bench.cut(first);
    bench.subscribe(second, 1, &log("d"), None, WIDE);
    assert_eq!(bench.topics(second), ["Initial at 0"]);
    assert_eq!(bench.node.peaks().principal_subscriptions, 2);
}

/// When every topic is taken, a newcomer gets one of those of whoever has most.
#[test]
fn whoever_follows_most_gives_up_a_topic_for_a_newcomer() {
    let mut bench = Bench::with(|config| config.topics_held = 4);
    let (bob, ann, eve) = (bench.attach_as(BOB), bench.attach_as(ANN), bench.attach_as("eve"));
    for (sub, key) in (1..).zip(["a", "b", "c", "shared"]) {
        bench.subscribe(bob, sub, &log(key), None, WIDE);
    }
    bench.subscribe(ann, 1, &log("shared"), None, WIDE);
    bench.take(bob);
    bench.take(ann);
    bench.subscribe(ann, 2, &log("x"), None, WIDE);
    assert_eq!(bench.topics(ann), ["Initial at 0"]);
    assert_eq!(bench.topics(bob), ["ended Overload"], "not the one that others follow");
    bench.subscribe(eve, 1, &log("y"), None, WIDE);
    assert_eq!(bench.topics(eve), ["Initial at 0"]);
    assert_eq!(bench.topics(bob), ["ended Overload"]);
    bench.subscribe(bob, 5, &log("z"), None, WIDE);
    assert_eq!(bench.topics(bob), ["ended Overload"], "nobody has more than it would have");
    assert_eq!(bench.node.load().topics, 4);
}
