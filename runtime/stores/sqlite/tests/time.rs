//! Time counts while the store is open, and what is over goes. The clock stands still until a test
//! sets it.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::time::Duration;

use steadfast::session::store::{
    Append, AppendKey, AppendOutcome, Appended, Generation, Holder, ReadFrom, Retention, StoreOp,
    StoreOutcome, StoreTime, TopicId,
};
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name, TopicSeq};
use steadfast_sqlite::{LocalLimits, LocalSettings, LocalStore};
use support::{Hand, Place, ask};

const ID: LeaseId = LeaseId(5);
const TTL_MS: u64 = 10_000;

fn open(place: &Place, hand: &Hand) -> LocalStore {
    let mut limits = LocalLimits::default();
    limits.direct_keys = Duration::from_millis(TTL_MS);
    limits.topic_memory = Duration::from_millis(TTL_MS);
    LocalStore::builder(place.file()).limits(limits).clock(hand.clock()).open().unwrap()
}

async fn open_lease(store: &LocalStore) {
    let op = StoreOp::OpenLease {
        id: ID,
        as_of: StoreTime::default(),
        holder: Holder { node: 1, instance: InstanceId(1), dial: Dial(1) },
        principal: "ann".into(),
        codec: Codec::Json,
        ttl_ms: TTL_MS,
        unused_ttl_ms: TTL_MS,
        max_per_principal: 8,
        held_ms: TTL_MS,
    };
    assert!(matches!(ask(store, op).await, StoreOutcome::Lease { .. }));
}

async fn lives(store: &LocalStore) -> bool {
    let op =
        StoreOp::RenewLease { id: ID, generation: Generation(1), held: true, low: CommandNo(1) };
    matches!(ask(store, op).await, StoreOutcome::Lease { .. })
}

fn topic() -> TopicId {
    TopicId { name: Name::from_static("room").unwrap(), key: "".into() }
}

async fn say(store: &LocalStore, count: u64, epoch: u64) -> Appended {
    let name = Name::from_static("said").unwrap();
    let bodies = vec![(Codec::Json, Body::copy_from(b"{}"))];
    let key = AppendKey::Direct { node: 1, count };
    let (topic, appends) = (topic(), vec![Append { key, as_of: None, name, bodies }]);
    let retention = Retention::new(100, Duration::from_millis(TTL_MS));
    let fresh_epoch = Epoch(epoch);
    match ask(store, StoreOp::Append { topic, appends, retention, fresh_epoch }).await {
        StoreOutcome::Appended(outcomes) => match outcomes[..] {
            [AppendOutcome::Landed(at)] => at,
            _ => panic!("{outcomes:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Numbers of the entries that can be read.
async fn entries(store: &LocalStore) -> Vec<u64> {
    let (from, epoch) = (ReadFrom::After(TopicSeq(0)), Epoch(7));
    let op = StoreOp::ReadLog { topic: topic(), epoch, from, max: 100, max_bytes: 10_000 };
    match ask(store, op).await {
        StoreOutcome::Log { head, entries } => {
            let numbers: Vec<u64> = entries.iter().map(|entry| entry.ts.0).collect();
            let oldest = numbers.first().copied().unwrap_or(head.head.0 + 1);
            assert_eq!(head.oldest.0, oldest, "oldest says where the log begins");
            numbers
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lease_ends_when_its_time_is_over() {
    let (place, hand) = (Place::new(), Hand::default());
    let store = open(&place, &hand);
    open_lease(&store).await;
    hand.go_on(TTL_MS - 1);
    assert!(lives(&store).await, "and this counts as contact");
    hand.go_on(TTL_MS - 1);
    assert!(lives(&store).await);
    hand.go_on(TTL_MS);
    assert!(!lives(&store).await);
}

#[tokio::test]
async fn time_counts_only_while_the_store_is_open() {
    let (place, hand) = (Place::new(), Hand::default());
    let store = open(&place, &hand);
    open_lease(&store).await;
    say(&store, 1, 7).await;
    hand.go_on(TTL_MS - 2);
    drop(store);
    hand.go_on(100 * TTL_MS);
    let store = open(&place, &hand);
    assert_eq!(entries(&store).await, [1]);
    hand.go_on(1);
    assert_eq!(entries(&store).await, [1]);
    hand.go_on(1);
    assert!(entries(&store).await.is_empty());
    assert!(!lives(&store).await);
}

#[tokio::test]
async fn entries_go_by_age_one_after_the_other() {
    let (place, hand) = (Place::new(), Hand::default());
    let store = open(&place, &hand);
    for count in 1..=3 {
        say(&store, count, 7).await;
        hand.go_on(1_000);
    }
    hand.go_on(TTL_MS - 3_000);
    assert_eq!(entries(&store).await, [2, 3]);
    let heads = StoreOp::Heads { topics: vec![topic()] };
    match ask(&store, heads).await {
        StoreOutcome::Heads(heads) => assert_eq!(heads[0].map(|head| head.oldest.0), Some(2)),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_topic_keeps_its_epoch_for_a_while_after_its_last_entry() {
    let (place, hand) = (Place::new(), Hand::default());
    let store = open(&place, &hand);
    assert_eq!(say(&store, 1, 7).await.ts, TopicSeq(1));
    hand.go_on(2 * TTL_MS - 1);
    assert_eq!(say(&store, 2, 8).await, Appended { epoch: Epoch(7), ts: TopicSeq(2) });
    hand.go_on(2 * TTL_MS);
    assert_eq!(say(&store, 3, 8).await, Appended { epoch: Epoch(8), ts: TopicSeq(1) });
}

#[tokio::test]
async fn keys_from_outside_of_commands_are_forgotten_after_their_time() {
    let (place, hand) = (Place::new(), Hand::default());
    let store = open(&place, &hand);
    say(&store, 1, 7).await;
    hand.go_on(TTL_MS - 1);
    assert_eq!(say(&store, 1, 7).await.ts, TopicSeq(1), "it is remembered");
    hand.go_on(1);
    assert_eq!(say(&store, 1, 7).await.ts, TopicSeq(2), "it is forgotten");
}

#[tokio::test]
async fn what_is_over_goes_though_nobody_asks() {
    let (place, hand) = (Place::new(), Hand::default());
    let mut settings = LocalSettings::default();
    settings.look = Duration::from_millis(1);
    let builder = LocalStore::builder(place.file()).settings(settings);
    let store = builder.clock(hand.clock()).open().unwrap();
    open_lease(&store).await;
    assert_eq!(store.metrics().leases, 1);
    hand.go_on(TTL_MS);
    while store.metrics().leases > 0 {
        tokio::task::yield_now().await;
    }
}
