//! Section 4.16: messages to one session.

use serde_json::json;

use super::super::me::Me;
use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    a_direct_message_is_sequenced_with_the_answers: "4.16" "4.2";
    a_direct_message_that_was_not_received_is_sent_again: "4.16" "4.7";
    a_direct_message_ends_with_its_session: "4.16" "4.12";
}

/// Whether a frame is a direct message with this text.
fn says(text: &str) -> impl Fn(&Frame) -> bool + Send {
    let text = text.to_owned();
    move |frame| frame.kind == kind::DIRECT && frame.body()["text"] == text.as_str()
}

async fn a_direct_message_is_sequenced_with_the_answers(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut ann = server.attach(Me::new("ann")).await?;
    for text in ["a", "b"] {
        ann.call("4.16", "tell", json!({ "text": text })).await?;
        let direct = ann.take("4.16", "DIRECT", says(text)).await?;
        ensure!("4.16", direct.string(2) == "told", "another name: {}", direct.text);
    }
    ensure!("4.2", ann.me.recv() == 4, "seq is {} after 2 and 2", ann.me.recv());
    Ok(())
}

async fn a_direct_message_that_was_not_received_is_sent_again(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut ann = server.attach(Me::new("ann")).await?;
    ann.call("4.16", "tell", json!({ "text": "a" })).await?;
    let first = ann.take("4.16", "DIRECT", says("a")).await?;
    // As if everything had been lost on the way.
    let mut me = ann.cut();
    if let Some(session) = &mut me.session {
        session.recv = 0;
    }
    let mut ann = server.resume(me).await?;
    let again = ann.take("4.16", "DIRECT", says("a")).await?;
    ensure!("4.16", again.number(0) == first.number(0), "another seq: {}", again.text);
    Ok(())
}

async fn a_direct_message_ends_with_its_session(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut ann = server.attach(Me::new("ann")).await?;
    ann.call("4.16", "tell", json!({ "text": "a" })).await?;
    ann.take("4.16", "DIRECT", says("a")).await?;
    let mut me = ann.cut();
    me.session = None;
    let mut ann = server.attach(me).await?;
    ann.call("4.16", "tell", json!({ "text": "b" })).await?;
    let direct = ann.take("4.16", "DIRECT", |frame| frame.kind == kind::DIRECT).await?;
    ensure!("4.16", says("b")(&direct), "a message of the earlier session: {}", direct.text);
    Ok(())
}
