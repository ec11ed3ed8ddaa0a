//! Sections 7.20 to 7.22, and 7.25 there: topics whose state is kept by the protocol, item by item.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::me::Me;
use super::super::peer::Peer;
use super::super::trial::{Trial, fresh};
use crate::case::{Step, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    a_board_comes_item_by_item: "7.20" "7.22";
    a_removal_shows_nothing: "7.20" "7.22";
    more_items_than_it_keeps_push_out_the_oldest: "7.20" "7.22";
    whoever_comes_back_gets_what_has_changed: "7.21" "7.22";
    however_old_a_position_is_it_is_continued: "7.21" "7.22";
    a_lost_epoch_is_a_reset_from_the_oldest_event: "7.21" "7.6";
    a_little_credit_brings_all_of_a_board: "7.21" "7.8";
    a_follower_at_the_head_is_told_each_change: "7.22" "7.20";
    the_last_changes_come_instead_of_the_board: "7.25" "7.21";
}

/// How many items a board of the application keeps.
const ITEMS: usize = 8;

/// What a client holds of a board: each item's `ts`, and its text if it is not removed.
type Board = BTreeMap<String, (u64, Option<String>)>;

async fn place(peer: &mut Peer, board: &str, item: &str, text: &str) -> Step {
    peer.call("5.7", "place", json!({ "board": board, "item": item, "text": text })).await?;
    peer.ack().await;
    Ok(())
}

/// What is there of it.
fn shown(board: &Board) -> BTreeMap<&str, &str> {
    let there = board.iter().filter_map(|(item, (_, text))| Some((&**item, text.as_deref()?)));
    there.collect()
}

fn expected<const N: usize>(
    items: [(&'static str, &'static str); N],
) -> BTreeMap<&'static str, &'static str> {
    items.into()
}

/// Takes events, and finishes with each, until the board is complete.
async fn complete(peer: &mut Peer, sub: u64, board: &mut Board) -> Step {
    loop {
        let of = |frame: &crate::frame::Frame| matches!(frame.kind, kind::EVENT | kind::COMPLETE);
        let frame = peer.take("7.22", "COMPLETE, or what comes before it", of).await?;
        if frame.kind == kind::COMPLETE {
            let floor = frame.number(1);
            board.retain(|_, (ts, _)| *ts > floor);
            return Ok(());
        }
        take_in(board, frame.number(1), &frame.body());
        peer.finish(sub).await;
    }
}

fn take_in(board: &mut Board, ts: u64, body: &Value) {
    let item = body["item"].as_str().unwrap_or_default().to_owned();
    board.insert(item, (ts, body["text"].as_str().map(str::to_owned)));
    while board.len() > ITEMS {
        let oldest = board.iter().min_by_key(|(_, (ts, _))| *ts).map(|(item, _)| item.clone());
        board.remove(&oldest.unwrap_or_default());
    }
}

/// Follows a board from its beginning.
async fn follow(peer: &mut Peer, board: &str) -> Step<(u64, Board)> {
    let sub = peer.subscribe("board", board, None).await;
    let subscribed = peer.subscribed("7.20", sub).await?;
    ensure!("7.20", subscribed["items"] == ITEMS, "not keyed: {subscribed}");
    let begins = subscribed["reset"] == "initial" && subscribed["snapshot"] == false;
    ensure!("7.21", begins, "a first SUBSCRIBED of a keyed topic: {subscribed}");
    let mut held = Board::new();
    complete(peer, sub, &mut held).await?;
    Ok((sub, held))
}

async fn a_board_comes_item_by_item(trial: &Trial) -> Step {
    let (mut peer, board) = (trial.peer().await?, fresh("board"));
    for (item, text) in [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("a", "5")] {
        place(&mut peer, &board, item, text).await?;
    }
    let (_, held) = follow(&mut peer, &board).await?;
    let all = expected([("a", "5"), ("b", "2"), ("c", "4")]);
    ensure!("7.22", shown(&held) == all, "the board is {held:?}");
    let (_, empty) = follow(&mut peer, &fresh("board")).await?;
    ensure!("7.22", empty.is_empty(), "an empty board is {empty:?}");
    Ok(())
}

async fn a_removal_shows_nothing(trial: &Trial) -> Step {
    let (mut peer, board) = (trial.peer().await?, fresh("board"));
    for (item, text) in [("a", "1"), ("b", "2"), ("a", ""), ("c", ""), ("b", "3")] {
        place(&mut peer, &board, item, text).await?;
    }
    let (_, held) = follow(&mut peer, &board).await?;
    ensure!("7.20", shown(&held) == expected([("b", "3")]), "the board is {held:?}");
    Ok(())
}

async fn more_items_than_it_keeps_push_out_the_oldest(trial: &Trial) -> Step {
    let (mut peer, board) = (trial.peer().await?, fresh("board"));
    for item in ["a", "b", "c", "a", "d", "e", "f", "g", "h", "i"] {
        place(&mut peer, &board, item, item).await?;
    }
    let (_, held) = follow(&mut peer, &board).await?;
    let items: Vec<&str> = shown(&held).into_keys().collect();
    ensure!("7.20", items == ["a", "c", "d", "e", "f", "g", "h", "i"], "the board is {held:?}");
    Ok(())
}

/// Comes back with what it held, from where it was.
async fn comes_back(
    peer: &mut Peer,
    board: &str,
    from: Option<(String, u64)>,
    held: &mut Board,
) -> Step {
    let sub = peer.subscribe("board", board, from).await;
    let subscribed = peer.subscribed("7.21", sub).await?;
    let goes_on = subscribed["reset"].is_null();
    ensure!("7.21", goes_on, "a position of this epoch is not continued: {subscribed}");
    complete(peer, sub, held).await
}

async fn whoever_comes_back_gets_what_has_changed(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let board = fresh("board");
    let mut peer = server.attach(Me::new("ann")).await?;
    for (item, text) in [("a", "1"), ("b", "2"), ("c", "3")] {
        place(&mut peer, &board, item, text).await?;
    }
    let (sub, mut held) = follow(&mut peer, &board).await?;
    let from = peer.reached(sub);
    let mut other = server.attach(Me::new("bob")).await?;
    peer = server.resume(peer.cut()).await?;
    for (item, text) in [("b", "4"), ("c", ""), ("d", "5"), ("b", "6")] {
        place(&mut other, &board, item, text).await?;
    }
    comes_back(&mut peer, &board, from, &mut held).await?;
    let all = expected([("a", "1"), ("b", "6"), ("d", "5")]);
    ensure!("7.22", shown(&held) == all, "the board is {held:?}");
    Ok(())
}

async fn however_old_a_position_is_it_is_continued(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let board = fresh("board");
    let mut peer = server.attach(Me::new("ann")).await?;
    place(&mut peer, &board, "old", "0").await?;
    place(&mut peer, &board, "kept", "0").await?;
    let (sub, mut held) = follow(&mut peer, &board).await?;
    let from = peer.reached(sub);
    let mut other = server.attach(Me::new("bob")).await?;
    peer = server.resume(peer.cut()).await?;
    // More than any server keeps, and "old" is not among what it keeps.
    for round in 0..12 {
        for item in ["kept", "a", "b", "c", "d", "e", "f", "g"] {
            place(&mut other, &board, item, &round.to_string()).await?;
        }
    }
    comes_back(&mut peer, &board, from, &mut held).await?;
    let eleven = ["kept", "a", "b", "c", "d", "e", "f", "g"].map(|item| (item, "11"));
    ensure!("7.21", shown(&held) == expected(eleven), "the board is {held:?}");
    Ok(())
}

async fn a_lost_epoch_is_a_reset_from_the_oldest_event(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let board = fresh("board");
    let mut peer = server.attach(Me::new("ann")).await?;
    place(&mut peer, &board, "a", "1").await?;
    place(&mut peer, &board, "b", "2").await?;
    let from = Some(("00000000000000e9".to_owned(), 77));
    let sub = peer.subscribe("board", &board, from).await;
    let subscribed = peer.subscribed("7.21", sub).await?;
    let anew = subscribed["reset"] == "epoch" && subscribed["snapshot"] == false;
    ensure!("7.21", anew, "a position of another epoch: {subscribed}");
    let mut held = Board::new();
    complete(&mut peer, sub, &mut held).await?;
    let all = expected([("a", "1"), ("b", "2")]);
    ensure!("7.21", shown(&held) == all, "the board is {held:?}");
    Ok(())
}

async fn a_little_credit_brings_all_of_a_board(trial: &Trial) -> Step {
    let (mut peer, board) = (trial.peer().await?, fresh("board"));
    for round in 0..10 {
        for item in ["a", "b", "c", "d"] {
            place(&mut peer, &board, item, &round.to_string()).await?;
        }
    }
    let sub = peer.subscribe_with("board", &board, None, (1, 1_000_000)).await;
    peer.subscribed("7.20", sub).await?;
    let mut held = Board::new();
    complete(&mut peer, sub, &mut held).await?;
    let nine = ["a", "b", "c", "d"].map(|item| (item, "9"));
    ensure!("7.21", shown(&held) == expected(nine), "the board is {held:?}");
    Ok(())
}

async fn a_follower_at_the_head_is_told_each_change(trial: &Trial) -> Step {
    let server = trial.server().await?;
    let board = fresh("board");
    let mut peer = server.attach(Me::new("ann")).await?;
    let (_, mut held) = follow(&mut peer, &board).await?;
    let mut other = server.attach(Me::new("bob")).await?;
    for (item, text) in [("a", "1"), ("a", "2"), ("b", "3"), ("a", "")] {
        place(&mut other, &board, item, text).await?;
        let event = peer.event("7.22").await?;
        take_in(&mut held, event.number(1), &event.body());
    }
    ensure!("7.20", shown(&held) == expected([("b", "3")]), "the board is {held:?}");
    Ok(())
}

async fn the_last_changes_come_instead_of_the_board(trial: &Trial) -> Step {
    let mut peer = trial.peer().await?;
    let placed = [("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), ("c", "5"), ("b", "")];
    let all: [(u64, &[(&str, &str)]); 4] = [
        (0, &[]),
        (2, &[("c", "5")]),
        (4, &[("a", "3"), ("c", "5")]),
        (1_000_000, &[("a", "3"), ("c", "5")]),
    ];
    for (last, items) in all {
        let board = fresh("board");
        for (item, text) in placed {
            place(&mut peer, &board, item, text).await?;
        }
        let sub = peer.subscribe_last("board", &board, last).await;
        let told = peer.subscribed("7.25", sub).await?;
        let begins = told["reset"] == "initial" && told["snapshot"] == false;
        ensure!("7.25", begins && told["items"] == ITEMS, "the last {last} changes: {told}");
        // What was superseded may be gone, so that it begins later.
        let ts = told["ts"].as_u64().unwrap_or_default();
        let late = if last == 1_000_000 { 0..=2 } else { 6 - last..=6 - last };
        ensure!("7.25", late.contains(&ts) && told["head"] == 6, "the last {last} of 6: {told}");
        let mut held = Board::new();
        complete(&mut peer, sub, &mut held).await?;
        let due: BTreeMap<&str, &str> = items.iter().copied().collect();
        ensure!("7.25", shown(&held) == due, "the last {last} changes leave {held:?}");
        place(&mut peer, &board, "b", "").await?;
        let event = peer.event("7.25").await?;
        ensure!("7.25", event.body()["item"] == "b", "the next change: {}", event.text);
        peer.unsubscribe(sub).await;
    }
    Ok(())
}
