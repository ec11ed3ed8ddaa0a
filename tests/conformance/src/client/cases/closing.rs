//! Sections 8.2 and 9: draining and heartbeats.

use std::time::Duration;

use serde_json::json;

use super::super::peer::is_command;
use super::super::trial::Trial;
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::{Frame, kind};
use crate::socket::Arrival;

cases! { Trial;
    after_goaway_no_new_command_is_sent_on_this_socket: "8.2";
    after_goaway_it_comes_back_however_the_socket_ended: "8.2" "8.1";
    after_goaway_it_stays_away_as_long_as_it_was_told: "8.2";
    a_resume_on_a_server_that_leaves_is_finished: "8.2" "4.7";
    a_silent_server_is_asked_and_abandoned: "9.1" "8.1";
    any_message_counts_as_life: "9.1";
    a_part_of_a_message_counts_as_life: "9.1" "9.4";
    who_hears_much_and_has_nothing_to_say_pings: "9.3";
    ping_is_answered_with_its_own_number: "9.2" "3.7";
    a_pong_that_nobody_asked_for_is_ignored: "9.2";
}

async fn after_goaway_no_new_command_is_sent_on_this_socket(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let running = client.echo("running").await?;
    peer.command("8.2").await?;
    peer.say(json!([kind::GOAWAY, { "after_ms": 5, "deadline_ms": 20_000 }])).await;
    peer.is_alive("8.2").await?;
    let waiting = client.echo("waiting").await?;
    peer.settle("8.2").await?;
    ensure!("8.2", !peer.has(is_command), "a command was sent to a server that leaves");
    peer.result(1, json!("finished")).await;
    client.ends("8.2", running, json!({ "outcome": "reply", "body": "finished" })).await?;
    peer.line.socket.close(4010, "").await;
    let mut peer = client.attach().await?;
    peer.command_no("8.2", 2).await?;
    peer.result(2, json!("elsewhere")).await;
    client.ends("8.2", waiting, json!({ "outcome": "reply", "body": "elsewhere" })).await
}

async fn after_goaway_it_comes_back_however_the_socket_ended(trial: &Trial) -> Step {
    // An ordinary backoff would be far longer than the suite waits.
    let mut client = trial.client_with(json!({ "backoff_ms": 3_600_000 }), &["ann"]).await?;
    let mut peer = client.attach().await?;
    for code in [Some(4010), None, Some(1001)] {
        peer.is_alive("8.2").await?;
        peer.say(json!([kind::GOAWAY, { "after_ms": 5, "deadline_ms": 20_000 }])).await;
        peer.is_alive("8.2").await?;
        match code {
            Some(code) => peer.line.socket.close(code, "").await,
            None => peer.line.socket.cut(),
        }
        peer = client.attach().await?;
        ensure!("8.2", peer.wants_resume(), "it came back without its session: {}", peer.hello);
    }
    Ok(())
}

async fn after_goaway_it_stays_away_as_long_as_it_was_told(trial: &Trial) -> Step {
    for code in [4010, 4100, 4202, 4410] {
        let (mut client, mut peer) = trial.attached().await?;
        peer.say(json!([kind::GOAWAY, { "after_ms": 3_600_000, "deadline_ms": 20_000 }])).await;
        peer.is_alive("8.2").await?;
        peer.line.socket.close(code, "").await;
        // Without GOAWAY it would dial at once.
        let dials = client.dials_within(Duration::from_millis(100)).await;
        ensure!("8.2", !dials, "after {code} it came back at once");
    }
    Ok(())
}

async fn a_resume_on_a_server_that_leaves_is_finished(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for text in ["1", "2"] {
        client.echo(text).await?;
        peer.command("8.2").await?;
    }
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    client.echo("3").await?;
    peer.welcome(json!({ "recv": 0 })).await;
    peer.say(json!([kind::GOAWAY, { "after_ms": 5, "deadline_ms": 20_000 }])).await;
    // What the resume owes may arrive, and must then arrive in order. The new one may have been
    // faster than GOAWAY.
    for n in 1..=2 {
        peer.command_no("8.2", n).await?;
    }
    Ok(())
}

async fn a_silent_server_is_asked_and_abandoned(trial: &Trial) -> Step {
    let heartbeat = json!({ "heartbeat": { "interval_ms": 60, "timeout_ms": 40, "missed": 2 } });
    let (mut client, mut silent) = trial.attached_with(heartbeat).await?;
    // Nothing is read, so that not even the WebSocket library answers.
    let peer = client.accept().await?;
    ensure!("9.1", peer.wants_resume(), "it came back without its session: {}", peer.hello);
    let mut pings = 0;
    loop {
        match silent.line.socket.next().await {
            Some(message @ (Arrival::Text(_) | Arrival::Binary(_))) => {
                pings += u32::from(silent.line.frame(message)?.kind == kind::PING);
            }
            Some(Arrival::Closed(code)) => {
                // The code may be lost if the socket was dropped at once.
                ensure!(
                    "9.1",
                    matches!(code, Some(4003) | None),
                    "a silent server was abandoned with {code:?}"
                );
                break;
            }
            Some(_) => {}
            None => return Err(Stop::broken("9.1", "the socket of a silent server stays open")),
        }
    }
    ensure!("9.1", pings >= 2, "{pings} PINGs before the socket was abandoned, with `missed: 2`");
    Ok(())
}

async fn any_message_counts_as_life(trial: &Trial) -> Step {
    let heartbeat = json!({ "heartbeat": { "interval_ms": 40, "timeout_ms": 60, "missed": 50 } });
    let (_client, mut peer) = trial.attached_with(heartbeat).await?;
    for round in 0..6 {
        let ping = peer.take_kind("9.1", "PING", kind::PING).await?;
        let answer = if round < 3 {
            json!([kind::PONG, ping.number(0)])
        } else {
            json!([200, "any message"])
        };
        peer.say(answer).await;
    }
    peer.is_alive("9.1").await
}

async fn ping_is_answered_with_its_own_number(trial: &Trial) -> Step {
    let (_client, mut peer) = trial.attached().await?;
    for k in [0, 7, 1 << 40, 9_007_199_254_740_991] {
        peer.ping(k).await;
        let answers = move |frame: &Frame| frame.kind == kind::PONG && frame.number(0) == k;
        peer.take("9.2", &format!("PONG {k}"), answers).await?;
    }
    peer.listen("9.2", Duration::from_millis(20)).await
}

async fn a_pong_that_nobody_asked_for_is_ignored(trial: &Trial) -> Step {
    let (_client, mut peer) = trial.attached().await?;
    for k in [0, 99] {
        peer.say(json!([kind::PONG, k])).await;
    }
    peer.is_alive("9.2").await
}

async fn a_part_of_a_message_counts_as_life(trial: &Trial) -> Step {
    let heartbeat = json!({ "heartbeat": { "interval_ms": 200, "timeout_ms": 200, "missed": 2 } });
    let mut client = trial.client_with(json!({ "sees_parts": true }), &["ann"]).await?;
    let mut peer = client.attach_with(heartbeat).await?;
    // Twice as long as silence may last.
    let mut pieces = vec!["[200,\"a long "];
    pieces.extend(["message "; 23]);
    pieces.push("\"]");
    peer.line.socket.send_slowly(&pieces, Duration::from_millis(50)).await;
    peer.is_alive("9.1").await
}

async fn who_hears_much_and_has_nothing_to_say_pings(trial: &Trial) -> Step {
    let heartbeat = json!({ "heartbeat": { "interval_ms": 80, "timeout_ms": 5_000, "missed": 2 } });
    let (_client, mut peer) = trial.attached_with(heartbeat).await?;
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
