//! Sections 7.8 to 7.11: credit, unsubscribing, volatiles.

use serde_json::json;

use super::super::me::Me;
use super::super::peer::Peer;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    no_event_goes_beyond_the_credit_in_events: "7.8";
    no_event_goes_beyond_the_credit_in_bytes: "7.8";
    a_snapshot_does_not_wait_for_events_but_counts_in_bytes: "7.8";
    a_position_counts_at_most_as_what_was_sent: "7.8" "7.16";
    a_lower_position_is_ignored_and_each_count_counts_alone: "7.8" "7.16";
    a_position_for_an_unknown_number_is_ignored: "7.8" "7.16";
    bytes_count_on_across_a_reset: "7.8" "7.6" "7.15";
    nothing_else_waits_for_a_subscriptions_credit: "7.9";
    the_credit_that_was_granted_is_told: "7.14";
    unsubscribe_ends_a_subscription: "7.10";
    a_state_longer_than_the_client_takes_ends_its_subscription_alone: "2.6" "7.10";
    a_topic_that_may_not_be_followed_is_forbidden: "7.10";
    a_topic_that_is_unknown_is_unsupported: "7.10";
    a_topic_volatile_reaches_followers_without_number_and_credit: "7.11" "5.16";
    topic_volatiles_are_not_replayed: "7.11";
}

/// Follows a log with this credit, while another client appends so many texts of this length.
async fn log(
    trial: &Trial,
    credit: (u64, u64),
    count: usize,
    length: usize,
) -> Step<(Peer, u64, u64)> {
    let server = trial.server().await?;
    let list = fresh("list");
    let mut peer = server.attach(Me::new("ann")).await?;
    let sub = peer.subscribe_with("log", &list, None, credit).await;
    let number = peer.subscribed("7.8", sub).await?["number"].as_u64().unwrap_or_default();
    let texts = (0..count).map(|_| "x".repeat(length));
    server.attach(Me::new("bob")).await?.append(&list, texts).await?;
    Ok((peer, sub, number))
}

/// The highest event that has arrived, once no more arrive.
async fn highest(peer: &mut Peer) -> Step<u64> {
    peer.settle("7.8").await?;
    let mut ts = 0;
    while peer.has(|frame| frame.kind == kind::EVENT) {
        ts = peer.event("7.8").await?.number(1);
    }
    Ok(ts)
}

async fn no_event_goes_beyond_the_credit_in_events(trial: &Trial) -> Step {
    let (mut peer, sub, _) = log(trial, (2, 1_000_000), 6, 10).await?;
    for ts in 1..=6 {
        let event = peer.event("7.8").await?;
        ensure!("7.8", event.number(1) == ts, "ts {ts} is {}", event.text);
        if ts % 2 == 0 {
            let ahead = highest(&mut peer).await?;
            ensure!("7.8", ahead == 0, "ts {ahead} came beyond the credit of 2");
            peer.finish(sub).await;
        }
    }
    Ok(())
}

async fn no_event_goes_beyond_the_credit_in_bytes(trial: &Trial) -> Step {
    // Less than one event: the first may be sent, and the others wait until it is reported.
    let (mut peer, sub, _) = log(trial, (1_000, 100), 3, 300).await?;
    for ts in 1..=3 {
        let event = peer.event("7.8").await?;
        ensure!("7.8", event.number(1) == ts, "ts {ts} is {}", event.text);
        let ahead = highest(&mut peer).await?;
        ensure!("7.8", ahead == 0, "ts {ahead} came beyond the credit in bytes");
        peer.finish(sub).await;
    }
    Ok(())
}

async fn a_snapshot_does_not_wait_for_events_but_counts_in_bytes(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    peer.append(&list, (0..3).map(|_| "x".repeat(200))).await?;
    let sub = peer.subscribe_with("list", &list, None, (1, 300)).await;
    peer.subscribed("7.8", sub).await?;
    peer.take_kind("7.8", "SNAPSHOT", kind::SNAPSHOT).await?;
    peer.append(&list, ["after".to_owned()]).await?;
    let ahead = highest(&mut peer).await?;
    ensure!("7.8", ahead == 0, "ts {ahead} came while the SNAPSHOT's bytes had used up the credit");
    peer.finish(sub).await;
    let event = peer.event("7.8").await?;
    ensure!("7.8", event.number(1) == 4, "the event after the state: {}", event.text);
    Ok(())
}

async fn a_position_counts_at_most_as_what_was_sent(trial: &Trial) -> Step {
    let (mut peer, sub, number) = log(trial, (2, 1_000_000), 8, 10).await?;
    peer.event("7.8").await?;
    peer.event("7.8").await?;
    // Far beyond what was sent, so it counts as 2.
    peer.position(number, 1_000_000, 1_000_000_000).await;
    for ts in [3, 4] {
        let event = peer.event("7.8").await?;
        ensure!("7.8", event.number(1) == ts, "ts {ts} is {}", event.text);
    }
    let ahead = highest(&mut peer).await?;
    ensure!("7.8", ahead == 0, "a position beyond what was sent gave credit: ts {ahead} came");
    peer.finish(sub).await;
    peer.event("7.8").await.map(drop)
}

async fn a_lower_position_is_ignored_and_each_count_counts_alone(trial: &Trial) -> Step {
    let (mut peer, _, number) = log(trial, (2, 1_000_000), 8, 10).await?;
    peer.event("7.8").await?;
    let second = peer.event("7.8").await?;
    peer.position(number, 2, 0).await;
    peer.event("7.8").await?;
    peer.event("7.8").await?;
    // An earlier position that arrives late takes nothing back, and bytes alone allow no events.
    peer.position(number, 1, second.text.len() as u64).await;
    peer.position(number, 0, 2 * second.text.len() as u64).await;
    let ahead = highest(&mut peer).await?;
    ensure!("7.8", ahead == 0, "bytes alone gave credit for ts {ahead}");
    peer.position(number, 4, 0).await;
    let event = peer.event("7.8").await?;
    ensure!("7.8", event.number(1) == 5, "the fifth event: {}", event.text);
    Ok(())
}

async fn a_position_for_an_unknown_number_is_ignored(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    peer.say(json!([kind::POSITION, 4_711, 1, 1])).await;
    peer.is_alive("7.8").await
}

async fn bytes_count_on_across_a_reset(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let mut peer = server.attach(Me::new("ann")).await?;
    // The first event uses up the bytes. It is reported only when the subscription has fallen
    // behind.
    let sub = peer.subscribe_with("log", &list, None, (1_000, 50)).await;
    peer.subscribed("7.8", sub).await?;
    server.attach(Me::new("bob")).await?.append(&list, (0..70).map(|_| "x".repeat(60))).await?;
    peer.event("7.8").await?;
    peer.finish(sub).await;
    let again = peer.subscribed("7.6", sub).await?;
    ensure!("7.6", again["reset"] == "trimmed", "a live subscription that fell behind: {again}");
    server.attach(Me::new("bob")).await?.append(&list, (0..2).map(|_| "y".repeat(60))).await?;
    // The suite counts from the first SUBSCRIBED, and so must the server.
    peer.event("7.8").await?;
    peer.finish(sub).await;
    peer.event("7.8").await.map(drop)
}

async fn nothing_else_waits_for_a_subscriptions_credit(trial: &Trial) -> Step {
    let (mut peer, _, _) = log(trial, (1, 1), 8, 10).await?;
    peer.event("7.9").await?;
    let reply = peer.call("7.9", "echo", json!({ "text": "answered" })).await?;
    ensure!("7.9", reply == "answered", "another reply: {reply}");
    let list = fresh("other");
    let sub = peer.subscribe("log", &list, None).await;
    peer.subscribed("7.9", sub).await?;
    peer.append(&list, ["one".to_owned(), "two".to_owned()]).await?;
    for text in ["one", "two"] {
        let event = peer.event("7.9").await?;
        ensure!("7.9", event.body()["text"] == text, "another event: {}", event.text);
    }
    peer.is_alive("7.9").await
}

async fn unsubscribe_ends_a_subscription(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    let sub = peer.subscribe("log", &list, None).await;
    peer.subscribed("7.10", sub).await?;
    peer.append(&list, ["seen".to_owned()]).await?;
    peer.event("7.10").await?;
    peer.unsubscribe(sub).await;
    peer.is_alive("7.10").await?;
    peer.append(&list, ["unseen".to_owned()]).await?;
    peer.settle("7.10").await?;
    ensure!(
        "7.10",
        !peer.has(|frame| frame.kind == kind::EVENT),
        "an event came after UNSUBSCRIBE had been read"
    );
    peer.unsubscribe(99).await;
    // Sent together: when the later one is read, the earlier one has ended.
    let first = peer.subscribe("log", &list, None).await;
    peer.unsubscribe(first).await;
    let second = peer.subscribe("log", &list, None).await;
    peer.subscribed("7.10", second).await?;
    peer.append(&list, ["seen again".to_owned()]).await?;
    peer.event("7.10").await.map(drop)
}

async fn a_topic_that_may_not_be_followed_is_forbidden(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let sub = peer.subscribe("list", "forbidden", None).await;
    peer.unsubscribed("7.10", sub, "forbidden").await?;
    peer.is_alive("7.10").await
}

async fn a_topic_that_is_unknown_is_unsupported(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let sub = peer.subscribe("NoSuchTopic", "key", None).await;
    peer.unsubscribed("7.10", sub, "unsupported").await?;
    peer.is_alive("7.10").await
}

async fn a_topic_volatile_reaches_followers_without_number_and_credit(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let (mut peer, mut other) =
        (server.attach(Me::new("ann")).await?, server.attach(Me::new("bob")).await?);
    // The snapshot uses up the credit of one byte.
    let sub = peer.subscribe_with("list", &list, None, (1, 1)).await;
    let number = peer.subscribed("7.11", sub).await?["number"].clone();
    peer.take_kind("7.11", "SNAPSHOT", kind::SNAPSHOT).await?;
    // A server under load may drop one, but not every one when they are sent one at a time.
    for _ in 0..20 {
        other.say(json!([kind::VOLATILE, "nudge", { "list": list }])).await;
        other.is_alive("5.16").await?;
        peer.settle("7.11").await?;
        if peer.has(|frame| frame.kind == kind::TOPIC_VOLATILE) {
            let frame = peer.take_kind("7.11", "TOPIC_VOLATILE", kind::TOPIC_VOLATILE).await?;
            ensure!(
                "7.11",
                frame.number(0) == number && frame.string(1) == "nudged",
                "{}",
                frame.text
            );
            ensure!("7.11", frame.body()["list"] == list.as_str(), "{}", frame.text);
            return Ok(());
        }
    }
    Err(Stop::broken("7.11", "of twenty volatiles none reached the follower"))
}

async fn topic_volatiles_are_not_replayed(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let mut peer = server.attach(Me::new("ann")).await?;
    let (sub, _) = peer.follow(&list).await?;
    let reached = peer.reached(sub);
    peer.say(json!([kind::VOLATILE, "nudge", { "list": list }])).await;
    peer.settle("7.11").await?;
    let mut peer = server.resume(peer.cut()).await?;
    let sub = peer.subscribe("list", &list, reached).await;
    let subscribed = peer.subscribed("7.11", sub).await?;
    ensure!("7.11", subscribed["reset"].is_null(), "a volatile moved the position: {subscribed}");
    peer.settle("7.11").await?;
    let replayed = |frame: &Frame| frame.kind == kind::TOPIC_VOLATILE || frame.kind == kind::EVENT;
    ensure!("7.11", !peer.has(replayed), "a volatile was replayed");
    Ok(())
}

async fn the_credit_that_was_granted_is_told(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut peer = server.attach(Me::new("ann")).await?;
    for asked in [(3, 700), (1 << 40, 1 << 40)] {
        let sub = peer.subscribe_with("log", &fresh("list"), None, asked).await;
        let granted = peer.subscribed("7.14", sub).await?["credit"].clone();
        if granted.is_null() {
            continue;
        }
        for (name, asked) in [("events", asked.0), ("bytes", asked.1)] {
            let fits = granted[name].as_u64().is_some_and(|value| (1..=asked).contains(&value));
            ensure!("7.14", fits, "{asked} {name} were asked for, and {granted} granted");
        }
    }
    Ok(())
}

async fn a_state_longer_than_the_client_takes_ends_its_subscription_alone(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let mut me = Me::new("ann");
    me.dial = 1;
    let mut hello = me.hello();
    hello["message_bytes"] = json!(1_000);
    let mut peer = server.greet(&me, &hello).await?;
    peer.welcomed().await?;
    peer.ack().await;
    let (long, short) = (fresh("list"), fresh("list"));
    let mut bob = server.attach(Me::new("bob")).await?;
    bob.append(&long, (0..2).map(|_| "x".repeat(700))).await?;
    let sub = peer.subscribe_with("list", &short, None, (100, 100_000)).await;
    peer.subscribed("2.6", sub).await?;
    peer.take_kind("2.6", "SNAPSHOT", kind::SNAPSHOT).await?;
    let too_long = peer.subscribe_with("list", &long, None, (100, 100_000)).await;
    let ends =
        move |frame: &Frame| frame.kind == kind::UNSUBSCRIBED && frame.body()["sub"] == too_long;
    let end = peer.take("2.6", "UNSUBSCRIBED", ends).await?;
    ensure!("2.6", end.body()["code"] == "too_large", "another code: {}", end.text);
    // The other one, and the socket, go on: until an event is too long for it, too.
    bob.append(&short, ["y".to_owned()]).await?;
    peer.event("2.6").await?;
    bob.append(&short, ["y".repeat(1_100)]).await?;
    let ends = move |frame: &Frame| frame.kind == kind::UNSUBSCRIBED && frame.body()["sub"] == sub;
    let end = peer.take("2.6", "UNSUBSCRIBED", ends).await?;
    ensure!("2.6", end.body()["code"] == "too_large", "another code: {}", end.text);
    peer.is_alive("2.6").await
}
