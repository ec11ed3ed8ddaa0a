//! Clause 5.26: a client that outlives its process. Whoever keeps nothing beyond it has nothing to
//! do here, and the cases are not applicable.

use serde_json::json;

use super::super::peer::is_command;
use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    the_next_process_sends_again_what_has_no_outcome: "5.26" "5.9";
    the_next_process_sends_what_was_accepted_in_its_order: "5.26" "5.2";
    what_was_sent_is_unknown_when_the_lease_is_gone: "5.26" "5.1";
    a_late_hello_of_an_earlier_process_is_survived: "5.26" "8.1";
    it_stops_after_three_takeovers_in_a_row: "5.26" "8.1a";
}

async fn the_next_process_sends_again_what_has_no_outcome(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.keeping(json!({})).await?;
    let done = client.echo("done").await?;
    let open = client.echo("open").await?;
    peer.command_no("5.26", 1).await?;
    let first = peer.command_no("5.26", 2).await?;
    peer.result(1, json!("done")).await;
    client.ends("5.26", done, json!({ "outcome": "reply", "body": "done" })).await?;
    // That it is resolved was saved before this says so.
    let says_so = |frame: &Frame| frame.kind == kind::ACK && frame.number(1) == 2;
    peer.take("5.4", "ACK that tells that the first one is resolved", says_so).await?;
    client.restart().await?;
    // The desk checks that it names the lease, as another instance, without a session.
    let mut peer = client.attach().await?;
    ensure!("5.26", peer.hello["lease"]["low"] == 2, "1 was resolved: {}", peer.hello["lease"]);
    let again = peer.command_no("5.26", 2).await?;
    ensure!("5.26", again.body_text() == first.body_text(), "other bytes: {}", again.text);
    peer.result(2, json!("at last")).await;
    client.ends("5.26", open, json!({ "outcome": "reply", "body": "at last" })).await
}

async fn the_next_process_sends_what_was_accepted_in_its_order(trial: &Trial) -> Step {
    let window = json!({ "window": { "frames": 2, "bytes": 60_000 }, "lease": { "span": 3 } });
    let (mut client, mut peer) = trial.keeping(window).await?;
    let texts = ["a", "b", "c", "d", "e"];
    let mut calls = Vec::new();
    for text in texts {
        calls.push(client.echo(text).await?);
    }
    for n in 1..=2 {
        peer.command_no("5.26", n).await?;
    }
    for call in &calls {
        client.accepted(*call).await?;
    }
    client.restart().await?;
    let mut peer = client.attach().await?;
    for (n, text) in (1..).zip(texts) {
        let command = peer.command_no("5.26", n).await?;
        let body: serde_json::Value = serde_json::from_str(command.body_text()).unwrap_or_default();
        ensure!("5.26", body["text"] == text, "not the call `{text}`: {}", command.text);
        peer.result(n, json!(text)).await;
    }
    for (call, text) in calls.into_iter().zip(texts) {
        client.ends("5.26", call, json!({ "outcome": "reply", "body": text })).await?;
    }
    Ok(())
}

async fn what_was_sent_is_unknown_when_the_lease_is_gone(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.keeping(json!({})).await?;
    let call = client.echo("x").await?;
    peer.command_no("5.26", 1).await?;
    client.restart().await?;
    let mut peer = client.accept().await?;
    peer.welcome_anew(true).await;
    client.ends("5.26", call, json!({ "outcome": "unknown" })).await?;
    peer.settle("5.26").await?;
    ensure!("5.26", !peer.has(is_command), "it was sent again under another lease");
    Ok(())
}

async fn a_late_hello_of_an_earlier_process_is_survived(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.keeping(json!({})).await?;
    let call = client.echo("x").await?;
    peer.command_no("5.26", 1).await?;
    peer.line.socket.close(4300, "").await;
    let mut peer = client.accept().await?;
    ensure!("5.26", !peer.wants_resume(), "a resume after 4300: {}", peer.hello);
    peer.welcome_anew(false).await;
    peer.command_no("5.26", 1).await?;
    peer.result(1, json!("x")).await;
    client.ends("5.26", call, json!({ "outcome": "reply", "body": "x" })).await
}

async fn it_stops_after_three_takeovers_in_a_row(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.keeping(json!({})).await?;
    for _ in 0..2 {
        peer.is_alive("5.26").await?;
        peer.line.socket.close(4300, "").await;
        peer = client.attach().await?;
    }
    peer.is_alive("5.26").await?;
    peer.line.socket.close(4300, "").await;
    client.stops("5.26").await.map(drop)
}
