//! Section 4.16: messages to one session or principal.

use serde_json::json;

use super::super::me::Me;
use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    a_direct_message_reaches_every_session_of_its_principal: "4.16" "4.2";
    a_direct_message_that_was_not_received_is_sent_again: "4.16" "4.7";
    a_direct_message_ends_with_its_session: "4.16" "4.12";
}

/// Whether a frame is a direct message with this text.
fn says(text: &str) -> impl Fn(&Frame) -> bool + Send {
    let text = text.to_owned();
    move |frame| frame.kind == kind::DIRECT && frame.body()["text"] == text.as_str()
}

async fn a_direct_message_reaches_every_session_of_its_principal(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut one = server.attach(Me::new("ann")).await?;
    let mut two = server.attach(Me::new("ann")).await?;
    let mut bob = server.attach(Me::new("bob")).await?;
    for text in ["a", "b"] {
        bob.call("4.16", "tell", json!({ "user": "ann", "text": text })).await?;
    }
    for peer in [&mut one, &mut two] {
        for (seq, text) in [(1, "a"), (2, "b")] {
            let direct = peer.take("4.16", "DIRECT", says(text)).await?;
            ensure!("4.2", direct.number(0) == seq, "not seq {seq}: {}", direct.text);
            ensure!("4.16", direct.string(2) == "told", "another name: {}", direct.text);
        }
    }
    bob.settle("4.16").await?;
    ensure!("4.16", !bob.has(|frame| frame.kind == kind::DIRECT), "somebody else's message");
    Ok(())
}

async fn a_direct_message_that_was_not_received_is_sent_again(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut ann = server.attach(Me::new("ann")).await?;
    let mut bob = server.attach(Me::new("bob")).await?;
    bob.call("4.16", "tell", json!({ "user": "ann", "text": "a" })).await?;
    let first = ann.take("4.16", "DIRECT", says("a")).await?;
    let mut me = ann.cut();
    if let Some(session) = &mut me.session {
        session.recv = 0;
    }
    bob.call("4.16", "tell", json!({ "user": "ann", "text": "b" })).await?;
    let mut ann = server.resume(me).await?;
    let again = ann.take("4.16", "DIRECT", says("a")).await?;
    ensure!("4.16", again.number(0) == first.number(0), "another seq: {}", again.text);
    ann.take("4.16", "DIRECT", says("b")).await.map(drop)
}

async fn a_direct_message_ends_with_its_session(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut ann = server.attach(Me::new("ann")).await?;
    let mut bob = server.attach(Me::new("bob")).await?;
    bob.call("4.16", "tell", json!({ "user": "ann", "text": "a" })).await?;
    ann.take("4.16", "DIRECT", says("a")).await?;
    let mut me = ann.cut();
    me.session = None;
    let mut ann = server.attach(me).await?;
    bob.call("4.16", "tell", json!({ "user": "ann", "text": "b" })).await?;
    let direct = ann.take("4.16", "DIRECT", |frame| frame.kind == kind::DIRECT).await?;
    ensure!("4.16", says("b")(&direct), "a message of the earlier session: {}", direct.text);
    Ok(())
}
