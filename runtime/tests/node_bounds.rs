//! What a client that keeps to no manners can make a node hold: each of these grew without a bound
//! once.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::Bench;
use steadfast::session::node::{Executed, Execution};
use steadfast::session::store::Outcome;
use steadfast::wire::{ClientFrame, CommandNo, Seq};
use steadfast_rig::fixtures::{VOLATILE, body, name};

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
