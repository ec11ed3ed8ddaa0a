//! Sections 7.1 to 7.7: positions, gaps, numbers.

use serde_json::{Value, json};

use super::super::peer::{EPOCH, Peer};
use super::super::trial::{Client, Trial};
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    after_every_welcome_it_subscribes_again: "7.2" "1.1" "7.3";
    it_goes_on_from_what_the_application_has_finished_with: "7.2" "7.4" "1.4" "7.17";
    a_continuation_from_somewhere_else_closes_with_4410: "7.4" "8.1";
    a_first_subscription_is_no_gap: "7.5" "7.12";
    without_a_snapshot_the_place_is_known_before_any_event: "7.17";
    before_the_snapshot_there_is_no_place: "7.17";
    the_last_events_are_asked_for_until_there_is_a_place: "7.25";
    an_item_in_the_applications_hands_is_not_seen_twice: "7.18" "7.17";
    a_gap_is_told_where_there_is_no_snapshot: "7.5" "7.12";
    a_gap_is_told_with_the_snapshot: "7.5" "7.12";
    a_gap_that_was_not_told_is_not_lost_with_the_socket: "7.12" "7.17";
    after_a_snapshot_events_continue: "7.5" "7.7";
    a_reset_on_a_live_subscription_is_told: "7.6" "7.5";
    another_epoch_comes_under_another_number: "7.6" "7.8";
    an_event_out_of_order_closes_with_4410: "7.7" "8.1";
    a_skip_moves_on: "7.7";
    an_event_where_a_snapshot_is_due_closes_with_4410: "7.5" "7.7";
}

/// A later epoch than [`EPOCH`].
const LATER: &str = "00000000000000e2";

/// A client that follows a topic under the number 7.
async fn following(trial: &Trial, topic: &str) -> Step<(Client, Peer, u64, Value)> {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe(topic).await?;
    let asked = if topic == "log" { peer.accept_log().await? } else { peer.accept_list().await? };
    ensure!("7.2", asked["topic"] == topic && asked["key"] == "l", "another topic: {asked}");
    ensure!("7.2", asked["from"].is_null(), "a position out of nowhere: {asked}");
    Ok((client, peer, sub, asked))
}

async fn after_every_welcome_it_subscribes_again(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, _) = following(trial, "log").await?;
    for round in 1..4 {
        peer.event(7, 1, &round.to_string()).await;
        client.sees("7.2", sub, &round.to_string()).await?;
        peer.line.socket.cut();
        peer = client.attach().await?;
        let asked = peer.subscribe("7.2").await?;
        peer.subscribed(&asked, 7, (LATER, 0), Some("epoch")).await;
        let gap = client.item("7.5", sub).await?;
        ensure!("7.5", gap["item"] == "gap", "no gap, but {gap}");
    }
    Ok(())
}

async fn it_goes_on_from_what_the_application_has_finished_with(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, _) = following(trial, "log").await?;
    for ts in 1..=3 {
        peer.event(7, ts, &ts.to_string()).await;
        client.sees("7.2", sub, &ts.to_string()).await?;
    }
    // Asking for the next one says that the third is finished with.
    client.take(sub).await?;
    peer.is_alive("7.2").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    ensure!("7.2", asked["from"] == json!({ "epoch": EPOCH, "ts": 3 }), "from: {asked}");
    peer.subscribed(&asked, 9, (EPOCH, 3), None).await;
    peer.event(9, 4, "next").await;
    let item = client.taken("7.4", sub).await?;
    ensure!(
        "7.4",
        item["item"] == "event" && item["body"]["text"] == "next",
        "not the next event: {item}"
    );
    Ok(())
}

async fn a_continuation_from_somewhere_else_closes_with_4410(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, _) = following(trial, "log").await?;
    peer.event(7, 1, "1").await;
    client.sees("7.4", sub, "1").await?;
    client.take(sub).await?;
    peer.is_alive("7.4").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    peer.subscribed(&asked, 7, (EPOCH, 5), None).await;
    peer.closes_with("7.4", 4410).await
}

async fn a_first_subscription_is_no_gap(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, _) = following(trial, "log").await?;
    peer.event(7, 1, "first").await;
    client.sees("7.5", sub, "first").await?;
    let (mut client, _peer, sub, _) = following(trial, "list").await?;
    let item = client.item("7.5", sub).await?;
    ensure!(
        "7.5",
        item["item"] == "snapshot" && item["gap"].is_null(),
        "the first state came as {item}"
    );
    Ok(())
}

/// A client that has seen one event, and comes back.
async fn comes_back(trial: &Trial, topic: &str) -> Step<(Client, Peer, u64, Value)> {
    let (mut client, mut peer, sub, _) = following(trial, topic).await?;
    if topic == "list" {
        client.item("7.5", sub).await?;
    }
    peer.named_event(7, 1, if topic == "list" { "appended" } else { "logged" }, "seen").await;
    client.sees("7.5", sub, "seen").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    Ok((client, peer, sub, asked))
}

async fn a_gap_is_told_where_there_is_no_snapshot(trial: &Trial) -> Step {
    for reason in ["trimmed", "epoch", "ahead"] {
        let (mut client, mut peer, sub, asked) = comes_back(trial, "log").await?;
        peer.subscribed(&asked, 8, (EPOCH, 9), Some(reason)).await;
        peer.event(8, 10, "after").await;
        let gap = client.item("7.5", sub).await?;
        ensure!(
            "7.5",
            gap["item"] == "gap" && gap["reason"] == reason,
            "`{reason}` was told as {gap}"
        );
        client.sees("7.5", sub, "after").await?;
    }
    Ok(())
}

async fn a_gap_is_told_with_the_snapshot(trial: &Trial) -> Step {
    for reason in ["trimmed", "epoch", "ahead"] {
        let (mut client, mut peer, sub, asked) = comes_back(trial, "list").await?;
        peer.subscribed(&asked, 8, (LATER, 9), Some(reason)).await;
        peer.snapshot(8, 9, &["state"]).await;
        let item = client.item("7.5", sub).await?;
        ensure!(
            "7.5",
            item["item"] == "snapshot" && item["gap"] == reason,
            "`{reason}` was told as {item}"
        );
        ensure!("7.5", item["body"]["texts"] == json!(["state"]), "another state: {item}");
    }
    Ok(())
}

async fn after_a_snapshot_events_continue(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("list").await?;
    let asked = peer.subscribe("7.2").await?;
    // The snapshot may be of a later position than SUBSCRIBED.
    peer.subscribed(&asked, 3, (EPOCH, 4), Some("initial")).await;
    peer.snapshot(3, 6, &["a"]).await;
    peer.named_event(3, 7, "appended", "b").await;
    let item = client.item("7.5", sub).await?;
    ensure!("7.5", item["item"] == "snapshot", "not the state: {item}");
    client.sees("7.7", sub, "b").await
}

async fn a_reset_on_a_live_subscription_is_told(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, asked) = following(trial, "log").await?;
    peer.event(7, 1, "before").await;
    client.sees("7.6", sub, "before").await?;
    peer.subscribed(&asked, 7, (EPOCH, 20), Some("trimmed")).await;
    peer.event(7, 21, "after").await;
    let gap = client.item("7.6", sub).await?;
    ensure!("7.6", gap["item"] == "gap" && gap["reason"] == "trimmed", "a reset was told as {gap}");
    client.sees("7.6", sub, "after").await
}

async fn another_epoch_comes_under_another_number(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, asked) = following(trial, "log").await?;
    let bytes = peer.event(7, 1, "before").await;
    client.sees("7.6", sub, "before").await?;
    client.take(sub).await?;
    peer.position(7, 1, bytes).await?;
    peer.renumber(7, 8);
    peer.subscribed(&asked, 8, (LATER, 0), Some("epoch")).await;
    let gap = client.taken("7.6", sub).await?;
    ensure!(
        "7.6",
        gap["item"] == "gap" && gap["reason"] == "epoch",
        "another epoch was told as {gap}"
    );
    // What was reported under the earlier number may not have been heard.
    peer.position(8, 0, bytes).await?;
    peer.event(8, 1, "after").await;
    client.sees("7.6", sub, "after").await
}

async fn an_event_out_of_order_closes_with_4410(trial: &Trial) -> Step {
    for ts in [2, 0] {
        let (_client, mut peer, _, _) = following(trial, "log").await?;
        peer.event(7, 1, "1").await;
        peer.event(7, if ts == 2 { 3 } else { 1 }, "out of order").await;
        peer.closes_with("7.7", 4410).await?;
    }
    Ok(())
}

async fn a_skip_moves_on(trial: &Trial) -> Step {
    let (mut client, mut peer, sub, _) = following(trial, "log").await?;
    peer.event(7, 1, "1").await;
    peer.say(json!([kind::SKIP, 7, 5])).await;
    peer.event(7, 6, "6").await;
    client.sees("7.7", sub, "1").await?;
    client.sees("7.7", sub, "6").await?;
    client.take(sub).await?;
    peer.is_alive("7.7").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    ensure!("7.2", asked["from"]["ts"] == 6, "it goes on from {asked}");
    Ok(())
}

async fn an_event_where_a_snapshot_is_due_closes_with_4410(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    client.subscribe("list").await?;
    let asked = peer.subscribe("7.2").await?;
    peer.subscribed(&asked, 3, (EPOCH, 4), Some("initial")).await;
    peer.named_event(3, 5, "appended", "x").await;
    peer.closes_with("7.5", 4410).await
}

async fn without_a_snapshot_the_place_is_known_before_any_event(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    client.subscribe("log").await?;
    let asked = peer.subscribe("7.2").await?;
    peer.subscribed(&asked, 7, (EPOCH, 4), Some("initial")).await;
    peer.is_alive("7.17").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    let from = json!({ "epoch": EPOCH, "ts": 4 });
    ensure!("7.17", asked["from"] == from, "it goes on from {}, not from {from}", asked["from"]);
    Ok(())
}

async fn before_the_snapshot_there_is_no_place(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("list").await?;
    let asked = peer.subscribe("7.2").await?;
    peer.subscribed(&asked, 7, (EPOCH, 4), Some("initial")).await;
    peer.is_alive("7.17").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    ensure!(
        "7.17",
        asked["from"].is_null(),
        "it goes on from {}, which it never had",
        asked["from"]
    );
    peer.subscribed(&asked, 8, (EPOCH, 5), Some("initial")).await;
    peer.snapshot(8, 5, &["a"]).await;
    let item = client.item("7.17", sub).await?;
    ensure!("7.17", item["item"] == "snapshot", "the application got {item}, not the state");
    Ok(())
}

async fn the_last_events_are_asked_for_until_there_is_a_place(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe_last("log", 2).await?;
    let asked = peer.subscribe("7.25").await?;
    ensure!("7.25", asked["last"] == 2 && asked["from"].is_null(), "it asks for {asked}");
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.25").await?;
    ensure!("7.25", asked["last"] == 2 && asked["from"].is_null(), "it asks again for {asked}");
    peer.subscribed(&asked, 7, (EPOCH, 4), Some("initial")).await;
    peer.event(7, 5, "5").await;
    client.sees("7.25", sub, "5").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.25").await?;
    let here = asked["from"]["epoch"] == EPOCH && asked["last"].is_null();
    ensure!("7.25", here, "it has a place, and asks for {asked}");
    Ok(())
}

async fn a_gap_that_was_not_told_is_not_lost_with_the_socket(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("log").await?;
    let asked = peer.accept_log().await?;
    peer.event(7, 1, "1").await;
    client.sees("7.12", sub, "1").await?;
    peer.subscribed(&asked, 7, (EPOCH, 4), Some("trimmed")).await;
    peer.is_alive("7.12").await?;
    peer.line.socket.cut();
    // Either it holds the gap and goes on behind it, or it meets the gap again.
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    let behind = asked["from"]["ts"] == 4;
    peer.subscribed(&asked, 8, (EPOCH, 4), (!behind).then_some("trimmed")).await;
    peer.event(8, 5, "5").await;
    let item = client.item("7.12", sub).await?;
    let told = item["item"] == "gap" && item["reason"] == "trimmed";
    ensure!("7.12", told, "the application got {item}, not the gap");
    // And once.
    client.sees("7.12", sub, "5").await
}

async fn an_item_in_the_applications_hands_is_not_seen_twice(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("log").await?;
    peer.accept_log().await?;
    peer.event(7, 1, "1").await;
    client.sees("7.18", sub, "1").await?;
    peer.is_alive("7.18").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    // It has finished with nothing, and may still hold what the application is with.
    let from = asked["from"]["ts"].as_u64();
    ensure!("7.17", matches!(from, Some(0 | 1)), "it goes on from {}", asked["from"]);
    let from = from.unwrap_or_default();
    peer.subscribed(&asked, 9, (EPOCH, from), None).await;
    for ts in from + 1..=2 {
        peer.event(9, ts, &ts.to_string()).await;
    }
    client.sees("7.18", sub, "2").await
}
