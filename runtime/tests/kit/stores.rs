//! Stores that fail, are slow, or can't tell; and one with a thread of its own.

use std::time::Duration;

use steadfast::client::Fate;
use steadfast::session::store::{News, OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::store::{MemoryStore, Store};
use steadfast::test::Net;
use tokio::time::{Instant, sleep};

use super::board::*;

#[tokio::test(start_paused = true)]
async fn a_command_waits_for_a_store_that_fails_and_runs_once() {
    let world = World::new(1);
    let ada = world.connect().await;
    ada.pin(7, "warm".into()).await.unwrap();
    let fails = world.host.store().fail();
    let call = ada.pin(7, "tea".into());
    fails.happened().await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!((world.deeds.pins(), world.host.recorded()), (2, 1), "it ran, and has no record");
    assert!(call.fate() < Fate::Done);
    world.host.store().heal();
    assert_eq!(world.net.within("the answer", call).await, Ok(2));
    assert_eq!(world.host.recorded(), 2);
    assert!(fails.times() > 1, "the node asked again");
}

#[tokio::test(start_paused = true)]
async fn an_answer_waits_for_a_store_that_is_slow() {
    let world = World::new(2);
    let ada = world.connect().await;
    ada.pin(7, "warm".into()).await.unwrap();
    world.host.store().slow(Duration::from_millis(400));
    let began = Instant::now();
    assert_eq!(ada.pin(7, "tea".into()).await, Ok(2));
    assert_eq!(began.elapsed().as_millis() / 10, 40);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_can_not_tell_what_it_did_costs_no_second_run() {
    let world = World::new(3);
    let ada = world.connect().await;
    ada.pin(7, "warm".into()).await.unwrap();
    let lost = world.host.store().lose_answers();
    let call = ada.pin(7, "tea".into());
    lost.happened().await;
    world.host.until_recorded(2).await;
    assert!(call.fate() < Fate::Done, "nobody knows it yet");
    world.host.store().heal();
    assert_eq!(world.net.within("the answer", call).await, Ok(2));
    assert_eq!((world.deeds.pins(), world.host.recorded()), (2, 2));
}

/// Answers from a thread of its own, after real time.
struct Elsewhere(MemoryStore);

impl Store for Elsewhere {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let store = self.0.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            let _ = tell.send(store.execute_now(batch));
        });
        told.await.unwrap()
    }

    async fn news(&self) -> News {
        self.0.news().await
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.0.interest(topic, interested);
    }
}

#[tokio::test(start_paused = true)]
async fn paused_time_stands_still_while_a_store_works_in_a_thread_of_its_own() {
    let (net, deeds) = (Net::new(4), Deeds::default());
    let (serving, memory) = (deeds.clone(), MemoryStore::default());
    let host =
        net.serve("boards", move || boards(&serving, &memory).store(Elsewhere(memory.clone())));
    let builder = BoardClient::builder(host.url()).token(|_| async { "ada" });
    let ada = net.line("ada").client(builder).connect().await.unwrap();
    let began = Instant::now();
    for n in 1..=5 {
        assert_eq!(ada.pin(7, "tea".into()).await, Ok(n));
    }
    // Without that each of them would let seconds pass, to the next heartbeat.
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(host.recorded(), 5);
}
