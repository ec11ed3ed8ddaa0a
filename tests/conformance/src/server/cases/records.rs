//! Sections 5.6, 5.8, 5.9 and 1.4: what is committed once, and what a duplicate gets.

use serde_json::json;

use super::super::me::Me;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    a_result_comes_with_its_events: "5.6";
    a_duplicate_of_a_finished_command_gets_its_record: "5.8" "5.6";
    a_duplicate_of_a_running_command_joins_it: "5.8" "5.6";
    a_duplicate_of_a_failed_command_gets_the_same_failure: "5.8" "5.6";
    a_number_used_again_with_other_bytes_closes_with_4409: "5.8" "8.1";
    a_command_that_outlives_its_socket_is_answered_on_the_next: "5.9" "5.6" "4.7";
    records_outlive_the_server: "5.6" "1.3" "5.8";
    without_its_store_a_server_calls_the_lease_expired: "5.1" "1.3";
    what_low_has_passed_is_not_executed_again: "5.4" "5.6";
}

async fn a_result_comes_with_its_events(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (mut writer, mut reader) =
        (server.attach(Me::new("ann")).await?, server.attach(Me::new("bob")).await?);
    let list = fresh("list");
    writer.append(&list, ["one".to_owned()]).await?;
    // Whoever subscribes after RESULT finds the event, which was committed with the outcome.
    let sub = reader.subscribe("log", &list, None).await;
    let subscribed = reader.subscribed("5.6", sub).await?;
    ensure!("5.6", subscribed["head"] == 1, "the head after one event: {subscribed}");
    let (_, snapshot) = reader.follow(&list).await?;
    ensure!(
        "5.6",
        snapshot.number(1) == 1 && snapshot.body()["texts"] == json!(["one"]),
        "{}",
        snapshot.text
    );
    Ok(())
}

async fn a_duplicate_of_a_finished_command_gets_its_record(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let list = fresh("list");
    let body = json!({ "list": list, "text": "once" });
    let n = peer.command("append", body.clone()).await;
    let first = peer.take("5.6", "RESULT", Frame::is_sequenced).await?;
    ensure!("5.8", first.number(3) == 0, "`dup` in the first answer: {}", first.text);
    for _ in 0..3 {
        peer = server.attach(peer.cut().without_session()).await?;
        let again = peer.again(n, "append", &body);
        peer.say(again).await;
        let frame = peer.take("5.8", "the recorded outcome", Frame::is_sequenced).await?;
        ensure!(
            "5.8",
            frame.kind == kind::RESULT && frame.number(3) == 1,
            "no `dup: 1`: {}",
            frame.text
        );
        ensure!("5.8", frame.body_text() == first.body_text(), "another outcome: {}", frame.text);
    }
    let texts = peer.list(&list).await?;
    ensure!("5.6", texts == ["once"], "it was executed again: {texts:?}");
    let sub = peer.subscribe("log", &list, None).await;
    let head = peer.subscribed("7.2", sub).await?["head"].clone();
    ensure!("5.6", head == 1, "its event was published again: the head is {head}");
    Ok(())
}

async fn a_duplicate_of_a_running_command_joins_it(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let gate = fresh("gate");
    let n = peer.command("wait", json!({ "gate": gate })).await;
    peer.has_come(&gate).await?;
    let mut peer = server.attach(peer.cut().without_session()).await?;
    let again = peer.again(n, "wait", &json!({ "gate": gate }));
    peer.say(again).await;
    peer.settle("5.8").await?;
    let came = peer.call("5.8", "came", json!({ "gate": gate })).await?;
    ensure!("5.8", came == 1, "the command runs {came} times");
    peer.call("5.8", "open", json!({ "gate": gate })).await?;
    peer.result("5.8", n).await?;
    peer.settle("5.8").await?;
    let twice = peer.has(|frame| frame.is_sequenced() && frame.number(2) == n);
    ensure!("5.8", !twice, "one command was answered twice on one session");
    Ok(())
}

async fn a_duplicate_of_a_failed_command_gets_the_same_failure(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for name in ["fail", "crash"] {
        let mut peer = server.attach(Me::new("ann")).await?;
        let body = json!({ "list": fresh("list") });
        let n = peer.command(name, body.clone()).await;
        let first = peer.take("5.7", "FAILED", Frame::is_sequenced).await?;
        let mut peer = server.attach(peer.cut().without_session()).await?;
        let again = peer.again(n, name, &body);
        peer.say(again).await;
        let second = peer.take("5.8", "the recorded failure", Frame::is_sequenced).await?;
        ensure!(
            "5.8",
            second.kind == kind::FAILED && second.number(3) == 1,
            "no `dup: 1`: {}",
            second.text
        );
        let same =
            (4..7).all(|at| first.string(at) == second.string(at)) && first.body() == second.body();
        ensure!("5.8", same, "{} became {}", first.text, second.text);
    }
    Ok(())
}

async fn a_number_used_again_with_other_bytes_closes_with_4409(trial: &Trial) -> Step {
    let server = trial.server().await?;
    for (name, body) in
        [("echo", json!({ "text": "other" })), ("whoami", json!({ "text": "first" }))]
    {
        let mut peer = server.attach(Me::new("ann")).await?;
        let n = peer.command("echo", json!({ "text": "first" })).await;
        peer.take("5.8", "RESULT", Frame::is_sequenced).await?;
        let again = peer.again(n, name, &body);
        peer.say(again).await;
        peer.closes_with("5.8", 4409).await?;
    }
    Ok(())
}

async fn a_command_that_outlives_its_socket_is_answered_on_the_next(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let gate = fresh("gate");
    let n = peer.command("hold", json!({ "gate": gate })).await;
    peer.has_come(&gate).await?;
    let me = peer.cut();
    server.attach(Me::new("bob")).await?.call("5.9", "open", json!({ "gate": gate })).await?;
    let mut peer = server.resume(me).await?;
    peer.result("4.7", n).await?;
    let came = peer.call("5.6", "came", json!({ "gate": gate })).await?;
    ensure!("5.6", came == 1, "the command ran {came} times");
    Ok(())
}

async fn records_outlive_the_server(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let list = fresh("list");
    let body = json!({ "list": list, "text": "kept" });
    let n = peer.command("append", body.clone()).await;
    peer.take("5.6", "RESULT", Frame::is_sequenced).await?;
    let me = peer.cut();
    server.restart(true).await?;
    let lease = me.lease.clone();
    let mut peer = server.attach(me).await?;
    ensure!("4.10", !peer.was_resumed(), "a session outlived its server");
    ensure!(
        "1.3",
        peer.me.lease == lease && peer.welcome()["lease"]["state"] == "ok",
        "{}",
        peer.welcome()
    );
    let again = peer.again(n, "append", &body);
    peer.say(again).await;
    let frame = peer.answer("5.8", n).await?;
    ensure!(
        "5.8",
        frame.kind == kind::RESULT && frame.number(3) == 1,
        "not its record: {}",
        frame.text
    );
    let sub = peer.subscribe("log", &list, None).await;
    let head = peer.subscribed("7.2", sub).await?["head"].clone();
    ensure!("5.6", head == 1, "its event was published again: the head is {head}");
    Ok(())
}

async fn without_its_store_a_server_calls_the_lease_expired(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    peer.call("5.1", "echo", json!({ "text": "" })).await?;
    let me = peer.cut();
    server.restart(false).await?;
    let lease = me.lease.clone();
    let peer = server.attach(me).await?;
    ensure!("5.1", peer.welcome()["lease"]["state"] == "new", "{}", peer.welcome());
    ensure!("1.3", peer.me.lease != lease, "a lease that nobody knows was taken as it is");
    Ok(())
}

async fn what_low_has_passed_is_not_executed_again(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    let list = fresh("list");
    peer.append(&list, ["one".to_owned(), "two".to_owned()]).await?;
    let mut peer = server.attach(peer.cut().without_session()).await?;
    let stale = peer.again(1, "append", &json!({ "list": list, "text": "one" }));
    peer.say(stale).await;
    let texts = peer.list(&list).await?;
    ensure!("5.6", texts == ["one", "two"], "a resolved number was executed again: {texts:?}");
    Ok(())
}
