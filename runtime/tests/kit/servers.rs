//! Servers that end and begin, several on one store, and what a seed repeats.

use std::time::Duration;

use futures_util::StreamExt;
use steadfast::Codec;
use steadfast::client::{CallError, ConnectionState, Item, SnapshotReason};
use steadfast::server::Attempt;
use steadfast::store::MemoryStore;
use steadfast::test::{Net, Way};
use tokio::time::sleep;

use super::board::*;

#[tokio::test(start_paused = true)]
async fn a_restart_on_the_same_store_loses_nothing_and_what_ran_runs_again() {
    let world = World::new(1);
    let ada = world.connect().await;
    let mut notes = ada.subscribe(Board(7)).await.unwrap();
    notes.next().await.unwrap();
    assert_eq!(ada.pin(7, "first".into()).await, Ok(1));
    let call = ada.pin_slowly(7, 5_000);
    world.net.until("the handler runs", || world.deeds.begun() == 1).await;
    world.host.restart();
    assert_eq!(world.net.within("the answer", call).await, Ok(2));
    assert_eq!(*world.deeds.begun.lock().unwrap(), [Attempt::First, Attempt::MaybeRetry]);
    assert_eq!(world.deeds.pins(), 2, "the handler of the killed server stopped where it was");
    for expected in ["first", "slow"] {
        match world.net.within("an event", notes.next()).await {
            Some(Item::Event(BoardEvent::Pinned { text, .. })) => assert_eq!(text, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_that_a_killed_server_still_does_reaches_its_store() {
    let world = World::new(2);
    let ada = world.connect().await;
    world.host.store().slow(Duration::from_secs(2));
    let call = ada.pin(7, "tea".into());
    world.net.until("it ran", || world.deeds.pins() == 1).await;
    world.host.crash();
    world.host.store().heal();
    sleep(Duration::from_secs(3)).await;
    assert_eq!(world.host.recorded(), 0);
    assert!(!world.host.is_up());
    world.host.start();
    assert_eq!(
        world.net.within("the answer", call).await,
        Ok(2),
        "as nobody knew of the first run"
    );
    assert_eq!(world.host.recorded(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_store_a_restart_makes_outcomes_unknown_and_topics_anew() {
    let (net, deeds) = (Net::new(3), Deeds::default());
    let serving = deeds.clone();
    let host = net.serve("boards", move || boards(&serving, &MemoryStore::default()));
    let builder = BoardClient::builder(host.url()).token(|_| async { "ada" });
    let ada = net.line("ada").client(builder).connect().await.unwrap();
    let mut notes = ada.subscribe(Board(7)).await.unwrap();
    notes.next().await.unwrap();
    let call = ada.pin_slowly(7, 5_000);
    net.until("the handler runs", || deeds.begun() == 1).await;
    host.restart();
    assert_eq!(net.within("the answer", call).await, Err(CallError::OutcomeUnknown));
    match net.within("the state", notes.next()).await {
        Some(Item::Snapshot { reason: SnapshotReason::Gap(_), .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_drains_is_left_in_order_and_comes_back_to_when_it_starts() {
    let world = World::new(4);
    let ada = world.connect().await;
    let call = ada.pin_slowly(7, 3_000);
    world.net.until("the handler runs", || world.deeds.begun() == 1).await;
    world.host.drain(Duration::from_secs(20)).await;
    assert_eq!((world.deeds.pins(), world.host.recorded()), (1, 1), "what ran is finished");
    assert!(!world.host.is_up());
    assert_eq!(world.line.sockets(), 0);
    world.host.start();
    assert_eq!(world.net.within("the answer", call).await, Ok(1));
    assert_eq!(world.deeds.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn servers_with_one_store_share_their_topics() {
    let (net, deeds, store) = (Net::new(5), Deeds::default(), MemoryStore::default());
    let [left, right] = ["left", "right"].map(|name| {
        let (deeds, store) = (deeds.clone(), store.clone());
        net.serve(name, move || boards(&deeds, &store))
    });
    let connect = |name: &'static str, url: String, codec| {
        let builder = BoardClient::builder(url).token(move |_| async move { name }).codec(codec);
        net.line(name).client(builder).connect()
    };
    let ada = connect("ada", left.url(), Codec::Json).await.unwrap();
    let bo = connect("bo", right.url(), Codec::Binary).await.unwrap();
    let mut notes = bo.subscribe(Board(7)).await.unwrap();
    notes.next().await.unwrap();
    ada.pin(7, "tea".into()).await.unwrap();
    let tea = BoardEvent::Pinned { board: 7, by: "ada".into(), text: "tea".into() };
    match net.within("the event", notes.next()).await {
        Some(Item::Event(event)) => assert_eq!(event, tea),
        other => panic!("{other:?}"),
    }
    right.crash();
    assert!(ada.state().borrow().is_connected(), "the other one goes on");
    ada.pin(7, "milk".into()).await.unwrap();
    right.start();
    match net.within("the event", notes.next()).await {
        Some(Item::Event(BoardEvent::Pinned { text, .. })) => assert_eq!(text, "milk"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_this_net_does_not_have_can_not_be_reached() {
    let world = World::new(6);
    let builder = world.line.client(BoardClient::builder("ws://bords"));
    let client = builder.connect_lazily().unwrap();
    let said = "this net has no server `bords`, but [\"boards\"]";
    world.net.until("a dial", || world.net.trace().iter().any(|line| line.contains(said))).await;
    assert!(!client.state().borrow().is_connected());
}

/// Much goes wrong, and everybody has everything in the end; what the trace says of it.
async fn story(seed: u64, codec: Codec) -> Vec<String> {
    let world = World::new(seed);
    let ada = world.connect_in(codec).await;
    let mut notes = ada.subscribe(Board(7)).await.unwrap();
    notes.next().await.unwrap();
    world.line.lose_answer();
    world.line.latency(Duration::from_millis(20));
    let mut calls = Vec::new();
    for n in 0..6_u64 {
        calls.push(ada.pin(7, format!("{n}")));
        sleep(Duration::from_millis(700)).await;
        match n {
            1 => drop(world.line.cut_after(Way::ToServer, 2)),
            2 => world.host.restart(),
            3 => world.line.stall(Way::ToClient),
            4 => world.line.heal(),
            _ => {}
        }
    }
    for call in calls {
        world.net.within("an answer", call).await.unwrap();
    }
    for _ in 0..6 {
        world.net.within("an event", notes.next()).await.unwrap();
    }
    ada.close().await;
    world.net.until("all is closed", || world.host.server().connections() == 0).await;
    assert_eq!((world.deeds.pins(), world.host.recorded()), (6, 6));
    world.net.trace()
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_a_run_line_by_line() {
    for codec in Codec::ALL {
        let once = story(1, codec).await;
        assert!(once.len() > 60, "{once:#?}");
        assert_eq!(once, story(1, codec).await);
        assert_ne!(once, story(2, codec).await, "another seed has other delays");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_the_seed_nothing_is_lost_or_doubled() {
    for seed in 0..32 {
        story(seed, Codec::ALL[seed as usize % 2]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_has_its_url_and_two_can_not_have_one_name() {
    let world = World::new(7);
    assert_eq!(world.host.url(), "ws://boards");
    let (store, deeds) = (MemoryStore::default(), Deeds::default());
    let twice = std::panic::AssertUnwindSafe(|| {
        world.net.serve("boards", move || boards(&deeds, &store));
    });
    assert!(std::panic::catch_unwind(twice).is_err());
    let ada = world.connect().await;
    world.host.start();
    assert!(matches!(*ada.state().borrow(), ConnectionState::Connected { .. }), "it was up");
}
