//! Clones of a store: nodes that share one hear what the others append.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::*;
use crate::session::store::{Decide, Decided, DecisionId, OpId, Terms};
use crate::store::{Advanced, Deciding, MemoryStore, News, Store, StoreAdmin};

fn store(limits: MemoryLimits) -> MemoryStore {
    MemoryStore::new(limits, Arc::new(|| Now(5)))
}

fn apply(store: &MemoryStore, op: StoreOp) -> StoreOutcome {
    let mut answers = store.execute_now(vec![(OpId(0), op)]);
    answers.pop().expect("each operation is answered").1
}

fn follow(store: &MemoryStore, keys: &[&str]) {
    keys.iter().for_each(|key| store.interest(&topic(key), true));
}

fn publish(store: &MemoryStore, count: u64, key: &str) {
    let op = append_op(count, event(key, "x"), KEPT, Epoch(1));
    assert!(matches!(apply(store, op), StoreOutcome::Appended(_)));
}

/// What it has heard, in the order of topics: the head, and the numbers of the entries that came
/// with it.
type Heard = Vec<(String, u64, Vec<u64>)>;

fn news_with(store: &MemoryStore, waker: &Waker) -> Option<News> {
    match Box::pin(store.news()).as_mut().poll(&mut Context::from_waker(waker)) {
        Poll::Ready(news) => Some(news),
        Poll::Pending => None,
    }
}

/// `None` while it waits.
fn heard_with(store: &MemoryStore, waker: &Waker) -> Option<Heard> {
    let News::Advanced(topics) = news_with(store, waker)? else { panic!("nothing was missed") };
    let shown = |Advanced { topic, head, entries }: Advanced| {
        let numbers = entries.iter().map(|entry| entry.ts.0).collect();
        (topic.key.to_string(), head.ts.0, numbers)
    };
    Some(topics.into_iter().map(shown).collect())
}

fn heard(store: &MemoryStore) -> Option<Heard> {
    heard_with(store, Waker::noop())
}

fn at(key: &str, head: u64, entries: &[u64]) -> (String, u64, Vec<u64>) {
    (key.to_owned(), head, entries.to_vec())
}

#[test]
fn a_clone_hears_what_the_others_append_and_not_what_it_appended_itself() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    follow(&one, &["a"]);
    follow(&other, &["a", "b"]);
    assert_eq!((heard(&one), heard(&other)), (None, None));
    publish(&one, 1, "a");
    publish(&one, 2, "a");
    publish(&one, 3, "b");
    let all = vec![at("a", 2, &[1, 2]), at("b", 1, &[1])];
    assert_eq!((heard(&one), heard(&other)), (None, Some(all)));
    assert_eq!(heard(&other), None);
    publish(&other, 4, "a");
    assert_eq!((heard(&one), heard(&other)), (Some(vec![at("a", 3, &[3])]), None));
}

#[test]
fn a_clone_hears_of_the_topics_that_it_wants_to_hear_of() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    publish(&one, 1, "a");
    follow(&other, &["a"]);
    publish(&one, 2, "a");
    publish(&one, 3, "b");
    assert_eq!(heard(&other), Some(vec![at("a", 2, &[2])]));
    publish(&one, 4, "a");
    other.interest(&topic("a"), false);
    assert_eq!(heard(&other), None);
}

#[test]
fn every_clone_is_told_of_another_incarnation() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    for clone in [&one, &other] {
        follow(clone, &["a"]);
    }
    publish(&one, 1, "a");
    one.begin_incarnation(7);
    for clone in [&one, &other] {
        assert_eq!(news_with(clone, Waker::noop()), Some(News::Rolled));
        assert_eq!(news_with(clone, Waker::noop()), None);
    }
}

/// Each of them, also the one that the operator has.
#[test]
fn whoever_wants_to_hear_of_a_topic_looks_again_when_it_is_deleted() {
    let one = store(MemoryLimits::default());
    let (other, third) = (one.clone(), one.clone());
    follow(&one, &["a"]);
    follow(&other, &["a"]);
    follow(&third, &["b"]);
    publish(&one, 1, "a");
    let id = topic("a");
    let mut deletion = Box::pin(one.delete_topic(&id));
    let deleted = deletion.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(deleted, Poll::Ready(Ok(true)));
    for clone in [&one, &other] {
        assert_eq!(news_with(clone, Waker::noop()), Some(News::Missed));
        assert_eq!(news_with(clone, Waker::noop()), None);
    }
    assert_eq!(news_with(&third, Waker::noop()), None);
}

/// A lease, of which it has no records.
fn issue(one: &MemoryStore) {
    let issued = StoreOp::OpenLease {
        id: lease(1),
        as_of: StoreTime::default(),
        holder: HOLDER,
        principal: "ann".into(),
        codec: Codec::Json,
        ttl_ms: TTL,
        unused_ttl_ms: UNUSED_TTL,
        max_per_principal: 2,
        held_ms: HELD,
    };
    apply(one, issued);
}

#[test]
fn what_a_commit_published_is_heard() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    follow(&other, &["a", "b"]);
    issue(&one);
    let record = record(&[event("a", "x"), event("b", "x")]);
    let (retention, fresh_epochs) = (vec![KEPT; 2], vec![Epoch(1); 2]);
    let commit = Commit {
        n: CommandNo(1),
        record,
        settle: true,
        retention,
        fresh_epochs,
        id: None,
        decide: None,
    };
    let commits = vec![commit];
    apply(&one, StoreOp::Commit { lease: lease(1), low: CommandNo(1), commits });
    assert_eq!(heard(&other), Some(vec![at("a", 1, &[1]), at("b", 1, &[1])]));
}

#[test]
fn what_a_decision_published_is_heard() {
    let one = store(MemoryLimits::default());
    let other = one.clone();
    follow(&other, &["a"]);
    issue(&one);
    let id = DecisionId(7);
    let publishes = vec![event("a", "x")];
    one.hand_over(id, Box::new(move |()| decided(&publishes)));
    // Another node's, under the same name.
    other.hand_over(id, Box::new(|()| decided(&[])));
    let topics = [(event("a", "").topic.name, KEPT)].into();
    let many = usize::MAX;
    let (publishes, publish_bytes, key_bytes) = (many, many, many);
    let terms = Terms { reply_bytes: 9, publishes, publish_bytes, key_bytes, topics };
    let (terms, waiting) = (Arc::new(terms), Arc::default());
    let decide = Decide { id, terms, waiting, fresh_epoch: Epoch(1) };
    let commit = Commit {
        n: CommandNo(1),
        record: record(&[]),
        settle: true,
        retention: Vec::new(),
        fresh_epochs: Vec::new(),
        id: None,
        decide: Some(Box::new(decide)),
    };
    let commits = vec![commit];
    let op = StoreOp::Commit { lease: lease(1), low: CommandNo(1), commits };
    // A driver asks at once under a lock, where no code of the application may run.
    assert_eq!(one.execute_at_once(op.clone()), Err(op.clone()));
    apply(&one, op);
    assert_eq!(heard(&other), Some(vec![at("a", 1, &[1])]));
}

fn decided(publishes: &[Publication]) -> Decided {
    Decided { outcome: record(&[]).outcome, publishes: publishes.to_vec() }
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
    follow(&other, &["a"]);
    let count = Arc::new(Count(AtomicUsize::new(0)));
    assert_eq!(heard_with(&other, &Arc::clone(&count).into()), None);
    publish(&one, 1, "a");
    publish(&one, 2, "a");
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(heard(&other), Some(vec![at("a", 2, &[1, 2])]));
}

#[test]
fn what_nobody_asks_for_is_bounded_and_goes_with_its_clone() {
    for limits in [
        MemoryLimits { topics: 2, ..MemoryLimits::default() },
        MemoryLimits { news_bytes: 3, ..MemoryLimits::default() },
    ] {
        let one = store(limits);
        let other = one.clone();
        let keys = ["a", "b", "c", "d"];
        follow(&other, &keys);
        for (count, key) in (1..).zip(keys) {
            publish(&one, count, key);
        }
        assert_eq!(news_with(&other, Waker::noop()), Some(News::Missed));
        drop(other);
        assert_eq!(one.wanting(), 0);
    }
}
