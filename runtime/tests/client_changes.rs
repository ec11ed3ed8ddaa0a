//! What callers change about commands under way: they cancel them (PROTOCOL.md 5.27), or wait longer
//! or shorter.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod client_support;

use std::time::Duration;

use client_support::{Rig, code, command, lost};
use steadfast::session::client::{CallId, CallOutcome, Event, Fate};
use steadfast::wire::{ClientFrame, CommandNo, LeaseId, RefusalCode};

impl Rig {
    fn cancel(&mut self, call: CallId) -> bool {
        self.act(|client, now| client.cancel(now, call))
    }

    fn wait_for(&mut self, call: CallId, ms: u64) {
        let timeout = Duration::from_millis(ms);
        self.act(|client, now| client.set_timeout(now, call, timeout));
    }

    /// What went out about commands: `n`, and the deadline of a COMMAND.
    fn said(&mut self) -> Vec<(u64, Said)> {
        let frames = std::mem::take(&mut self.sent).into_iter();
        let said = |frame| match frame {
            ClientFrame::Command(command) => {
                Some((command.n.0, Said::Command(command.deadline_ms)))
            }
            ClientFrame::Cancel { n } => Some((n.0, Said::Cancel)),
            _ => None,
        };
        frames.filter_map(said).collect()
    }

    fn is_withdrawn(&mut self, call: CallId) -> bool {
        self.events.contains(&Event::Withdrawn { call })
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Command(Option<u64>),
    Cancel,
}

use Said::{Cancel, Command};

// ---- cancelled ----

#[test]
fn the_server_is_told_of_a_command_that_was_sent_and_its_outcome_is_the_truth() {
    let mut rig = Rig::attached();
    let call = rig.submit("a");
    assert!(!rig.cancel(call));
    assert!(!rig.cancel(call));
    assert_eq!(rig.said(), [(1, Command(None)), (1, Cancel)], "once");
    assert_eq!(rig.client.fate(call), Some(Fate::Written));
    rig.ack = 1;
    rig.result(1);
    assert!(matches!(rig.outcomes()[..], [(of, CallOutcome::Reply(_))] if of == call));
    assert!(!rig.cancel(call), "it has ended");
    assert_eq!(rig.said(), []);
}

#[test]
fn a_cancelled_command_that_had_not_begun_has_expired() {
    let mut rig = Rig::attached();
    let call = rig.submit("a");
    rig.cancel(call);
    rig.ack = 1;
    rig.refuse(1, RefusalCode::Expired, 0);
    assert_eq!(rig.outcomes(), [(call, CallOutcome::Refused(RefusalCode::Expired))]);
}

#[test]
fn a_resumed_session_is_told_again_and_what_it_missed_comes_too_late_to_begin() {
    let mut rig = Rig::attached();
    let (heard, missed) = (rig.submit("heard"), rig.submit("missed"));
    rig.cancel(heard);
    rig.cancel(missed);
    rig.reconnect();
    rig.take();
    rig.welcome_resumed(1);
    assert_eq!(rig.said(), [(1, Cancel), (2, Cancel), (2, Command(Some(0)))]);
}

#[test]
fn what_is_cancelled_without_a_connection_is_told_with_the_next() {
    let mut rig = Rig::attached();
    let call = rig.submit("a");
    rig.closed(lost());
    assert!(!rig.cancel(call));
    rig.await_dial();
    rig.connect();
    rig.take();
    rig.welcome_resumed(1);
    assert_eq!(rig.said(), [(1, Cancel)]);
}

#[test]
fn after_a_lost_session_a_cancelled_command_is_asked_for_its_outcome_alone() {
    let mut rig = Rig::attached();
    let call = rig.submit("a");
    rig.cancel(call);
    rig.closed(code(4100));
    rig.await_dial();
    rig.connect();
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.said(), [(1, Command(Some(0))), (1, Cancel)]);
    rig.closed(code(4100));
    rig.await_dial();
    rig.connect();
    rig.lease = LeaseId(0xbeef);
    rig.welcome_new();
    assert_eq!(rig.outcomes(), [(call, CallOutcome::OutcomeUnknown)], "it may have run");
}

#[test]
fn what_was_refused_for_now_is_withdrawn_before_and_after_it_is_cancelled() {
    for cancelled_first in [true, false] {
        let mut rig = Rig::attached();
        let call = rig.submit("a");
        rig.ack = 1;
        if cancelled_first {
            assert!(!rig.cancel(call));
        }
        rig.refuse(1, RefusalCode::Overload, 1_000);
        assert_eq!(rig.cancel(call), !cancelled_first);
        assert!(rig.is_withdrawn(call) && rig.client.fate(call).is_none());
        rig.take();
        rig.pass(1_000);
        rig.submit("b");
        let next = rig.commands().remove(0);
        assert_eq!((next.n, next.low), (CommandNo(2), CommandNo(2)), "nothing waits for it");
    }
}

/// A refusal says nothing of what an earlier session carried.
#[test]
fn what_an_earlier_session_carried_is_not_withdrawn() {
    let mut rig = Rig::attached();
    let call = rig.submit("a");
    rig.closed(code(4100));
    rig.await_dial();
    rig.connect();
    rig.welcome_new();
    rig.ack = 1;
    rig.refuse(1, RefusalCode::Overload, 1_000);
    rig.take();
    assert!(!rig.cancel(call));
    assert!(!rig.is_withdrawn(call));
    rig.pass(1_000);
    assert_eq!(rig.said(), [(1, Command(Some(0))), (1, Cancel)]);
}

// ---- patience ----

#[test]
fn a_timeout_of_its_own_replaces_the_declared_one_before_and_after_a_command_is_sent() {
    let mut rig = Rig::attached();
    let sent = rig.submit("a");
    rig.wait_for(sent, 3_000);
    rig.closed(lost());
    let unsent = rig.submit("b");
    rig.wait_for(unsent, 4_000);
    rig.take();
    rig.pass(2_999);
    assert!(!rig.events.contains(&Event::TimedOut { call: sent }));
    rig.pass(1);
    assert!(rig.events.contains(&Event::TimedOut { call: sent }));
    assert!(rig.client.fate(sent).is_some(), "it stays until it is resolved");
    rig.pass(999);
    assert!(rig.outcomes().is_empty());
    rig.pass(1);
    assert_eq!(rig.outcomes(), [(unsent, CallOutcome::Refused(RefusalCode::Expired))]);
}

#[test]
fn a_timeout_of_its_own_travels_and_counts_from_the_call() {
    let mut rig = Rig::new();
    let call = rig.submit("a");
    rig.wait_for(call, 60_000);
    rig.start();
    rig.pass(5_000);
    rig.connect();
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.said(), [(1, Command(Some(55_000)))]);
}

#[test]
fn whoever_was_told_of_a_timeout_may_wait_longer() {
    let mut rig = Rig::attached();
    let call = rig.submit("a");
    rig.pass_alive(10_000);
    assert!(rig.events.contains(&Event::TimedOut { call }));
    rig.wait_for(call, 15_000);
    rig.take();
    rig.pass_alive(4_999);
    assert!(!rig.events.contains(&Event::TimedOut { call }));
    rig.pass_alive(1);
    assert!(rig.events.contains(&Event::TimedOut { call }));
}

#[test]
fn a_call_that_waits_for_room_may_be_given_another_time() {
    let mut rig = Rig::with(|config| config.outbox_commands = 1);
    rig.submit("1");
    let waiting = rig.submit("2");
    rig.wait_for(waiting, 100);
    rig.pass(99);
    assert_eq!(rig.client.fate(waiting), Some(Fate::Waiting));
    rig.pass(1);
    assert_eq!(rig.outcomes(), [(waiting, CallOutcome::Refused(RefusalCode::Expired))]);
}

#[test]
fn no_call_waits_longer_than_the_setting_lets_it() {
    let mut rig = Rig::attached_with(|config| config.longest_timeout = Duration::from_secs(30));
    let call = rig.act(|client, now| client.submit(now, command("a"))).unwrap();
    rig.act(|client, now| client.set_timeout(now, call, Duration::MAX));
    rig.pass_alive(29_999);
    assert!(!rig.events.contains(&Event::TimedOut { call }));
    rig.pass_alive(1);
    assert!(rig.events.contains(&Event::TimedOut { call }));
}

#[test]
fn a_call_that_has_ended_is_not_changed() {
    let mut rig = Rig::attached();
    let call = rig.submit("a");
    rig.ack = 1;
    rig.result(1);
    rig.take();
    rig.wait_for(call, 1);
    rig.pass_alive(10);
    assert_eq!(rig.take().0, []);
}
