//! Sections 7.1 to 7.7: positions, where a subscription begins, and gaps.

use serde_json::{Value, json};

use super::super::me::Me;
use super::super::peer::Peer;
use super::super::trial::{Server, Trial, fresh};
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::{Frame, kind};

cases! { Trial;
    events_are_numbered_from_1_without_gap: "7.1" "7.7" "1.6";
    equal_positions_mean_equal_bytes: "7.1" "7.4";
    a_position_outlives_the_server: "1.4" "7.1" "7.4";
    a_lost_log_changes_the_epoch: "7.1" "7.5" "1.4";
    a_subscription_goes_on_after_a_resume: "7.2" "7.4";
    a_first_subscription_begins_with_the_state: "7.5" "7.2";
    without_a_snapshot_a_first_subscription_begins_at_the_head: "7.5" "7.2";
    the_last_events_come_instead_of_the_state: "7.25";
    the_last_events_are_no_more_than_there_are: "7.25";
    a_second_subscription_of_a_topic_is_a_duplicate: "7.3" "7.10";
    one_attachment_follows_several_topics: "7.3" "7.4";
    a_position_at_the_head_is_no_gap: "7.6" "7.4";
    what_is_not_retained_is_reported_as_trimmed: "7.5" "7.13";
    a_position_ahead_of_the_head_is_reported: "7.5";
    a_subscription_that_falls_behind_is_told: "7.6" "7.5";
    a_subscription_that_falls_behind_gets_the_state: "7.6" "7.5";
    an_epoch_that_changes_under_a_subscription_changes_its_number: "7.6" "7.1";
}

/// What the event with this `ts` says after [`texts`] were appended.
fn text(ts: u64) -> String {
    (ts - 1).to_string()
}

fn texts(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|index| index.to_string())
}

/// What must be equal wherever an event arrives: everything but the number that stands for its
/// topic.
fn identity(frame: &Frame) -> (u64, String, String) {
    (frame.number(1), frame.string(2), frame.body_text().to_owned())
}

async fn events_are_numbered_from_1_without_gap(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    let sub = peer.subscribe("log", &list, None).await;
    let subscribed = peer.subscribed("7.1", sub).await?;
    ensure!(
        "7.1",
        subscribed["ts"] == 0 && subscribed["head"] == 0,
        "a topic without events: {subscribed}"
    );
    peer.append(&list, texts(6)).await?;
    for ts in 1..=6 {
        let event = peer.event("7.1").await?;
        ensure!("7.7", event.number(1) == ts, "ts {ts} is {}", event.text);
        ensure!("7.1", event.body()["text"] == text(ts).as_str(), "ts {ts} is {}", event.text);
    }
    Ok(())
}

async fn equal_positions_mean_equal_bytes(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let (mut live, mut other) =
        (server.attach(Me::new("ann")).await?, server.attach(Me::new("bob")).await?);
    let list = fresh("list");
    for peer in [&mut live, &mut other] {
        let sub = peer.subscribe("log", &list, None).await;
        peer.subscribed("7.1", sub).await?;
    }
    live.append(&list, ["plain".to_owned(), "é \" \\ \u{1F980} \u{7}".to_owned(), String::new()])
        .await?;
    let mut first = Vec::new();
    for _ in 0..3 {
        let (here, there) =
            (identity(&live.event("7.1").await?), identity(&other.event("7.1").await?));
        ensure!("7.1", here == there, "{here:?} and {there:?}");
        first.push(here);
    }
    let epoch = live.reached(1).map(|(epoch, _)| epoch).unwrap_or_default();
    let mut replay = server.attach(Me::new("bob")).await?;
    let sub = replay.subscribe("log", &list, Some((epoch, 0))).await;
    replay.subscribed("7.4", sub).await?;
    for wanted in first {
        let event = identity(&replay.event("7.4").await?);
        ensure!("7.1", event == wanted, "{wanted:?} was replayed as {event:?}");
    }
    Ok(())
}

/// A client that has followed a log to its fourth event, and is gone.
async fn four_events(server: &Server<'_>, list: &str) -> Step<(Me, (String, u64))> {
    let mut peer = server.attach(Me::new("ann")).await?;
    let sub = peer.subscribe("log", list, None).await;
    peer.subscribed("7.2", sub).await?;
    peer.append(list, texts(4)).await?;
    for _ in 0..4 {
        peer.event("7.7").await?;
    }
    let reached = peer.reached(sub).unwrap_or_default();
    Ok((peer.cut(), reached))
}

async fn a_position_outlives_the_server(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let (me, (epoch, _)) = four_events(&server, &list).await?;
    server.restart(true).await?;
    let mut peer = server.attach(me).await?;
    let sub = peer.subscribe("log", &list, Some((epoch.clone(), 2))).await;
    let subscribed = peer.subscribed("1.4", sub).await?;
    ensure!(
        "1.4",
        subscribed["reset"].is_null(),
        "a position did not outlive the server: {subscribed}"
    );
    ensure!(
        "7.1",
        subscribed["epoch"] == epoch.as_str(),
        "the epoch changed, and nothing was lost: {subscribed}"
    );
    for ts in [3, 4] {
        let event = peer.event("7.4").await?;
        ensure!("7.4", event.number(1) == ts, "ts {ts} is {}", event.text);
    }
    peer.append(&list, ["later".to_owned()]).await?;
    let event = peer.event("1.4").await?;
    ensure!("7.1", event.number(1) == 5, "the fifth event is {}", event.text);
    Ok(())
}

async fn a_lost_log_changes_the_epoch(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let (me, (epoch, ts)) = four_events(&server, &list).await?;
    server.restart(false).await?;
    let mut peer = server.attach(me).await?;
    let sub = peer.subscribe("log", &list, Some((epoch.clone(), ts))).await;
    let subscribed = peer.subscribed("7.1", sub).await?;
    ensure!(
        "7.1",
        subscribed["epoch"] != epoch.as_str(),
        "the log was lost, and the epoch is the same: {subscribed}"
    );
    ensure!(
        "7.5",
        subscribed["reset"] == "epoch",
        "another epoch is no reason to continue: {subscribed}"
    );
    Ok(())
}

async fn a_subscription_goes_on_after_a_resume(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let (me, (epoch, ts)) = four_events(&server, &list).await?;
    server.attach(Me::new("bob")).await?.append(&list, ["missed".to_owned()]).await?;
    let mut peer = server.resume(me).await?;
    let sub = peer.subscribe("log", &list, Some((epoch, ts))).await;
    let subscribed = peer.subscribed("7.2", sub).await?;
    ensure!("7.4", subscribed["reset"].is_null() && subscribed["head"] == 5, "{subscribed}");
    let event = peer.event("7.4").await?;
    ensure!("7.4", event.number(1) == 5 && event.body()["text"] == "missed", "{}", event.text);
    Ok(())
}

async fn a_first_subscription_begins_with_the_state(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    peer.append(&list, texts(3)).await?;
    let (_, snapshot) = peer.follow(&list).await?;
    ensure!("7.5", snapshot.number(1) == 3, "the state's position: {}", snapshot.text);
    ensure!(
        "7.5",
        snapshot.body()["texts"] == json!(["0", "1", "2"]),
        "the state: {}",
        snapshot.text
    );
    peer.append(&list, ["next".to_owned()]).await?;
    let event = peer.event("7.5").await?;
    ensure!("7.5", event.number(1) == 4, "the event after the state: {}", event.text);
    Ok(())
}

async fn without_a_snapshot_a_first_subscription_begins_at_the_head(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    peer.append(&list, texts(3)).await?;
    let sub = peer.subscribe("log", &list, None).await;
    let subscribed = peer.subscribed("7.5", sub).await?;
    ensure!(
        "7.5",
        subscribed["reset"] == "initial" && subscribed["snapshot"] == false,
        "{subscribed}"
    );
    ensure!("7.5", subscribed["ts"] == 3 && subscribed["head"] == 3, "{subscribed}");
    peer.append(&list, ["next".to_owned()]).await?;
    let event = peer.event("7.5").await?;
    ensure!("7.5", event.number(1) == 4, "the first event: {}", event.text);
    Ok(())
}

async fn the_last_events_come_instead_of_the_state(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    for (topic, last) in [("log", 2), ("list", 2), ("log", 0), ("list", 0)] {
        let list = fresh("list");
        peer.append(&list, texts(4)).await?;
        let sub = peer.subscribe_last(topic, &list, last).await;
        let told = peer.subscribed("7.25", sub).await?;
        let begins = told["reset"] == "initial" && told["ts"] == 4 - last && told["head"] == 4;
        ensure!("7.25", begins && told["snapshot"] == false, "the last {last} of 4: {told}");
        peer.append(&list, ["next".to_owned()]).await?;
        for ts in 5 - last..=5 {
            let event = peer.event("7.25").await?;
            ensure!("7.25", event.number(1) == ts, "{ts} is due, not {}", event.text);
        }
        peer.unsubscribe(sub).await;
    }
    Ok(())
}

async fn the_last_events_are_no_more_than_there_are(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    peer.append(&list, texts(3)).await?;
    let sub = peer.subscribe_last("log", &list, 1_000_000).await;
    let told = peer.subscribed("7.25", sub).await?;
    ensure!("7.25", told["reset"] == "initial" && told["ts"] == 0, "{told}");
    for ts in 1..=3 {
        let event = peer.event("7.25").await?;
        ensure!("7.25", event.number(1) == ts, "{ts} is due, not {}", event.text);
    }
    Ok(())
}

async fn a_second_subscription_of_a_topic_is_a_duplicate(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let list = fresh("list");
    let first = peer.subscribe("log", &list, None).await;
    peer.subscribed("7.3", first).await?;
    let second = peer.subscribe("log", &list, None).await;
    peer.unsubscribed("7.3", second, "duplicate").await?;
    // The first one is unharmed, and once it has ended there is room for another.
    peer.append(&list, ["one".to_owned()]).await?;
    peer.event("7.3").await?;
    peer.unsubscribe(first).await;
    let third = peer.subscribe("log", &list, None).await;
    peer.subscribed("7.3", third).await.map(drop)
}

async fn one_attachment_follows_several_topics(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let (one, two) = (fresh("one"), fresh("two"));
    let mut numbers = Vec::new();
    for (topic, key) in [("log", &one), ("log", &two), ("list", &one)] {
        let sub = peer.subscribe(topic, key, None).await;
        numbers.push(peer.subscribed("7.4", sub).await?["number"].clone());
    }
    ensure!(
        "7.4",
        numbers[0] != numbers[1] && numbers[1] != numbers[2],
        "one number for two topics: {numbers:?}"
    );
    peer.append(&two, ["x".to_owned()]).await?;
    let event = peer.event("7.4").await?;
    ensure!("7.4", event.number(0) == numbers[1], "an event of {two} came as {}", event.text);
    Ok(())
}

async fn a_position_at_the_head_is_no_gap(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let (me, (epoch, ts)) = four_events(&server, &list).await?;
    let mut peer = server.resume(me).await?;
    let sub = peer.subscribe("log", &list, Some((epoch, ts))).await;
    let subscribed = peer.subscribed("7.6", sub).await?;
    let goes_on =
        subscribed["reset"].is_null() && subscribed["ts"] == ts && subscribed["head"] == ts;
    ensure!("7.6", goes_on, "a position at the head: {subscribed}");
    Ok(())
}

async fn what_is_not_retained_is_reported_as_trimmed(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let (me, (epoch, ts)) = four_events(&server, &list).await?;
    server.attach(Me::new("bob")).await?.append(&list, texts(RETAINED_AT_MOST)).await?;
    let mut peer = server.resume(me).await?;
    for (topic, snapshot) in [("log", false), ("list", true)] {
        let epoch =
            if topic == "log" { epoch.clone() } else { epoch_of(&mut peer, "list", &list).await? };
        let sub = peer.subscribe(topic, &list, Some((epoch, ts))).await;
        let subscribed = peer.subscribed("7.5", sub).await?;
        let told = subscribed["reset"] == "trimmed" && subscribed["snapshot"] == snapshot;
        ensure!("7.5", told, "a position that is long gone: {subscribed}");
        if snapshot {
            let state = peer.take_kind("7.5", "SNAPSHOT", kind::SNAPSHOT).await?;
            let texts = state.body()["texts"].as_array().map_or(0, Vec::len);
            ensure!(
                "7.5",
                texts == RETAINED_AT_MOST + 4,
                "the state lacks something: {}",
                state.text
            );
            continue;
        }
        // What is still retained may come, and must begin right after SUBSCRIBED's position.
        let number = |name: &str| subscribed[name].as_u64().unwrap_or_default();
        ensure!(
            "7.5",
            number("ts") > ts,
            "it goes on where it was said to be trimmed: {subscribed}"
        );
        for ts in number("ts") + 1..=number("head") {
            let event = peer.event("7.5").await?;
            ensure!("7.7", event.number(1) == ts, "ts {ts} is {}", event.text);
        }
    }
    Ok(())
}

/// More events than the application of ADAPTER.md retains.
const RETAINED_AT_MOST: usize = 70;

/// The epoch of a topic, found by subscribing for a moment.
async fn epoch_of(peer: &mut Peer, topic: &str, key: &str) -> Step<String> {
    let sub = peer.subscribe(topic, key, None).await;
    let epoch = peer.subscribed("7.2", sub).await?["epoch"].as_str().unwrap_or_default().to_owned();
    if topic == "list" {
        peer.take_kind("7.5", "SNAPSHOT", kind::SNAPSHOT).await?;
    }
    peer.unsubscribe(sub).await;
    Ok(epoch)
}

async fn a_position_ahead_of_the_head_is_reported(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let list = fresh("list");
    let (me, (epoch, ts)) = four_events(&server, &list).await?;
    let mut peer = server.resume(me).await?;
    let sub = peer.subscribe("log", &list, Some((epoch, ts + 1))).await;
    let subscribed = peer.subscribed("7.5", sub).await?;
    ensure!(
        "7.5",
        subscribed["reset"] == "ahead",
        "a position that the log has not reached: {subscribed}"
    );
    Ok(())
}

/// A subscription with credit for one event, while far more are published than are retained.
async fn falls_behind(trial: &Trial, topic: &str) -> Step<(Peer, u64, Value)> {
    let server = trial.server().await?;
    let list = fresh("list");
    let mut peer = server.attach(Me::new("ann")).await?;
    let sub = peer.subscribe_with(topic, &list, None, (1, 1_000_000)).await;
    let first = peer.subscribed("7.6", sub).await?;
    if topic == "list" {
        peer.take_kind("7.5", "SNAPSHOT", kind::SNAPSHOT).await?;
    }
    server.attach(Me::new("bob")).await?.append(&list, texts(RETAINED_AT_MOST)).await?;
    let event = peer.event("7.8").await?;
    ensure!("7.7", event.number(1) == 1, "the first event: {}", event.text);
    peer.finish(sub).await;
    let again = peer.subscribed("7.6", sub).await?;
    ensure!("7.6", again["reset"] == "trimmed", "a live subscription that fell behind: {again}");
    ensure!(
        "7.6",
        again["number"] == first["number"],
        "the number changed, and the epoch did not: {again}"
    );
    Ok((peer, sub, again))
}

async fn a_subscription_that_falls_behind_is_told(trial: &Trial) -> Step {
    let (mut peer, sub, again) = falls_behind(trial, "log").await?;
    let last = RETAINED_AT_MOST as u64;
    let mut here = again["ts"].as_u64().unwrap_or_default();
    ensure!("7.6", here > 1 && here <= last, "it goes on after ts {here}");
    // It may fall behind more than once. Every event that no reset covers must arrive.
    while here < last {
        let next = |frame: &Frame| matches!(frame.kind, kind::EVENT | kind::SUBSCRIBED);
        let frame = peer.take("7.6", "EVENT after SUBSCRIBED", next).await?;
        if frame.kind == kind::SUBSCRIBED {
            here = frame.member("7.2", "/ts")?;
            continue;
        }
        ensure!("7.7", frame.number(1) == here + 1, "the event after {here}: {}", frame.text);
        here += 1;
        peer.finish(sub).await;
    }
    Ok(())
}

async fn a_subscription_that_falls_behind_gets_the_state(trial: &Trial) -> Step {
    let (mut peer, _, again) = falls_behind(trial, "list").await?;
    ensure!("7.5", again["snapshot"] == true, "a topic with a snapshot heals its gaps: {again}");
    let state = peer.take_kind("7.5", "SNAPSHOT", kind::SNAPSHOT).await?;
    let texts = state.body()["texts"].as_array().map_or(0, Vec::len);
    ensure!(
        "7.5",
        texts as u64 >= state.number(1),
        "the state at ts {} has {texts} texts",
        state.number(1)
    );
    Ok(())
}

async fn an_epoch_that_changes_under_a_subscription_changes_its_number(trial: &Trial) -> Step {
    let server = trial.server().await?;
    if !server.is_own() {
        return Err(Stop::NotApplicable("it needs an adapter".into()));
    }
    let list = fresh("list");
    let mut peer = server.attach(Me::new("ann")).await?;
    let sub = peer.subscribe("log", &list, None).await;
    let first = peer.subscribed("7.6", sub).await?;
    peer.append(&list, texts(3)).await?;
    for _ in 0..3 {
        peer.event("7.6").await?;
    }
    server.control("lose_topics", json!({})).await?;
    // A new client gets a lease that the store knows.
    server.attach(Me::new("bob")).await?.append(&list, ["after".to_owned()]).await?;
    let again = peer.subscribed("7.6", sub).await?;
    ensure!(
        "7.1",
        again["epoch"] != first["epoch"],
        "the log was lost, and the epoch is the same: {again}"
    );
    ensure!("7.6", again["reset"] == "epoch", "why it begins anew: {again}");
    ensure!(
        "7.6",
        again["number"] != first["number"],
        "another epoch under the same number: {again}"
    );
    server.attach(Me::new("bob")).await?.append(&list, ["later".to_owned()]).await?;
    let later = |frame: &Frame| frame.kind == kind::EVENT && frame.body()["text"] == "later";
    let event = peer.take("7.6", "EVENT of the new epoch", later).await?;
    ensure!(
        "7.6",
        event.number(0) == again["number"],
        "an event under another number: {}",
        event.text
    );
    Ok(())
}
