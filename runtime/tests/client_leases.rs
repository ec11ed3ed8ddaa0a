//! When a client asks for its lease (PROTOCOL.md 5.23 to 5.25).

mod client_support;

use client_support::{Rig, code};
use steadfast::session::client::CallOutcome;
use steadfast::wire::{ClientFrame, LeaseId, ServerFrame};

/// A client that is attached and has no lease.
fn reader() -> Rig {
    let mut rig = Rig::new();
    rig.start();
    assert!(rig.connect().lease_later);
    rig.welcome_without_lease();
    rig.take();
    rig
}

fn asked(rig: &Rig) -> usize {
    rig.sent.iter().filter(|frame| **frame == ClientFrame::Lease).count()
}

#[test]
fn who_has_something_to_command_asks_in_hello() {
    let mut rig = Rig::new();
    rig.submit("early");
    rig.start();
    assert!(!rig.connect().lease_later);
    let mut rig = Rig::with(|config| config.lease_at_once = true);
    rig.start();
    assert!(!rig.connect().lease_later);
}

#[test]
fn the_first_command_asks_for_the_lease_and_waits_for_it() {
    let mut rig = reader();
    assert_eq!(asked(&rig), 0);
    rig.submit("one");
    rig.submit("two");
    assert_eq!((asked(&rig), rig.numbers().len()), (1, 0));
    rig.frame(ServerFrame::Lease(rig.grant()));
    assert_eq!(rig.numbers(), [(1, 1, "one".to_owned()), (2, 2, "two".to_owned())]);
    assert!(rig.reconnect().lease.is_some());
}

#[test]
fn nobody_asks_a_server_that_leaves() {
    let mut rig = reader();
    rig.frame(ServerFrame::GoAway { after_ms: 10, deadline_ms: 1_000 });
    rig.submit("one");
    assert_eq!(asked(&rig), 0);
    let hello = rig.reconnect();
    assert!(!hello.lease_later && hello.resume.is_some());
}

#[test]
fn a_lease_that_is_told_by_a_resume_or_twice_is_taken_once() {
    let mut rig = reader();
    rig.submit("one");
    let hello = rig.reconnect();
    assert_eq!((hello.lease, hello.lease_later), (None, false));
    rig.welcome_resumed(0);
    assert_eq!(rig.numbers(), [(1, 1, "one".to_owned())]);
    rig.frame(ServerFrame::Lease(rig.grant()));
    assert_eq!(rig.events.iter().filter(|event| format!("{event:?}").contains("4410")).count(), 0);
    rig.lease = LeaseId(7);
    let other = rig.grant();
    rig.frame(ServerFrame::Lease(other));
    assert!(format!("{:?}", rig.events).contains("4410"), "{:?}", rig.events);
}

#[test]
fn a_command_that_waits_for_its_lease_is_not_lost_with_the_session() {
    let mut rig = reader();
    let call = rig.submit("one");
    rig.closed(code(4100));
    rig.await_dial();
    rig.take();
    let hello = rig.connect();
    assert!(!hello.lease_later && hello.resume.is_none());
    rig.welcome_new();
    assert_eq!(rig.numbers(), [(1, 1, "one".to_owned())]);
    rig.result(1);
    let outcomes = rig.outcomes();
    assert!(matches!(&outcomes[..], [(of, CallOutcome::Reply(_))] if *of == call));
}
