//! Sections 5.1 to 5.4, 5.7, 5.10 and 5.12 to 5.16: leases, numbers, answers, refusals.

use serde_json::json;

use super::super::me::Me;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::{Frame, kind, random_id};

cases! { Trial;
    an_unknown_lease_is_replaced_and_not_taken_as_new: "1.3" "5.1";
    the_lease_of_another_principal_is_replaced: "5.1" "1.3";
    a_number_of_another_lease_is_another_command: "5.2";
    a_command_beyond_the_span_closes_with_4410: "5.3" "8.1";
    the_span_moves_with_low: "5.3" "5.4";
    a_low_below_the_highest_is_ignored: "5.4";
    an_application_error_has_its_name_and_fields: "5.7";
    a_handler_that_fails_is_internal_and_commits_nothing: "5.7" "5.6";
    a_handler_that_takes_too_long_is_a_timeout: "5.7";
    a_command_without_reply_is_answered_with_an_object_or_null: "5.7" "3.5";
    terminal_refusals_are_not_executed_and_resolve: "5.10" "5.12";
    a_message_beyond_its_own_limit_is_too_large: "5.10" "5.12" "5.19";
    a_deadline_that_has_passed_is_answered_with_expired_and_recorded: "5.13" "5.10" "5.18";
    a_deadline_in_the_future_does_not_matter: "5.13" "1.7";
    an_answer_acknowledges_its_command: "5.14";
    a_clean_close_with_nothing_open_ends_the_lease: "5.15";
    a_clean_close_with_something_open_keeps_the_lease: "5.15";
    a_volatile_has_no_answer_and_no_number: "5.16";
    a_volatile_that_is_unknown_or_does_not_fit_is_dropped: "5.16" "3.5";
}

async fn an_unknown_lease_is_replaced_and_not_taken_as_new(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = Me::new("ann");
    let unknown = random_id();
    (me.lease, me.next, me.low) = (Some(unknown.clone()), 8, 3);
    let peer = server.attach(me).await?;
    let lease = peer.welcome()["lease"].clone();
    ensure!(
        "5.1",
        lease["state"] == "new",
        "a lease that the server can't know is `{}`",
        lease["state"]
    );
    ensure!("1.3", lease["id"] != unknown.as_str(), "a lease was made up for an unknown id");
    Ok(())
}

async fn the_lease_of_another_principal_is_replaced(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut ann = server.attach(Me::new("ann")).await?;
    ann.call("5.1", "echo", json!({ "text": "" })).await?;
    let mut bob = Me::new("bob");
    (bob.lease, bob.next, bob.low) = (ann.me.lease.clone(), 2, 2);
    let bob = server.attach(bob).await?;
    ensure!("5.1", bob.me.lease != ann.me.lease, "bob got ann's lease");
    ensure!(
        "5.1",
        bob.welcome()["lease"]["state"] == "new",
        "bob's lease is {}",
        bob.welcome()["lease"]
    );
    ann.is_alive("5.1").await
}

async fn a_number_of_another_lease_is_another_command(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    for text in ["one", "two"] {
        let mut peer = server.attach(Me::new("ann")).await?;
        peer.append(&list, [text.to_owned()]).await?;
        ensure!("5.2", peer.me.next == 2, "not n 1");
    }
    let texts = server.attach(Me::new("ann")).await?.list(&list).await?;
    ensure!("5.2", texts == ["one", "two"], "n 1 of two leases made the list {texts:?}");
    Ok(())
}

async fn a_command_beyond_the_span_closes_with_4410(trial: &Trial) -> Step {
    let server = trial.server_with(json!({ "span": 4 })).await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    peer.say(json!([kind::COMMAND, 1, 0, 5, 4, "echo", { "text": "" }])).await;
    peer.closes_with("5.3", 4410).await.map(drop)
}

async fn the_span_moves_with_low(trial: &Trial) -> Step {
    let server = trial.server_with(json!({ "span": 4 })).await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    for text in 0..12 {
        // Only `back` in the head tells that everything lower is resolved.
        let reply = peer.call("5.4", "echo", json!({ "text": text.to_string() })).await?;
        ensure!("5.3", reply == text.to_string().as_str(), "another reply: {reply}");
    }
    Ok(())
}

async fn a_low_below_the_highest_is_ignored(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for _ in 0..3 {
        peer.call("5.4", "echo", json!({ "text": "" })).await?;
    }
    for low in [4, 2, 1] {
        peer.say(json!([kind::ACK, 3, low])).await;
    }
    peer.call("5.4", "echo", json!({ "text": "" })).await.map(drop)
}

async fn an_application_error_has_its_name_and_fields(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    let n = peer.command("fail", json!({ "list": list })).await;
    let frame = peer.answer("5.7", n).await?;
    ensure!("5.7", frame.kind == kind::FAILED, "no FAILED: {}", frame.text);
    ensure!(
        "5.7",
        frame.string(4) == "error",
        "the code of an application's error: {}",
        frame.text
    );
    ensure!("5.7", frame.string(5) == "failed", "its name: {}", frame.text);
    ensure!("5.7", frame.body()["list"] == list.as_str(), "its fields: {}", frame.text);
    Ok(())
}

async fn a_handler_that_fails_is_internal_and_commits_nothing(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    let sub = peer.subscribe("log", &list, None).await;
    peer.subscribed("7.2", sub).await?;
    let n = peer.command("crash", json!({ "list": list })).await;
    let frame = peer.answer("5.7", n).await?;
    let as_wanted =
        frame.kind == kind::FAILED && frame.string(4) == "internal" && frame.string(5).is_empty();
    ensure!(
        "5.7",
        as_wanted && frame.body() == json!({}),
        "a handler that fails inside: {}",
        frame.text
    );
    let n = peer.command("fail", json!({ "list": list })).await;
    peer.answer("5.7", n).await?;
    peer.append(&list, ["committed".to_owned()]).await?;
    let event = peer.event("5.6").await?;
    ensure!(
        "5.6",
        event.number(1) == 1 && event.body()["text"] == "committed",
        "published: {}",
        event.text
    );
    Ok(())
}

async fn a_handler_that_takes_too_long_is_a_timeout(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let n = peer.command("late", json!({ "gate": fresh("never") })).await;
    let frame = peer.answer("5.7", n).await?;
    ensure!(
        "5.7",
        frame.kind == kind::FAILED && frame.string(4) == "timeout",
        "not a timeout: {}",
        frame.text
    );
    Ok(())
}

async fn a_command_without_reply_is_answered_with_an_object_or_null(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let reply = peer.call("5.7", "open", json!({ "gate": fresh("gate") })).await?;
    ensure!(
        "5.7",
        reply == json!({}) || reply.is_null(),
        "the reply of a message that has none: {reply}"
    );
    Ok(())
}

async fn terminal_refusals_are_not_executed_and_resolve(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for _ in 0..2 {
        let n = peer.command("no_such_message", json!({})).await;
        let frame = peer.refused("5.12", n, "unsupported").await?;
        // The refusal leaves no record: the same command is refused again for the same reason.
        let again = peer.again(n, "no_such_message", &json!({}));
        peer.me.low = peer.me.low.min(n);
        peer.say(again).await;
        let second =
            peer.take("5.10", "the same refusal", |frame| frame.kind == kind::REFUSED).await?;
        ensure!(
            "5.10",
            second.string(3) == frame.string(3),
            "refused differently: {}",
            second.text
        );
        peer.me.low = n + 1;
    }
    let reply = peer.call("5.10", "echo", json!({ "text": "next" })).await?;
    ensure!("5.10", reply == "next", "a terminal refusal holds up others: {reply}");
    Ok(())
}

async fn a_message_beyond_its_own_limit_is_too_large(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let n = peer.command("small", json!({ "text": "x".repeat(2_000) })).await;
    peer.refused("5.12", n, "too_large").await?;
    let reply = peer.call("5.10", "small", json!({ "text": "fits" })).await?;
    ensure!("5.10", reply == "fits", "another reply: {reply}");
    Ok(())
}

async fn a_deadline_that_has_passed_is_answered_with_expired_and_recorded(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    let body = json!({ "list": list, "text": "late" });
    let (n, mut frame) = peer.number("append", &body);
    let Some(elements) = frame.as_array_mut() else { return Ok(()) };
    elements[0] = json!(kind::COMMAND_WITH_DEADLINE);
    elements.insert(5, json!(0));
    peer.say(frame).await;
    peer.refused("5.13", n, "expired").await?;
    // It is recorded: without a deadline it is refused all the same.
    peer.me.low = n;
    let again = peer.again(n, "append", &body);
    peer.say(again).await;
    let second = peer.take("5.13", "the recorded outcome", Frame::is_sequenced).await?;
    let expired = second.kind == kind::REFUSED && second.string(3) == "expired";
    ensure!("5.13", expired, "the outcome was not recorded: {}", second.text);
    peer.me.low = n + 1;
    let texts = peer.list(&list).await?;
    ensure!("5.13", texts.is_empty(), "it was executed: {texts:?}");
    Ok(())
}

async fn a_deadline_in_the_future_does_not_matter(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let (n, mut frame) = peer.number("echo", &json!({ "text": "in time" }));
    let Some(elements) = frame.as_array_mut() else { return Ok(()) };
    elements[0] = json!(kind::COMMAND_WITH_DEADLINE);
    elements.insert(5, json!(60_000));
    peer.say(frame).await;
    let reply = peer.result("5.13", n).await?;
    ensure!("5.13", reply == "in time", "another reply: {reply}");
    Ok(())
}

async fn an_answer_acknowledges_its_command(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for name in ["echo", "no_such_message", "fail"] {
        let n = peer.command(name, json!({ "text": "", "list": "none" })).await;
        let frame = peer.answer("5.14", n).await?;
        ensure!("5.14", frame.number(1) >= n, "the answer does not acknowledge: {}", frame.text);
    }
    Ok(())
}

async fn a_clean_close_with_nothing_open_ends_the_lease(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    peer.call("5.15", "echo", json!({ "text": "" })).await?;
    peer.ack().await;
    peer.is_alive("5.15").await?;
    let me = peer.close(1000).await;
    let lease = me.lease.clone();
    let peer = server.attach(me.without_session()).await?;
    ensure!(
        "5.15",
        peer.welcome()["lease"]["state"] == "new",
        "the lease did not end: {}",
        peer.welcome()
    );
    ensure!("1.3", peer.me.lease != lease, "the lease that had ended began anew");
    Ok(())
}

async fn a_clean_close_with_something_open_keeps_the_lease(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    // It is answered, but never reported as resolved.
    let n = peer.command("echo", json!({ "text": "kept" })).await;
    peer.take("5.15", "RESULT", Frame::is_sequenced).await?;
    let me = peer.close(1000).await;
    let mut peer = server.attach(me.without_session()).await?;
    ensure!(
        "5.15",
        peer.welcome()["lease"]["state"] == "ok",
        "the lease ended: {}",
        peer.welcome()
    );
    let again = peer.again(n, "echo", &json!({ "text": "kept" }));
    peer.say(again).await;
    let reply = peer.result("5.15", n).await?;
    ensure!("5.15", reply == "kept", "another outcome: {reply}");
    Ok(())
}

async fn a_volatile_has_no_answer_and_no_number(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for _ in 0..3 {
        peer.say(json!([kind::VOLATILE, "nudge", { "list": fresh("list") }])).await;
    }
    let reply = peer.call("5.16", "echo", json!({ "text": "first" })).await?;
    ensure!("5.16", reply == "first" && peer.me.recv() == 1, "a volatile took a number");
    peer.settle("5.16").await?;
    ensure!("5.16", !peer.has(|frame| frame.is_sequenced()), "a volatile was answered");
    Ok(())
}

async fn a_volatile_that_is_unknown_or_does_not_fit_is_dropped(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for (name, body) in
        [("no_such_message", json!({})), ("nudge", json!({ "list": 7 })), ("echo", json!({}))]
    {
        peer.say(json!([kind::VOLATILE, name, body])).await;
    }
    peer.is_alive("5.16").await
}
