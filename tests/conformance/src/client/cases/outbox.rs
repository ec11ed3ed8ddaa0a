//! Sections 5.9 to 5.11 and 6: what is sent again, and when a client lets go of a command.

use serde_json::json;

use super::super::peer::is_command;
use super::super::trial::Trial;
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    after_a_lost_session_everything_unresolved_is_sent_again_in_order: "5.9" "4.12";
    what_is_refused_for_now_is_sent_again_under_its_number: "5.10" "5.2";
    what_is_refused_for_good_is_resolved: "5.10";
    a_refusal_for_now_holds_across_sessions: "5.10" "5.17";
    refused_commands_are_sent_again_in_order_before_new_ones: "5.11";
    an_ack_resolves_nothing: "6.1" "4.3";
    a_caller_that_stops_waiting_changes_nothing: "6.2";
}

async fn after_a_lost_session_everything_unresolved_is_sent_again_in_order(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for text in 1..=5 {
        client.echo(&text.to_string()).await?;
        peer.command("5.9").await?;
    }
    peer.result(2, json!("x")).await;
    peer.result(4, json!("x")).await;
    peer.settle("5.9").await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    client.echo("new").await?;
    peer.welcome_anew(false).await;
    for (seq, n) in (1..).zip([1, 3, 5, 6]) {
        let command = peer.command_no("5.9", n).await?;
        ensure!(
            "4.12",
            command.number(0) == seq,
            "the sequence does not begin anew: {}",
            command.text
        );
    }
    Ok(())
}

async fn what_is_refused_for_now_is_sent_again_under_its_number(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    for code in ["overload", "rate_limited", "draining", "overload"] {
        peer.command_no("5.10", 1).await?;
        peer.refused(1, code, 10).await;
    }
    peer.command_no("5.10", 1).await?;
    ensure!("6.1", !client.is_over(call), "a refusal for now became an outcome");
    peer.result(1, json!("at last")).await;
    client.ends("5.10", call, json!({ "outcome": "reply", "body": "at last" })).await
}

async fn what_is_refused_for_good_is_resolved(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let codes = ["unsupported", "invalid", "too_large", "forbidden", "expired"];
    for (n, code) in (1..).zip(codes) {
        let call = client.echo(code).await?;
        peer.command_no("5.10", n).await?;
        peer.refused(n, code, 0).await;
        client.ends("5.10", call, json!({ "outcome": "refused", "code": code })).await?;
    }
    peer.settle("5.10").await?;
    ensure!("5.10", !peer.has(is_command), "a command that was refused for good came again");
    let acked = peer.has(|frame| frame.kind == kind::ACK && frame.number(1) == 6);
    if !acked {
        let told = |frame: &crate::frame::Frame| frame.kind == kind::ACK && frame.number(1) == 6;
        peer.take("5.10", "ACK that tells that all are resolved", told).await?;
    }
    Ok(())
}

async fn a_refusal_for_now_holds_across_sessions(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    client.echo("x").await?;
    peer.command("5.10").await?;
    peer.refused(1, "overload", 60_000).await;
    peer.settle("5.10").await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    peer.welcome_anew(false).await;
    peer.settle("5.10").await?;
    ensure!("5.10", !peer.has(is_command), "a command came again long before its `retry_ms`");
    Ok(())
}

async fn refused_commands_are_sent_again_in_order_before_new_ones(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    for text in 1..=3 {
        client.echo(&text.to_string()).await?;
        peer.command("5.11").await?;
    }
    for n in 1..=3 {
        peer.refused(n, "overload", 50).await;
    }
    peer.is_alive("5.11").await?;
    client.echo("new").await?;
    for n in 1..=4 {
        peer.command_no("5.11", n).await?;
        peer.result(n, json!("x")).await;
    }
    Ok(())
}

async fn an_ack_resolves_nothing(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command("6.1").await?;
    peer.ack().await;
    peer.settle("6.1").await?;
    ensure!("6.1", !client.is_over(call), "an ACK became an outcome");
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    ensure!("6.1", peer.hello["lease"]["low"] == 1, "an ACK moved low: {}", peer.hello);
    peer.welcome_anew(false).await;
    peer.command_no("6.1", 1).await.map(drop)
}

async fn a_caller_that_stops_waiting_changes_nothing(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.call("late", json!({ "gate": "g" })).await?;
    peer.command("6.2").await?;
    client.gave_up(call).await?;
    peer.line.socket.cut();
    let mut peer = client.accept().await?;
    ensure!("6.2", peer.hello["lease"]["low"] == 1, "the command was let go of: {}", peer.hello);
    peer.welcome_anew(false).await;
    peer.command_no("6.2", 1).await?;
    peer.result(1, json!({})).await;
    client.ends("6.2", call, json!({ "outcome": "reply" })).await
}
