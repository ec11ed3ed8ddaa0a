//! Section 2: upgrades, limits, signs of life.

use serde_json::json;

use super::super::peer::EPOCH;
use super::super::trial::Trial;
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::kind;
use crate::socket::Arrival;

cases! { Trial;
    it_offers_the_subprotocol_and_speaks_text: "2.1" "2.2";
    an_answer_without_the_subprotocol_stops_it: "2.1" "8.1";
    an_upgrade_refused_with_401_asks_for_new_credentials: "2.1";
    an_upgrade_refused_with_403_stops_it: "2.1";
    an_upgrade_refused_for_now_is_tried_again: "2.1" "4.9";
    any_other_refusal_stops_a_client_that_was_never_connected: "2.1";
    any_other_refusal_is_a_lost_connection_later: "2.1";
    a_binary_message_is_an_error: "2.2" "8.3";
    a_command_beyond_frame_bytes_is_not_sent: "2.3" "5.19";
    a_websocket_ping_is_answered: "2.4";
    a_long_snapshot_is_taken: "2.5";
    a_message_beyond_the_clients_own_limit_ends_its_subscription: "2.7" "2.6";
}

async fn it_offers_the_subprotocol_and_speaks_text(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("é \" \u{1F980}").await?;
    let command = peer.command("2.2").await?;
    ensure!("2.2", command.body()["text"] == "é \" \u{1F980}", "another text: {}", command.text);
    peer.result(1, json!("x")).await;
    client.ends("2.2", call, json!({ "outcome": "reply", "body": "x" })).await
}

async fn an_answer_without_the_subprotocol_stops_it(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    let mut socket = client.socket(None).await?;
    client.stops("2.1").await?;
    match socket.next().await {
        Some(Arrival::Closed(_)) => Ok(()),
        other => {
            Err(Stop::broken("2.1", format!("{other:?} on a socket whose subprotocol was changed")))
        }
    }
}

async fn an_upgrade_refused_with_401_asks_for_new_credentials(trial: &Trial) -> Step {
    let mut client = trial.client_with(json!({}), &["stale", "ann"]).await?;
    client.refuse_upgrade(401).await?;
    let peer = client.accept().await?;
    ensure!(
        "2.1",
        peer.hello["token"] == "ann",
        "the credentials were not renewed: {}",
        peer.hello
    );
    Ok(())
}

async fn an_upgrade_refused_with_403_stops_it(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    client.refuse_upgrade(403).await?;
    client.stops("2.1").await.map(drop)
}

async fn an_upgrade_refused_for_now_is_tried_again(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    for status in [408, 425, 429, 500, 503, 504] {
        client.refuse_upgrade(status).await?;
    }
    let peer = client.accept().await?;
    ensure!("4.9", peer.hello["dial"] == 7, "dials that failed were not counted: {}", peer.hello);
    Ok(())
}

async fn any_other_refusal_stops_a_client_that_was_never_connected(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    client.refuse_upgrade(404).await?;
    client.stops("2.1").await.map(drop)
}

async fn any_other_refusal_is_a_lost_connection_later(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.is_alive("2.1").await?;
    peer.line.socket.cut();
    client.refuse_upgrade(404).await?;
    client.attach().await?.is_alive("2.1").await
}

async fn a_binary_message_is_an_error(trial: &Trial) -> Step {
    let (_client, mut peer) = trial.attached().await?;
    peer.line.socket.send_binary(b"[12,1]").await;
    peer.closes_with("2.2", 4400).await
}

async fn a_command_beyond_frame_bytes_is_not_sent(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached_with(json!({ "frame_bytes": 1_000 })).await?;
    peer.is_alive("2.3").await?;
    let long = client.echo(&"x".repeat(2_000)).await?;
    let short = client.echo("short").await?;
    client.ends("2.3", long, json!({ "outcome": "refused", "code": "too_large" })).await?;
    let command = peer.command("2.3").await?;
    ensure!("2.3", command.body()["text"] == "short", "another command: {}", command.text);
    peer.result(command.number(2), json!("short")).await;
    client.ends("2.3", short, json!({ "outcome": "reply" })).await
}

async fn a_websocket_ping_is_answered(trial: &Trial) -> Step {
    let (_client, mut peer) = trial.attached().await?;
    peer.line.socket.send_websocket_ping(b"life").await;
    loop {
        match peer.line.socket.next().await {
            Some(Arrival::WebSocketPong(payload)) if payload == b"life" => {
                return peer.is_alive("2.4").await;
            }
            Some(Arrival::Text(_) | Arrival::Binary(_)) => {}
            other => return Err(Stop::broken("2.4", format!("{other:?} instead of a pong"))),
        }
    }
}

async fn a_long_snapshot_is_taken(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("list").await?;
    let asked = peer.subscribe("7.2").await?;
    peer.subscribed(&asked, 1, (EPOCH, 0), Some("initial")).await;
    let text = "x".repeat(300_000);
    peer.snapshot(1, 0, &[&text]).await;
    let item = client.item("2.5", sub).await?;
    let length = item["body"]["texts"][0].as_str().map(str::len);
    ensure!("2.5", length == Some(text.len()), "the state arrived as {length:?}");
    Ok(())
}

async fn a_message_beyond_the_clients_own_limit_ends_its_subscription(trial: &Trial) -> Step {
    let mut client = trial.client_with(json!({ "message_bytes": 20_000 }), &["ann"]).await?;
    let mut peer = client.attach().await?;
    let told = &peer.hello["message_bytes"];
    ensure!("2.6", *told == 20_000, "HELLO tells {told}, the client takes 20,000 bytes");
    let log = client.subscribe("log").await?;
    peer.accept_log().await?;
    let list = client.subscribe("list").await?;
    let asked = peer.subscribe("7.2").await?;
    peer.subscribed(&asked, 8, (EPOCH, 0), Some("initial")).await;
    let text = "x".repeat(30_000);
    peer.say(json!([kind::SNAPSHOT, 8, 0, "state", { "list": "l", "texts": [text] }])).await;
    peer.event(7, 1, "short").await;
    client.take(list).await?;
    client.ended("2.7", list).await?;
    // It may have lost the socket over it, but not the rest.
    if peer.is_alive("2.7").await.is_err() {
        peer = client.attach().await?;
        peer.accept_log().await?;
        peer.event(7, 1, "short").await;
    }
    client.sees("2.7", log, "short").await
}
