//! Sections 7.20 to 7.24: a client that keeps the state of a keyed topic. One that keeps none has
//! nothing to show here.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::peer::{EPOCH, Peer};
use super::super::trial::{Client, Trial};
use crate::case::{Step, Stop, cases, ensure};
use crate::frame::kind;

cases! { Trial;
    a_mirror_is_live_from_complete_on: "7.22" "7.23";
    a_skip_ends_that_and_takes_no_credit: "7.21" "7.23";
    a_lost_socket_ends_that_and_the_items_stay: "7.23" "7.21";
    a_gap_begins_with_nothing: "7.23";
    a_removal_takes_its_item: "7.20" "7.22";
    what_is_not_above_the_floor_is_gone: "7.22" "7.20";
    beyond_its_items_the_oldest_goes: "7.24" "7.20";
    a_floor_that_was_not_reached_closes_with_4410: "7.22" "8.1";
    complete_says_nothing_of_another_topic: "7.22";
}

/// How many items the board keeps, as SUBSCRIBED says here.
const ITEMS: u64 = 3;

/// What an application has been told of its board.
#[derive(Default)]
struct Board {
    items: BTreeMap<String, String>,
    live: bool,
}

impl Board {
    /// Takes what the application is told next.
    async fn told(&mut self, client: &mut Client, sub: u64, clause: &'static str) -> Step<Value> {
        let item = client.item(clause, sub).await?;
        self.take(&item);
        Ok(item)
    }

    fn take(&mut self, told: &Value) {
        let text = |of: &str| told[of].as_str().map(str::to_owned);
        match (told["item"].as_str(), text("name"), text("text")) {
            (Some("changed"), Some(name), Some(text)) => drop(self.items.insert(name, text)),
            (Some("changed"), Some(name), None) => drop(self.items.remove(&name)),
            (Some("live"), ..) => self.live = true,
            (Some("behind"), ..) => self.live = false,
            (Some("gap"), ..) => *self = Self::default(),
            _ => {}
        }
    }

    /// Takes all that the application is told until the board is live.
    async fn lives(&mut self, client: &mut Client, sub: u64, clause: &'static str) -> Step {
        for _ in 0..20 {
            if self.told(client, sub, clause).await?["item"] == "live" {
                return Ok(());
            }
        }
        Err(Stop::broken(clause, "the board is not live, whatever came"))
    }

    fn shows<const N: usize>(&self, clause: &'static str, items: [(&str, &str); N]) -> Step {
        let all: BTreeMap<_, _> =
            items.iter().map(|(item, text)| ((*item).to_owned(), (*text).to_owned())).collect();
        ensure!(clause, self.items == all, "the board shows {:?}, not {all:?}", self.items);
        Ok(())
    }
}

async fn subscribed(peer: &mut Peer, asked: &Value, number: u64, ts: u64, reset: Option<&str>) {
    let mut answer = json!({
        "sub": asked["sub"], "number": number, "epoch": EPOCH, "ts": ts, "head": ts,
        "snapshot": false, "items": ITEMS,
    });
    if let Some(reset) = reset {
        answer["reset"] = json!(reset);
    }
    peer.say(json!([kind::SUBSCRIBED, answer])).await;
}

/// A client that keeps a board under the number 7, which begins right after `ts`.
async fn following(trial: &Trial, ts: u64) -> Step<(Client, Peer, u64)> {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("board").await?;
    let asked = peer.subscribe("7.2").await?;
    subscribed(&mut peer, &asked, 7, ts, Some("initial")).await;
    Ok((client, peer, sub))
}

async fn placed(peer: &mut Peer, ts: u64, item: &str, text: &str) {
    peer.board_event(7, ts, "placed", json!({ "board": "l", "item": item, "text": text })).await;
}

async fn complete(peer: &mut Peer, floor: u64) {
    peer.say(json!([kind::COMPLETE, 7, floor])).await;
}

async fn a_mirror_is_live_from_complete_on(trial: &Trial) -> Step {
    let (mut client, mut peer, sub) = following(trial, 4).await?;
    placed(&mut peer, 5, "a", "1").await;
    placed(&mut peer, 6, "b", "2").await;
    let mut board = Board::default();
    while board.items.len() < 2 {
        board.told(&mut client, sub, "7.23").await?;
    }
    // Nothing more is to be said until COMPLETE.
    client.take(sub).await?;
    peer.is_alive("7.23").await?;
    ensure!("7.23", !board.live && !client.has_item(sub), "half a board is told to be whole");
    complete(&mut peer, 4).await;
    let told = client.taken("7.22", sub).await?;
    ensure!("7.23", told["item"] == "live", "COMPLETE was told as {told}");
    placed(&mut peer, 7, "a", "3").await;
    board.take(&told);
    board.told(&mut client, sub, "7.23").await?;
    ensure!("7.23", board.live, "an event in its turn is no reason not to be live");
    board.shows("7.22", [("a", "3"), ("b", "2")])
}

async fn a_skip_ends_that_and_takes_no_credit(trial: &Trial) -> Step {
    let (mut client, mut peer, sub) = following(trial, 0).await?;
    placed(&mut peer, 1, "a", "1").await;
    complete(&mut peer, 0).await;
    let mut board = Board::default();
    board.lives(&mut client, sub, "7.22").await?;
    // Far more numbers than any client gives credit for.
    peer.say(json!([kind::SKIP, 7, 8_000_000_000_u64])).await;
    placed(&mut peer, 8_000_000_001, "b", "2").await;
    peer.is_alive("7.21").await?;
    let told = board.told(&mut client, sub, "7.23").await?;
    ensure!("7.23", !board.live, "after SKIP the application was told {told}");
    complete(&mut peer, 0).await;
    board.lives(&mut client, sub, "7.22").await?;
    board.shows("7.21", [("a", "1"), ("b", "2")])
}

async fn a_lost_socket_ends_that_and_the_items_stay(trial: &Trial) -> Step {
    let (mut client, mut peer, sub) = following(trial, 0).await?;
    placed(&mut peer, 1, "a", "1").await;
    placed(&mut peer, 2, "b", "2").await;
    complete(&mut peer, 0).await;
    let mut board = Board::default();
    board.lives(&mut client, sub, "7.22").await?;
    client.take(sub).await?;
    peer.is_alive("7.23").await?;
    peer.line.socket.cut();
    let told = client.taken("7.23", sub).await?;
    ensure!("7.23", told["item"] == "behind", "without a connection it was told {told}");
    board.take(&told);
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    let from = json!({ "epoch": EPOCH, "ts": 2 });
    ensure!("7.21", asked["from"] == from, "it goes on from {}", asked["from"]);
    subscribed(&mut peer, &asked, 7, 2, None).await;
    placed(&mut peer, 3, "b", "3").await;
    complete(&mut peer, 0).await;
    board.lives(&mut client, sub, "7.22").await?;
    board.shows("7.23", [("a", "1"), ("b", "3")])
}

async fn a_gap_begins_with_nothing(trial: &Trial) -> Step {
    let (mut client, mut peer, sub) = following(trial, 0).await?;
    placed(&mut peer, 1, "a", "1").await;
    complete(&mut peer, 0).await;
    let mut board = Board::default();
    board.lives(&mut client, sub, "7.22").await?;
    peer.is_alive("7.23").await?;
    peer.line.socket.cut();
    let mut peer = client.attach().await?;
    let asked = peer.subscribe("7.2").await?;
    subscribed(&mut peer, &asked, 7, 0, Some("epoch")).await;
    placed(&mut peer, 1, "b", "2").await;
    complete(&mut peer, 0).await;
    board.lives(&mut client, sub, "7.23").await?;
    board.shows("7.23", [("b", "2")])
}

async fn a_removal_takes_its_item(trial: &Trial) -> Step {
    let (mut client, mut peer, sub) = following(trial, 0).await?;
    placed(&mut peer, 1, "a", "1").await;
    placed(&mut peer, 2, "b", "2").await;
    peer.board_event(7, 3, "cleared", json!({ "board": "l", "item": "a" })).await;
    complete(&mut peer, 0).await;
    let mut board = Board::default();
    board.lives(&mut client, sub, "7.22").await?;
    board.shows("7.20", [("b", "2")])
}

async fn what_is_not_above_the_floor_is_gone(trial: &Trial) -> Step {
    let (mut client, mut peer, sub) = following(trial, 0).await?;
    for (ts, item) in [(1, "a"), (2, "b"), (3, "c")] {
        placed(&mut peer, ts, item, "x").await;
    }
    complete(&mut peer, 1).await;
    let mut board = Board::default();
    board.lives(&mut client, sub, "7.22").await?;
    board.shows("7.22", [("b", "x"), ("c", "x")])?;
    complete(&mut peer, 2).await;
    board.told(&mut client, sub, "7.22").await?;
    ensure!("7.22", board.live, "a floor that rises is no reason not to be live");
    board.shows("7.22", [("c", "x")])
}

async fn beyond_its_items_the_oldest_goes(trial: &Trial) -> Step {
    let (mut client, mut peer, sub) = following(trial, 0).await?;
    for (ts, item) in [(1, "a"), (2, "b"), (3, "a"), (4, "c")] {
        placed(&mut peer, ts, item, "x").await;
    }
    // It counts, though nobody has seen the item.
    peer.board_event(7, 5, "cleared", json!({ "board": "l", "item": "d" })).await;
    complete(&mut peer, 0).await;
    let mut board = Board::default();
    board.lives(&mut client, sub, "7.22").await?;
    board.shows("7.24", [("a", "x"), ("c", "x")])
}

async fn a_floor_that_was_not_reached_closes_with_4410(trial: &Trial) -> Step {
    let (_client, mut peer, _) = following(trial, 4).await?;
    complete(&mut peer, 5).await;
    peer.closes_with("7.22", 4410).await
}

async fn complete_says_nothing_of_another_topic(trial: &Trial) -> Step {
    let (mut client, mut peer) = trial.attached().await?;
    let sub = client.subscribe("log").await?;
    peer.accept_log().await?;
    peer.event(7, 1, "1").await;
    complete(&mut peer, 1_000).await;
    peer.event(7, 2, "2").await;
    client.sees("7.22", sub, "1").await?;
    client.sees("7.22", sub, "2").await
}
