//! Epochs, numbers and retention (PROTOCOL.md 7.1), and the store around its state.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::session::store::OpId;
use crate::store::{DynStore, MemoryStore};

#[test]
fn entries_are_numbered_from_1_without_gap_per_topic() {
    let mut shelf = Shelf::new();
    assert_eq!(shelf.publish(1, "a", "x").ts, TopicSeq(1));
    assert_eq!(shelf.publish(2, "b", "x").ts, TopicSeq(1));
    assert_eq!(shelf.publish(3, "a", "x").ts, TopicSeq(2));
    assert_ne!(shelf.head("a").epoch, shelf.head("b").epoch);
}

#[test]
fn a_log_keeps_so_many_entries() {
    let mut shelf = Shelf::new();
    for count in 1..=5 {
        shelf.publish(count, "a", "x");
    }
    let head = shelf.head("a");
    assert_eq!((head.oldest, head.head), (TopicSeq(3), TopicSeq(5)));
    assert_eq!(shelf.read_numbers("a", 0, 10), [3, 4, 5]);
    assert_eq!(shelf.read_numbers("a", 3, 10), [4, 5]);
    assert_eq!(shelf.read_numbers("a", 3, 1), [4]);
    assert!(shelf.read_numbers("a", 5, 10).is_empty());
    assert!(shelf.read_numbers("a", u64::MAX, 10).is_empty());
}

#[test]
fn a_log_keeps_entries_so_long_and_its_head_longer() {
    let mut shelf = Shelf::new();
    let first = shelf.publish(1, "a", "x");
    shelf.wait(KEPT_MS - 1).publish(2, "a", "y");
    assert_eq!(shelf.read_numbers("a", 0, 10), [1, 2]);
    assert_eq!(shelf.wait(1).read_numbers("a", 0, 10), [2]);
    shelf.wait(KEPT_MS);
    let head = shelf.head("a");
    assert_eq!(head, TopicHead { epoch: first.epoch, head: TopicSeq(2), oldest: TopicSeq(3) });
}

/// Whoever may subscribe can make a topic of each key: what nobody has published to goes soon, and
/// first.
#[test]
fn a_topic_that_never_had_an_entry_is_kept_for_a_while_after_its_last_use() {
    let mut shelf = Shelf::new();
    let while_ms = Now(0).after(MemoryLimits::default().empty_topic_memory).0;
    shelf.publish(1, "filled", "x");
    let retention = Retention::new(3, Duration::from_secs(365 * 24 * 3_600));
    for key in ["followed", "left"] {
        shelf.apply(StoreOp::OpenTopic { topic: topic(key), fresh_epoch: Epoch(5), retention });
    }
    shelf.wait(while_ms - 1).looked("followed");
    shelf.wait(1).looked("filled");
    assert!(shelf.looked("left").is_none());
    let kept = shelf.looked("followed").map(|head| head.epoch);
    assert_eq!(kept, Some(Epoch(5)), "to look at a topic is to use it");
    shelf.publish(2, "followed", "x");
    shelf.wait(2 * while_ms);
    assert!(shelf.looked("followed").is_some(), "it has had an entry");
}

#[test]
fn when_there_are_too_many_topics_those_that_never_had_an_entry_go_first() {
    let limits = MemoryLimits { topics: 3, ..MemoryLimits::default() };
    let mut shelf = Shelf::with(limits);
    shelf.publish(1, "old", "x");
    shelf.wait(1).head("a");
    shelf.wait(1).head("b");
    shelf.wait(1).head("c");
    assert!(shelf.looked("a").is_none());
    shelf.wait(1).publish(2, "b", "x");
    shelf.wait(1).head("d");
    assert!(shelf.looked("c").is_none(), "the other two have entries");
    shelf.wait(1).publish(3, "d", "x");
    shelf.wait(1).head("e");
    assert!(shelf.looked("old").is_none(), "all have, and it was idle longest");
}

#[test]
fn what_has_expired_is_let_go_without_being_asked_for() {
    let mut shelf = Shelf::new();
    shelf.publish(1, "a", "x");
    shelf.wait(1).publish(2, "a", "y");
    shelf.wait(KEPT_MS).head("b");
    assert_eq!(shelf.state.topics.entries_of(&topic("a")), 0);
}

#[test]
fn nothing_is_kept_of_a_topic_with_retention_0_but_its_head() {
    let mut shelf = Shelf::new();
    let retention = Retention::new(0, Duration::from_millis(500));
    shelf.apply(append_op(1, event("a", "x"), retention, Epoch(9)));
    let opened =
        shelf.apply(StoreOp::OpenTopic { topic: topic("a"), fresh_epoch: Epoch(10), retention });
    let head = TopicHead { epoch: Epoch(9), head: TopicSeq(1), oldest: TopicSeq(2) };
    assert_eq!(opened, StoreOutcome::Topic(head));
}

#[test]
fn a_page_has_so_many_bytes_and_always_its_first_entry() {
    let mut shelf = Shelf::new();
    let at = shelf.publish(1, "a", "six...");
    shelf.publish(2, "a", "six...");
    shelf.publish(3, "a", "six...");
    let mut page = |from, max, max_bytes| -> Vec<u64> {
        let (_, entries) = shelf.read_page("a", at.epoch, from, max, max_bytes);
        entries.iter().map(|entry| entry.ts.0).collect()
    };
    let start = ReadFrom::After(TopicSeq(0));
    assert_eq!(page(start, 9, 0), [1]);
    assert_eq!(page(start, 9, 19), [1], "name and body have ten bytes");
    assert_eq!(page(start, 9, 20), [1, 2]);
    assert_eq!(page(start, 9, u64::MAX), [1, 2, 3]);
    assert_eq!(page(ReadFrom::Last(2), 9, u64::MAX), [2, 3]);
    assert_eq!(page(ReadFrom::Last(2), 1, u64::MAX), [2]);
    assert_eq!(page(ReadFrom::Last(9), 9, u64::MAX), [1, 2, 3]);
    assert!(page(ReadFrom::Last(0), 9, u64::MAX).is_empty());
}

#[test]
fn a_reader_of_another_epoch_is_told_where_the_log_stands_and_gets_nothing() {
    let mut shelf = Shelf::new();
    let at = shelf.publish(1, "a", "x");
    let (head, entries) = shelf.read("a", Epoch(99), 0, 10);
    assert_eq!((head.epoch, head.head, entries.len()), (at.epoch, TopicSeq(1), 0));
}

#[test]
fn a_topic_forgotten_and_made_anew_has_another_epoch() {
    let mut shelf = Shelf::new();
    let first = shelf.publish(1, "a", "x");
    let memory = KEPT_MS + MemoryLimits::default().topic_memory.as_millis() as u64;
    shelf.wait(memory - 1);
    assert_eq!(shelf.head("a").epoch, first.epoch);
    shelf.wait(memory);
    let read = StoreOp::ReadLog {
        topic: topic("a"),
        epoch: first.epoch,
        from: ReadFrom::After(TopicSeq(0)),
        max: 1,
        max_bytes: u64::MAX,
    };
    assert_eq!(shelf.apply(read), StoreOutcome::TopicGone);
    let again = shelf.publish(2, "a", "y");
    assert_ne!(again.epoch, first.epoch);
    assert_eq!(again.ts, TopicSeq(1));
}

#[test]
fn a_topic_is_not_forgotten_while_its_entries_are_kept() {
    let mut shelf = Shelf::with(MemoryLimits {
        topic_memory: Duration::from_millis(1),
        ..MemoryLimits::default()
    });
    shelf.publish(1, "a", "x");
    assert_eq!(shelf.wait(KEPT_MS - 1).read_numbers("a", 0, 10), [1]);
}

#[test]
fn in_another_incarnation_a_topic_has_another_epoch_and_keeps_its_entries() {
    let mut shelf = Shelf::new();
    shelf.publish(1, "a", "x");
    let mut epochs = vec![shelf.head("a").epoch];
    for incarnation in [7, 7, 8] {
        shelf.state.begin_incarnation(shelf.now, incarnation);
        let epoch = shelf.head("a").epoch;
        assert!(!epochs.contains(&epoch));
        epochs.push(epoch);
        assert_eq!(shelf.read_numbers("a", 0, 10), [1]);
    }
}

#[test]
fn a_look_at_heads_makes_no_topic_and_counts_as_use() {
    let mut shelf = Shelf::with(MemoryLimits {
        topic_memory: Duration::from_millis(0),
        ..MemoryLimits::default()
    });
    let head = shelf.head("a");
    let look =
        |shelf: &mut Shelf| shelf.apply(StoreOp::Heads { topics: vec![topic("a"), topic("b")] });
    for _ in 0..3 {
        shelf.wait(KEPT_MS - 1);
        assert_eq!(look(&mut shelf), StoreOutcome::Heads(vec![Some(head), None]));
    }
    shelf.wait(KEPT_MS);
    assert_eq!(look(&mut shelf), StoreOutcome::Heads(vec![None, None]));
}

#[test]
fn one_topic_too_many_forgets_the_one_that_was_idle_longest() {
    let mut shelf = Shelf::with(MemoryLimits { topics: 2, ..MemoryLimits::default() });
    let a = shelf.head("a").epoch;
    let b = shelf.wait(1).head("b").epoch;
    assert_eq!(shelf.wait(1).head("a").epoch, a);
    shelf.wait(1).head("c");
    assert_eq!(shelf.head("a").epoch, a);
    assert_ne!(shelf.head("b").epoch, b);
}

#[test]
fn bodies_are_shared_not_copied() {
    let mut shelf = Shelf::new();
    let said = event("a", "a body that does not fit beside its length");
    let body = said.bodies[0].1.as_bytes().as_ptr();
    shelf.append(AppendKey::Direct { node: 1, count: 1 }, said);
    let epoch = shelf.head("a").epoch;
    assert_eq!(shelf.read("a", epoch, 0, 1).1[0].bodies[0].1.as_bytes().as_ptr(), body);
}

#[test]
fn the_store_answers_every_operation_of_a_batch_in_order_at_once() {
    let store: Arc<dyn DynStore> =
        Arc::new(MemoryStore::new(MemoryLimits::default(), Arc::new(|| Now(5))));
    let end = |id| (OpId(id), StoreOp::EndLease { id: lease(1) });
    let mut answer = store.execute_boxed(vec![end(3), end(1), end(2)]);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(answers) = answer.as_mut().poll(&mut context) else {
        panic!("it does not wait")
    };
    assert_eq!(answers.iter().map(|(id, _)| id.0).collect::<Vec<_>>(), [3, 1, 2]);
    assert!(
        store.news_boxed().as_mut().poll(&mut context).is_pending(),
        "no other node can have appended"
    );
}
