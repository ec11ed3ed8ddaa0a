//! What a node reads of a log, and when: nothing at the head, and from an earlier place on what
//! lies above it (PROTOCOL.md 7.5).
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::time::Duration;

use node_support::{Bench, WIDE, config};
use steadfast::session::node::{ConnId, NodeConfig};
use steadfast::session::store::{ReadFrom, Retention, StoreOp, TopicId};
use steadfast::wire::{Epoch, Position, TopicSeq, Window};
use steadfast_rig::fixtures::{log, room};

/// More than a client asks for.
const ALL: Window = Window { frames: 4_096, bytes: 4_000_000 };

fn roomy(config: &mut NodeConfig) {
    for topic in config.topics_mut() {
        topic.retention = Retention::new(1_000, Duration::from_secs(600));
    }
}

/// A node that has just begun, with a store in which there are events of others; the topic's epoch.
fn fresh(topic: &TopicId, events: u64, change: fn(&mut NodeConfig)) -> (Bench, ConnId, Epoch) {
    let mut config = config();
    roomy(&mut config);
    let mut other = Bench::of(config, [9; 32]);
    (1..=events).for_each(|n| other.publish(topic, n));
    let heads = other.store.apply(other.now, StoreOp::Heads { topics: vec![topic.clone()] });
    let steadfast::session::store::StoreOutcome::Heads(heads) = heads else { panic!("{heads:?}") };
    let mut bench = Bench::with(|config| {
        roomy(config);
        change(config);
    });
    std::mem::swap(&mut bench.store, &mut other.store);
    let conn = bench.attach();
    bench.by_hand = true;
    (bench, conn, heads[0].map_or(Epoch(0), |head| head.epoch))
}

/// One more client.
fn attached(bench: &mut Bench) -> ConnId {
    bench.by_hand = false;
    let conn = bench.attach();
    bench.by_hand = true;
    conn
}

/// Carries out all that the node asks for: from where it read, and how often it opened a topic.
fn carried_out(bench: &mut Bench) -> (Vec<u64>, usize) {
    let (mut reads, mut opened) = (Vec::new(), 0);
    while let Some((_, op)) = bench.ops.front() {
        match op {
            StoreOp::ReadLog { from: ReadFrom::After(ts), .. } => reads.push(ts.0),
            StoreOp::OpenTopic { .. } => opened += 1,
            _ => {}
        }
        bench.store_one();
    }
    (reads, opened)
}

fn numbers(events: &[String]) -> Vec<String> {
    events.iter().filter_map(|told| told.strip_prefix("event ")).map(str::to_owned).collect()
}

#[test]
fn a_follower_at_the_head_reads_nothing() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 700, |_| {});
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    assert_eq!(carried_out(&mut bench), (vec![], 1));
    assert_eq!(bench.topics(conn), ["Initial at 700"]);
    assert_eq!(bench.node.peaks().topic_entries, 0, "nothing is kept of what nobody asked for");
    let other = attached(&mut bench);
    bench.subscribe(other, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(700) }), WIDE);
    assert_eq!(carried_out(&mut bench), (vec![], 0));
    bench.publish(&log("a"), 701);
    assert_eq!(carried_out(&mut bench), (vec![], 0));
    assert_eq!(bench.topics(conn), ["event 701"]);
    assert_eq!(numbers(&bench.topics(other)), ["701"]);
}

#[test]
fn a_position_at_the_head_of_a_topic_that_is_opened_for_it_reads_nothing() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 700, |_| {});
    bench.subscribe(conn, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(700) }), WIDE);
    assert_eq!(carried_out(&mut bench), (vec![], 1));
    assert_eq!(bench.subscribed(conn).reset, None);
}

#[test]
fn from_an_earlier_place_pages_are_read_and_no_more() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 700, |_| {});
    bench.subscribe(conn, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(300) }), ALL);
    assert_eq!(carried_out(&mut bench), (vec![300, 556], 1));
    let events = numbers(&bench.topics(conn));
    let expected: Vec<String> = (301..=700).map(|n: u64| n.to_string()).collect();
    assert_eq!(events, expected);
    // Whoever comes between reads nothing, and from a lower place what is missing.
    for (from, reads) in [(400, vec![]), (290, vec![290])] {
        let other = attached(&mut bench);
        bench.subscribe(other, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(from) }), ALL);
        assert_eq!(carried_out(&mut bench), (reads, 0));
        assert_eq!(numbers(&bench.topics(other)).len() as u64, 700 - from);
    }
}

/// PROTOCOL.md 7.25: the latest events instead of the state, as many as were asked for.
#[test]
fn the_last_events_are_read_and_no_more() {
    for topic in [log("a"), room("a")] {
        let (mut bench, conn, _) = fresh(&topic, 700, |_| {});
        bench.subscribe_last(conn, 1, &topic, 2);
        assert_eq!(carried_out(&mut bench), (vec![698], 1));
        assert_eq!(bench.topics(conn), ["Initial at 698", "event 699", "event 700"]);
        bench.publish(&topic, 701);
        carried_out(&mut bench);
        assert_eq!(bench.topics(conn), ["event 701"]);
    }
}

/// PROTOCOL.md 7.25
#[test]
fn the_last_none_are_what_comes_next() {
    let (mut bench, conn, _) = fresh(&room("a"), 700, |_| {});
    bench.subscribe_last(conn, 1, &room("a"), 0);
    assert_eq!(carried_out(&mut bench), (vec![], 1));
    bench.publish(&room("a"), 701);
    carried_out(&mut bench);
    assert_eq!(bench.topics(conn), ["Initial at 700", "event 701"]);
    assert!(bench.executions.is_empty(), "nobody wants the state");
}

/// PROTOCOL.md 7.25: what is not retained can't come, and is no gap to somebody who begins.
#[test]
fn the_last_events_begin_no_earlier_than_what_is_retained() {
    for (count, last, begins) in [(3, 9, 0), (1_400, 5_000, 400)] {
        let (mut bench, conn, _) = fresh(&log("a"), count, |_| {});
        bench.subscribe_last(conn, 1, &log("a"), last);
        carried_out(&mut bench);
        assert_eq!(bench.topics(conn)[0], format!("Initial at {begins}"));
    }
}

/// What a node has no room for is as good as not retained.
#[test]
fn the_last_events_are_as_many_as_a_node_has_room_for() {
    let (mut bench, conn, _) = fresh(&log("a"), 700, |config| config.topic_bytes = 1_000);
    bench.subscribe_last(conn, 1, &log("a"), 600);
    carried_out(&mut bench);
    let told = bench.topics(conn);
    let events = numbers(&told).len();
    assert!((1..600).contains(&events), "{events}");
    assert_eq!(told[0], format!("Initial at {}", 700 - events));
    assert_eq!(told.last().unwrap(), "event 700");
}

#[test]
fn a_page_has_so_many_bytes() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 9, |config| config.read_bytes = 1);
    bench.subscribe(conn, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(6) }), ALL);
    assert_eq!(carried_out(&mut bench), (vec![6, 7, 8], 1));
    assert_eq!(numbers(&bench.topics(conn)), ["7", "8", "9"]);
}

/// What is published while pages are read comes after them.
#[test]
fn events_that_come_while_earlier_ones_are_read_keep_their_order() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 9, |config| config.read_bytes = 1);
    bench.subscribe(conn, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(7) }), ALL);
    bench.store_one();
    bench.publish(&log("a"), 10);
    carried_out(&mut bench);
    assert_eq!(numbers(&bench.topics(conn)), ["8", "9", "10"]);
}

/// However many come back at once, and while pages are under way, too.
#[test]
fn a_crowd_that_comes_from_the_same_place_reads_each_page_once() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 700, |_| {});
    let from = Some(Position { epoch, ts: TopicSeq(300) });
    let mut crowd = vec![conn];
    crowd.extend((1..20).map(|_| attached(&mut bench)));
    for conn in &crowd[..10] {
        bench.subscribe(*conn, 1, &log("a"), from, ALL);
    }
    // The topic is open, and the first page is asked for.
    bench.store_one();
    for conn in &crowd[10..] {
        bench.subscribe(*conn, 1, &log("a"), from, ALL);
    }
    assert_eq!(carried_out(&mut bench), (vec![300, 556], 0));
    for conn in crowd {
        assert_eq!(numbers(&bench.topics(conn)).len(), 400);
    }
}

#[test]
fn a_follower_from_an_earlier_place_does_not_hold_back_those_at_the_head() {
    let (mut bench, tail, epoch) = fresh(&log("a"), 700, |_| {});
    bench.subscribe(tail, 1, &log("a"), None, ALL);
    bench.store_one();
    let early = attached(&mut bench);
    bench.subscribe(early, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(300) }), ALL);
    let later = attached(&mut bench);
    bench.subscribe(later, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(700) }), ALL);
    bench.publish(&log("a"), 701);
    // The store answers the append, and not yet the read of what lies before.
    assert!(matches!(bench.ops.front(), Some((_, StoreOp::ReadLog { .. }))));
    bench.ops.rotate_left(1);
    bench.store_one();
    assert_eq!(bench.ops.len(), 1);
    assert_eq!(bench.topics(tail), ["Initial at 700", "event 701"]);
    assert_eq!(numbers(&bench.topics(later)), ["701"]);
    assert!(bench.topics(early).is_empty());
    carried_out(&mut bench);
    assert_eq!(numbers(&bench.topics(early)).len(), 401);
}

/// Who has missed something for good, and gets the topic's state, needs no event of before.
#[test]
fn a_position_that_was_trimmed_reads_nothing_where_there_is_a_state() {
    let (mut bench, conn, epoch) = fresh(&room("a"), 1_400, |_| {});
    bench.subscribe(conn, 1, &room("a"), Some(Position { epoch, ts: TopicSeq(5) }), ALL);
    assert_eq!(carried_out(&mut bench), (vec![], 1));
    assert_eq!(bench.topics(conn), ["Trimmed at 1400"]);
}

/// Without a state it gets all that there is.
#[test]
fn a_position_that_was_trimmed_reads_from_the_oldest_entry_where_there_is_no_state() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 1_100, |_| {});
    bench.subscribe(conn, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(5) }), ALL);
    assert_eq!(carried_out(&mut bench), (vec![100, 356, 612, 868], 1));
    assert_eq!(numbers(&bench.topics(conn)).len(), 1_000);
}

/// A page that was cut is not all that there is.
#[test]
fn what_others_have_appended_is_read_page_by_page_up_to_the_head() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 3, |config| config.read_bytes = 1);
    bench.subscribe(conn, 1, &log("a"), None, ALL);
    bench.store_one();
    let mut other = Bench::with(roomy);
    std::mem::swap(&mut bench.store, &mut other.store);
    (4..=7).for_each(|n| other.publish(&log("a"), n));
    std::mem::swap(&mut bench.store, &mut other.store);
    bench.hint(&log("a"), Position { epoch, ts: TopicSeq(7) });
    assert_eq!(carried_out(&mut bench), (vec![3, 4, 5, 6], 0));
    assert_eq!(numbers(&bench.topics(conn)), ["4", "5", "6", "7"]);
}

/// What does not fit is not kept: who comes from below it has a gap.
#[test]
fn a_node_keeps_no_more_of_what_it_reads_than_it_may() {
    let (mut bench, conn, epoch) = fresh(&log("a"), 700, |config| config.topic_bytes = 1_000);
    bench.subscribe(conn, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(100) }), ALL);
    carried_out(&mut bench);
    assert_eq!(bench.subscribed(conn).reset, Some(steadfast::wire::ResetReason::Trimmed));
    assert!(bench.node.peaks().topic_bytes <= 1_000);
    assert!(bench.node.peaks().topic_entries > 1);
}

/// The head goes on while pages are under way: what was read makes room for it.
#[test]
fn what_is_read_and_what_is_published_meanwhile_keep_within_the_same_bounds() {
    let small = |config: &mut NodeConfig| (config.topic_bytes, config.read_bytes) = (300, 1);
    let (mut bench, conn, epoch) = fresh(&log("a"), 20, small);
    bench.subscribe(conn, 1, &log("a"), Some(Position { epoch, ts: TopicSeq(10) }), ALL);
    (0..8).for_each(|_| bench.store_one());
    for n in 21..=26 {
        bench.publish(&log("a"), n);
        bench.ops.rotate_left(1);
        bench.store_one();
        let peaks = bench.node.peaks();
        assert!(peaks.topic_entries > 6 && peaks.topic_bytes <= 300, "{n}: {peaks:?}");
    }
    carried_out(&mut bench);
    assert!(bench.node.peaks().topic_bytes <= 300);
}
