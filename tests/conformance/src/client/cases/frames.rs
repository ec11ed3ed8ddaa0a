//! Sections 1 and 3: ids, numbers, layouts, bodies, unknown kinds.

use serde_json::json;

use super::super::peer::EPOCH;
use super::super::trial::Trial;
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    ids_come_back_as_they_were_given: "1.5" "4.7";
    numbers_out_of_range_are_an_error: "1.6" "3.6";
    white_space_between_tokens_is_allowed: "3.1";
    an_element_too_many_is_an_error: "3.2";
    unknown_members_and_nulls_are_ignored: "3.3";
    a_name_with_an_escape_is_an_error: "3.4";
    unknown_members_of_a_body_are_ignored: "3.5";
    an_event_that_can_not_be_read_is_told_and_harms_nobody: "3.5";
    a_reply_that_can_not_be_read_is_told_and_harms_nobody: "3.5";
    unknown_kinds_from_128_are_ignored: "3.6";
    unknown_kinds_wrong_directions_and_short_frames_are_errors: "3.6" "8.3";
    unknown_codes_are_never_an_error: "3.7" "5.7" "5.10";
}

async fn ids_come_back_as_they_were_given(trial: &Trial) -> Step {
    for digit in ["0", "f"] {
        let id = digit.repeat(32);
        let welcome = json!({ "session": id, "token": id, "lease": { "id": id } });
        let (mut client, mut peer) = trial.attached_with(welcome).await?;
        peer.is_alive("1.5").await?;
        peer.line.socket.cut();
        let hello = client.accept().await?.hello;
        let same = hello["resume"]["session"] == id
            && hello["resume"]["token"] == id
            && hello["lease"]["id"] == id;
        ensure!("1.5", same, "{id} came back as {hello}");
    }
    Ok(())
}

/// Checks that each message, on an attachment of its own, makes the client close with 4400.
async fn all_close(trial: &Trial, clause: &'static str, messages: &[&str]) -> Step {
    for message in messages {
        let (_client, mut peer) = trial.attached().await?;
        peer.line.socket.send(*message).await;
        peer.closes_with(clause, 4400).await.map_err(|stop| match stop {
            Stop::Broken(mut broken) => {
                broken.what = format!("{} after {message}", broken.what);
                broken.into()
            }
            stop => stop,
        })?;
    }
    Ok(())
}

async fn numbers_out_of_range_are_an_error(trial: &Trial) -> Step {
    all_close(trial, "1.6", &["[12,9007199254740992]", "[12,1.0]", "[12,-1]", "[0,1e1]"]).await
}

async fn white_space_between_tokens_is_allowed(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command("3.1").await?;
    peer.line.socket.send(" [ 3 ,\t1 , 1 , 1 , 0 ,\r\n\"spaced\" ] ").await;
    client.ends("3.1", call, json!({ "outcome": "reply", "body": "spaced" })).await
}

async fn an_element_too_many_is_an_error(trial: &Trial) -> Step {
    all_close(trial, "3.2", &["[12,1,2]", "[0,0,1]", "[27,{\"after_ms\":1,\"deadline_ms\":1},1]"])
        .await
}

async fn unknown_members_and_nulls_are_ignored(trial: &Trial) -> Step {
    let (mut client, mut peer) =
        trial.attached_with(json!({ "later": [1], "lease": { "colour": "red" } })).await?;
    client.subscribe("log").await?;
    let asked = peer.subscribe("3.3").await?;
    let mut answer = json!({
        "sub": asked["sub"], "number": 1, "epoch": EPOCH, "ts": 0, "head": 0, "snapshot": false,
    });
    (answer["reset"], answer["later"]) = (json!("initial"), json!(null));
    peer.say(json!([kind::SUBSCRIBED, answer])).await;
    peer.say(
        json!([kind::UNSUBSCRIBED, { "sub": asked["sub"], "code": "forbidden", "retry_ms": null }]),
    )
    .await;
    peer.is_alive("3.3").await
}

async fn a_name_with_an_escape_is_an_error(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    client.subscribe("log").await?;
    peer.accept_log().await?;
    peer.line.socket.send("[5,7,1,\"log\\u0067ed\",{\"list\":\"l\",\"text\":\"x\"}]").await;
    peer.closes_with("3.4", 4400).await
}

async fn unknown_members_of_a_body_are_ignored(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("log").await?;
    peer.accept_log().await?;
    peer.say(
        json!([kind::EVENT, 7, 1, "logged", { "later": { "a": 1 }, "list": "l", "text": "known" }]),
    )
    .await;
    client.sees("3.5", sub, "known").await
}

async fn an_event_that_can_not_be_read_is_told_and_harms_nobody(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("log").await?;
    peer.accept_log().await?;
    let unreadable = ["{\"text\":}", "{}", "[\"l\",\"x\"]"];
    for (ts, body) in (1..).zip(unreadable) {
        peer.line.socket.send(format!("[5,7,{ts},\"logged\",{body}]")).await;
        let item = client.item("3.5", sub).await?;
        ensure!("3.5", item["item"] == "unreadable", "the body {body} arrived as {item}");
    }
    peer.say(json!([kind::EVENT, 7, 4, "from_the_future", {}])).await;
    let item = client.item("3.5", sub).await?;
    ensure!("3.5", item["item"] == "unreadable", "an unknown event arrived as {item}");
    peer.say(json!([kind::EVENT, 7, 5, "logged", { "list": "l", "text": "fine" }])).await;
    client.sees("3.5", sub, "fine").await
}

async fn a_reply_that_can_not_be_read_is_told_and_harms_nobody(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let (broken, other, fine) =
        (client.echo("1").await?, client.echo("2").await?, client.echo("3").await?);
    for _ in 0..3 {
        peer.command("3.5").await?;
    }
    peer.line.socket.send("[3,1,3,1,0,nonsense]").await;
    peer.line.socket.send("[3,2,3,2,0,{\"a\":7}]").await;
    peer.line.socket.send("[3,3,3,3,0,\"readable\"]").await;
    for call in [broken, other] {
        client.ends("3.5", call, json!({ "outcome": "unreadable" })).await?;
    }
    client.ends("3.5", fine, json!({ "outcome": "reply", "body": "readable" })).await
}

async fn unknown_kinds_from_128_are_ignored(trial: &Trial) -> Step {
    let mut client = trial.client().await?;
    let mut peer = client.accept().await?;
    peer.line.socket.send("[200,\"before WELCOME\"]").await;
    peer.welcome(json!({})).await;
    for message in ["[128]", "[200,{\"a\":1},\"b\",[2]]", "[255,1,2,3]"] {
        peer.line.socket.send(message).await;
    }
    peer.is_alive("3.6").await
}

async fn unknown_kinds_wrong_directions_and_short_frames_are_errors(trial: &Trial) -> Step {
    let messages = [
        "[14,1]",
        "[28,{}]",
        "[40]",
        "[127]",
        "[256]",
        "[1,1,0,1,0,\"echo\",{}]",
        "[8,1,1,1]",
        "[25,{\"sub\":1}]",
        "[12]",
        "[3,1,0,1,0",
        "{}",
        "hello",
        "[24,{}]",
        "[24,7]",
    ];
    all_close(trial, "3.6", &messages).await
}

async fn unknown_codes_are_never_an_error(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let (failed, refused) = (client.echo("1").await?, client.echo("2").await?);
    for _ in 0..2 {
        peer.command("3.7").await?;
    }
    peer.failed(1, "from_the_future", "", json!({})).await;
    peer.refused(2, "from_the_future", 0).await;
    client.ends("5.7", failed, json!({ "outcome": "failed", "code": "internal" })).await?;
    client.ends("5.10", refused, json!({ "outcome": "refused" })).await?;
    client.subscribe("log").await?;
    let asked = peer.subscribe("7.2").await?;
    peer.say(json!([kind::UNSUBSCRIBED, { "sub": asked["sub"], "code": "from_the_future" }])).await;
    peer.is_alive("3.7").await
}
