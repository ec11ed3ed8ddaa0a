//! Section 4: handshake, sequences, acks, windows, resume.

use std::time::Duration;

use serde_json::json;

use super::super::peer::is_command;
use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, is_bare_name, kind};

cases! { Trial;
    hello_comes_first_and_nothing_until_welcome: "4.1";
    its_first_frame_confirms_the_token_at_once: "4.1";
    a_socket_without_welcome_is_abandoned: "4.1";
    a_gap_in_the_servers_sequence_closes_with_4410: "4.2" "8.1";
    a_repeated_sequence_closes_with_4410: "4.2" "8.1";
    a_result_is_acknowledged_without_the_application: "4.3" "4.5";
    thirty_two_results_are_acknowledged: "4.5";
    an_ack_below_the_highest_is_ignored: "4.4";
    an_ack_of_what_was_never_sent_closes_with_4410: "4.4" "8.1";
    no_more_commands_than_the_servers_window_are_under_way: "4.6";
    no_more_bytes_than_the_servers_window_are_under_way: "4.6";
    one_command_may_always_be_under_way: "4.6";
    a_lost_socket_is_resumed: "4.7" "4.9" "1.2" "8.1";
    what_the_server_did_not_get_is_sent_again_in_order: "4.7" "4.2";
    sending_again_is_not_limited_by_the_window: "4.7" "4.6";
    it_resumes_with_the_token_of_the_last_welcome: "4.8" "1.2";
    welcomes_that_were_lost_are_not_believed: "4.8";
    a_failed_resume_begins_a_new_session: "4.10" "4.12" "5.9";
    a_resume_that_the_server_can_not_mean_closes_with_4410: "4.7" "4.4" "8.1" "4.15";
    what_must_not_come_before_welcome_closes_with_4410: "4.15" "3.6";
    a_ping_before_welcome_is_not_answered: "4.1" "9.2";
    a_clean_close_says_1000: "4.11" "8.1";
    its_fingerprint_is_a_name_and_stays: "4.18";
    it_goes_on_with_any_server: "4.18" "4.19";
    a_fingerprint_of_the_server_that_is_no_name_closes_with_4400: "4.18" "3.3";
}

async fn hello_comes_first_and_nothing_until_welcome(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    client.echo("early").await?;
    client.subscribe("log").await?;
    let mut peer = client.accept().await?;
    peer.listen("4.1", Duration::from_millis(60)).await?;
    ensure!("4.1", !peer.has(|_| true), "it spoke before WELCOME");
    peer.welcome(json!({})).await;
    peer.command("4.1").await.map(drop)
}

async fn its_first_frame_confirms_the_token_at_once(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.take("4.1", "a first frame after WELCOME", |_| true).await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    peer.take("4.1", "a first frame after WELCOME", |_| true).await.map(drop)
}

async fn a_socket_without_welcome_is_abandoned(trial: &Trial) -> Step {
    // From the upgrade on: long enough for the slowest machine to get so far.
    let mut client = trial.client_with(json!({ "welcome_timeout_ms": 500 }), &["ann"]).await?;
    let silent = client.accept().await?;
    let mut peer = client.attach().await?;
    ensure!("4.9", peer.hello["dial"] == 2, "another dial: {}", peer.hello);
    drop(silent);
    peer.is_alive("4.1").await
}

async fn a_gap_in_the_servers_sequence_closes_with_4410(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    client.echo("x").await?;
    peer.command("4.2").await?;
    peer.say(json!([kind::RESULT, 2, 1, 1, 0, "x"])).await;
    peer.closes_with("4.2", 4410).await
}

async fn a_repeated_sequence_closes_with_4410(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command("4.2").await?;
    peer.result(1, json!("x")).await;
    client.ends("4.2", call, json!({ "outcome": "reply" })).await?;
    peer.say(json!([kind::RESULT, 1, 1, 1, 0, "x"])).await;
    peer.closes_with("4.2", 4410).await
}

async fn a_result_is_acknowledged_without_the_application(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    client.echo("x").await?;
    peer.command("4.5").await?;
    peer.result(1, json!("x")).await;
    let acks =
        |frame: &Frame| frame.kind == kind::ACK && frame.number(0) == 1 && frame.number(1) == 2;
    peer.take("4.5", "ACK of one RESULT, with low above it", acks).await.map(drop)
}

async fn thirty_two_results_are_acknowledged(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for text in 0..32 {
        client.echo(&text.to_string()).await?;
        peer.command("4.5").await?;
    }
    for n in 1..=32 {
        peer.result(n, json!("x")).await;
    }
    let acks = |frame: &Frame| frame.kind == kind::ACK && frame.number(0) == 32;
    peer.take("4.5", "ACK of 32 RESULTs", acks).await.map(drop)
}

async fn an_ack_below_the_highest_is_ignored(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for _ in 0..3 {
        client.echo("x").await?;
        peer.command("4.4").await?;
    }
    for ack in [3, 1, 0, 2] {
        peer.say(json!([kind::ACK, ack])).await;
    }
    peer.is_alive("4.4").await
}

async fn an_ack_of_what_was_never_sent_closes_with_4410(trial: &Trial) -> Step {
    let (_client, mut peer) = trial.attached().await?;
    peer.say(json!([kind::ACK, 1])).await;
    peer.closes_with("4.4", 4410).await
}

async fn no_more_commands_than_the_servers_window_are_under_way(trial: &Trial) -> Step {
    let window = json!({ "window": { "frames": 2, "bytes": 60_000 } });
    let (mut client, mut peer) = trial.attached_with(window).await?;
    for text in 0..6 {
        client.echo(&text.to_string()).await?;
    }
    for n in [1, 3, 5] {
        peer.command_no("4.6", n).await?;
        peer.command_no("4.6", n + 1).await?;
        peer.settle("4.6").await?;
        ensure!("4.6", !peer.has(is_command), "more than two commands are under way");
        peer.ack().await;
    }
    Ok(())
}

async fn no_more_bytes_than_the_servers_window_are_under_way(trial: &Trial) -> Step {
    let window = json!({ "window": { "frames": 50, "bytes": 1_000 } });
    let (mut client, mut peer) = trial.attached_with(window).await?;
    for _ in 0..3 {
        client.echo(&"x".repeat(600)).await?;
    }
    for n in 1..=3 {
        peer.command_no("4.6", n).await?;
        peer.settle("4.6").await?;
        ensure!("4.6", !peer.has(is_command), "more than 1000 bytes are under way");
        peer.ack().await;
    }
    Ok(())
}

async fn one_command_may_always_be_under_way(trial: &Trial) -> Step {
    let window = json!({ "window": { "frames": 1, "bytes": 1 } });
    let (mut client, mut peer) = trial.attached_with(window).await?;
    for n in 1..=2 {
        client.echo(&"x".repeat(500)).await?;
        peer.command_no("4.6", n).await?;
        peer.ack().await;
    }
    Ok(())
}

async fn a_lost_socket_is_resumed(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for dial in 2..5 {
        peer.is_alive("4.7").await?;
        peer.line.socket.cut();
        peer = client.attach().await?;
        ensure!("4.7", peer.wants_resume(), "HELLO does not resume: {}", peer.hello);
        ensure!("4.9", peer.hello["dial"] == dial, "not dial {dial}: {}", peer.hello);
    }
    peer.is_alive("4.7").await
}

async fn what_the_server_did_not_get_is_sent_again_in_order(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let mut calls = Vec::new();
    for text in ["1", "2", "3"] {
        calls.push(client.echo(text).await?);
        peer.command("4.7").await?;
    }
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    calls.push(client.echo("newer").await?);
    // The server says that only the first has arrived. The desk checks `seq`, `n`, name and body.
    peer.welcome(json!({ "recv": 1 })).await;
    for n in [2, 3, 4] {
        let command = peer.command_no("4.7", n).await?;
        ensure!("4.7", command.number(0) == n, "another seq: {}", command.text);
    }
    for (n, call) in (1..).zip(calls) {
        peer.result(n, json!(n.to_string())).await;
        client.ends("4.7", call, json!({ "outcome": "reply", "body": n.to_string() })).await?;
    }
    Ok(())
}

async fn sending_again_is_not_limited_by_the_window(trial: &Trial) -> Step {
    let window = json!({ "window": { "frames": 4, "bytes": 60_000 } });
    let (mut client, mut peer) = trial.attached_with(window).await?;
    for text in 0..4 {
        client.echo(&text.to_string()).await?;
        peer.command("4.7").await?;
    }
    peer.line.socket.cut();
    let mut peer = client
        .attach_with(json!({ "recv": 0, "window": { "frames": 4, "bytes": 60_000 } }))
        .await?;
    for n in 1..=4 {
        peer.command_no("4.7", n).await?;
    }
    peer.is_alive("4.7").await
}

async fn it_resumes_with_the_token_of_the_last_welcome(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        peer.is_alive("4.8").await?;
        peer.line.socket.cut();
        peer = client.attach().await?;
        // The desk checks with every HELLO that this is the last token.
        let token = peer.hello["resume"]["token"].clone();
        ensure!("1.2", !seen.contains(&token), "a token was used twice");
        seen.push(token);
    }
    Ok(())
}

async fn welcomes_that_were_lost_are_not_believed(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.is_alive("4.8").await?;
    peer.line.socket.cut();
    let lost = client.accept().await?;
    let token = lost.hello["resume"]["token"].clone();
    lost.line.socket.cut();
    // Nothing arrived, so the process still has the token of the WELCOME before.
    let peer = client.accept().await?;
    ensure!(
        "4.8",
        peer.hello["resume"]["token"] == token,
        "another token than that of the last WELCOME"
    );
    Ok(())
}

async fn a_failed_resume_begins_a_new_session(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("again").await?;
    let first = peer.command("4.12").await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    ensure!("4.7", peer.wants_resume(), "HELLO does not resume: {}", peer.hello);
    peer.welcome_anew(false).await;
    let again = peer.command("5.9").await?;
    ensure!("4.12", again.number(0) == 1, "the sequence does not begin anew: {}", again.text);
    ensure!(
        "5.9",
        again.number(2) == first.number(2),
        "another n under the same lease: {}",
        again.text
    );
    peer.result(1, json!("done")).await;
    client.ends("5.9", call, json!({ "outcome": "reply", "body": "done" })).await
}

async fn a_resume_that_the_server_can_not_mean_closes_with_4410(trial: &Trial) -> Step {
    let other = json!({ "session": "00000000000000000000000000000001" });
    let lease = json!({ "lease": { "id": "00000000000000000000000000000001" } });
    for changes in [json!({ "recv": 9 }), other, lease] {
        let (mut client, mut peer) = trial.attached().await?;
        peer.is_alive("4.7").await?;
        peer.line.socket.cut();
        let mut peer = client.attach_with(changes).await?;
        peer.closes_with("4.7", 4410).await?;
    }
    Ok(())
}

async fn a_clean_close_says_1000(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.is_alive("4.11").await?;
    client.close().await?;
    peer.closes_with("4.11", 1000).await
}

async fn a_ping_before_welcome_is_not_answered(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    let mut peer = client.accept().await?;
    peer.say(json!([kind::PING, 77])).await;
    peer.welcome(json!({})).await;
    peer.is_alive("9.2").await?;
    let early = peer.has(|frame| frame.kind == kind::PONG && frame.number(0) == 77);
    ensure!("4.1", !early, "a PING before WELCOME was answered");
    Ok(())
}

async fn what_must_not_come_before_welcome_closes_with_4410(trial: &Trial) -> Step {
    // What is no frame stops it, there as anywhere.
    let mut client = trial.client().await?;
    let mut peer = client.accept().await?;
    peer.say(json!([kind::ACK])).await;
    peer.closes_with("4.15", 4400).await?;
    let mut client = trial.client().await?;
    let mut peer = client.accept().await?;
    peer.say(json!([kind::ACK, 0])).await;
    peer.closes_with("4.15", 4410).await?;
    let mut peer = client.attach().await?;
    peer.is_alive("4.15").await?;
    peer.welcome(json!({})).await;
    peer.closes_with("4.15", 4410).await
}

async fn its_fingerprint_is_a_name_and_stays(trial: &Trial) -> Step {
    let (mut client, peer) = trial.attached().await?;
    let told = peer.hello["fingerprint"].clone();
    let fits = told.is_null() || told.as_str().is_some_and(is_bare_name);
    ensure!("4.18", fits, "a fingerprint that is no name: {told}");
    peer.line.socket.cut();
    let peer = client.attach().await?;
    let again = &peer.hello["fingerprint"];
    ensure!("4.18", *again == told, "the same process tells {told}, then {again}");
    Ok(())
}

async fn it_goes_on_with_any_server(trial: &Trial) -> Step {
    let servers = [
        json!({ "version": "0.0.1", "fingerprint": "a", "verdict": "client_outdated" }),
        json!({ "version": "999", "fingerprint": "b", "verdict": "server_outdated" }),
        json!({ "version": "of another kind", "verdict": "a_word_of_later" }),
        json!({ "version": null, "fingerprint": null, "verdict": null }),
    ];
    for told in servers {
        let (mut client, mut peer) = trial.attached_with(told).await?;
        let call = client.echo("x").await?;
        peer.command("4.18").await?;
        peer.result(1, json!("x")).await;
        client.ends("4.18", call, json!({ "outcome": "reply" })).await?;
    }
    Ok(())
}

async fn a_fingerprint_of_the_server_that_is_no_name_closes_with_4400(trial: &Trial) -> Step {
    for told in [json!({ "fingerprint": "a b" }), json!({ "fingerprint": 7 })] {
        let mut client = trial.client().await?;
        let mut peer = client.accept().await?;
        peer.welcome(told).await;
        peer.closes_with("4.18", 4400).await?;
    }
    Ok(())
}
