//! Sections 4.2 to 4.6: sequences, acks, windows.

use serde_json::json;

use super::super::me::Me;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    answers_are_numbered_without_gap: "4.2";
    a_gap_in_the_clients_sequence_closes_with_4410: "4.2" "8.1";
    a_repeated_sequence_closes_with_4410: "4.2" "8.1";
    accepting_does_not_wait_for_the_handler: "4.3" "4.5";
    an_ack_below_the_highest_is_ignored: "4.4";
    an_ack_of_what_was_never_sent_closes_with_4410: "4.4" "8.1";
    thirty_two_commands_are_acknowledged_unasked: "4.5" "4.3";
    half_of_the_servers_window_is_acknowledged: "4.5" "4.6";
    no_more_answers_than_the_clients_window_are_under_way: "4.6";
    no_more_bytes_than_the_clients_window_are_under_way: "4.6";
    one_answer_may_always_be_under_way: "4.6";
    a_command_larger_than_the_window_is_taken_when_nothing_is_under_way: "4.6";
}

async fn answers_are_numbered_without_gap(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for kind_of in ["echo", "no_such_message", "fail", "echo"] {
        let n = peer.command(kind_of, json!({ "text": "x", "list": fresh("list") })).await;
        peer.answer("4.2", n).await?;
    }
    ensure!("4.2", peer.me.recv() == 4, "four answers took the sequence to {}", peer.me.recv());
    Ok(())
}

async fn a_gap_in_the_clients_sequence_closes_with_4410(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    peer.say(json!([kind::COMMAND, 2, 0, 1, 0, "echo", { "text": "" }])).await;
    peer.closes_with("4.2", 4410).await.map(drop)
}

async fn a_repeated_sequence_closes_with_4410(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    peer.call("4.2", "echo", json!({ "text": "" })).await?;
    peer.say(json!([kind::COMMAND, 1, 1, 2, 0, "echo", { "text": "" }])).await;
    peer.closes_with("4.2", 4410).await.map(drop)
}

async fn accepting_does_not_wait_for_the_handler(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let gate = fresh("gate");
    let n = peer.command("hold", json!({ "gate": gate })).await;
    let acks = |frame: &crate::frame::Frame| frame.kind == kind::ACK && frame.number(0) == 1;
    peer.take("4.5", "ACK of a command whose handler runs", acks).await?;
    ensure!(
        "4.3",
        !peer.has(|frame| frame.kind == kind::RESULT),
        "a result before the gate was opened"
    );
    peer.call("4.3", "open", json!({ "gate": gate })).await?;
    peer.result("4.3", n).await.map(drop)
}

async fn an_ack_below_the_highest_is_ignored(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for _ in 0..3 {
        peer.call("4.4", "echo", json!({ "text": "" })).await?;
    }
    for ack in [3, 1, 0, 2] {
        peer.say(json!([kind::ACK, ack, peer.me.low])).await;
    }
    // The ack is ignored, but not the frame that carries it.
    peer.say(json!([kind::COMMAND, 4, 1, 4, 0, "echo", { "text": "taken" }])).await;
    let (n, _) = peer.number("echo", &json!({}));
    let reply = peer.result("4.4", n).await?;
    ensure!("4.4", reply == "taken", "another reply: {reply}");
    Ok(())
}

async fn an_ack_of_what_was_never_sent_closes_with_4410(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    peer.say(json!([kind::ACK, 1, 1])).await;
    peer.closes_with("4.4", 4410).await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    peer.say(json!([kind::COMMAND, 1, 9, 1, 0, "echo", { "text": "" }])).await;
    peer.closes_with("4.4", 4410).await.map(drop)
}

async fn thirty_two_commands_are_acknowledged_unasked(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let gate = fresh("gate");
    for _ in 0..32 {
        peer.command("wait", json!({ "gate": gate })).await;
    }
    let acks = |frame: &crate::frame::Frame| frame.kind == kind::ACK && frame.number(0) == 32;
    peer.take("4.5", "ACK of 32 commands", acks).await?;
    peer.call("4.5", "open", json!({ "gate": gate })).await?;
    for n in 1..=32 {
        peer.result("4.5", n).await?;
    }
    Ok(())
}

async fn half_of_the_servers_window_is_acknowledged(trial: &Trial) -> Step {
    let mut peer = trial.peer_with(json!({ "window": { "frames": 4, "bytes": 100_000 } })).await?;
    let gate = fresh("gate");
    // None is answered: ACKs alone move the window.
    for round in 1..=6 {
        for _ in 0..2 {
            peer.command("wait", json!({ "gate": gate })).await;
        }
        let acks = move |frame: &crate::frame::Frame| {
            frame.kind == kind::ACK && frame.number(0) == 2 * round
        };
        peer.take("4.5", "ACK of half of the window", acks).await?;
    }
    peer.call("4.6", "open", json!({ "gate": gate })).await?;
    for n in 1..=12 {
        peer.result("4.6", n).await?;
    }
    Ok(())
}

async fn no_more_answers_than_the_clients_window_are_under_way(trial: &Trial) -> Step {
    let mut me = Me::new("ann");
    me.window = (2, 100_000);
    let mut peer = trial.server().await?.attach(me).await?;
    for text in 0..6 {
        // The ack in the head stays 0: nothing releases the server.
        let seq = text + 1;
        peer.say(json!([kind::COMMAND, seq, 0, seq, text, "echo", { "text": text.to_string() }]))
            .await;
        peer.number("echo", &json!({}));
    }
    for n in [1, 2] {
        peer.result("4.6", n).await?;
    }
    peer.settle("4.6").await?;
    for n in [3, 5] {
        peer.ack().await;
        peer.result("4.6", n).await?;
        peer.result("4.6", n + 1).await?;
    }
    Ok(())
}

async fn no_more_bytes_than_the_clients_window_are_under_way(trial: &Trial) -> Step {
    let mut me = Me::new("ann");
    me.window = (100, 1_000);
    let mut peer = trial.server().await?.attach(me).await?;
    for index in 0..4 {
        let body = json!({ "text": "x".repeat(600) });
        peer.say(json!([kind::COMMAND, index + 1, 0, index + 1, index, "echo", body])).await;
        peer.number("echo", &json!({}));
    }
    for n in 1..=4 {
        peer.result("4.6", n).await?;
        peer.settle("4.6").await?;
        peer.ack().await;
    }
    Ok(())
}

async fn one_answer_may_always_be_under_way(trial: &Trial) -> Step {
    let mut me = Me::new("ann");
    me.window = (1, 1);
    let mut peer = trial.server().await?.attach(me).await?;
    for text in ["x".repeat(2_000), "y".repeat(3_000)] {
        let reply = peer.call("4.6", "echo", json!({ "text": text })).await?;
        ensure!("4.6", reply == text.as_str(), "another reply");
        peer.ack().await;
    }
    Ok(())
}

async fn a_command_larger_than_the_window_is_taken_when_nothing_is_under_way(
    trial: &Trial,
) -> Step {
    let mut peer = trial.peer_with(json!({ "window": { "frames": 2, "bytes": 100 } })).await?;
    for text in ["x".repeat(500), "y".repeat(900)] {
        let reply = peer.call("4.6", "echo", json!({ "text": text })).await?;
        ensure!("4.6", reply == text.as_str(), "another reply");
        peer.ack().await;
    }
    Ok(())
}
