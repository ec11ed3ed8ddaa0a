//! Section 5.27: callers that do not want their commands any more.

use serde_json::json;

use super::super::peer::Peer;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    a_cancelled_command_that_waits_is_refused_at_once_and_never_runs: "5.27" "5.13";
    a_cancelled_command_that_runs_ends_as_its_handler_does: "5.27";
    a_cancel_of_what_is_not_there_says_nothing: "5.27";
}

async fn cancel(peer: &mut Peer, n: u64) {
    peer.say(json!([kind::CANCEL, n])).await;
}

async fn a_cancelled_command_that_waits_is_refused_at_once_and_never_runs(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let (gate, list) = (fresh("gate"), fresh("list"));
    let held = peer.command("hold", json!({ "gate": gate })).await;
    let unwanted = json!({ "list": list, "text": "unwanted" });
    let waiting = peer.command("append", unwanted.clone()).await;
    let behind = peer.command("append", json!({ "list": list, "text": "behind" })).await;
    peer.has_come(&gate).await?;
    cancel(&mut peer, waiting).await;
    // The gate is not open: it does not wait for its order.
    peer.refused("5.27", waiting, "expired").await?;
    peer.call("5.27", "open", json!({ "gate": gate })).await?;
    peer.result("5.27", held).await?;
    peer.result("5.27", behind).await?;
    let again = peer.again(waiting, "append", &unwanted);
    peer.say(again).await;
    peer.refused("5.27", waiting, "expired").await?;
    let texts = peer.list(&list).await?;
    ensure!("5.27", texts == ["behind"], "a cancelled command has run: {texts:?}");
    Ok(())
}

async fn a_cancelled_command_that_runs_ends_as_its_handler_does(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let gate = fresh("gate");
    let waiting = peer.command("wait", json!({ "gate": gate })).await;
    peer.has_come(&gate).await?;
    cancel(&mut peer, waiting).await;
    cancel(&mut peer, waiting).await;
    peer.settle("5.27").await?;
    let is_answer = |kind| matches!(kind, kind::RESULT | kind::FAILED | kind::REFUSED);
    let answered = peer.has(|frame| is_answer(frame.kind) && frame.number(2) == waiting);
    ensure!("5.27", !answered, "a handler that runs was given up");
    peer.call("5.27", "open", json!({ "gate": gate })).await?;
    peer.result("5.27", waiting).await.map(drop)
}

async fn a_cancel_of_what_is_not_there_says_nothing(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    peer.call("5.27", "echo", json!({ "text": "resolved" })).await?;
    for n in [0, 1, 3, 100_000, (1 << 53) - 1] {
        cancel(&mut peer, n).await;
    }
    peer.settle("5.27").await?;
    peer.call("5.27", "echo", json!({ "text": "next" })).await?;
    peer.call("5.27", "echo", json!({ "text": "the one that was cancelled too early" })).await?;
    Ok(())
}
