//! Section 2: sockets, subprotocols, limits.

use serde_json::{Value, json};

use super::super::me::Me;
use super::super::peer::Peer;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::kind;
use crate::socket::{Arrival, SUBPROTOCOL, Upgrade};

cases! { Trial;
    the_offered_subprotocol_is_selected: "2.1";
    an_upgrade_without_a_known_subprotocol_is_refused_with_400: "2.1";
    a_page_is_told_by_a_close_code: "2.8";
    the_query_may_name_the_subprotocol: "2.9";
    a_binary_message_closes_with_4400: "2.2" "8.3";
    every_frame_is_one_text_message: "2.2";
    a_hello_beyond_64_kib_closes_with_4413: "2.3" "8.3";
    the_length_of_a_message_is_that_of_its_utf8_bytes: "2.5" "2.3";
    a_frame_beyond_frame_bytes_closes_with_4413: "2.3" "8.3";
    a_frame_of_exactly_frame_bytes_is_taken: "2.3";
    a_websocket_ping_is_answered: "2.4";
}

async fn the_offered_subprotocol_is_selected(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let offered = format!("other.v9, {SUBPROTOCOL}");
    match server.upgrade(Some(&offered)).await? {
        Upgrade::Open(socket, chosen) => {
            ensure!(
                "2.1",
                chosen.as_deref() == Some(SUBPROTOCOL),
                "{chosen:?} was chosen of {offered}"
            );
            socket.cut();
            Ok(())
        }
        Upgrade::Refused(status) => {
            Err(Stop::broken("2.1", format!("{offered} was refused with {status}")))
        }
    }
}

async fn an_upgrade_without_a_known_subprotocol_is_refused_with_400(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for offered in [None, Some("other.v9"), Some("steadfast.v1.jsonx")] {
        match server.upgrade(offered).await? {
            Upgrade::Refused(400) => {}
            Upgrade::Refused(status) => {
                return Err(Stop::broken(
                    "2.1",
                    format!("{offered:?} was refused with {status}, not 400"),
                ));
            }
            Upgrade::Open(_, chosen) => {
                return Err(Stop::broken(
                    "2.1",
                    format!("{offered:?} was let in, {chosen:?} was chosen"),
                ));
            }
        }
    }
    Ok(())
}

async fn a_binary_message_closes_with_4400(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    peer.line.socket.send_binary(b"[12,1]").await;
    peer.closes_with("2.2", 4400).await?;
    let mut silent = server.silent().await?;
    silent.line.socket.send_binary(b"\x00").await;
    silent.closes_with("2.2", 4400).await.map(drop)
}

async fn every_frame_is_one_text_message(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    peer.follow(&list).await?;
    let commands: Vec<Value> = (0..6)
        .map(|index| peer.number("append", &json!({ "list": list, "text": format!("{index}") })).1)
        .collect();
    peer.line.socket.say_together(&commands).await;
    for n in 1..=6 {
        peer.result("2.2", n).await?;
        peer.event("2.2").await?;
    }
    Ok(())
}

fn hello_with_padding(padding: &str) -> (Me, serde_json::Value) {
    let mut me = Me::new("ann");
    me.dial = 1;
    let mut hello = me.hello();
    hello["padding"] = json!(padding);
    (me, hello)
}

async fn a_hello_beyond_64_kib_closes_with_4413(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (me, hello) = hello_with_padding(&"x".repeat(64 * 1024));
    server.greet(&me, &hello).await?.closes_with("2.3", 4413).await?;
    let (me, hello) = hello_with_padding(&"x".repeat(63 * 1024));
    server.greet(&me, &hello).await?.welcomed().await
}

async fn the_length_of_a_message_is_that_of_its_utf8_bytes(trial: &Trial) -> Step {
    let server = trial.server().await?;
    // 40,000 characters, but 80,000 bytes.
    let (me, hello) = hello_with_padding(&"é".repeat(40_000));
    server.greet(&me, &hello).await?.closes_with("2.5", 4413).await.map(drop)
}

async fn a_frame_beyond_frame_bytes_closes_with_4413(trial: &Trial) -> Step {
    let server = trial.server_with(json!({ "frame_bytes": 4096 })).await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    ensure!(
        "2.3",
        peer.welcome()["frame_bytes"] == 4096,
        "another frame_bytes than configured: {}",
        peer.welcome()
    );
    peer.command("echo", json!({ "text": "x".repeat(4096) })).await;
    peer.closes_with("2.3", 4413).await.map(drop)
}

async fn a_frame_of_exactly_frame_bytes_is_taken(trial: &Trial) -> Step {
    let server = trial.server_with(json!({ "frame_bytes": 4096 })).await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let (n, frame) = peer.number("echo", &json!({ "text": "as it is" }));
    // The message itself may be bounded more closely than the frame.
    let frame = frame.to_string();
    let spaces = " ".repeat(4096 - frame.len());
    peer.line.socket.send(frame.replacen(',', &format!(",{spaces}"), 1)).await;
    let text = peer.result("2.3", n).await?;
    ensure!("2.3", text == "as it is", "another reply than was sent: {text}");
    Ok(())
}

async fn a_websocket_ping_is_answered(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    peer.line.socket.send_websocket_ping(b"life").await;
    loop {
        match peer.line.socket.next().await {
            Some(Arrival::WebSocketPong(payload)) => {
                ensure!("2.4", payload == b"life", "a pong with another payload: {payload:?}");
                break;
            }
            Some(Arrival::Text(_)) => {}
            other => return Err(Stop::broken("2.4", format!("{other:?} instead of a pong"))),
        }
    }
    peer.say(json!([kind::PING, 7])).await;
    peer.is_alive("2.4").await
}

async fn a_page_is_told_by_a_close_code(trial: &Trial) -> Step {
    let server = trial.server().await?;
    match server.upgrade_of_a_page("mqtt").await? {
        // It SHOULD say it in a way that a page can see.
        Upgrade::Refused(_) => Err(Stop::NotApplicable("it refuses pages by status alone".into())),
        Upgrade::Open(mut socket, named) => {
            ensure!("2.8", named.as_deref() == Some("mqtt"), "{named:?} is named, not `mqtt`");
            match socket.next().await {
                Some(Arrival::Closed(Some(4401))) => Ok(()),
                other => Err(Stop::broken("2.8", format!("{other:?} instead of close 4401"))),
            }
        }
    }
}

async fn the_query_may_name_the_subprotocol(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let Upgrade::Open(socket, named) = server.upgrade_by_query().await? else {
        return Err(Stop::broken("2.9", "a subprotocol that the query names is refused"));
    };
    ensure!("2.9", named.is_none(), "the answer names {named:?}, which was not offered");
    let mut me = Me::new("ann");
    me.dial = 1;
    let mut peer = Peer::new(*socket, me.clone());
    peer.say(json!([kind::HELLO, me.hello()])).await;
    peer.welcomed().await?;
    peer.ack().await;
    peer.is_alive("2.9").await
}
