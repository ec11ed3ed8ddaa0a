//! Several servers that share a store.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use steadfast::server::Builder;
use steadfast::session::store::{OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::store::{Advanced, MemoryStore, News, Store};
use steadfast::wire::{Epoch, Name, Position, TopicSeq};
use steadfast_e2e::{Decidedly, Stage, TallyCommand, eventually, follow_tail, hears, within};

const LIST: &str = "list";

/// A server on a store. Only the store's hints tell it in time what other servers publish.
async fn on(store: impl Store) -> Stage {
    let settings = move |builder: Builder<TallyCommand>| -> Decidedly {
        builder
            .store(store)
            .configure(|config| config.heads_every = Duration::from_secs(3_600))
            .allow_anonymous()
    };
    Stage::with(settings).await
}

#[tokio::test]
async fn what_one_server_publishes_reaches_the_followers_of_another_without_a_timer() {
    let store = MemoryStore::default();
    let (one, other) = (on(store.clone()).await, on(store).await);
    let (at_one, at_other) = (one.connect().await, other.connect().await);
    let (mut here, mut there) =
        (follow_tail(&at_one, LIST).await, follow_tail(&at_other, LIST).await);
    for value in 1..=20 {
        let teller = if value % 2 == 0 { &at_one } else { &at_other };
        within(teller.add(LIST.into(), value)).await.unwrap();
        hears(&mut here, value).await;
        hears(&mut there, value).await;
    }
}

/// How a store behaves when it is asked for news.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// It panics once, and then does what it should.
    Panics,
    /// It answers always and at once, about a topic that nobody follows.
    Chatters,
    /// It answers once with nothing, and then does what it should.
    Empty,
    Quiet,
}

#[derive(Clone)]
struct Moody {
    store: Arc<MemoryStore>,
    mood: Mood,
    asked: Arc<AtomicUsize>,
}

impl Moody {
    fn new(store: MemoryStore, mood: Mood) -> Self {
        Self { store: Arc::new(store), mood, asked: Arc::default() }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

impl Store for Moody {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.store.execute(batch).await
    }

    async fn news(&self) -> News {
        let first = self.asked.fetch_add(1, Ordering::Relaxed) == 0;
        match self.mood {
            Mood::Panics if first => panic!("as the test wants it"),
            Mood::Empty if first => News::Advanced(Vec::new()),
            Mood::Chatters => {
                let topic =
                    TopicId { name: Name::from_static("tail").unwrap(), key: "nobody's".into() };
                let head = Position { epoch: Epoch(1), ts: TopicSeq(1) };
                News::Advanced(vec![Advanced { topic, head, entries: Vec::new() }])
            }
            _ => self.store.news().await,
        }
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.store.interest(topic, interested);
    }
}

#[tokio::test]
async fn a_store_that_panicked_or_said_nothing_is_asked_again() {
    for mood in [Mood::Panics, Mood::Empty] {
        let store = MemoryStore::default();
        let moody = Moody::new(store.clone(), mood);
        let (one, other) = (on(store).await, on(moody.clone()).await);
        let (at_one, at_other) = (one.connect().await, other.connect().await);
        let mut there = follow_tail(&at_other, LIST).await;
        eventually(|| moody.asked() >= 1).await;
        within(at_one.add(LIST.into(), 1)).await.unwrap();
        hears(&mut there, 1).await;
        assert_eq!(within(at_other.echo("alive".into())).await, Ok("alive".to_owned()));
    }
}

#[tokio::test]
async fn a_store_that_always_has_news_starves_nobody() {
    let moody = Moody::new(MemoryStore::default(), Mood::Chatters);
    let stage = on(moody.clone()).await;
    let client = stage.connect().await;
    let mut tail = follow_tail(&client, LIST).await;
    for value in 1..=20 {
        within(client.add(LIST.into(), value)).await.unwrap();
        hears(&mut tail, value).await;
    }
    let asked = moody.asked();
    eventually(|| moody.asked() > asked + 1_000).await;
}

#[tokio::test]
async fn a_server_that_is_gone_lets_go_of_its_store() {
    let moody = Moody::new(MemoryStore::default(), Mood::Quiet);
    let held = Arc::downgrade(&moody.store);
    let stage = on(moody.clone()).await;
    let client = stage.connect().await;
    eventually(|| moody.asked() >= 1).await;
    drop(moody);
    drop(client);
    assert!(held.upgrade().is_some());
    drop(stage);
    eventually(|| held.upgrade().is_none()).await;
}
