//! Calls that wait for room in the outbox: their order, their time, their bounds, their end.

mod client_support;

use std::time::Duration;

use client_support::{Rig, command};
use steadfast::session::client::{CallId, CallOutcome, Event, Fate, Submission, SubmitError};
use steadfast::wire::RefusalCode;

/// A client whose outbox has room for so many commands.
fn narrow(commands: u32) -> Rig {
    Rig::attached_with(|config| config.outbox_commands = commands)
}

/// The answer to a command, which acknowledges it (PROTOCOL.md 5.14).
fn answer(rig: &mut Rig, n: u64) {
    rig.ack = n;
    rig.result(n);
}

fn fates(rig: &mut Rig) -> Vec<(CallId, Fate)> {
    let events = std::mem::take(&mut rig.events).into_iter();
    let fate =
        |event| if let Event::Fate { call, fate } = event { Some((call, fate)) } else { None };
    events.filter_map(fate).collect()
}

fn bodies(rig: &mut Rig) -> Vec<String> {
    rig.numbers().into_iter().map(|(_, _, body)| body).collect()
}

#[test]
fn a_call_that_finds_the_outbox_full_waits_and_enters_by_itself() {
    let mut rig = narrow(1);
    let first = rig.submit("1");
    let second = rig.submit("2");
    assert_eq!(rig.client.fate(second), Some(Fate::Waiting));
    assert_eq!(bodies(&mut rig), ["1"]);
    rig.take();
    answer(&mut rig, 1);
    assert_eq!(
        fates(&mut rig),
        [
            (first, Fate::Acked),
            (first, Fate::Done),
            (second, Fate::Queued),
            (second, Fate::Written)
        ]
    );
    assert_eq!(bodies(&mut rig), ["2"]);
}

#[test]
fn a_small_call_does_not_overtake_a_large_one() {
    let mut rig = Rig::attached_with(|config| config.outbox_bytes = 10);
    rig.submit("1234567");
    let large = rig.submit("7654321");
    let small = rig.submit("1");
    let waiting = [large, small].map(|call| rig.client.fate(call));
    assert_eq!(waiting, [Some(Fate::Waiting); 2], "there would be room for the small one");
    rig.take();
    answer(&mut rig, 1);
    assert_eq!(bodies(&mut rig), ["7654321", "1"]);
}

#[test]
fn whoever_is_withdrawn_makes_room_for_those_behind() {
    let mut rig = Rig::attached_with(|config| config.outbox_bytes = 10);
    rig.submit("1234567");
    let large = rig.submit("7654321");
    rig.submit("1");
    rig.take();
    assert!(rig.act(|client, now| client.cancel(now, large)));
    assert!(!rig.act(|client, now| client.cancel(now, large)));
    assert_eq!(bodies(&mut rig), ["1"]);
    answer(&mut rig, 1);
    answer(&mut rig, 2);
    assert_eq!(rig.client.load().backlog_calls, 0);
    assert!(rig.outcomes().iter().all(|(call, _)| *call != large), "it was told by `cancel`");
}

#[test]
fn the_time_of_a_call_counts_while_it_waits() {
    let mut rig = narrow(1);
    rig.submit("1");
    let patient = command("2");
    let hasty = Submission { timeout_ms: 100, ..command("3") };
    let patient = rig.act(|client, now| client.submit(now, patient)).expect("it may wait");
    let hasty = rig.act(|client, now| client.submit(now, hasty)).expect("it may wait");
    rig.take();
    rig.pass(99);
    assert_eq!(rig.client.fate(hasty), Some(Fate::Waiting));
    rig.pass(1);
    assert_eq!(rig.outcomes(), [(hasty, CallOutcome::Refused(RefusalCode::Expired))]);
    rig.pass(4_900);
    rig.take();
    answer(&mut rig, 1);
    let sent = rig.commands();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].deadline_ms, Some(5_000), "half of its ten seconds are over");
    assert_eq!(rig.client.fate(patient), Some(Fate::Written));
}

#[test]
fn a_call_that_waits_is_given_up_with_the_age_of_the_outbox() {
    let mut rig = Rig::with(|config| {
        config.outbox_commands = 1;
        config.outbox_age = Duration::from_secs(1);
    });
    let first = rig.submit("1");
    let second = rig.submit("2");
    rig.pass(1_000);
    let expired = CallOutcome::Refused(RefusalCode::Expired);
    assert_eq!(rig.outcomes(), [(first, expired.clone()), (second, expired)]);
}

#[test]
fn the_backlog_is_bounded_in_calls_and_in_bytes() {
    let full = |rig: &mut Rig, text: &str| {
        let command = command(text);
        rig.act(|client, now| client.submit(now, command)) == Err(SubmitError::Full)
    };
    let mut rig = Rig::with(|config| {
        config.outbox_commands = 1;
        (config.backlog_calls, config.backlog_bytes) = (3, 10);
    });
    rig.submit("1");
    rig.submit("123456");
    assert!(full(&mut rig, "12345"), "eleven bytes");
    rig.submit("1234");
    rig.submit("");
    assert!(full(&mut rig, ""), "a fourth call");
    let load = rig.client.load();
    assert_eq!((load.outbox_commands, load.backlog_calls, load.backlog_bytes), (1, 3, 10));
    assert_eq!(rig.client.status(rig.now).queued, 4);
}

#[test]
fn a_call_that_can_never_have_room_fails_at_once() {
    let mut rig = Rig::with(|config| config.outbox_bytes = 3);
    let long = rig.act(|client, now| client.submit(now, command("1234")));
    assert_eq!(long, Err(SubmitError::TooLarge { bytes: 4, limit: 3 }));
    let mut rig = Rig::with(|config| config.outbox_commands = 0);
    assert_eq!(rig.act(|client, now| client.submit(now, command("1"))), Err(SubmitError::Full));
}

#[test]
fn closing_ends_those_who_wait_as_never_executed_and_lets_nobody_in() {
    let mut rig = narrow(1);
    let first = rig.submit("1");
    let second = rig.submit("2");
    rig.take();
    rig.act(|client, now| client.close(now));
    assert!(
        rig.events.iter().all(|event| !matches!(event, Event::Fate { fate: Fate::Queued, .. }))
    );
    assert_eq!(
        rig.outcomes(),
        [
            (first, CallOutcome::Closed { sent: true }),
            (second, CallOutcome::Closed { sent: false })
        ]
    );
    assert_eq!(rig.client.poll_timeout(), None);
}

#[test]
fn a_lost_lease_lets_those_who_wait_follow_in_order() {
    let mut rig = narrow(2);
    for text in ["1", "2", "3", "4"] {
        rig.submit(text);
    }
    rig.take();
    rig.reconnect();
    rig.lease.0 += 1;
    rig.welcome_new();
    let unknown = rig.outcomes().into_iter().map(|(_, outcome)| outcome);
    assert_eq!(unknown.collect::<Vec<_>>(), vec![CallOutcome::OutcomeUnknown; 2]);
    assert_eq!(bodies(&mut rig), ["3", "4"]);
}
