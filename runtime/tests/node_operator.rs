//! What clients see when an operator takes something out of the store: a gap that is told, an
//! outcome that can't be known, and nothing that is not true (PROTOCOL.md 5.1, 7.1, 7.6).
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, WIDE};
use steadfast::session::node::ConnId;
use steadfast::session::store::News;
use steadfast::wire::{Position, ResetReason, ServerFrame, TopicSeq};
use steadfast_rig::fixtures::{ANN, log};

/// A follower that has seen three events.
fn followed() -> (Bench, ConnId, Position) {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    let epoch = bench.subscribed(conn).epoch;
    (1..=3).for_each(|n| bench.publish(&log("a"), n));
    assert_eq!(bench.topics(conn), ["event 1", "event 2", "event 3"]);
    (bench, conn, Position { epoch, ts: TopicSeq(3) })
}

fn delete(bench: &mut Bench) {
    assert!(bench.store.delete_topic(bench.now, &log("a")));
}

#[test]
fn followers_of_a_deleted_topic_are_told_of_a_gap_and_go_on_in_another_epoch() {
    let (mut bench, conn, seen) = followed();
    delete(&mut bench);
    bench.act(|node, now| node.handle_news(now, News::Missed));
    let told = bench.subscribed(conn);
    assert_eq!((told.reset, told.ts.0, told.head.0), (Some(ResetReason::Epoch), 0, 0));
    assert_ne!(told.epoch, seen.epoch);
    bench.publish(&log("a"), 4);
    assert_eq!(bench.topics(conn), ["event 1"], "numbers begin anew, under another number");
}

/// Nobody has told the node.
#[test]
fn a_deleted_topic_is_found_when_the_node_next_looks_at_heads() {
    let (mut bench, conn, _) = followed();
    delete(&mut bench);
    let every = node_support::config().heads_every;
    bench.pass(every.as_millis() as u64 + 1);
    assert_eq!(bench.subscribed(conn).reset, Some(ResetReason::Epoch));
}

/// What is published before the node knows lands in the new log, and is told in it.
#[test]
fn an_event_into_a_deleted_topic_comes_after_the_gap() {
    let (mut bench, conn, seen) = followed();
    delete(&mut bench);
    bench.publish(&log("a"), 4);
    let frames = bench.take(conn);
    let mut came = frames
        .into_iter()
        .filter(|frame| matches!(frame, ServerFrame::Subscribed(_) | ServerFrame::Event { .. }));
    let Some(ServerFrame::Subscribed(told)) = came.next() else { panic!("a gap comes first") };
    assert_eq!(told.reset, Some(ResetReason::Epoch));
    assert_ne!(told.epoch, seen.epoch);
    // Whether the event lies before the gap's end or behind it, it is not told as another one.
    let rest: Vec<_> = came.collect();
    let expected = 1 - told.ts.0;
    assert_eq!(rest.len() as u64, expected, "{rest:?}");
}

/// At a node that does not hold the topic at once; at one that does not know yet, when it does.
#[test]
fn who_comes_back_to_a_deleted_topic_is_told_that_its_place_is_of_another_epoch() {
    let (mut bench, _, seen) = followed();
    delete(&mut bench);
    let mut fresh = Bench::of(node_support::config(), [9; 32]);
    fresh.now = bench.now;
    fresh.store = bench.store.clone();
    for (bench, knows) in [(&mut fresh, true), (&mut bench, false)] {
        let conn = bench.attach();
        bench.subscribe(conn, 1, &log("a"), Some(seen), WIDE);
        let mut told = bench.subscribed(conn);
        if !knows {
            assert_eq!((told.reset, told.epoch), (None, seen.epoch), "of what the node holds");
            bench.act(|node, now| node.handle_news(now, News::Missed));
            told = bench.subscribed(conn);
        }
        assert_eq!(told.reset, Some(ResetReason::Epoch));
        assert_ne!(told.epoch, seen.epoch);
    }
}

#[test]
fn what_an_erased_principal_had_under_way_is_not_committed() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.ask(conn, 1);
    bench.store.erase_principal(bench.now, &ANN.into());
    bench.finish(1);
    let answers = bench.answers(conn);
    assert!(!answers.iter().any(|(_, what)| what.starts_with("ok")), "{answers:?}");
    assert!(bench.code(conn).is_some(), "the socket is closed, and its lease is gone");
}
