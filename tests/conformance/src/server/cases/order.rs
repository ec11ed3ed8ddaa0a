//! Sections 5.5, 5.10 and 5.11: the order in which commands take effect.

use serde_json::{Value, json};

use super::super::me::Me;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    ordered_commands_wait_for_lower_ones: "5.5";
    concurrent_commands_do_not_wait: "5.5";
    order_holds_across_sessions: "5.5" "4.12";
    commands_take_effect_in_the_order_of_their_numbers: "5.5";
    leases_do_not_wait_for_each_other: "5.5";
    after_a_retry_refusal_later_ordered_commands_are_refused_too: "5.11" "5.10";
    a_barrier_falls_when_low_passes_it: "5.11";
    concurrent_commands_pass_a_barrier: "5.11";
}

async fn ordered_commands_wait_for_lower_ones(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let (gate, list) = (fresh("gate"), fresh("list"));
    let held = peer.command("hold", json!({ "gate": gate })).await;
    let behind = peer.command("append", json!({ "list": list, "text": "behind" })).await;
    peer.has_come(&gate).await?;
    peer.settle("5.5").await?;
    let texts = peer.list(&list).await?;
    ensure!("5.5", texts.is_empty(), "a command overtook a lower one: {texts:?}");
    peer.call("5.5", "open", json!({ "gate": gate })).await?;
    peer.result("5.5", held).await?;
    peer.result("5.5", behind).await.map(drop)
}

async fn concurrent_commands_do_not_wait(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let gate = fresh("gate");
    let held = peer.command("hold", json!({ "gate": gate })).await;
    let waiting = peer.command("wait", json!({ "gate": gate })).await;
    // Another concurrent command overtakes both.
    peer.call("5.5", "open", json!({ "gate": gate })).await?;
    peer.result("5.5", waiting).await?;
    peer.result("5.5", held).await.map(drop)
}

async fn order_holds_across_sessions(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let (gate, list) = (fresh("gate"), fresh("list"));
    let held = peer.command("hold", json!({ "gate": gate })).await;
    peer.has_come(&gate).await?;
    let mut peer = server.attach(peer.cut().without_session()).await?;
    let again = peer.again(held, "hold", &json!({ "gate": gate }));
    peer.say(again).await;
    let behind = peer.command("append", json!({ "list": list, "text": "behind" })).await;
    peer.settle("5.5").await?;
    let texts = peer.list(&list).await?;
    ensure!(
        "5.5",
        texts.is_empty(),
        "a command of a new session overtook one of the session before"
    );
    peer.call("5.5", "open", json!({ "gate": gate })).await?;
    peer.result("5.5", held).await?;
    peer.result("5.5", behind).await.map(drop)
}

async fn commands_take_effect_in_the_order_of_their_numbers(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    let commands: Vec<Value> = (1..=30)
        .map(|text| peer.number("append", &json!({ "list": list, "text": text.to_string() })).1)
        .collect();
    peer.line.socket.say_together(&commands).await;
    for n in 1..=30 {
        let length = peer.result("5.5", n).await?;
        ensure!("5.5", length == n, "n {n} made the list {length} long");
    }
    Ok(())
}

async fn leases_do_not_wait_for_each_other(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (mut one, mut two) =
        (server.attach(Me::new("ann")).await?, server.attach(Me::new("ann")).await?);
    let gate = fresh("gate");
    let held = one.command("hold", json!({ "gate": gate })).await;
    one.has_come(&gate).await?;
    two.call("5.5", "echo", json!({ "text": "" })).await?;
    two.call("5.5", "open", json!({ "gate": gate })).await?;
    one.result("5.5", held).await.map(drop)
}

/// A lease whose queue is filled by a running command, so that the next one was refused with
/// `overload`.
async fn with_a_barrier(trial: &Trial) -> Step<(super::super::peer::Peer, String, String, u64)> {
    let settings = json!({ "queue_bytes": 700, "retry_ms": 1 });
    let mut peer = trial.peer_with(settings).await?;
    let (gate, list) = (fresh("gate"), fresh("list"));
    let held = peer.command("hold", json!({ "gate": gate, "padding": "x".repeat(500) })).await;
    peer.has_come(&gate).await?;
    let refused = peer.command("append", json!({ "list": list, "text": "x".repeat(300) })).await;
    peer.refused("5.10", refused, "overload").await?;
    ensure!("5.10", held + 1 < refused, "the suite has miscounted");
    Ok((peer, gate, list, refused))
}

async fn after_a_retry_refusal_later_ordered_commands_are_refused_too(trial: &Trial) -> Step {
    let (mut peer, gate, list, refused) = with_a_barrier(trial).await?;
    // It would fit, but is refused all the same, with the same code.
    let later = peer.command("append", json!({ "list": list, "text": "s" })).await;
    peer.refused("5.11", later, "overload").await?;
    peer.call("5.11", "open", json!({ "gate": gate })).await?;
    peer.result("5.11", 1).await?;
    // There is room now, but the lower number has not come again.
    let again = peer.again(later, "append", &json!({ "list": list, "text": "s" }));
    peer.say(again).await;
    peer.refused("5.11", later, "overload").await?;
    for (n, text) in [(refused, "x".repeat(300)), (later, "s".to_owned())] {
        let again = peer.again(n, "append", &json!({ "list": list, "text": text }));
        peer.say(again).await;
        peer.result("5.11", n).await?;
    }
    let texts = peer.list(&list).await?;
    ensure!("5.11", texts == ["x".repeat(300), "s".to_owned()], "not in the order of n: {texts:?}");
    Ok(())
}

async fn a_barrier_falls_when_low_passes_it(trial: &Trial) -> Step {
    let (mut peer, gate, list, refused) = with_a_barrier(trial).await?;
    peer.call("5.11", "open", json!({ "gate": gate })).await?;
    peer.result("5.11", 1).await?;
    peer.me.resolve(refused);
    peer.append(&list, ["after".to_owned()]).await
}

async fn concurrent_commands_pass_a_barrier(trial: &Trial) -> Step {
    let (mut peer, gate, _, _) = with_a_barrier(trial).await?;
    let waiting = peer.command("wait", json!({ "gate": gate })).await;
    peer.call("5.11", "open", json!({ "gate": gate })).await?;
    let frame = peer.answer("5.11", waiting).await?;
    ensure!("5.11", frame.kind == kind::RESULT, "a concurrent command was held up: {}", frame.text);
    Ok(())
}
