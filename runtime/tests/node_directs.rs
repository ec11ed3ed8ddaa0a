//! Direct messages at the node (PROTOCOL.md 4.16): whom they reach, in which order, how often, and
//! what bounds them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::Bench;
use steadfast::session::node::{
    ConnId, DirectMessage, Executed, Execution, Recipient, Sent, StagedPublish,
};
use steadfast::session::store::Outcome;
use steadfast::wire::{ClientFrame, Codec, CommandNo, Seq, ServerFrame, Window};
use steadfast_rig::fixtures::{ANN, BOB, VOLATILE, body, name};

const ONE: Sent = Sent { sessions: 1, full: 0, too_long: 0 };
const NOBODY: Sent = Sent { sessions: 0, full: 0, too_long: 0 };
const FULL: Sent = Sent { sessions: 0, full: 1, too_long: 0 };

fn direct(to: &Recipient, text: impl std::fmt::Display) -> DirectMessage {
    DirectMessage { to: to.clone(), name: name("told"), bodies: vec![(Codec::Json, body(text))] }
}

fn send(bench: &mut Bench, to: &Recipient, text: impl std::fmt::Display) -> Sent {
    let message = direct(to, text);
    bench.act(|node, now| node.send_to(now, &message))
}

/// The client says that it has accepted what has come.
fn accepts(bench: &mut Bench, conn: ConnId) {
    let (recv, low) = (bench.peer(conn).recv, bench.peer(conn).low.max(1));
    bench.frame(conn, ClientFrame::Ack { ack: Seq(recv), low: CommandNo(low) });
}

#[test]
fn a_principal_has_it_in_every_session_and_nobody_else_has_it() {
    let mut bench = Bench::new();
    let (one, two, bob) = (bench.attach_as(ANN), bench.attach_as(ANN), bench.attach_as(BOB));
    for conn in [one, two, bob] {
        bench.take(conn);
    }
    let ann = Recipient::principal(ANN);
    for number in 1..=3 {
        assert_eq!(send(&mut bench, &ann, number), Sent { sessions: 2, full: 0, too_long: 0 });
    }
    assert_eq!(bench.directs(one), ["1", "2", "3"]);
    assert_eq!(bench.directs(two), ["1", "2", "3"]);
    assert_eq!(bench.directs(bob), [""; 0]);
    assert_eq!(send(&mut bench, &Recipient::principal("nobody"), 4), NOBODY);
}

#[test]
fn a_resumed_session_has_what_it_had_not_accepted_once_more_and_what_came_meanwhile() {
    let mut bench = Bench::new();
    let conn = bench.attach_as(ANN);
    let ann = Recipient::principal(ANN);
    send(&mut bench, &ann, 1);
    accepts(&mut bench, conn);
    bench.stuck.insert(conn);
    send(&mut bench, &ann, 2);
    bench.cut(conn);
    assert_eq!(send(&mut bench, &ann, 3), ONE, "the session is here, if its socket is not");
    let conn = bench.resume(conn);
    assert!(bench.welcome(conn).resumed);
    assert_eq!(bench.directs(conn), ["2", "3"]);
    accepts(&mut bench, conn);
    let conn = bench.resume(conn);
    assert_eq!(bench.directs(conn), [""; 0]);
}

#[test]
fn what_a_session_has_waiting_is_bounded_in_number_and_in_bytes() {
    let mut bench = Bench::with(|config| {
        (config.directs_per_session, config.direct_bytes_per_session) = (3, 10);
    });
    let conn = bench.attach_as(ANN);
    bench.take(conn);
    let ann = Recipient::principal(ANN);
    for number in 1..=3 {
        assert_eq!(send(&mut bench, &ann, number), ONE);
    }
    assert_eq!(send(&mut bench, &ann, 4), FULL);
    assert_eq!(bench.directs(conn), ["1", "2", "3"]);
    accepts(&mut bench, conn);
    assert_eq!(send(&mut bench, &ann, "\"a long one, but alone\""), ONE);
    assert_eq!(send(&mut bench, &ann, 5), FULL, "beside it there is no room");
    accepts(&mut bench, conn);
    assert_eq!(send(&mut bench, &ann, 6), ONE);
    let peaks = bench.node.peaks();
    assert_eq!((peaks.directs, peaks.direct_bytes), (1, 0));
}

/// A message that its client refuses would end each socket that it comes on.
#[test]
fn nobody_is_sent_what_its_client_does_not_take() {
    let mut bench = Bench::new();
    let mut hello = bench.hello();
    (hello.token, hello.message_bytes) = (Some(ANN.into()), Some(200));
    let conn = bench.dial(hello);
    bench.take(conn);
    let long = format!("\"{}\"", "x".repeat(100));
    let sent = send(&mut bench, &Recipient::principal(ANN), long);
    assert_eq!(sent, Sent { sessions: 0, full: 0, too_long: 1 });
    assert_eq!(send(&mut bench, &Recipient::principal(ANN), 1), ONE);
    assert_eq!(bench.directs(conn), ["1"]);
}

/// Answers that a client does not wait for leave its queue (PROTOCOL.md 5.4); messages do not.
#[test]
fn a_low_water_mark_takes_no_message_away() {
    let mut bench = Bench::new();
    let mut hello = bench.hello();
    hello.token = Some(ANN.into());
    hello.window = Window { frames: 1, bytes: 1_000 };
    let conn = bench.dial(hello);
    let ann = Recipient::principal(ANN);
    for number in 1..=3 {
        send(&mut bench, &ann, number);
    }
    assert_eq!(bench.directs(conn), ["1"], "the client's window holds for messages too");
    bench.post(conn, 1);
    bench.finish(1);
    bench.frame(conn, ClientFrame::Ack { ack: Seq(0), low: CommandNo(2) });
    for _ in 0..3 {
        accepts(&mut bench, conn);
    }
    let left = bench.take(conn);
    assert!(left.iter().all(|frame| matches!(frame, ServerFrame::Direct { .. })), "{left:?}");
    assert_eq!(left.len(), 2, "2 and 3 have come, and the answer is gone");
}

fn staged(to: Recipient, text: &str) -> Vec<StagedPublish> {
    vec![StagedPublish::Direct(direct(&to, text))]
}

#[test]
fn a_command_sends_when_its_record_is_written_and_only_if_it_succeeds() {
    let mut bench = Bench::new();
    let conn = bench.attach_as(ANN);
    bench.take(conn);
    bench.by_hand = true;
    bench.post(conn, 1);
    bench.finish_with(1, Outcome::Ok(body("{}")), staged(Recipient::principal(ANN), "1"));
    assert_eq!(bench.directs(conn), [""; 0], "not before");
    bench.store_all();
    assert_eq!(bench.directs(conn), ["1"]);
    bench.post(conn, 2);
    let failed = Outcome::failed(steadfast::wire::FailureCode::Error, name("muted"), body("{}"));
    bench.finish_with(2, failed, staged(Recipient::principal(ANN), "2"));
    bench.store_all();
    assert_eq!(bench.directs(conn), [""; 0]);
}

#[test]
fn whoever_sent_a_command_is_found_on_a_later_socket_and_in_a_later_session() {
    let mut bench = Bench::new();
    let mut conn = bench.attach_as(ANN);
    for (n, keeps_session) in [(1, true), (2, false)] {
        bench.post(conn, n);
        let Execution::Command { lease, .. } = bench.executions[0].clone() else {
            panic!("a command runs");
        };
        conn = if keeps_session {
            bench.resume(conn)
        } else {
            let mut hello = bench.again(conn);
            hello.resume = None;
            bench.dial(hello)
        };
        assert_eq!(bench.welcome(conn).resumed, keeps_session);
        bench.take(conn);
        bench.finish_with(n, Outcome::Ok(body("{}")), staged(Recipient::Lease(lease), "1"));
        assert_eq!(bench.directs(conn), ["1"], "{n}");
        accepts(&mut bench, conn);
    }
}

#[test]
fn whoever_sent_a_volatile_is_found_while_its_connection_lives() {
    let mut bench = Bench::new();
    let conn = bench.attach_as(ANN);
    bench.take(conn);
    let volatile = || ClientFrame::Volatile { name: name(VOLATILE), body: body("{}") };
    let answer = |bench: &mut Bench, text: &str| {
        let execution = bench.executions.pop_front().unwrap();
        assert!(matches!(execution, Execution::Volatile { .. }));
        let publishes = staged(Recipient::Connection(conn), text);
        bench.executed(&execution, Executed::Volatile { publishes });
    };
    bench.frame(conn, volatile());
    answer(&mut bench, "1");
    assert_eq!(bench.directs(conn), ["1"]);
    bench.frame(conn, volatile());
    bench.cut(conn);
    answer(&mut bench, "2");
    assert_eq!(bench.node.load().answers_waiting, 0);
}
