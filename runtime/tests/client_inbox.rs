//! Direct messages at the client (PROTOCOL.md 4.16): each once and in order, and what is missing is
//! told in its place.

mod client_support;

use client_support::{Rig, body, lost, name};
use steadfast::session::client::{ClientConfig, ConnectionState, Direct, Event};
use steadfast::wire::{ClientFrame, ResumeFailure, Seq, ServerFrame};

fn arrives(rig: &mut Rig, seq: u64, text: impl std::fmt::Display) {
    let (seq, ack) = (Seq(seq), Seq(0));
    rig.frame(ServerFrame::Direct { seq, ack, name: name("told"), body: body(text) });
}

/// What the inbox has, in words.
fn inbox(rig: &mut Rig) -> Vec<String> {
    std::iter::from_fn(|| rig.client.poll_inbox())
        .map(|next| match next {
            Direct::Message { body, .. } => format!("{body:?}"),
            Direct::Missed(missed) => format!("{missed:?}"),
        })
        .collect()
}

#[test]
fn messages_come_in_order_and_are_acknowledged_though_nobody_takes_them() {
    let mut rig = Rig::attached();
    rig.take();
    arrives(&mut rig, 1, 1);
    arrives(&mut rig, 2, 2);
    assert!(rig.events.contains(&Event::Inbox));
    rig.pass(250);
    let acks = |frame: &ClientFrame| matches!(frame, ClientFrame::Ack { ack: Seq(2), .. });
    assert!(rig.sent.iter().any(acks), "{:?}", rig.sent);
    assert_eq!(inbox(&mut rig), ["1", "2"]);
}

#[test]
fn a_resumed_session_misses_nothing_and_says_nothing() {
    let mut rig = Rig::attached();
    arrives(&mut rig, 1, 1);
    let hello = rig.reconnect();
    assert_eq!(hello.resume.map(|resume| resume.recv), Some(Seq(1)));
    rig.welcome_resumed(0);
    arrives(&mut rig, 2, 2);
    assert_eq!(inbox(&mut rig), ["1", "2"]);
}

#[test]
fn a_lost_session_is_told_in_its_place_and_once() {
    let mut rig = Rig::attached();
    arrives(&mut rig, 1, 1);
    for _ in 0..2 {
        rig.take();
        rig.reconnect();
        rig.frame(ServerFrame::ResumeFailed { reason: ResumeFailure::Unknown });
        assert!(rig.events.contains(&Event::Inbox), "whoever waits looks");
        rig.welcome_new();
    }
    arrives(&mut rig, 1, 2);
    assert_eq!(inbox(&mut rig), ["1", "SessionLost", "2"]);
    rig.closed(lost());
    assert_eq!(inbox(&mut rig), [""; 0], "a lost socket is not a lost session");
}

fn small(config: &mut ClientConfig) {
    (config.inbox_messages, config.inbox_bytes) = (3, 10);
}

#[test]
fn an_inbox_that_nobody_empties_throws_the_oldest_away_and_says_so() {
    let mut rig = Rig::attached_with(small);
    for number in 1..=5 {
        arrives(&mut rig, number, number);
        assert!(rig.client.load().inbox_messages <= 3);
    }
    assert_eq!(inbox(&mut rig), ["Overflow", "3", "4", "5"]);
    arrives(&mut rig, 6, 6);
    arrives(&mut rig, 7, "\"longer than ten\"");
    assert_eq!(inbox(&mut rig), ["Overflow", "\"longer than ten\""], "the latest one stays");
    arrives(&mut rig, 8, 8);
    assert_eq!(inbox(&mut rig), ["8"]);
}

#[test]
fn tellings_are_never_more_than_messages_and_one() {
    let mut rig = Rig::attached_with(small);
    for number in 0..10 {
        arrives(&mut rig, 1, number);
        rig.reconnect();
        rig.frame(ServerFrame::ResumeFailed { reason: ResumeFailure::Expired });
        rig.welcome_new();
    }
    assert!(matches!(rig.client.state(), ConnectionState::Connected { .. }));
    let found = inbox(&mut rig);
    assert_eq!(found, ["Overflow", "7", "SessionLost", "8", "SessionLost", "9", "SessionLost"]);
}
