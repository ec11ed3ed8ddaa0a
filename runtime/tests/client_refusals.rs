//! An HTTP answer to the upgrade, row by row (PROTOCOL.md 2.1): what the client does about it.

mod client_support;

use std::time::Duration;

use client_support::{Rig, lost};
use steadfast::session::client::{ConnectionState, DialReason, Event, HttpRefusal};
use steadfast::session::{CloseCode, Now};

const BASE_MS: u64 = 1_000;

fn status(status: u16) -> HttpRefusal {
    HttpRefusal {
        status: Some(status),
        retry_after_ms: None,
        subprotocol_changed: false,
        reason: "scripted".into(),
    }
}

fn after(code: u16, ms: u64) -> HttpRefusal {
    HttpRefusal { retry_after_ms: Some(ms), ..status(code) }
}

/// A client that dials, for the first time or again after a connection.
fn dialling(known: bool) -> Rig {
    let mut rig = Rig::with(|config| config.backoff.base = Duration::from_millis(BASE_MS));
    rig.start();
    if known {
        rig.connect();
        rig.welcome_new();
        rig.pass_alive(10_000);
        rig.closed(lost());
        rig.await_dial();
    }
    rig.take();
    rig
}

fn refused(known: bool, refusal: HttpRefusal) -> Rig {
    let mut rig = dialling(known);
    let dial = rig.dial;
    rig.act(|client, now| client.handle_refused(now, dial, refusal));
    rig
}

/// The code with which the client has given up.
fn stopped(rig: &Rig) -> Option<CloseCode> {
    match rig.client.state() {
        ConnectionState::Failed { reason } => reason.code,
        _ => None,
    }
}

/// Milliseconds until the next dial, and why it asks for credentials.
fn next_dial(rig: &mut Rig) -> (u64, DialReason) {
    let from = rig.now;
    rig.await_dial();
    let Now(waited) = Now(rig.now.since(from));
    let reason = rig.events.iter().rev().find_map(|event| {
        if let Event::Dial { reason, .. } = event { Some(reason.clone()) } else { None }
    });
    (waited, reason.expect("it dials"))
}

fn backs_off(mut rig: Rig) {
    let (waited, reason) = next_dial(&mut rig);
    assert!(waited <= 2 * BASE_MS, "{waited} ms");
    assert_eq!(reason, DialReason::Reconnect);
}

#[test]
fn with_401_it_asks_for_new_credentials_and_stops_after_the_third() {
    for known in [false, true] {
        let mut rig = refused(known, after(401, 60_000));
        let (waited, reason) = next_dial(&mut rig);
        assert_eq!(reason, DialReason::Refused);
        assert!(waited <= 2 * BASE_MS, "new credentials need not wait for {waited} ms");
        for _ in 0..2 {
            let dial = rig.dial;
            rig.act(|client, now| client.handle_refused(now, dial, status(401)));
            if stopped(&rig).is_none() {
                rig.await_dial();
            }
        }
        assert_eq!(stopped(&rig), Some(CloseCode::CREDENTIALS_REFUSED));
    }
}

#[test]
fn with_403_it_stops() {
    for known in [false, true] {
        assert_eq!(stopped(&refused(known, after(403, 1))), Some(CloseCode::FORBIDDEN));
    }
}

#[test]
fn with_408_425_429_and_5xx_it_backs_off() {
    for code in [408, 425, 429, 500, 502, 503, 599] {
        for known in [false, true] {
            backs_off(refused(known, status(code)));
        }
    }
}

#[test]
fn any_other_status_stops_one_that_was_never_connected() {
    for code in [200, 301, 400, 404, 426, 600] {
        let rig = refused(false, after(code, 1));
        assert_eq!(stopped(&rig), Some(CloseCode::UNSUPPORTED), "{code}");
        let ConnectionState::Failed { reason } = rig.client.state() else { unreachable!() };
        assert_eq!(reason.reason, "scripted: no steadfast server here");
    }
}

#[test]
fn any_other_status_is_a_lost_connection_later() {
    for code in [200, 301, 400, 404, 426, 600] {
        backs_off(refused(true, status(code)));
    }
}

#[test]
fn a_changed_subprotocol_stops_it() {
    for known in [false, true] {
        let refusal = HttpRefusal { status: None, subprotocol_changed: true, ..status(0) };
        assert_eq!(stopped(&refused(known, refusal)), Some(CloseCode::UNSUPPORTED));
    }
}

#[test]
fn an_answer_that_is_none_is_a_lost_connection() {
    for known in [false, true] {
        backs_off(refused(known, HttpRefusal { status: None, ..status(0) }));
    }
}

#[test]
fn it_comes_when_the_server_asked_it_to_and_not_at_the_same_moment_as_all_others() {
    for (asked, known) in [(0, true), (7_000, false), (60_000, true)] {
        let (waited, _) = next_dial(&mut refused(known, after(503, asked)));
        assert!((asked..=asked + BASE_MS).contains(&waited), "{waited} of {asked} ms");
    }
}

#[test]
fn no_server_keeps_it_away_for_longer_than_the_setting_says() {
    let mut rig = dialling(true);
    let cap_ms = rig.client.config().retry_after_cap.as_millis() as u64;
    let dial = rig.dial;
    rig.act(|client, now| client.handle_refused(now, dial, after(429, u64::MAX)));
    let (waited, _) = next_dial(&mut rig);
    assert!((cap_ms..=cap_ms + BASE_MS).contains(&waited), "{waited} ms");
}

#[test]
fn the_answer_to_an_earlier_dial_changes_nothing() {
    let mut rig = dialling(true);
    let (earlier, before) = (rig.dial, rig.client.state().clone());
    rig.closed(lost());
    rig.await_dial();
    rig.take();
    rig.act(|client, now| client.handle_refused(now, earlier, status(403)));
    assert_ne!(*rig.client.state(), before);
    assert_eq!((stopped(&rig), rig.events.len()), (None, 0));
}
