//! What is exported from one store is in the other one, whichever kind either is.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use steadfast::session::Now;
use steadfast::session::store::{
    Append, AppendKey, Commit, CommitId, Holder, LogEntry, MessageId, Outcome, Publication, Record,
    Retention, StoreOp, StoreOutcome, StoreTime, TopicHead, TopicId,
};
use steadfast::store::{
    AgedEntry, Exported, MemoryLimits, MemoryStore, Store, StoreAdmin, TopicPage, export, import,
};
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name, TopicSeq};
use steadfast_sqlite::LocalStore;
use support::{Hand, Place, ask};

const KEPT: Retention = Retention::new(1_000, Duration::from_secs(3_600)).with_bytes(500_000);
const LEASE: LeaseId = LeaseId(77);

fn event(key: &str, text: &str) -> Publication {
    let topic = TopicId { name: Name::from_static("room").unwrap(), key: key.into() };
    let bodies = vec![(Codec::Json, Body::copy_from(text.as_bytes()))];
    Publication { topic, name: Name::from_static("posted").unwrap(), bodies }
}

/// A long log, a short one, an id, and a record whose publication is in no log.
async fn fill(store: &impl Store, hand: &Hand) {
    for count in 0..600 {
        let Publication { topic, name, bodies } = event("long", "{}");
        let appends =
            vec![Append { key: AppendKey::Direct { node: 1, count }, as_of: None, name, bodies }];
        let op = StoreOp::Append { topic, appends, retention: KEPT, fresh_epoch: Epoch(5) };
        assert!(matches!(ask(store, op).await, StoreOutcome::Appended(_)));
        hand.go_on(3);
    }
    let open = StoreOp::OpenLease {
        id: LEASE,
        as_of: StoreTime::default(),
        holder: Holder { node: 1, instance: InstanceId(1), dial: Dial(1) },
        principal: "ann".into(),
        codec: Codec::Json,
        ttl_ms: 90_000,
        unused_ttl_ms: 90_000,
        max_per_principal: 8,
        held_ms: 90_000,
    };
    assert!(matches!(ask(store, open).await, StoreOutcome::Lease { .. }));
    let publishes = [event("short", "\"owed\"")];
    let id = MessageId {
        principal: "ann".into(),
        message: Name::from_static("order").unwrap(),
        text: "x".into(),
    };
    let outcome = Outcome::Ok(Body::copy_from(b"{\"no\":1}"));
    let commit = Commit {
        n: CommandNo(1),
        record: Record { hash: 7, outcome, publishes: publishes.into(), settled: false },
        settle: false,
        retention: vec![KEPT],
        fresh_epochs: vec![Epoch(6)],
        id: Some(Box::new(CommitId { id, hash: 7, keep_ms: 50_000 })),
        decide: None,
    };
    let op = StoreOp::Commit { lease: LEASE, low: CommandNo(0), commits: vec![commit] };
    assert!(matches!(ask(store, op).await, StoreOutcome::Committed { .. }));
    hand.go_on(2_000);
}

async fn all_but_epochs(store: &impl StoreAdmin) -> Vec<String> {
    let mut all = Vec::new();
    for listed in store.list_topics(TopicPage::first(100)).await.unwrap() {
        let page = store.read_back(&listed.topic, None, u32::MAX, u64::MAX).await.unwrap().unwrap();
        let stands = (listed.head.head, listed.head.oldest, listed.bytes, listed.retention);
        all.push(format!("{:?} {stands:?} {:?}", listed.topic, page.entries));
    }
    let ids = store.list_ids(None, 100, 9_999).await.unwrap();
    all.push(format!("{ids:?}"));
    all
}

async fn carried(from: &impl StoreAdmin, to: &impl StoreAdmin) {
    let mut text = Vec::new();
    export(from, &mut text).await.unwrap();
    let figures = import(to, 99, &mut text.as_slice()).await.unwrap();
    assert_eq!((figures.topics, figures.entries, figures.ids), (2, 601, 1));
    assert_eq!(all_but_epochs(from).await, all_but_epochs(to).await);
    assert_eq!(from.figures().log_bytes, to.figures().log_bytes);
    assert_eq!(from.figures().id_bytes, to.figures().id_bytes);
}

#[tokio::test]
async fn what_one_store_has_is_carried_into_another_one_of_any_kind() {
    let (first, second) = (Place::new(), Place::new());
    let hand = Hand::default();
    hand.go_on(10_000);
    let one = LocalStore::builder(first.file()).clock(hand.clock()).open().unwrap();
    fill(&one, &hand).await;
    // The times of these stores begin here: entries keep their ages all the same.
    let clock = hand.clone();
    let two =
        MemoryStore::new(MemoryLimits::default(), Arc::new(move || Now(clock.now().0 - 9_000)));
    carried(&one, &two).await;
    let three = LocalStore::builder(second.file()).clock(hand.clock()).open().unwrap();
    carried(&two, &three).await;
    // It goes on where it was, also after it was closed.
    let before = all_but_epochs(&three).await;
    drop(three);
    let three = LocalStore::builder(second.file()).clock(hand.clock()).open().unwrap();
    assert_eq!(all_but_epochs(&three).await, before);
    hand.go_on(3_600_000);
    let page = three.read_back(&event("long", "").topic, None, 9, 99).await.unwrap().unwrap();
    assert_eq!((page.head.head, page.head.oldest), (TopicSeq(600), TopicSeq(601)));
}

/// Entries go on getting older between one piece and the next.
#[tokio::test]
async fn entries_whose_time_ends_meanwhile_are_left_out() {
    let (place, hand) = (Place::new(), Hand::default());
    let local = LocalStore::builder(place.file()).clock(hand.clock()).open().unwrap();
    let clock = hand.clone();
    let memory = MemoryStore::new(MemoryLimits::default(), Arc::new(move || clock.now()));
    ends_meanwhile(&local, &hand).await;
    ends_meanwhile(&memory, &hand).await;
}

async fn ends_meanwhile(store: &impl StoreAdmin, hand: &Hand) {
    let ttl = 3_600_000;
    let topic = event("t", "").topic;
    let entry = |ts: u64, age_ms: u64| AgedEntry {
        age_ms,
        entry: LogEntry {
            ts: TopicSeq(ts),
            name: Name::from_static("posted").unwrap(),
            bodies: vec![(Codec::Json, Body::UNIT)],
        },
    };
    let head = TopicHead { epoch: Epoch(5), head: TopicSeq(9), oldest: TopicSeq(1) };
    let made = Exported::Topic { topic: topic.clone(), head, retention: KEPT };
    let entries = |of: &[(u64, u64)]| Exported::Entries {
        topic: topic.clone(),
        entries: of.iter().map(|(ts, age)| entry(*ts, *age)).collect(),
    };
    let pieces = vec![made, entries(&[(9, 5), (8, ttl - 20), (7, ttl - 10)])];
    store.import(1, pieces).await.unwrap();
    hand.go_on(15);
    store.import(1, vec![entries(&[(6, ttl - 9), (5, ttl), (4, ttl + 9)])]).await.unwrap_err();
    store.import(1, vec![entries(&[(6, ttl), (5, ttl), (4, ttl + 9)])]).await.unwrap();
    let page = store.read_back(&topic, None, 9, 999).await.unwrap().unwrap();
    let numbers: Vec<u64> = page.entries.iter().map(|aged| aged.entry.ts.0).collect();
    assert_eq!(numbers, [9, 8]);
}
