//! The client's link: dials, handshakes, close reactions, heartbeats.

mod client_support;

use client_support::{Rig, code, command, lost};
use steadfast::session::client::{
    CallOutcome, Client, ConnectionState, DialReason, Event, SubmitError, SubscribeError,
    SubscriptionEnd, SubscriptionRequest,
};
use steadfast::session::{Close, CloseCode, Now};
use steadfast::wire::{ClientFrame, CommandNo, Dial, ResumeFailure, Seq, ServerFrame};

#[test]
fn a_client_can_be_cloned_compared_and_hashed() {
    fn all<T: Clone + Eq + std::hash::Hash>() {}
    all::<Client>();
}

#[test]
fn hello_is_first_and_an_ack_follows_welcome() {
    let mut rig = Rig::new();
    rig.submit("early");
    rig.start();
    assert!(rig.events.contains(&Event::Dial { dial: Dial(1), reason: DialReason::First }));
    assert!(rig.sent.is_empty());
    let hello = rig.connect();
    assert_eq!((hello.v, hello.dial, hello.token.as_deref()), (1, Dial(1), Some("secret")));
    assert_eq!((&hello.resume, &hello.lease), (&None, &None));
    rig.pass(5_000);
    assert_eq!(rig.sent.len(), 1, "nothing between HELLO and WELCOME");
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.sent[0], ClientFrame::Ack { ack: Seq(0), low: CommandNo(1) });
    assert_eq!(rig.numbers(), [(1, 1, "early".to_owned())]);
    assert!(matches!(rig.client.state(), ConnectionState::Connected { resumed: false, .. }));
}

#[test]
fn starting_twice_dials_once() {
    let mut rig = Rig::new();
    rig.start();
    rig.start();
    assert_eq!(rig.dial, Dial(1));
}

#[test]
fn inputs_of_a_stale_dial_change_nothing() {
    let mut rig = Rig::attached();
    rig.reconnect();
    rig.welcome_resumed(0);
    rig.take();
    let before = rig.client.clone();
    let stale = Dial(1);
    rig.act(|client, now| client.handle_frame(now, stale, ServerFrame::Ack { ack: Seq(99) }, 10));
    rig.act(|client, now| client.handle_closed(now, stale, code(4300)));
    rig.act(|client, now| client.handle_connected(now, stale, None));
    rig.act(|client, now| client.handle_alive(now, stale));
    assert_eq!(rig.client.poll_transmit(rig.now, stale), None);
    assert_eq!(rig.client, before);
}

#[test]
fn a_dial_that_takes_too_long_is_given_up() {
    let mut rig = Rig::new();
    rig.start();
    rig.pass(10_000);
    assert_eq!(rig.closes().len(), 1);
    assert!(matches!(rig.client.state(), ConnectionState::Connecting { attempt: 2 }));
}

#[test]
fn a_lost_welcome_costs_nothing() {
    let mut rig = Rig::attached();
    rig.submit("a");
    let first = rig.reconnect().resume.expect("a session to resume");
    rig.pass(10_000);
    assert_eq!(rig.closes().len(), 1, "WELCOME did not come");
    if rig.dial == Dial(2) {
        rig.await_dial();
    }
    let second = rig.connect().resume.expect("the same session");
    assert_eq!(first, second);
    rig.take();
    rig.welcome_resumed(0);
    assert_eq!(rig.numbers(), [(1, 1, "a".to_owned())]);
}

#[test]
fn two_losses_in_a_row_resume_with_the_newest_token() {
    let mut rig = Rig::attached();
    let first = rig.reconnect().resume.unwrap();
    rig.welcome_resumed(0);
    let second = rig.reconnect().resume.unwrap();
    assert_eq!(first.session, second.session);
    assert_ne!(first.token, second.token);
    rig.welcome_resumed(0);
    assert!(matches!(rig.client.state(), ConnectionState::Connected { resumed: true, .. }));
}

#[test]
fn a_server_that_claims_more_than_was_sent_gets_a_new_session() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.reconnect();
    rig.welcome_resumed(7);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
    rig.await_dial();
    let hello = rig.connect();
    assert_eq!(hello.resume, None);
    assert_eq!(hello.lease.map(|lease| lease.id), Some(rig.lease), "the lease stays");
}

#[test]
fn a_resume_that_was_not_asked_for_is_an_error() {
    let mut rig = Rig::new();
    rig.start();
    rig.connect();
    rig.welcome_resumed(0);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
}

#[test]
fn a_session_that_cannot_be_resumed_becomes_a_new_one() {
    let mut rig = Rig::attached();
    rig.reconnect();
    rig.frame(ServerFrame::ResumeFailed { reason: ResumeFailure::Expired });
    rig.welcome_new();
    assert!(matches!(rig.client.state(), ConnectionState::Connected { resumed: false, .. }));
    assert!(rig.closes().is_empty());
}

#[test]
fn close_codes_do_what_the_table_says() {
    let resumes = [1001, 1006, 1011, 1012, 1013, 4000, 4001, 4002, 4003, 4010, 4099];
    for number in resumes {
        let mut rig = Rig::attached();
        rig.closed(code(number));
        rig.await_dial();
        assert!(rig.connect().resume.is_some(), "{number} resumes");
    }
    for number in [4100, 4199, 4410] {
        let mut rig = Rig::attached();
        rig.closed(code(number));
        rig.await_dial();
        let hello = rig.connect();
        assert!(
            hello.resume.is_none() && hello.lease.is_some(),
            "{number} starts a new session with its lease"
        );
    }
    for number in [1000, 4300, 4399, 4400, 4401, 4409, 4413] {
        let mut rig = Rig::attached();
        rig.closed(code(number));
        assert_eq!(rig.client.state(), &ConnectionState::Failed { reason: code(number) });
        assert_eq!(rig.client.poll_timeout(), None);
    }
}

#[test]
fn refused_credentials_are_asked_for_anew_a_bounded_number_of_times() {
    let mut rig = Rig::attached();
    rig.closed(code(4202));
    for _ in 0..2 {
        rig.take();
        rig.await_dial();
        assert!(rig.events.contains(&Event::Dial { dial: rig.dial, reason: DialReason::Refused }));
        rig.connect();
        rig.closed(code(4201));
    }
    assert_eq!(rig.client.state(), &ConnectionState::Failed { reason: code(4201) });
}

#[test]
fn sequence_errors_in_a_row_are_bounded() {
    let mut rig = Rig::attached();
    for error in 1..=3 {
        rig.frame(ServerFrame::Ack { ack: Seq(99) });
        let failed = matches!(rig.client.state(), ConnectionState::Failed { .. });
        assert_eq!(failed, error == 3);
        if !failed {
            rig.await_dial();
            rig.connect();
            rig.welcome_new();
        }
    }
}

#[test]
fn delays_are_random_below_a_ceiling_that_grows_to_its_cap() {
    let mut rig = Rig::with(|config| {
        config.backoff.attempts = None;
        config.backoff.elapsed = None;
    });
    rig.start();
    let mut longest = 0;
    for attempt in 0_u32..40 {
        let ceiling = (1_000_u64 << attempt.min(20)).min(30_000);
        rig.closed(lost());
        let delay = rig.client.poll_timeout().unwrap().since(rig.now);
        assert!(delay <= ceiling, "attempt {attempt}: {delay} > {ceiling}");
        longest = longest.max(delay);
        rig.await_dial();
    }
    assert!(longest > 10_000);
}

#[test]
fn attempts_start_again_only_after_a_stable_connection() {
    let mut rig = Rig::with(|config| config.backoff.attempts = Some(3));
    rig.start();
    for _ in 0..10 {
        rig.connect();
        rig.welcome_new();
        rig.pass(5_000);
        rig.closed(lost());
        assert!(matches!(rig.client.state(), ConnectionState::Reconnecting { attempt: 1, .. }));
        rig.await_dial();
    }
    for attempt in 1..=3 {
        rig.connect();
        rig.welcome_new();
        rig.pass(4_000);
        rig.closed(lost());
        assert_eq!(matches!(rig.client.state(), ConnectionState::Failed { .. }), attempt == 3);
        if attempt < 3 {
            rig.await_dial();
        }
    }
}

#[test]
fn a_client_without_a_connection_for_too_long_fails() {
    let mut rig = Rig::with(|config| config.backoff.attempts = None);
    rig.start();
    let call = rig.submit("a");
    rig.pass(600_000);
    assert!(matches!(rig.client.state(), ConnectionState::Failed { .. }));
    assert_eq!(rig.outcomes().len(), 1);
    assert_eq!(rig.client.fate(call), None);
}

#[test]
fn reconnect_now_does_not_wait() {
    let mut rig = Rig::attached();
    rig.closed(lost());
    let dial = rig.dial;
    rig.act(|client, now| client.reconnect_now(now));
    assert_eq!(rig.dial, dial.next());
    rig.act(|client, now| client.reconnect_now(now));
    assert_eq!(rig.dial, dial.next(), "one is under way");
}

#[test]
fn a_draining_server_gets_no_new_commands_and_the_next_dial_waits_as_told() {
    let mut rig = Rig::attached();
    rig.frame(ServerFrame::GoAway { after_ms: 700, deadline_ms: 5_000 });
    assert!(!rig.client.status(rig.now).live);
    rig.submit("a");
    assert_eq!(rig.numbers(), []);
    rig.closed(code(4010));
    assert_eq!(rig.client.poll_timeout(), Some(rig.now.after_ms(700)));
    rig.await_dial();
    rig.connect();
    rig.take();
    rig.welcome_resumed(0);
    assert_eq!(rig.numbers(), [(1, 1, "a".to_owned())]);
}

/// PROTOCOL.md 8.2
#[test]
fn whoever_was_told_to_leave_stays_away_with_whatever_code_it_was_closed() {
    for how in [Some(1001), None, Some(4002), Some(4100), Some(4202), Some(4410)] {
        let mut rig = Rig::attached();
        rig.frame(ServerFrame::GoAway { after_ms: 700, deadline_ms: 5_000 });
        rig.closed(how.map_or_else(lost, code));
        assert_eq!(rig.client.poll_timeout(), Some(rig.now.after_ms(700)), "{how:?}");
    }
}

#[test]
fn a_server_that_drains_for_ever_is_left() {
    let mut rig = Rig::attached();
    rig.frame(ServerFrame::GoAway { after_ms: 0, deadline_ms: 5_000 });
    rig.pass(15_000);
    assert!(rig.has_closed_with(CloseCode::DRAINING));
}

#[test]
fn silence_is_asked_about_and_then_given_up() {
    let mut rig = Rig::attached();
    rig.pass(24_999);
    assert!(rig.sent.is_empty());
    rig.pass(1);
    assert_eq!(rig.take().1, [ClientFrame::Ping { k: 1 }]);
    rig.pass(5_000);
    assert_eq!(rig.take().1, [ClientFrame::Ping { k: 2 }]);
    rig.pass(4_999);
    assert!(rig.closes().is_empty());
    rig.pass(1);
    assert!(rig.has_closed_with(CloseCode::HEARTBEAT));
    rig.await_dial();
    assert!(rig.connect().resume.is_some());
}

/// PROTOCOL.md 9.3
#[test]
fn whoever_only_listens_says_something_too() {
    let mut rig = Rig::attached();
    let dial = rig.dial;
    for _ in 0..100 {
        rig.pass(1_000);
        rig.act(|client, now| client.handle_alive(now, dial));
    }
    let asked = [1, 2, 3, 4].map(|k| ClientFrame::Ping { k });
    assert_eq!(rig.sent, asked);
    assert!(rig.closes().is_empty());
}

#[test]
fn any_message_is_life_and_a_pong_measures() {
    let mut rig = Rig::attached();
    rig.pass(25_000);
    rig.pass(40);
    rig.frame(ServerFrame::Pong { k: 1 });
    assert_eq!(rig.client.status(rig.now).latency_ms, Some(40));
    rig.take();
    rig.pass(20_000);
    let dial = rig.dial;
    rig.frame(ServerFrame::Ping { k: 5 });
    assert_eq!(rig.take().1, [ClientFrame::Pong { k: 5 }]);
    rig.act(|client, now| client.handle_alive(now, dial));
    rig.pass(24_999);
    assert!(rig.sent.is_empty());
    rig.pass(1);
    assert_eq!(rig.take().1, [ClientFrame::Ping { k: 2 }]);
}

#[test]
fn a_ping_is_answered_with_its_number() {
    let mut rig = Rig::attached();
    rig.frame(ServerFrame::Ping { k: 77 });
    assert_eq!(rig.take().1, [ClientFrame::Pong { k: 77 }]);
}

#[test]
fn closing_says_goodbye_and_ends_everything() {
    let mut rig = Rig::attached();
    let sub = rig.subscribe(None);
    let sent = rig.submit("sent");
    rig.frame(ServerFrame::GoAway { after_ms: 0, deadline_ms: 5_000 });
    let unsent = rig.submit("unsent");
    rig.take();
    rig.act(|client, now| client.close(now));
    assert_eq!(rig.sent, [ClientFrame::Ack { ack: Seq(0), low: CommandNo(1) }]);
    assert!(rig.has_closed_with(CloseCode::NORMAL));
    assert!(rig.events.contains(&Event::SubscriptionEnded { sub, end: SubscriptionEnd::Closed }));
    let ends =
        [(sent, CallOutcome::Closed { sent: true }), (unsent, CallOutcome::Closed { sent: false })];
    assert_eq!(rig.outcomes(), ends);
    assert_eq!(rig.client.state(), &ConnectionState::Closed);
    assert_eq!(rig.client.poll_timeout(), None);
    assert_eq!(rig.client.submit(rig.now, command("late")), Err(SubmitError::Closed));
    let request = SubscriptionRequest {
        topic: client_support::name("room"),
        key: String::new(),
        from: None,
        last: None,
    };
    assert_eq!(rig.client.subscribe(rig.now, request), Err(SubscribeError::Closed));
}

#[test]
fn a_clean_close_with_an_empty_outbox_ends_the_lease() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.ack = 1;
    rig.result(1);
    rig.take();
    rig.act(|client, now| client.close(now));
    assert_eq!(
        rig.sent,
        [ClientFrame::Ack { ack: Seq(1), low: CommandNo(2) }],
        "low is above every n"
    );
}

#[test]
fn the_state_tells_the_way() {
    let mut rig = Rig::attached();
    rig.closed(Close::lost("cable"));
    let ConnectionState::Reconnecting { attempt, next_dial, since, reason } =
        rig.client.state().clone()
    else {
        panic!("{:?}", rig.client.state());
    };
    assert_eq!((attempt, since, reason), (2, Now(1_000), Close::lost("cable")));
    let status = rig.client.status(rig.now);
    assert_eq!(status.next_dial_in_ms, next_dial.map(|at| at.since(rig.now)));
    assert_eq!((status.live, status.away_ms), (false, Some(0)));
    rig.await_dial();
    assert!(matches!(rig.client.state(), ConnectionState::Reconnecting { next_dial: None, .. }));
}

#[test]
fn zeroes_in_heartbeats_do_not_spin() {
    let mut rig = Rig::new();
    rig.start();
    rig.connect();
    let mut welcome = rig.welcome(false, 0);
    welcome.heartbeat = steadfast::wire::Heartbeat { interval_ms: 0, timeout_ms: 0, missed: 0 };
    rig.frame(ServerFrame::Welcome(Box::new(welcome)));
    rig.act(|client, now| client.handle_timeout(now));
    assert!(rig.client.poll_timeout() > Some(rig.now));
}

#[test]
fn every_change_of_state_is_an_event() {
    let mut rig = Rig::new();
    rig.start();
    rig.closed(lost());
    rig.await_dial();
    rig.connect();
    rig.welcome_new();
    rig.closed(code(4003));
    rig.await_dial();
    rig.connect();
    rig.welcome_resumed(0);
    rig.act(|client, now| client.close(now));
    let states = rig
        .events
        .iter()
        .filter_map(|event| if let Event::State(state) = event { Some(state) } else { None });
    let names: Vec<String> =
        states.map(|state| format!("{state:?}").chars().take(12).collect()).collect();
    let expected = [
        "Connecting {",
        "Connecting {",
        "Connected { ",
        "Reconnecting",
        "Reconnecting",
        "Connected { ",
        "Closed",
    ];
    assert_eq!(names, expected);
    assert!(matches!(rig.events.last(), Some(Event::State(ConnectionState::Closed))));
}

#[test]
fn commands_and_subscriptions_wait_for_time_only_where_a_timer_runs() {
    let mut rig = Rig::attached();
    rig.submit("a");
    rig.ack = 1;
    rig.refuse(1, steadfast::wire::RefusalCode::Overload, 700);
    assert!(rig.client.poll_timeout() <= Some(rig.now.after_ms(250)), "the ack");
    rig.pass(250);
    assert!(rig.client.poll_timeout() <= Some(rig.now.after_ms(450)), "the refused command");
    rig.closed(lost());
    assert!(rig.client.poll_timeout().is_some(), "the dial");
}

/// PROTOCOL.md 8.1a: where nothing was overloaded the next dial comes within the first delay,
/// however many there were before.
#[test]
fn what_does_not_back_off_dials_within_the_first_delay() {
    for code in [4001, 4002, 4003, 4201, 4410] {
        let mut rig = Rig::attached();
        // Failures before it make the next delay long.
        for _ in 0..8 {
            rig.closed(client_support::lost());
            rig.await_dial();
        }
        rig.connect();
        rig.welcome_new();
        rig.closed(client_support::code(code));
        let dials_at = rig.client.poll_timeout().expect("it dials again");
        assert!(dials_at <= rig.now.after_ms(1_000), "{code}: {dials_at:?} at {:?}", rig.now);
    }
}

/// PROTOCOL.md 2.7: what nobody can tell the subscription of ends sockets, but not for ever.
#[test]
fn messages_too_long_of_nobody_knows_what_stop_it_after_three_in_a_row() {
    let mut rig = Rig::attached();
    for round in 1..=3 {
        let dial = rig.dial;
        rig.act(|client, now| client.handle_too_long(now, dial, None));
        assert!(rig.has_closed_with(CloseCode::TOO_LARGE_FOR_CLIENT));
        if round == 3 {
            break;
        }
        rig.await_dial();
        rig.connect();
        rig.welcome_new();
    }
    assert!(matches!(rig.client.state(), ConnectionState::Failed { .. }));
}
