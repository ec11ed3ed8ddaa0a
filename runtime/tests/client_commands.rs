//! The client's outbox and session sequences.

mod client_support;

use std::time::Duration;

use client_support::{Rig, code, command};
use steadfast::session::CloseCode;
use steadfast::session::client::{CallOutcome, Event, Fate, Submission, SubmitError};
use steadfast::wire::{
    Body, ClientFrame, CommandNo, FailureCode, LeaseId, Name, RefusalCode, ResumeFailure, Seq,
    ServerFrame, Window,
};

fn numbers(list: &[(u64, u64, &str)]) -> Vec<(u64, u64, String)> {
    list.iter().map(|(seq, n, text)| (*seq, *n, (*text).to_owned())).collect()
}

#[test]
fn a_command_is_followed_from_the_outbox_to_its_reply() {
    let mut rig = Rig::new();
    let call = rig.submit("a");
    assert_eq!(rig.client.fate(call), Some(Fate::Queued));
    rig.start();
    rig.connect();
    rig.welcome_new();
    assert_eq!(rig.client.fate(call), Some(Fate::Written));
    rig.frame(ServerFrame::Ack { ack: Seq(1) });
    assert_eq!(rig.client.fate(call), Some(Fate::Acked));
    rig.ack = 1;
    rig.result(1);
    assert_eq!(rig.client.fate(call), None);
    let fates: Vec<Fate> = rig
        .events
        .iter()
        .filter_map(|event| if let Event::Fate { fate, .. } = event { Some(*fate) } else { None })
        .collect();
    assert_eq!(fates, [Fate::Written, Fate::Acked, Fate::Done]);
    assert_eq!(rig.outcomes(), [(call, CallOutcome::Reply(Body::UNIT))]);
    assert_eq!(rig.client.outbox(), (0, 0));
}

#[test]
fn numbers_are_given_at_the_first_transmission_without_gaps() {
    let mut rig = Rig::new();
    rig.submit("a");
    let withdrawn = rig.submit("b");
    rig.submit("c");
    assert!(rig.act(|client, now| client.cancel(now, withdrawn)));
    rig.start();
    rig.connect();
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.numbers(), numbers(&[(1, 1, "a"), (2, 2, "c")]));
}

#[test]
fn a_full_outbox_takes_nothing_more() {
    let mut rig = Rig::with(|config| {
        config.outbox_commands = 3;
        config.outbox_bytes = 10;
        config.backlog_calls = 0;
    });
    rig.submit("12345");
    let six = command("123456");
    assert_eq!(rig.client.submit(rig.now, six), Err(SubmitError::Full));
    rig.submit("1");
    rig.submit("1");
    assert_eq!(rig.client.submit(rig.now, command("")), Err(SubmitError::Full));
}

#[test]
fn a_body_that_is_too_long_is_refused_at_once() {
    let mut rig = Rig::new();
    let long = Submission { max_bytes: 3, ..command("long") };
    assert_eq!(rig.client.submit(rig.now, long), Err(SubmitError::TooLarge { bytes: 4, limit: 3 }));
}

#[test]
fn a_body_that_this_server_does_not_take_never_reaches_it() {
    let mut rig = Rig::new();
    rig.frame_bytes = 200;
    let call = rig.submit("x".repeat(100));
    rig.submit("short");
    rig.start();
    rig.connect();
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.numbers(), numbers(&[(1, 1, "short")]));
    assert_eq!(rig.outcomes(), [(call, CallOutcome::Refused(RefusalCode::TooLarge))]);
    assert!(matches!(
        rig.client.submit(rig.now, command("y".repeat(100))),
        Err(SubmitError::TooLarge { .. })
    ));
}

#[test]
fn the_window_limits_frames_and_bytes_until_they_are_acknowledged() {
    let mut rig = Rig::new();
    rig.window = Window { frames: 3, bytes: 10 };
    for text in ["1234", "5678", "90ab", "c", "d", "e"] {
        rig.submit(text);
    }
    rig.start();
    rig.connect();
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.numbers(), numbers(&[(1, 1, "1234"), (2, 2, "5678")]), "bytes");
    rig.frame(ServerFrame::Ack { ack: Seq(1) });
    assert_eq!(rig.numbers(), numbers(&[(3, 3, "90ab"), (4, 4, "c")]), "frames");
    rig.frame(ServerFrame::Ack { ack: Seq(4) });
    assert_eq!(rig.numbers(), numbers(&[(5, 5, "d"), (6, 6, "e")]));
}

#[test]
fn one_command_may_go_however_long_when_nothing_is_unacknowledged() {
    let mut rig = Rig::new();
    rig.window = Window { frames: 0, bytes: 0 };
    rig.submit("long");
    rig.submit("next");
    rig.start();
    rig.connect();
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.numbers(), numbers(&[(1, 1, "long")]));
    rig.frame(ServerFrame::Ack { ack: Seq(1) });
    assert_eq!(rig.numbers(), numbers(&[(2, 2, "next")]));
}

#[test]
fn the_span_limits_how_far_numbers_run_ahead() {
    let mut rig = Rig::new();
    rig.span = 2;
    for text in ["a", "b", "c", "d"] {
        rig.submit(text);
    }
    rig.start();
    rig.connect();
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.commands().len(), 2);
    rig.ack = 2;
    rig.result(2);
    assert_eq!(rig.commands().len(), 0, "1 is not resolved");
    rig.result(1);
    let commands = rig.commands();
    assert_eq!(commands.len(), 2);
    assert!(commands.iter().all(|command| command.low == CommandNo(3)));
}

#[test]
fn a_resume_sends_again_what_was_not_accepted_before_anything_newer() {
    let mut rig = Rig::attached();
    for text in ["a", "b", "c"] {
        rig.submit(text);
    }
    rig.closed(client_support::lost());
    rig.submit("d");
    rig.await_dial();
    let hello = rig.connect();
    assert_eq!(hello.resume.unwrap().recv, Seq(0));
    let claim = hello.lease.unwrap();
    assert_eq!((claim.low, claim.next), (CommandNo(1), CommandNo(4)));
    rig.take();
    rig.welcome_resumed(1);
    assert!(matches!(rig.sent[0], ClientFrame::Ack { .. }));
    assert_eq!(rig.numbers(), numbers(&[(2, 2, "b"), (3, 3, "c"), (4, 4, "d")]));
}

#[test]
fn a_new_session_starts_its_sequences_again_and_keeps_the_numbers() {
    let mut rig = Rig::attached();
    for text in ["a", "b", "c"] {
        rig.submit(text);
    }
    rig.ack = 2;
    rig.result(1);
    rig.reconnect();
    rig.frame(ServerFrame::ResumeFailed { reason: ResumeFailure::Unknown });
    rig.submit("d");
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.numbers(), numbers(&[(1, 2, "b"), (2, 3, "c"), (3, 4, "d")]));
}

#[test]
fn a_resolved_command_whose_second_transmission_is_not_acknowledged_is_still_replayed() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.reconnect();
    rig.frame(ServerFrame::ResumeFailed { reason: ResumeFailure::Unknown });
    rig.welcome_new();
    rig.result(1);
    rig.submit("b");
    rig.reconnect();
    rig.take();
    rig.welcome_resumed(0);
    let commands = rig.commands();
    let heads: Vec<_> =
        commands.iter().map(|command| (command.seq.0, command.n.0, command.low.0)).collect();
    assert_eq!(heads, [(1, 1, 1), (2, 2, 2)], "no gap in the sequence, and low never above n");
}

#[test]
fn results_must_come_in_sequence() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.seq = 1;
    rig.result(1);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
}

#[test]
fn an_old_ack_is_ignored_and_one_of_the_future_is_an_error() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.submit("b");
    rig.frame(ServerFrame::Ack { ack: Seq(2) });
    rig.frame(ServerFrame::Ack { ack: Seq(1) });
    assert!(rig.closes().is_empty());
    rig.frame(ServerFrame::Ack { ack: Seq(3) });
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
}

#[test]
fn a_result_for_a_resolved_number_is_accepted_and_ignored() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.ack = 1;
    rig.result(1);
    rig.result(1);
    rig.result(99);
    assert_eq!(rig.outcomes().len(), 1);
    assert!(rig.closes().is_empty());
    rig.take();
    rig.pass(250);
    assert_eq!(rig.sent, [ClientFrame::Ack { ack: Seq(3), low: CommandNo(2) }]);
}

#[test]
fn failures_and_terminal_refusals_resolve() {
    let mut rig = Rig::attached();
    let failed = rig.submit("a");
    let refused = rig.submit("b");
    rig.frame(ServerFrame::Failed {
        seq: Seq(1),
        ack: Seq(2),
        n: CommandNo(1),
        dup: false,
        code: FailureCode::Error,
        name: Name::EMPTY,
        body: Body::UNIT,
    });
    rig.seq = 1;
    rig.ack = 2;
    rig.refuse(2, RefusalCode::Forbidden, 0);
    let failure =
        CallOutcome::Failed { code: FailureCode::Error, name: Name::EMPTY, body: Body::UNIT };
    assert_eq!(
        rig.outcomes(),
        [(failed, failure), (refused, CallOutcome::Refused(RefusalCode::Forbidden))]
    );
}

#[test]
fn refused_commands_go_again_in_order_before_anything_new() {
    let mut rig = Rig::attached();
    let calls = [rig.submit("a"), rig.submit("b"), rig.submit("c")];
    rig.ack = 3;
    rig.refuse(1, RefusalCode::RateLimited, 500);
    assert_eq!(rig.client.fate(calls[0]), Some(Fate::Queued));
    rig.refuse(2, RefusalCode::RateLimited, 100);
    rig.submit("d");
    rig.take();
    rig.pass(499);
    assert!(rig.numbers().is_empty(), "2 waits for 1, and d for both");
    rig.refuse(3, RefusalCode::RateLimited, 0);
    rig.pass(1);
    assert_eq!(rig.numbers(), numbers(&[(4, 1, "a"), (5, 2, "b"), (6, 3, "c"), (7, 4, "d")]));
}

/// PROTOCOL.md 5.10.
#[test]
fn a_refused_command_waits_no_longer_than_a_minute() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.ack = 1;
    rig.refuse(1, RefusalCode::RateLimited, 1 << 50);
    rig.take();
    rig.pass_alive(59_999);
    assert!(rig.numbers().is_empty());
    rig.pass(1);
    assert_eq!(rig.numbers(), numbers(&[(2, 1, "a")]));
}

#[test]
fn a_refusal_that_comes_late_still_holds_back_what_is_new() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.submit("b");
    rig.ack = 2;
    rig.refuse(1, RefusalCode::Overload, 0);
    rig.refuse(2, RefusalCode::Overload, 300);
    rig.take();
    rig.submit("c");
    assert!(rig.numbers().is_empty());
    rig.pass(300);
    assert_eq!(rig.numbers(), numbers(&[(4, 2, "b"), (5, 3, "c")]));
}

#[test]
fn a_lost_lease_leaves_unknown_what_may_have_run_and_renumbers_the_rest() {
    let mut rig = Rig::attached();
    let maybe = rig.submit("a");
    let refused = rig.submit("b");
    rig.ack = 2;
    rig.refuse(2, RefusalCode::Overload, 60_000);
    rig.closed(code(4100));
    let unsent = rig.submit("c");
    rig.await_dial();
    rig.connect();
    rig.take();
    rig.lease = LeaseId(0xbeef);
    rig.welcome_new();
    assert_eq!(rig.numbers(), numbers(&[(1, 1, "b"), (2, 2, "c")]));
    assert_eq!(rig.outcomes(), [(maybe, CallOutcome::OutcomeUnknown)]);
    assert!(rig.client.fate(refused).is_some() && rig.client.fate(unsent).is_some());
}

#[test]
fn a_refusal_says_nothing_about_an_earlier_session() {
    let mut rig = Rig::attached();
    let call = rig.submit("a");
    rig.closed(code(4100));
    rig.await_dial();
    rig.connect();
    rig.welcome_new();
    rig.ack = 1;
    rig.refuse(1, RefusalCode::Overload, 60_000);
    assert_eq!(rig.client.fate(call), Some(Fate::Written));
    rig.closed(code(4100));
    rig.await_dial();
    rig.connect();
    rig.take();
    rig.lease = LeaseId(0xbeef);
    rig.welcome_new();
    assert_eq!(rig.outcomes(), [(call, CallOutcome::OutcomeUnknown)]);
}

#[test]
fn patience_ends_unsent_commands_and_reports_on_sent_ones() {
    let mut rig = Rig::attached();
    let sent = rig.submit("a");
    rig.closed(client_support::lost());
    let unsent = rig.submit("b");
    rig.take();
    rig.pass(9_999);
    assert!(rig.outcomes().is_empty());
    rig.pass(1);
    assert!(rig.client.fate(sent).is_some(), "it stays until it is resolved");
    assert!(rig.events.contains(&Event::TimedOut { call: sent }));
    assert_eq!(rig.outcomes(), [(unsent, CallOutcome::Refused(RefusalCode::Expired))]);
    rig.pass(60_000);
    assert!(!rig.events.contains(&Event::TimedOut { call: sent }), "once");
}

#[test]
fn a_command_does_not_wait_unsent_for_ever() {
    let mut rig = Rig::with(|config| config.outbox_age = Duration::from_secs(1));
    let patient = Submission { timeout_ms: u64::MAX, ..command("a") };
    let call = rig.act(|client, now| client.submit(now, patient)).unwrap();
    rig.pass(1_000);
    assert_eq!(rig.outcomes(), [(call, CallOutcome::Refused(RefusalCode::Expired))]);
}

#[test]
fn a_deadline_travels_only_when_it_says_something() {
    let mut rig = Rig::attached();
    rig.submit("declared");
    let hurried = Submission { timeout_ms: 5_000, ..command("hurried") };
    rig.act(|client, now| client.submit(now, hurried)).unwrap();
    let deadlines: Vec<_> = rig.commands().iter().map(|command| command.deadline_ms).collect();
    assert_eq!(deadlines, [None, Some(5_000)]);
    rig.pass(2_000);
    rig.closed(client_support::lost());
    rig.act(|client, now| client.reconnect_now(now));
    rig.connect();
    rig.take();
    rig.welcome_resumed(0);
    let deadlines: Vec<_> = rig.commands().iter().map(|command| command.deadline_ms).collect();
    assert_eq!(deadlines, [Some(8_000), Some(3_000)], "what is left");
    rig.pass(9_000);
    rig.closed(client_support::lost());
    rig.act(|client, now| client.reconnect_now(now));
    rig.connect();
    rig.take();
    rig.welcome_resumed(0);
    assert!(rig.commands().iter().all(|command| command.deadline_ms == Some(0)));
}

#[test]
fn an_ack_goes_alone_after_its_delay_or_its_count() {
    let mut rig = Rig::attached();
    for n in 0..40 {
        rig.submit(n);
    }
    rig.ack = 40;
    rig.take();
    for n in 1..=31 {
        rig.result(n);
    }
    assert!(rig.sent.is_empty());
    rig.result(32);
    assert_eq!(rig.take().1, [ClientFrame::Ack { ack: Seq(32), low: CommandNo(33) }]);
    rig.result(33);
    rig.pass(249);
    assert!(rig.sent.is_empty());
    rig.pass(1);
    assert_eq!(rig.take().1, [ClientFrame::Ack { ack: Seq(33), low: CommandNo(34) }]);
    rig.pass(1_000);
    assert!(rig.sent.is_empty(), "nothing is owed");
}

#[test]
fn an_ack_goes_at_half_of_the_window() {
    let mut rig = Rig::attached_with(|config| config.window = Window { frames: 4, bytes: 8 });
    for n in 0..4 {
        rig.submit(n);
    }
    rig.ack = 4;
    rig.take();
    rig.result(1);
    assert!(rig.sent.is_empty());
    rig.result(2);
    assert_eq!(rig.take().1.len(), 1, "two of four frames");
}

#[test]
fn an_ack_rides_on_a_command() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.ack = 1;
    rig.result(1);
    rig.take();
    rig.submit("b");
    let command = rig.commands().remove(0);
    assert_eq!((command.ack, command.low), (Seq(1), CommandNo(2)));
    rig.pass(1_000);
    assert!(rig.sent.is_empty());
}

#[test]
fn volatiles_need_an_attachment_and_only_the_latest_per_key_waits() {
    let mut rig = Rig::new();
    let typing = client_support::name("typing");
    let put = |rig: &mut Rig, key: &str, text: &str| {
        let (key, body) = (key.to_owned(), client_support::body(text));
        rig.client.volatile(rig.now, typing.clone(), key, body)
    };
    assert!(!put(&mut rig, "1", "a"));
    rig.start();
    rig.connect();
    assert!(!put(&mut rig, "1", "a"));
    rig.welcome_new();
    rig.take();
    assert!(put(&mut rig, "1", "a") && put(&mut rig, "2", "b") && put(&mut rig, "1", "c"));
    rig.drain();
    let bodies: Vec<Body> = rig
        .take()
        .1
        .into_iter()
        .filter_map(
            |frame| if let ClientFrame::Volatile { body, .. } = frame { Some(body) } else { None },
        )
        .collect();
    assert_eq!(bodies, [client_support::body("c"), client_support::body("b")]);
    for key in 0..100 {
        put(&mut rig, &key.to_string(), "x");
    }
    rig.drain();
    assert_eq!(rig.take().1.len(), 64, "bounded");
}
