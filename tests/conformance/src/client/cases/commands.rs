//! Sections 5.1 to 5.7 and 5.13 to 5.16: numbers, `low`, outcomes.

use serde_json::json;

use super::super::peer::is_command;
use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    the_lease_is_named_again_in_every_hello: "5.1" "1.3";
    after_a_lost_lease_what_was_sent_is_unknown_and_the_rest_is_numbered_anew: "5.1" "6.1";
    a_refused_command_is_not_unknown_after_a_lost_lease: "5.1" "5.10";
    numbers_are_given_in_the_order_of_calls: "5.2" "4.2" "5.5" "1.6";
    no_command_goes_beyond_the_span: "5.3";
    low_is_told_and_never_passes_what_is_unresolved: "5.4" "3.7";
    every_outcome_reaches_its_caller: "5.7";
    an_outcome_that_is_not_known_is_reported_as_unknown: "5.7" "5.1";
    an_answer_to_what_is_resolved_is_dropped: "5.7";
    a_repeated_outcome_is_an_outcome: "5.8" "3.7";
    a_deadline_tells_what_is_left: "5.13" "1.7";
    before_a_clean_close_it_tells_that_nothing_is_open: "5.15" "4.11";
    a_volatile_is_sent_without_number: "5.16";
    a_volatile_is_not_kept_for_later: "5.16";
}

async fn the_lease_is_named_again_in_every_hello(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    let mut peer = client.accept().await?;
    ensure!("5.1", peer.hello["lease"].is_null(), "a lease out of nowhere: {}", peer.hello);
    peer.welcome(json!({})).await;
    let call = client.echo("x").await?;
    peer.command("5.1").await?;
    peer.result(1, json!("x")).await;
    client.ends("5.1", call, json!({ "outcome": "reply" })).await?;
    client.echo("y").await?;
    peer.command("5.1").await?;
    peer.line.socket.cut();
    let peer = client.accept().await?;
    let lease = &peer.hello["lease"];
    ensure!("5.4", lease["low"] == 2 && lease["next"] == 3, "low and next: {lease}");
    Ok(())
}

async fn after_a_lost_lease_what_was_sent_is_unknown_and_the_rest_is_numbered_anew(
    trial: &Trial,
) -> Step {
    let window = json!({ "window": { "frames": 2, "bytes": 60_000 } });
    let (mut client, mut peer) = trial.attached_with(window).await?;
    let mut calls = Vec::new();
    for text in 0..4 {
        calls.push(client.echo(&text.to_string()).await?);
    }
    peer.command("5.1").await?;
    peer.command("5.1").await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    peer.welcome_anew(true).await;
    for call in &calls[..2] {
        client.ends("5.1", *call, json!({ "outcome": "unknown" })).await?;
    }
    for n in 1..=2 {
        let command = peer.command_no("5.1", n).await?;
        let text = (n + 1).to_string();
        ensure!("5.1", command.body()["text"] == text.as_str(), "n {n} is {}", command.text);
        peer.result(n, json!(text)).await;
    }
    for call in &calls[2..] {
        client.ends("5.1", *call, json!({ "outcome": "reply" })).await?;
    }
    Ok(())
}

async fn a_refused_command_is_not_unknown_after_a_lost_lease(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("refused").await?;
    peer.command("5.1").await?;
    peer.refused(1, "overload", 60_000).await;
    peer.settle("5.10").await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    peer.welcome_anew(true).await;
    peer.settle("5.1").await?;
    ensure!(
        "5.1",
        !client.is_over(call),
        "a command that was certainly not executed has an outcome"
    );
    Ok(())
}

async fn numbers_are_given_in_the_order_of_calls(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for text in 1..=40 {
        client.echo(&text.to_string()).await?;
    }
    for n in 1..=40 {
        let command = peer.command_no("5.2", n).await?;
        ensure!(
            "5.2",
            command.body()["text"] == n.to_string().as_str(),
            "n {n} is {}",
            command.text
        );
        peer.result(n, json!("x")).await;
    }
    Ok(())
}

async fn no_command_goes_beyond_the_span(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached_with(json!({ "lease": { "span": 2 } })).await?;
    for text in 0..4 {
        client.echo(&text.to_string()).await?;
    }
    peer.command_no("5.3", 1).await?;
    peer.command_no("5.3", 2).await?;
    // The window is open, and 1 is not resolved: 3 would be 2 ahead.
    peer.result(2, json!("x")).await;
    peer.settle("5.3").await?;
    ensure!("5.3", !peer.has(is_command), "a command went beyond the span");
    peer.result(1, json!("x")).await;
    peer.command_no("5.3", 3).await?;
    peer.command_no("5.3", 4).await.map(drop)
}

async fn low_is_told_and_never_passes_what_is_unresolved(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for text in 0..3 {
        client.echo(&text.to_string()).await?;
        peer.command("5.4").await?;
    }
    for n in [2, 3] {
        peer.result(n, json!("x")).await;
    }
    let acks = |seq: u64, low: u64| {
        move |frame: &Frame| {
            frame.kind == kind::ACK && frame.number(0) == seq && frame.number(1) == low
        }
    };
    peer.take("5.4", "ACK with low 1", acks(2, 1)).await?;
    peer.result(1, json!("x")).await;
    peer.take("5.4", "ACK with low 4", acks(3, 4)).await?;
    client.echo("next").await?;
    let command = peer.command_no("5.4", 4).await?;
    ensure!("3.7", command.number(3) == 0, "`back` of the lowest unresolved n: {}", command.text);
    Ok(())
}

async fn every_outcome_reaches_its_caller(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let mut calls = Vec::new();
    for _ in 0..4 {
        calls.push(client.call("fail", json!({ "list": "l" })).await?);
        peer.command("5.7").await?;
    }
    peer.result(1, json!({})).await;
    peer.failed(2, "error", "failed", json!({ "list": "mine" })).await;
    peer.failed(3, "internal", "", json!({})).await;
    peer.failed(4, "timeout", "", json!({})).await;
    client.ends("5.7", calls[0], json!({ "outcome": "reply" })).await?;
    let error = json!({ "outcome": "error", "name": "failed", "body": { "list": "mine" } });
    client.ends("5.7", calls[1], error).await?;
    client.ends("5.7", calls[2], json!({ "outcome": "failed", "code": "internal" })).await?;
    client.ends("5.7", calls[3], json!({ "outcome": "failed", "code": "timeout" })).await
}

async fn an_outcome_that_is_not_known_is_reported_as_unknown(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command("5.7").await?;
    peer.failed(1, "unknown", "", json!({})).await;
    client.ends("5.7", call, json!({ "outcome": "unknown" })).await
}

async fn an_answer_to_what_is_resolved_is_dropped(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command("5.7").await?;
    peer.result(1, json!("first")).await;
    peer.result(1, json!("second")).await;
    client.ends("5.7", call, json!({ "outcome": "reply", "body": "first" })).await?;
    let acks = |frame: &Frame| frame.kind == kind::ACK && frame.number(0) == 2;
    peer.take("5.7", "ACK of the answer that was dropped", acks).await?;
    ensure!("5.7", !client.is_over(call), "one call has two outcomes");
    Ok(())
}

async fn a_repeated_outcome_is_an_outcome(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command("5.8").await?;
    peer.say(json!([kind::RESULT, 1, 1, 1, 1, "recorded"])).await;
    client.ends("5.8", call, json!({ "outcome": "reply", "body": "recorded" })).await
}

async fn a_deadline_tells_what_is_left(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    // By ADAPTER.md a caller of `late` waits for 300 ms.
    client.call("late", json!({ "gate": "g" })).await?;
    peer.command("5.13").await?;
    peer.line.socket.cut();
    let mut peer = client.attach_with(json!({ "recv": 0 })).await?;
    let again = peer.command("5.13").await?;
    if again.kind == kind::COMMAND_WITH_DEADLINE {
        ensure!(
            "5.13",
            again.number(4) <= 300,
            "more patience than the caller has: {}",
            again.text
        );
    }
    Ok(())
}

async fn before_a_clean_close_it_tells_that_nothing_is_open(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command("5.15").await?;
    peer.result(1, json!("x")).await;
    client.ends("5.15", call, json!({ "outcome": "reply" })).await?;
    client.close().await?;
    peer.closes_with("4.11", 1000).await?;
    let told = peer.has(|frame| frame.kind == kind::ACK && frame.number(1) == 2);
    ensure!("5.15", told, "the server can't know that everything is resolved");
    Ok(())
}

async fn a_volatile_is_sent_without_number(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.is_alive("5.16").await?;
    client.volatile("here").await?;
    let frame = peer.take_kind("5.16", "VOLATILE", kind::VOLATILE).await?;
    let as_wanted = frame.string(0) == "nudge" && frame.body()["list"] == "here";
    ensure!("5.16", as_wanted, "another volatile: {}", frame.text);
    client.echo("x").await?;
    peer.command_no("5.16", 1).await.map(drop)
}

async fn a_volatile_is_not_kept_for_later(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.is_alive("5.16").await?;
    client.volatile("first").await?;
    peer.take_kind("5.16", "VOLATILE", kind::VOLATILE).await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    peer.settle("5.16").await?;
    ensure!("5.16", !peer.has(|frame| frame.kind == kind::VOLATILE), "a volatile was sent again");
    Ok(())
}
