//! Section 5.27: callers that do not want their commands any more.

use serde_json::json;

use super::super::peer::is_command;
use super::super::trial::{Client, Trial};
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    the_server_is_told_of_a_cancelled_command_and_its_outcome_stands: "5.27" "6.2";
    a_cancelled_command_comes_again_with_its_time_over: "5.27";
    a_resumed_session_is_told_again_of_a_cancelled_command: "5.27";
    what_was_refused_for_now_is_not_sent_again_once_it_is_cancelled: "5.27";
}

/// Whether a frame is the CANCEL of a command.
fn is_cancel(n: u64) -> impl Fn(&Frame) -> bool + Send {
    move |frame| frame.kind == kind::CANCEL && frame.number(0) == n
}

async fn the_server_is_told_of_a_cancelled_command_and_its_outcome_stands(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let (ran, expired) = (client.echo("runs").await?, client.echo("waits").await?);
    peer.command_no("5.27", 1).await?;
    peer.command_no("5.27", 2).await?;
    for (n, call) in [(1, ran), (2, expired)] {
        client.cancel(call).await?;
        peer.take("5.27", "CANCEL", is_cancel(n)).await?;
    }
    peer.settle("5.27").await?;
    ensure!("6.2", !client.is_over(ran), "a command that may run has an outcome");
    peer.result(1, json!("runs")).await;
    client.ends("5.27", ran, json!({ "outcome": "reply" })).await?;
    peer.refused(2, "expired", 0).await;
    client.ends("5.27", expired, json!({ "outcome": "cancelled" })).await
}

/// A client whose socket breaks after it has cancelled a command, which was sent.
async fn cut_after_a_cancel(trial: &Trial) -> Step<(Client, u64)> {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command_no("5.27", 1).await?;
    client.cancel(call).await?;
    peer.take("5.27", "CANCEL", is_cancel(1)).await?;
    peer.line.socket.cut();
    Ok((client, call))
}

async fn a_cancelled_command_comes_again_with_its_time_over(trial: &Trial) -> Step {
    let (mut client, call) = cut_after_a_cancel(trial).await?;
    let mut peer = client.accept().await?;
    peer.welcome_anew(false).await;
    let again = peer.take("5.27", "COMMAND", is_command).await?;
    let over = again.kind == kind::COMMAND_WITH_DEADLINE && again.number(4) == 0;
    ensure!("5.27", over, "a cancelled command may begin: {}", again.text);
    peer.take("5.27", "CANCEL", is_cancel(1)).await?;
    peer.refused(1, "expired", 0).await;
    client.ends("5.27", call, json!({ "outcome": "cancelled" })).await
}

async fn a_resumed_session_is_told_again_of_a_cancelled_command(trial: &Trial) -> Step {
    let (mut client, call) = cut_after_a_cancel(trial).await?;
    let mut peer = client.attach().await?;
    peer.take("5.27", "CANCEL", is_cancel(1)).await?;
    peer.failed(1, "internal", "", json!({})).await;
    client.ends("5.27", call, json!({ "outcome": "failed" })).await
}

async fn what_was_refused_for_now_is_not_sent_again_once_it_is_cancelled(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let call = client.echo("x").await?;
    peer.command_no("5.27", 1).await?;
    peer.refused(1, "overload", 60_000).await;
    peer.settle("5.27").await?;
    client.cancel(call).await?;
    client.ends("5.27", call, json!({ "outcome": "cancelled" })).await
}
