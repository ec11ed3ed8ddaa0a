//! Section 3 for the binary codec: layouts, bodies, and what is bound to a codec.

use serde_json::json;

use super::super::me::Me;
use super::super::trial::{Trial, fresh};
use crate::binary::{self, pack};
use crate::case::{Step, cases, ensure};
use crate::frame::kind;
use crate::socket::{SUBPROTOCOL, Upgrade};

cases! { Trial;
    of_both_codecs_the_first_that_is_offered_is_taken: "2.1";
    a_text_message_in_the_binary_codec_closes_with_4400: "2.2" "3.8";
    frames_of_the_binary_codec_are_taken_and_answered: "3.8" "3.9";
    what_is_no_frame_of_the_binary_codec_closes_with_4400: "3.8" "3.6" "8.3";
    what_follows_the_kind_of_an_ignored_frame_of_this_codec_is_not_looked_at: "3.8" "3.6";
    a_body_of_the_binary_codec_that_does_not_fit_concerns_its_message_alone: "3.9" "5.12";
    a_session_goes_on_in_its_own_codec: "3.10" "4.7";
    neither_session_nor_lease_goes_on_in_the_other_codec: "3.10" "4.10" "5.1";
    an_event_reaches_subscribers_of_both_codecs: "3.10" "7.5";
}

async fn of_both_codecs_the_first_that_is_offered_is_taken(trial: &Trial) -> Step {
    let server = trial.server().await?;
    drop(server.binary_socket().await?);
    for (first, second) in [(SUBPROTOCOL, binary::SUBPROTOCOL), (binary::SUBPROTOCOL, SUBPROTOCOL)]
    {
        let offers = format!("stomp, {first}, {second}");
        let Upgrade::Open(_, chosen) = server.upgrade(Some(&offers)).await? else {
            return Err(crate::case::Stop::broken("2.1", format!("{offers} was refused")));
        };
        ensure!("2.1", chosen.as_deref() == Some(first), "of {offers} it takes {chosen:?}");
    }
    Ok(())
}

async fn a_text_message_in_the_binary_codec_closes_with_4400(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach_in_binary(Me::new("ann")).await?;
    peer.line.socket.send_text("[12,1]").await;
    peer.closes_with("2.2", 4400).await.map(drop)
}

async fn frames_of_the_binary_codec_are_taken_and_answered(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach_in_binary(Me::new("ann")).await?;
    for k in [0, 127, 128, 16_384, (1 << 53) - 1] {
        peer.say(json!([kind::PING, k])).await;
        let pong = peer.take_kind("3.8", "PONG", kind::PONG).await?;
        ensure!("3.8", pong.number(0) == k, "PONG to {k}: {}", pong.text);
    }
    for text in ["", "ä", &"long".repeat(100)] {
        let echoed = peer.call("3.9", "echo", json!({ "text": text })).await?;
        ensure!("3.9", echoed == *text, "{text} came back as {echoed}");
    }
    let body = json!({ "later": [{ "a": null }, 1.5, -7], "text": "known" });
    let echoed = peer.call("3.9", "echo", body).await?;
    ensure!("3.9", echoed == "known", "beside an unknown member: {echoed}");
    let n = peer.command("nobody_knows_this", json!({})).await;
    peer.refused("5.12", n, "unsupported").await.map(drop)
}

async fn what_is_no_frame_of_the_binary_codec_closes_with_4400(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let sub = |rest: &[u8]| [&[25, 0x81, 0xa3][..], b"sub", rest].concat();
    let command = |rest: &[u8]| [&[1, 1, 0, 1, 0][..], rest].concat();
    let wrong = [
        vec![],
        vec![3, 1],
        vec![14, 1],
        vec![127],
        b"[12,1]".to_vec(),
        vec![12],
        vec![12, 0x80],
        vec![12, 0x80, 0x00],
        vec![12, 1, 1],
        [&[12][..], &[0x80; 7], &[0x10]].concat(),
        [&[12][..], &[0x80; 8], &[0x01]].concat(),
        command(&[0, 0x80]),
        command(&[4, b'e', b'c', b'h']),
        command(&[4, b'e', b'c', b'h', b'o']),
        command(&[2, 0xc3, 0xa4, 0x80]),
        [command(&[65]), vec![b'a'; 65], vec![0x80]].concat(),
        [command(&[0xff; 7]), vec![0x0f, b'a', 0x80]].concat(),
        vec![25],
        vec![25, 0x80],
        vec![25, 0x91, 1],
        vec![25, 0x81, 0, 1],
        sub(&[]),
        sub(&[0xff]),
        sub(&[0xc0]),
        sub(&[0xcb, 0x40, 0x14, 0, 0, 0, 0, 0, 0]),
        sub(&[0xcf, 0, 0x20, 0, 0, 0, 0, 0, 0]),
        sub(&[1, 1]),
        vec![25, 0xdf, 0xff, 0xff, 0xff, 0xff],
    ];
    for message in wrong {
        let mut peer = server.attach_in_binary(Me::new("ann")).await?;
        peer.line.socket.send_binary(&message).await;
        let closed = peer.closes_with("3.8", 4400).await;
        ensure!("3.8", closed.is_ok(), "no close with 4400 after {message:02x?}: {closed:?}");
    }
    Ok(())
}

async fn what_follows_the_kind_of_an_ignored_frame_of_this_codec_is_not_looked_at(
    trial: &Trial,
) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach_in_binary(Me::new("ann")).await?;
    for message in [&[128][..], &[255, 0xc1, 0xff], b"\xc8[["] {
        peer.line.socket.send_binary(message).await;
    }
    peer.is_alive("3.8").await
}

async fn a_body_of_the_binary_codec_that_does_not_fit_concerns_its_message_alone(
    trial: &Trial,
) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach_in_binary(Me::new("ann")).await?;
    let mut text = Vec::new();
    pack(&json!({ "text": "x" }), &mut text);
    let mut list = Vec::new();
    pack(&json!(["x"]), &mut list);
    let unfit = [
        vec![7],
        vec![0xc1],
        vec![0x81],
        list,
        [&text[..], &[0x80]].concat(),
        vec![0xdf, 0xff, 0xff, 0xff, 0xff],
        vec![0x91; 10_000],
    ];
    for body in unfit {
        let (n, frame) = peer.number("echo", &json!({}));
        let Some(mut message) = binary::encode(&frame, crate::frame::Sender::Client) else {
            return Err(crate::case::Stop::trouble("a command has no binary form"));
        };
        // The empty map in its longest format.
        message.truncate(message.len() - 5);
        message.extend(&body);
        peer.line.socket.send_binary(&message).await;
        peer.refused("3.9", n, "invalid").await?;
    }
    peer.call("3.9", "echo", json!({ "text": "fine" })).await.map(drop)
}

async fn a_session_goes_on_in_its_own_codec(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach_in_binary(Me::new("ann")).await?;
    let list = fresh("list");
    let n = peer.command("append", json!({ "list": list, "text": "once" })).await;
    let peer = server.attach_in_binary(peer.cut()).await;
    let mut peer = peer?;
    ensure!("4.7", peer.was_resumed(), "the session was not resumed");
    peer.result("3.10", n).await?;
    let texts = peer.list(&list).await?;
    ensure!("3.10", texts == ["once"], "the list is {texts:?}");
    Ok(())
}

async fn neither_session_nor_lease_goes_on_in_the_other_codec(trial: &Trial) -> Step {
    trial.is_of_json()?;
    let server = trial.server().await?;
    let mut peer = server.attach_in_binary(Me::new("ann")).await?;
    peer.call("3.10", "echo", json!({ "text": "here" })).await?;
    peer.ack().await;
    let (me, earlier) = (peer.me.clone(), peer.me.lease.clone());
    peer.line.socket.cut();
    let other = server.attach_silently(me).await?;
    ensure!("3.10", !other.was_resumed(), "a session goes on in the other codec");
    ensure!("5.1", other.me.lease != earlier, "a lease goes on in the other codec");
    Ok(())
}

async fn an_event_reaches_subscribers_of_both_codecs(trial: &Trial) -> Step {
    trial.is_of_json()?;
    let server = trial.server().await?;
    let (mut json, mut binary) =
        (server.attach(Me::new("ann")).await?, server.attach_in_binary(Me::new("bob")).await?);
    let list = fresh("list");
    json.follow(&list).await?;
    binary.follow(&list).await?;
    for (text, by_json) in [("one", true), ("two", false)] {
        let author = if by_json { &mut json } else { &mut binary };
        author.append(&list, [text.to_owned()]).await?;
        for follower in [&mut json, &mut binary] {
            let event = follower.event("3.10").await?;
            ensure!("3.10", event.body()["text"] == text, "not {text}: {}", event.text);
        }
    }
    Ok(())
}
