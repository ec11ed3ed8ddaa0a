//! Sections 5.20 to 5.22: commands that the application names itself.

use serde_json::{Value, json};

use super::super::me::Me;
use super::super::peer::Peer;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    a_command_with_an_id_is_the_same_one_under_any_lease: "5.20" "5.6";
    a_command_with_an_id_joins_the_one_that_runs: "5.20";
    an_id_outlives_lease_and_server: "5.20";
    an_id_is_its_principals_own: "5.20";
    another_body_under_an_id_is_not_executed: "5.21";
    another_body_is_told_so_after_the_first_one_has_ended: "5.21";
    an_error_of_the_application_is_the_outcome_of_its_id: "5.22";
    a_failure_of_the_handler_leaves_the_id_free: "5.22";
    a_command_without_its_id_is_invalid: "5.22";
}

/// An order that its gate does not hold up.
async fn order(peer: &mut Peer, id: &str, list: &str, text: &str) -> Step<Value> {
    let gate = fresh("gate");
    peer.call("5.5", "open", json!({ "gate": gate })).await?;
    Ok(json!({ "id": id, "list": list, "text": text, "gate": gate }))
}

/// Sends it, and checks that the first outcome is told as a duplicate.
async fn is_repeated(peer: &mut Peer, body: &Value, first: &Frame) -> Step {
    let n = peer.command("order", body.clone()).await;
    let frame = peer.answer("5.20", n).await?;
    ensure!("5.20", frame.kind == first.kind, "not the first outcome: {}", frame.text);
    ensure!("5.20", frame.number(3) == 1, "no `dup: 1`: {}", frame.text);
    ensure!("5.20", frame.body_text() == first.body_text(), "another outcome: {}", frame.text);
    Ok(())
}

async fn a_command_with_an_id_is_the_same_one_under_any_lease(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (mut phone, mut desk) =
        (server.attach(Me::new("ann")).await?, server.attach(Me::new("ann")).await?);
    let (list, id) = (fresh("list"), fresh("id"));
    let body = order(&mut phone, &id, &list, "once").await?;
    let n = phone.command("order", body.clone()).await;
    let first = phone.answer("5.20", n).await?;
    ensure!("5.20", first.kind == kind::RESULT, "no RESULT: {}", first.text);
    ensure!("5.20", first.number(3) == 0, "`dup` in the first answer: {}", first.text);
    is_repeated(&mut desk, &body, &first).await?;
    is_repeated(&mut phone, &body, &first).await?;
    let texts = desk.list(&list).await?;
    ensure!("5.20", texts == ["once"], "it was executed again: {texts:?}");
    let sub = desk.subscribe("log", &list, None).await;
    let head = desk.subscribed("7.2", sub).await?["head"].clone();
    ensure!("5.6", head == 1, "its event was published again: the head is {head}");
    Ok(())
}

async fn a_command_with_an_id_joins_the_one_that_runs(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (mut phone, mut desk) =
        (server.attach(Me::new("ann")).await?, server.attach(Me::new("ann")).await?);
    let (list, gate) = (fresh("list"), fresh("gate"));
    let body = json!({ "id": fresh("id"), "list": list, "text": "once", "gate": gate });
    let first = phone.command("order", body.clone()).await;
    phone.has_come(&gate).await?;
    let second = desk.command("order", body.clone()).await;
    desk.settle("5.20").await?;
    let came = desk.call("5.20", "came", json!({ "gate": gate })).await?;
    ensure!("5.20", came == 1, "the command runs {came} times");
    desk.call("5.20", "open", json!({ "gate": gate })).await?;
    let first = phone.answer("5.20", first).await?;
    ensure!("5.20", first.kind == kind::RESULT, "no RESULT: {}", first.text);
    let second = desk.answer("5.20", second).await?;
    let same = second.kind == kind::RESULT && second.body_text() == first.body_text();
    ensure!("5.20", same && second.number(3) == 1, "not the same, again: {}", second.text);
    Ok(())
}

async fn an_id_outlives_lease_and_server(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let (list, id) = (fresh("list"), fresh("id"));
    let body = order(&mut peer, &id, &list, "kept").await?;
    let n = peer.command("order", body.clone()).await;
    let first = peer.answer("5.20", n).await?;
    peer.cut();
    server.restart(true).await?;
    // A client that was installed anew knows neither session nor lease.
    let mut peer = server.attach(Me::new("ann")).await?;
    is_repeated(&mut peer, &body, &first).await?;
    let sub = peer.subscribe("log", &list, None).await;
    let head = peer.subscribed("7.2", sub).await?["head"].clone();
    ensure!("5.20", head == 1, "its event was published again: the head is {head}");
    Ok(())
}

async fn an_id_is_its_principals_own(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (mut ann, mut bob) =
        (server.attach(Me::new("ann")).await?, server.attach(Me::new("bob")).await?);
    let (list, id) = (fresh("list"), fresh("id"));
    let body = order(&mut ann, &id, &list, "hers").await?;
    ann.call("5.20", "order", body.clone()).await?;
    let n = bob.command("order", body).await;
    let his = bob.answer("5.20", n).await?;
    ensure!("5.20", his.kind == kind::RESULT && his.number(3) == 0, "not his own: {}", his.text);
    let texts = bob.list(&list).await?;
    ensure!("5.20", texts == ["hers", "hers"], "one id of two principals: {texts:?}");
    Ok(())
}

async fn is_reused(peer: &mut Peer, n: u64) -> Step {
    let frame = peer.answer("5.21", n).await?;
    let reused = frame.kind == kind::FAILED && frame.string(4) == "id_reused";
    ensure!("5.21", reused, "no `id_reused`: {}", frame.text);
    ensure!("5.21", frame.number(3) == 0, "`dup` in a first answer: {}", frame.text);
    Ok(())
}

async fn another_body_under_an_id_is_not_executed(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (mut phone, mut desk) =
        (server.attach(Me::new("ann")).await?, server.attach(Me::new("ann")).await?);
    let (list, id) = (fresh("list"), fresh("id"));
    let gate = fresh("gate");
    let body = |text: &str| json!({ "id": id, "list": list, "text": text, "gate": gate });
    let first = phone.command("order", body("one")).await;
    phone.has_come(&gate).await?;
    let second = desk.command("order", body("other")).await;
    phone.call("5.21", "open", json!({ "gate": gate })).await?;
    phone.result("5.21", first).await?;
    is_reused(&mut desk, second).await?;
    let texts = desk.list(&list).await?;
    ensure!("5.21", texts == ["one"], "another command was executed: {texts:?}");
    Ok(())
}

async fn another_body_is_told_so_after_the_first_one_has_ended(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let (list, id) = (fresh("list"), fresh("id"));
    let one = order(&mut peer, &id, &list, "one").await?;
    peer.call("5.20", "order", one.clone()).await?;
    let other = json!({ "id": id, "list": list, "text": "other", "gate": one["gate"] });
    let n = peer.command("order", other).await;
    is_reused(&mut peer, n).await
}

async fn an_error_of_the_application_is_the_outcome_of_its_id(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let (list, id) = (fresh("list"), fresh("id"));
    let body = order(&mut peer, &id, &list, "fail").await?;
    let first = peer.command("order", body.clone()).await;
    let first = peer.answer("5.22", first).await?;
    ensure!("5.22", first.string(4) == "error", "no FAILED `error`: {}", first.text);
    let second = peer.command("order", body).await;
    let second = peer.answer("5.22", second).await?;
    let same = second.kind == kind::FAILED
        && (4..6).all(|at| second.string(at) == first.string(at))
        && second.body() == first.body();
    ensure!("5.22", same && second.number(3) == 1, "not the same, again: {}", second.text);
    Ok(())
}

async fn a_failure_of_the_handler_leaves_the_id_free(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let (list, id) = (fresh("list"), fresh("id"));
    let body = order(&mut peer, &id, &list, "crash").await?;
    for came in 1..3 {
        let n = peer.command("order", body.clone()).await;
        let failed = peer.answer("5.22", n).await?;
        let internal = failed.kind == kind::FAILED && failed.string(4) == "internal";
        ensure!("5.22", internal && failed.number(3) == 0, "no `internal`: {}", failed.text);
        let times = peer.call("5.22", "came", json!({ "gate": body["gate"] })).await?;
        ensure!("5.22", times == came, "it was executed {times} times, and sent {came} times");
    }
    let other = json!({ "id": id, "list": list, "text": "at last", "gate": body["gate"] });
    peer.call("5.22", "order", other).await.map(drop)
}

async fn a_command_without_its_id_is_invalid(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let mut body = order(&mut peer, "", &fresh("list"), "never").await?;
    if let Some(members) = body.as_object_mut() {
        members.remove("id");
    }
    let n = peer.command("order", body).await;
    peer.refused("5.22", n, "invalid").await.map(drop)
}
