//! What a client that keeps to no manners can make a node hold: each of these grew without a bound
//! once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, WIDE, volatile};
use steadfast::session::node::{Executed, Execution};
use steadfast::session::store::Outcome;
use steadfast::wire::{ClientFrame, CommandNo, Seq};
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
