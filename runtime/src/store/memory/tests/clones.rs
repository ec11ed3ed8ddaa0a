//! Clones of a store: nodes that share one hear what the others append.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::store::{Advanced, MemoryStore, Store};

fn store(limits: MemoryLimits) -> MemoryStore {
    MemoryStore::new(limits, Arc::new(|| Now(5)))
}

fn apply(store: &MemoryStore, op: StoreOp) -> StoreOutcome {
    store.execute_at_once(op).expect("it answers at once")
}

fn open(store: &MemoryStore, key: &str) {
    let op = StoreOp::OpenTopic { topic: topic(key), fresh_epoch: Epoch(1), retention: KEPT };
    assert!(matches!(apply(store, op), StoreOutcome::Topic(_)));
}

fn publish(store: &MemoryStore, count: u64, key: &str) {
    let (publication, key) = (event(key, "x"), AppendKey::Direct { node: 1, count });
    let op = StoreOp::Append { key, publication, retention: KEPT, fresh_epoch: Epoch(1) };
    assert!(matches!(apply(store, op), StoreOutcome::Appended(_)));
}

/// What it has heard; `None` while it waits.
fn heard_with(store: &MemoryStore, waker: &Waker) -> Option<Vec<(String, u64)>> {
    let mut news = Box::pin(store.advanced());
    match news.as_mut().poll(&mut Context::from_waker(waker)) {
        Poll::Ready(news) => {
            let shown = |Advanced { topic, head }: Advanced| (topic.key.to_string(), head.ts.0);
            Some(news.into_iter().map(shown).collect())
        }
        Poll::Pending => None,
    }
}

fn heard(store: &MemoryStore) -> Option<Vec<(String, u64)>> {
    heard_with(store, Waker::noop())
}

fn at(key: &str, ts: u64) -> (String, u64) {
    (key.to_owned(), ts)
}

#[test]
fn a_clone_hears_what_the_others_append_and_not_what_it_appended_itself() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    assert_eq!((heard(&one), heard(&other)), (None, None));
    publish(&one, 1, "a");
    publish(&one, 2, "a");
    publish(&one, 3, "b");
    assert_eq!((heard(&one), heard(&other)), (None, Some(vec![at("a", 2), at("b", 1)])));
    assert_eq!(heard(&other), None);
    publish(&other, 4, "a");
    assert_eq!((heard(&one), heard(&other)), (Some(vec![at("a", 3)]), None));
}

/// A node opens a topic before it reads it, and may ask for news later.
#[test]
fn a_clone_hears_from_the_first_topic_that_it_opened_on() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    publish(&one, 1, "a");
    open(&other, "a");
    publish(&one, 2, "a");
    assert_eq!(heard(&other), Some(vec![at("a", 2)]));
}

#[test]
fn what_a_commit_published_is_heard() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    open(&other, "a");
    let issued = StoreOp::OpenLease {
        id: lease(1),
        principal: "ann".into(),
        codec: Codec::Json,
        ttl_ms: TTL,
        unused_ttl_ms: UNUSED_TTL,
        max_per_principal: 2,
        held_ms: HELD,
    };
    apply(&one, issued);
    let record = record(&[event("a", "x"), event("b", "x")]);
    let (retention, fresh_epochs) = (vec![KEPT; 2], vec![Epoch(1); 2]);
    let commits = vec![Commit { n: CommandNo(1), record, settle: true, retention, fresh_epochs }];
    apply(&one, StoreOp::Commit { lease: lease(1), low: CommandNo(1), commits });
    assert_eq!(heard(&other), Some(vec![at("a", 1), at("b", 1)]));
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn whoever_waits_is_woken_and_a_wait_that_is_dropped_loses_nothing() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    assert_eq!(heard_with(&other, &Arc::clone(&count).into()), None);
    publish(&one, 1, "a");
    publish(&one, 2, "a");
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(heard(&other), Some(vec![at("a", 2)]));
}

#[test]
fn what_nobody_asks_for_is_bounded_by_the_number_of_topics_and_goes_with_its_clone() {
    let one = store(MemoryLimits { topics: 2, ..MemoryLimits::default() });
    let other = one.clone();
    open(&other, "z");
    for (count, key) in (1..).zip(["a", "b", "c", "d"]) {
        publish(&one, count, key);
    }
    assert_eq!(heard(&other).map(|news| news.len()), Some(2));
    drop(other);
    assert_eq!(one.listeners(), 0);
}
