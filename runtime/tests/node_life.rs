//! How a socket lives and ends: heartbeats, credentials that expire, peers that do not read,
//! draining (PROTOCOL.md sections 8, 9).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, WIDE};
use steadfast::session::node::{ConnId, Executed, Identity, Principal};
use steadfast::wire::{ClientFrame, ServerFrame};
use steadfast_rig::fixtures::{log, undeclared};

/// PROTOCOL.md 8.3
#[test]
fn credentials_expire() {
    let mut bench = Bench::new();
    bench.hooks_by_hand = true;
    let hello = bench.hello();
    let conn = bench.dial(hello);
    let execution = bench.executions.pop_front().unwrap();
    let identity = Identity::expiring(Principal::new("ann"), Duration::from_secs(5));
    bench.executed(&execution, Executed::Authenticated(Ok(identity)));
    bench.pass(4_999);
    assert_eq!(bench.code(conn), None);
    bench.pass(1);
    assert_eq!(bench.code(conn), Some(4202));
    assert_eq!(bench.node.load().sessions, 1, "they can be renewed");
}

fn pings(bench: &mut Bench, conn: ConnId) -> usize {
    bench.take(conn).iter().filter(|frame| matches!(frame, ServerFrame::Ping { .. })).count()
}

/// PROTOCOL.md 9.1
#[test]
fn silence_is_asked_about_and_then_ends_the_socket() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.pass(24_999);
    assert_eq!(pings(&mut bench, conn), 0);
    bench.pass(1);
    assert_eq!(pings(&mut bench, conn), 1);
    bench.pass(20_000);
    assert_eq!(pings(&mut bench, conn), 2);
    assert_eq!(bench.code(conn), None);
    bench.pass(10_000);
    assert_eq!(bench.code(conn), Some(4003));
    assert_eq!(bench.node.load().sessions, 1);
}

/// PROTOCOL.md 9.1, 2.4: any message counts as life, a WebSocket pong too.
#[test]
fn a_sign_of_life_starts_the_silence_anew() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.pass(40_000);
    assert_eq!(pings(&mut bench, conn), 2);
    bench.act(|node, now| node.handle_alive(now, conn));
    // To be heard is not enough: it says something, too (9.3).
    bench.frame(conn, ClientFrame::Ping { k: 1 });
    assert_eq!(pings(&mut bench, conn), 0);
    bench.pass(24_999);
    assert_eq!(pings(&mut bench, conn), 0);
    bench.pass(1);
    assert_eq!(pings(&mut bench, conn), 1);
}

/// PROTOCOL.md 9.3: a client that sends one long message hears nothing by it.
#[test]
fn whoever_is_heard_all_the_time_is_told_something_too() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    let mut asked = 0;
    for _ in 0..100 {
        bench.pass(1_000);
        bench.act(|node, now| node.handle_alive(now, conn));
        asked += pings(&mut bench, conn);
    }
    assert_eq!(asked, 4);
    assert_eq!(bench.code(conn), None);
}

/// PROTOCOL.md 9.2
#[test]
fn pong_goes_before_what_waits() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.stuck.insert(conn);
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.frame(conn, ClientFrame::Ping { k: 9 });
    bench.read(conn);
    assert!(matches!(bench.take(conn)[0], ServerFrame::Pong { k: 9 }));
}

/// A peer that asks and does not read is cut off, whatever it asks.
#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    for subscribing in [false, true] {
        let mut bench = Bench::new();
        let conn = bench.attach();
        bench.stuck.insert(conn);
        let none = undeclared();
        for k in 0..1_000 {
            match subscribing {
                true => bench.subscribe(conn, k, &none, None, WIDE),
                false => bench.frame(conn, ClientFrame::Ping { k }),
            }
        }
        assert_eq!(bench.code(conn), Some(4005));
    }
}

/// PROTOCOL.md 8.2
#[test]
fn draining_finishes_what_runs_and_refuses_what_is_new() {
    let mut bench = Bench::new();
    let (busy, idle) = (bench.attach(), bench.attach());
    bench.post(busy, 1);
    bench.act(|node, now| node.drain(now, 30_000, 0));
    let goaway = ServerFrame::GoAway { after_ms: 0, deadline_ms: 30_000 };
    assert_eq!(bench.take(idle), std::slice::from_ref(&goaway));
    assert_eq!(bench.code(idle), Some(4010));
    assert_eq!(bench.take(busy), [goaway]);
    bench.post(busy, 2);
    bench.post(busy, 1);
    bench.finish(1);
    assert_eq!(bench.answers(busy), [(2, "refused Draining".into()), (1, "ok".into())]);
    assert_eq!(bench.code(busy), None, "the answers are not acknowledged");
    bench.ack(busy);
    assert_eq!(bench.code(busy), Some(4010));
    let hello = bench.hello();
    let late = bench.dial(hello);
    assert_eq!(bench.code(late), Some(4010));
    assert!(bench.node.is_drained());
}

/// Its HELLO could only be refused, and until it comes the drain would wait.
#[test]
fn a_socket_that_comes_while_draining_is_closed_before_it_says_anything() {
    let mut bench = Bench::new();
    bench.act(|node, now| node.drain(now, 30_000, 0));
    let late = bench.accept();
    assert_eq!(bench.code(late), Some(4010));
    assert!(bench.node.is_drained());
}

/// PROTOCOL.md 8.2
#[test]
fn draining_ends_at_its_deadline() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.act(|node, now| node.drain(now, 5_000, 0));
    bench.pass(4_999);
    assert_eq!(bench.code(conn), None);
    bench.pass(1);
    assert_eq!(bench.code(conn), Some(4010));
    assert!(!bench.node.is_drained());
    bench.finish(1);
    assert!(bench.node.is_drained());
}

/// A drain notices that a command of an earlier session was the last thing.
#[test]
fn draining_waits_for_what_nobody_asked_again() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    let mut hello = bench.again(conn);
    hello.resume = None;
    let next = bench.dial(hello);
    bench.ack(next);
    bench.act(|node, now| node.drain(now, 30_000, 0));
    assert_eq!(bench.code(next), None);
    bench.finish(1);
    assert_eq!(bench.code(next), Some(4010));
}
