//! Section 3 for the binary codec, as a client speaks it.

use serde_json::json;

use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    a_client_of_the_binary_codec_speaks_and_hears_it: "2.1" "3.8" "3.9";
    a_text_message_in_the_binary_codec_is_an_error: "2.2" "3.8";
    what_is_no_frame_of_the_binary_codec_is_an_error: "3.8" "3.6" "8.3";
    what_follows_the_kind_of_an_ignored_frame_of_this_codec_is_not_looked_at: "3.8" "3.6";
    a_body_of_the_binary_codec_that_can_not_be_read_is_told_and_harms_nobody: "3.9";
    a_session_is_resumed_in_its_codec: "3.10" "4.7";
}

async fn a_client_of_the_binary_codec_speaks_and_hears_it(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.in_binary().await?;
    let call = client.echo("hello").await?;
    let command = peer.command("3.9").await?;
    ensure!("3.9", command.body() == json!({ "text": "hello" }), "the body: {}", command.text);
    peer.result(1, json!("hello")).await;
    client.ends("3.9", call, json!({ "outcome": "reply", "body": "hello" })).await?;
    let sub = client.subscribe("log").await?;
    peer.accept_log().await?;
    for (ts, text) in [(1, "one"), (2, "two")] {
        peer.say(json!([kind::EVENT, 7, ts, "logged", { "list": "l", "text": text }])).await;
        client.sees("3.9", sub, text).await?;
    }
    peer.is_alive("3.8").await
}

async fn a_text_message_in_the_binary_codec_is_an_error(trial: &Trial) -> Step {
    let (_client, mut peer) = trial.in_binary().await?;
    peer.line.socket.send_text("[12,1]").await;
    peer.closes_with("2.2", 4400).await
}

async fn what_is_no_frame_of_the_binary_codec_is_an_error(trial: &Trial) -> Step {
    let wrong: [&[u8]; 9] = [
        &[],
        &[1, 1],
        &[14, 1],
        &[12, 0x80, 0x00],
        &[12, 1, 1],
        &[3, 1, 0, 1, 2, 0x80],
        &[5, 1, 1, 9, b'x'],
        &[24, 0x80],
        &[26, 0x91, 1],
    ];
    for message in wrong {
        let (_client, mut peer) = trial.in_binary().await?;
        peer.line.socket.send_binary(message).await;
        let closed = peer.closes_with("3.8", 4400).await;
        ensure!("3.8", closed.is_ok(), "no close with 4400 after {message:02x?}: {closed:?}");
    }
    Ok(())
}

async fn what_follows_the_kind_of_an_ignored_frame_of_this_codec_is_not_looked_at(
    trial: &Trial,
) -> Step {
    let (_client, mut peer) = trial.in_binary().await?;
    for message in [&[128][..], &[255, 0xc1, 0xff], b"\xc8[["] {
        peer.line.socket.send_binary(message).await;
    }
    peer.is_alive("3.8").await
}

async fn a_body_of_the_binary_codec_that_can_not_be_read_is_told_and_harms_nobody(
    trial: &Trial,
) -> Step {
    let (mut client, mut peer) = trial.in_binary().await?;
    let sub = client.subscribe("log").await?;
    peer.accept_log().await?;
    let unreadable: [&[u8]; 4] = [&[0xc1], &[0x80], &[0x81, 0xa1, b'a'], &[0x80, 0x80]];
    for (ts, body) in (1..).zip(unreadable) {
        let event = [&[5, 7, ts, 6][..], b"logged", body].concat();
        peer.line.socket.send_binary(&event).await;
        let item = client.item("3.9", sub).await?;
        ensure!("3.9", item["item"] == "unreadable", "the body {body:02x?} arrived as {item}");
    }
    peer.say(json!([kind::EVENT, 7, 5, "logged", { "list": "l", "text": "fine" }])).await;
    client.sees("3.9", sub, "fine").await
}

async fn a_session_is_resumed_in_its_codec(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.in_binary().await?;
    let call = client.echo("again").await?;
    peer.command("3.10").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    ensure!("4.7", peer.wants_resume(), "it does not resume: {}", peer.hello);
    // Its command was received.
    peer.result(1, json!("again")).await;
    client.ends("3.10", call, json!({ "outcome": "reply", "body": "again" })).await
}
