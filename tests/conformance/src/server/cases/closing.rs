//! Sections 8 and 9: draining, overload and heartbeats.

use std::time::Duration;

use serde_json::json;

use super::super::me::Me;
use super::super::peer::Peer;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::{Frame, kind};
use crate::socket::{SUBPROTOCOL, Upgrade};

cases! { Trial;
    a_draining_server_says_goaway_refuses_and_finishes: "8.2" "5.10" "8.1";
    a_draining_server_does_not_wait_beyond_its_deadline: "8.2" "8.1";
    a_draining_server_takes_no_new_attachment: "8.2" "2.1";
    a_full_server_closes_with_4004: "8.3";
    a_server_never_says_1000_first: "8.1";
    a_silent_client_is_asked_and_abandoned_with_4003: "9.1" "8.1";
    any_message_counts_as_life: "9.1";
    a_part_of_a_message_counts_as_life: "9.1" "9.4";
    who_hears_much_and_has_nothing_to_say_pings: "9.3";
    a_websocket_pong_counts_as_life_or_nothing: "2.4" "9.1";
    ping_is_answered_with_its_own_number: "9.2" "3.7";
    a_pong_that_nobody_asked_for_is_ignored: "9.2";
}

async fn a_draining_server_says_goaway_refuses_and_finishes(trial: &Trial) -> Step {
    let server = trial.server().await?;
    if !server.is_own() {
        return Err(Stop::NotApplicable("it needs an adapter".into()));
    }
    let mut peer = server.attach(Me::new("ann")).await?;
    let (gate, other) = (fresh("gate"), fresh("gate"));
    let running = peer.command("wait", json!({ "gate": gate })).await;
    let ordered = peer.command("hold", json!({ "gate": other })).await;
    peer.has_come(&gate).await?;
    peer.has_come(&other).await?;
    server.control("drain", json!({ "deadline_ms": 20_000, "after_ms": 10 })).await?;
    let goaway = peer.take_kind("8.2", "GOAWAY", kind::GOAWAY).await?;
    goaway.member("8.2", "/after_ms")?;
    goaway.member("8.2", "/deadline_ms")?;
    let refused =
        peer.command("append", json!({ "list": fresh("list"), "text": "too late" })).await;
    peer.refused("8.2", refused, "draining").await?;
    // Commands are refused from here on, so the gate is opened from outside.
    server.control("open", json!({ "gate": gate })).await?;
    server.control("open", json!({ "gate": other })).await?;
    peer.result("8.2", running).await?;
    peer.result("8.2", ordered).await?;
    peer.ack().await;
    peer.closes_with("8.2", 4010).await.map(drop)
}

async fn a_draining_server_does_not_wait_beyond_its_deadline(trial: &Trial) -> Step {
    let server = trial.server().await?;
    if !server.is_own() {
        return Err(Stop::NotApplicable("it needs an adapter".into()));
    }
    let mut peer = server.attach(Me::new("ann")).await?;
    let gate = fresh("never");
    peer.command("wait", json!({ "gate": gate })).await;
    peer.has_come(&gate).await?;
    server.control("drain", json!({ "deadline_ms": 100, "after_ms": 0 })).await?;
    peer.take_kind("8.2", "GOAWAY", kind::GOAWAY).await?;
    peer.closes_with("8.2", 4010).await.map(drop)
}

async fn a_draining_server_takes_no_new_attachment(trial: &Trial) -> Step {
    let server = trial.server().await?;
    if !server.is_own() {
        return Err(Stop::NotApplicable("it needs an adapter".into()));
    }
    let mut peer = server.attach(Me::new("ann")).await?;
    let gate = fresh("gate");
    peer.command("wait", json!({ "gate": gate })).await;
    peer.has_come(&gate).await?;
    server.control("drain", json!({ "deadline_ms": 5_000, "after_ms": 0 })).await?;
    peer.take_kind("8.2", "GOAWAY", kind::GOAWAY).await?;
    let arrived = server.upgrade(Some(SUBPROTOCOL)).await;
    match arrived {
        // A server that has stopped listening has answered, too.
        Ok(Upgrade::Refused(500..=599)) | Err(Stop::Trouble(_)) => {}
        Ok(Upgrade::Refused(status)) => {
            return Err(Stop::broken("2.1", format!("{status} does not mean come back")));
        }
        Ok(Upgrade::Open(socket, _)) => {
            let mut me = Me::new("bob");
            me.dial = 1;
            let mut newcomer = Peer::new(*socket, me.clone());
            newcomer.say(json!([kind::HELLO, me.hello()])).await;
            newcomer.closes_with("8.2", 4010).await?;
        }
        Err(stop) => return Err(stop),
    }
    server.control("open", json!({ "gate": gate })).await.map(drop)
}

async fn a_full_server_closes_with_4004(trial: &Trial) -> Step {
    let server = trial.server_with(json!({ "sessions": 1 })).await?;
    let mut first = server.attach(Me::new("ann")).await?;
    let mut me = Me::new("bob");
    me.dial = 1;
    server.greet(&me, &me.hello()).await?.closes_with("8.3", 4004).await?;
    first.is_alive("8.3").await
}

async fn a_server_never_says_1000_first(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    peer.call("8.1", "echo", json!({ "text": "" })).await?;
    server.restart(true).await?;
    match peer.ends().await? {
        Some(1000) => Err(Stop::broken("8.1", "a server that went away said 1000")),
        Some(4100..=4199 | 4300..=4499) => {
            Err(Stop::broken("8.1", "a server that went away stopped its client"))
        }
        _ => Ok(()),
    }
}

async fn a_silent_client_is_asked_and_abandoned_with_4003(trial: &Trial) -> Step {
    let heartbeat = json!({ "interval_ms": 60, "timeout_ms": 40, "missed": 2 });
    let server = trial.server_with(json!({ "heartbeat": heartbeat })).await?;
    let peer = server.attach(Me::new("ann")).await?;
    let me = peer.me.clone();
    let Some((texts, code)) = peer.line.socket.listen_mutely().await else {
        return Err(Stop::broken("9.1", "a client that says nothing at all is not abandoned"));
    };
    ensure!("9.1", code == Some(4003), "a silent client was closed with {code:?}");
    let pings = texts.iter().filter(|text| text.replace(' ', "").starts_with("[12,")).count();
    ensure!("9.1", pings >= 2, "{pings} PINGs before the socket was abandoned, with `missed: 2`");
    server.resume(me).await.map(drop)
}

/// Answers pings in some way until so many have come, and checks that the attachment lives on.
async fn answered(trial: &Trial, times: u64, answer: impl Fn(&Frame) -> serde_json::Value) -> Step {
    let heartbeat = json!({ "interval_ms": 40, "timeout_ms": 60, "missed": 50 });
    let mut peer = trial.peer_with(json!({ "heartbeat": heartbeat })).await?;
    for _ in 0..times {
        let ping = peer.take_kind("9.1", "PING", kind::PING).await?;
        peer.say(answer(&ping)).await;
    }
    peer.is_alive("9.1").await
}

async fn any_message_counts_as_life(trial: &Trial) -> Step {
    answered(trial, 6, |ping| json!([kind::PONG, ping.number(0)])).await?;
    answered(trial, 6, |_| json!([200, "any message"])).await
}

async fn a_websocket_pong_counts_as_life_or_nothing(trial: &Trial) -> Step {
    // The protocol does not say whether a library shows a pong. It must do no harm.
    let mut peer = trial.peer().await?;
    peer.line.socket.send_websocket_pong(b"unasked").await;
    peer.is_alive("2.4").await
}

async fn ping_is_answered_with_its_own_number(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for k in [0, 7, 7, 1 << 40] {
        peer.say(json!([kind::PING, k])).await;
        let pong = peer.take_kind("9.2", "PONG", kind::PONG).await?;
        ensure!("9.2", pong.number(0) == k, "PING {k} was answered with {}", pong.text);
    }
    Ok(())
}

async fn a_pong_that_nobody_asked_for_is_ignored(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for k in [0, 99] {
        peer.say(json!([kind::PONG, k])).await;
    }
    peer.is_alive("9.2").await
}

async fn a_part_of_a_message_counts_as_life(trial: &Trial) -> Step {
    let heartbeat = json!({ "heartbeat": { "interval_ms": 200, "timeout_ms": 200, "missed": 2 } });
    let mut peer = trial.peer_with(heartbeat).await?;
    // Twice as long as silence may last.
    let mut pieces = vec!["[200,\"a long "];
    pieces.extend(["message "; 23]);
    pieces.push("\"]");
    peer.line.socket.send_slowly(&pieces, Duration::from_millis(50)).await;
    peer.is_alive("9.1").await
}

async fn who_hears_much_and_has_nothing_to_say_pings(trial: &Trial) -> Step {
    let heartbeat = json!({ "heartbeat": { "interval_ms": 80, "timeout_ms": 5_000, "missed": 2 } });
    let mut peer = trial.peer_with(heartbeat).await?;
    let (mut pings, mut said) = (0, 0);
    while pings < 2 {
        ensure!("9.3", said < 500, "it has said nothing while 500 messages came");
        peer.say(json!([200, "any message"])).await;
        said += 1;
        peer.listen("9.3", Duration::from_millis(20)).await?;
        while peer.has(|frame| frame.kind == kind::PING) {
            peer.take_kind("9.3", "PING", kind::PING).await?;
            pings += 1;
        }
    }
    Ok(())
}
