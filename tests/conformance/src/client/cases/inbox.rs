//! Sections 4.16 and 4.17: messages to one session, and where they may be missing.

use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    direct_messages_are_acknowledged_and_come_in_order: "4.16" "4.17" "4.5";
    a_direct_message_that_was_received_is_not_asked_for_again: "4.16" "4.7";
    a_lost_session_is_told_among_the_direct_messages: "4.17" "4.12";
}

async fn direct_messages_are_acknowledged_and_come_in_order(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for text in ["a", "b"] {
        peer.direct(text).await;
    }
    let acks = |frame: &Frame| frame.kind == kind::ACK && frame.number(0) == 2;
    peer.take("4.17", "ACK of two DIRECT", acks).await?;
    for text in ["a", "b"] {
        client.is_told("4.16", text).await?;
    }
    Ok(())
}

async fn a_direct_message_that_was_received_is_not_asked_for_again(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.direct("a").await;
    client.is_told("4.16", "a").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    ensure!("4.7", peer.hello["resume"]["recv"] == 1, "recv is not 1: {}", peer.hello);
    peer.direct("b").await;
    client.is_told("4.16", "b").await
}

async fn a_lost_session_is_told_among_the_direct_messages(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    peer.direct("a").await;
    client.is_told("4.16", "a").await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    peer.welcome_anew(false).await;
    client.is_missing("4.17").await?;
    peer.direct("b").await;
    client.is_told("4.17", "b").await
}
