//! Sections 7.8 to 7.11: positions, unsubscribing, volatiles.

use serde_json::{Value, json};

use super::super::peer::Peer;
use super::super::trial::{Client, Trial};
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    a_position_tells_what_is_finished_with: "7.8" "7.15" "7.19";
    nothing_is_finished_before_the_application_says_so: "7.8" "7.15";
    a_snapshot_counts_in_bytes: "7.8" "7.15";
    a_subscription_that_nobody_reads_holds_nothing_up: "7.9";
    leaving_is_told_and_what_is_on_its_way_is_dropped: "7.10";
    a_final_code_ends_the_subscription: "7.10";
    a_code_for_now_is_asked_again: "7.10" "7.3";
    a_volatile_reaches_the_application_and_moves_no_position: "7.11";
    a_smaller_credit_than_it_asked_for_is_lived_with: "7.14" "7.19";
}

async fn following(trial: &Trial, topic: &str) -> Step<(Client, Peer, u64, Value)> {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe(topic).await?;
    let asked = if topic == "log" { peer.accept_log().await? } else { peer.accept_list().await? };
    Ok((client, peer, sub, asked))
}

async fn a_position_tells_what_is_finished_with(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, _) = following(trial, "log").await?;
    let mut bytes = 0;
    for ts in 1..=3 {
        bytes += peer.event(7, ts, "é").await;
    }
    for _ in 0..3 {
        client.sees("7.8", sub, "é").await?;
    }
    client.take(sub).await?;
    peer.position(7, 3, bytes).await
}

async fn nothing_is_finished_before_the_application_says_so(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, _) = following(trial, "log").await?;
    let first = peer.event(7, 1, "1").await;
    peer.event(7, 2, "2").await;
    client.sees("7.8", sub, "1").await?;
    peer.settle("7.8").await?;
    let early = |frame: &Frame| {
        frame.kind == kind::POSITION && (frame.number(1) > 0 || frame.number(2) > 0)
    };
    ensure!("7.15", !peer.has(early), "an item that the application is still with was reported");
    client.sees("7.8", sub, "2").await?;
    peer.position(7, 1, first).await
}

async fn a_snapshot_counts_in_bytes(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("list").await?;
    let asked = peer.subscribe("7.2").await?;
    peer.subscribed(&asked, 7, (super::super::peer::EPOCH, 4), Some("initial")).await;
    let state = peer.snapshot(7, 4, &["a", "b"]).await;
    let event = peer.named_event(7, 5, "appended", "c").await;
    client.item("7.8", sub).await?;
    client.sees("7.8", sub, "c").await?;
    client.take(sub).await?;
    peer.position(7, 5, state + event).await
}

async fn a_subscription_that_nobody_reads_holds_nothing_up(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, asked) = following(trial, "log").await?;
    let credit = asked["credit"]["events"].as_u64().unwrap_or_default().min(200);
    for ts in 1..=credit {
        peer.event(7, ts, "x").await;
    }
    let call = client.echo("x").await?;
    peer.command("7.9").await?;
    peer.result(1, json!("answered")).await;
    client.ends("7.9", call, json!({ "outcome": "reply", "body": "answered" })).await?;
    peer.is_alive("7.9").await?;
    ensure!("7.8", !client.has_item(sub), "an item that the application did not ask for");
    Ok(())
}

async fn leaving_is_told_and_what_is_on_its_way_is_dropped(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, asked) = following(trial, "log").await?;
    peer.event(7, 1, "1").await;
    client.sees("7.10", sub, "1").await?;
    client.unsubscribe(sub).await?;
    let left = peer.take_kind("7.10", "UNSUBSCRIBE", kind::UNSUBSCRIBE).await?;
    ensure!("7.10", left.body()["sub"] == asked["sub"], "another sub: {}", left.text);
    // On their way when UNSUBSCRIBE was sent. Even what is out of order is dropped.
    for ts in [2, 3, 9] {
        peer.event(7, ts, "on its way").await;
    }
    peer.is_alive("7.10").await?;
    let again = client.subscribe("log").await?;
    let asked_again = peer.subscribe("7.10").await?;
    ensure!("7.3", asked_again["sub"] != asked["sub"], "a sub was used twice: {asked_again}");
    peer.event(7, 10, "still on its way").await;
    peer.subscribed(&asked_again, 7, (super::super::peer::EPOCH, 10), Some("initial")).await;
    peer.event(7, 11, "11").await;
    client.sees("7.10", again, "11").await
}

async fn a_final_code_ends_the_subscription(trial: &Trial) -> Step {
    for code in ["forbidden", "unsupported", "invalid"] {
        let (mut client, mut peer) = trial.attached().await?;
        let sub = client.subscribe("log").await?;
        let asked = peer.subscribe("7.10").await?;
        peer.say(json!([kind::UNSUBSCRIBED, { "sub": asked["sub"], "code": code }])).await;
        let ended = client.ended("7.10", sub).await?;
        ensure!("7.10", ended["code"] == code, "`{code}` was told as {ended}");
        peer.settle("7.10").await?;
        ensure!(
            "7.10",
            !peer.has(|frame| frame.kind == kind::SUBSCRIBE),
            "`{code}` is final, and was asked again"
        );
    }
    Ok(())
}

async fn a_code_for_now_is_asked_again(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("log").await?;
    for code in ["overload", "internal"] {
        let asked = peer.subscribe("7.10").await?;
        peer.say(
            json!([kind::UNSUBSCRIBED, { "sub": asked["sub"], "code": code, "retry_ms": 10 }]),
        )
        .await;
    }
    peer.accept_log().await?;
    peer.event(7, 1, "at last").await;
    client.sees("7.10", sub, "at last").await
}

async fn a_volatile_reaches_the_application_and_moves_no_position(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, _) = following(trial, "list").await?;
    client.item("7.11", sub).await?;
    peer.say(json!([kind::TOPIC_VOLATILE, 7, "nudged", { "list": "l" }])).await;
    let item = client.item("7.11", sub).await?;
    ensure!("7.11", item["name"] == "nudged", "a volatile arrived as {item}");
    peer.named_event(7, 1, "appended", "next").await;
    client.sees("7.11", sub, "next").await
}

async fn a_smaller_credit_than_it_asked_for_is_lived_with(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("log").await?;
    let asked = peer.subscribe("7.2").await?;
    let granted = json!({ "events": 1, "bytes": 100 });
    peer.say(json!([kind::SUBSCRIBED, {
        "sub": asked["sub"], "number": 7, "epoch": super::super::peer::EPOCH, "ts": 0, "head": 0,
        "snapshot": false, "reset": "initial", "credit": granted,
    }]))
    .await;
    let mut bytes = 0;
    for ts in 1..=3 {
        bytes += peer.event(7, ts, "e").await;
        if ts == 1 {
            client.take(sub).await?;
        }
        let item = client.taken("7.14", sub).await?;
        ensure!("7.14", item["item"] == "event", "the application got {item}, not event {ts}");
        // To have finished with it, the application asks for the next one.
        client.take(sub).await?;
        peer.position(7, ts, bytes).await?;
    }
    Ok(())
}
