//! What a node owes to stores other than the one in memory: other nodes share them, they keep less,
//! and their answers come in any order (PROTOCOL.md 5.6, 7.1).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use std::ops::RangeInclusive;
use std::time::Duration;

use node_support::{Bench, WIDE, config, event};
use steadfast::session::node::{ConnId, Executed, StagedPublish};
use steadfast::session::store::{
    Advanced, CommitOutcome, Generation, News, OpId, Outcome, ReadFrom, Retention, StoreOp,
    StoreOutcome, TopicId,
};
use steadfast::wire::{CommandNo, Dial, Epoch, InstanceId, LeaseClaim, Position, TopicSeq};
use steadfast_rig::fixtures::{body, committed, log};

fn ok(publishes: Vec<StagedPublish>) -> Executed {
    Executed::Command { outcome: Outcome::Ok(body("{}")), publishes }
}

fn done(bench: &mut Bench, n: u64, publishes: Vec<StagedPublish>) {
    let execution = bench.started(n);
    bench.executed(&execution, ok(publishes));
}

/// What a log holds.
fn entries(bench: &mut Bench, topic: TopicId) -> Vec<String> {
    let retention = Retention::new(8, Duration::from_secs(600));
    let open = StoreOp::OpenTopic { topic: topic.clone(), fresh_epoch: Epoch(0), retention };
    let StoreOutcome::Topic(head) = bench.store.apply(bench.now, open) else { panic!() };
    let read = StoreOp::ReadLog {
        topic,
        epoch: head.epoch,
        from: ReadFrom::After(TopicSeq(0)),
        max: 100,
        max_bytes: u64::MAX,
    };
    let StoreOutcome::Log { entries, .. } = bench.store.apply(bench.now, read) else { panic!() };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    entries.iter().map(|entry| text(entry.bodies[0].1.as_bytes())).collect()
}

/// A second client of the bench's node.
fn attach_another(bench: &mut Bench) -> ConnId {
    let mut hello = bench.hello();
    hello.instance = InstanceId(8);
    let conn = bench.dial(hello);
    bench.ack(conn);
    conn
}

/// A client moves from a node that stalls to another one. What the first node has committed and not
/// settled comes before what the second one commits, in each log.
#[test]
fn what_another_node_left_unsettled_is_not_overtaken() {
    let mut a = Bench::new();
    let mut b = Bench::of(config(), [9; 32]);
    let at_a = a.attach();
    let lease = a.lease(at_a).id;
    a.by_hand = true;
    a.publish(&log("a"), "\"direct\"");
    a.post(at_a, 1);
    done(&mut a, 1, vec![event(log("a"), 1)]);
    // The client is at B from here on, with the store that they share.
    std::mem::swap(&mut a.store, &mut b.store);
    let mut hello = b.hello();
    hello.dial = Dial(2);
    hello.lease = Some(LeaseClaim { id: lease, low: CommandNo(1), next: CommandNo(2) });
    let at_b = b.dial(hello);
    b.ack(at_b);
    b.by_hand = true;
    (1..=2).for_each(|n| b.post(at_b, n));
    b.ask(at_b, 3);
    // While this one's commit is under way, the next one gathers both of the others.
    done(&mut b, 3, vec![]);
    done(&mut b, 1, vec![event(log("a"), 1)]);
    done(&mut b, 2, vec![event(log("a"), 2)]);
    // A's commit comes to the store before B's, and A's append never does.
    let commit = a.ops.iter().find(|(_, op)| matches!(op, StoreOp::Commit { .. }));
    let commit = commit.unwrap().1.clone();
    b.store.apply(b.now, commit);
    b.store_all();
    assert_eq!(entries(&mut b, log("a")), ["1", "2"]);
}

/// A store may let go of a record's publications once they are in their logs: a node whose own
/// commit was answered late looks where its own publications went.
#[test]
fn a_repeated_commit_looks_for_its_own_publications() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.topics(conn);
    bench.post(conn, 1);
    bench.by_hand = true;
    done(&mut bench, 1, vec![event(log("a"), 1)]);
    let commit = bench.ops[0].1.clone();
    bench.store.apply(bench.now, commit);
    bench.outcome(StoreOutcome::Unknown);
    bench.pass(50);
    let (op, commit) = bench.ops.pop_front().unwrap();
    let answer = bench.store.apply(bench.now, commit);
    let StoreOutcome::Committed { outcomes: mut rows, .. } = answer else { panic!() };
    let CommitOutcome::Exists(record) = &mut rows[0].1 else { panic!() };
    assert!(record.settled);
    record.publishes.clear();
    bench.act(|node, now| node.handle_store(now, op, committed(rows)));
    bench.store_all();
    assert_eq!(bench.topics(conn), ["event 1"]);
}

/// The commits of two commands on one topic, carried out in order and answered in the other one.
fn answered_in_reverse(bench: &mut Bench, first: ConnId, second: ConnId) {
    bench.post(first, 1);
    let one = bench.executions.pop_front().unwrap();
    bench.post(second, 1);
    let two = bench.executions.pop_front().unwrap();
    bench.by_hand = true;
    bench.executed(&one, ok(vec![event(log("a"), 1)]));
    bench.executed(&two, ok(vec![event(log("a"), 2)]));
    let asked: Vec<(OpId, StoreOp)> = bench.ops.drain(..).collect();
    let answers: Vec<(OpId, StoreOutcome)> =
        asked.into_iter().map(|(id, op)| (id, bench.store.apply(bench.now, op))).collect();
    for (id, answer) in answers.into_iter().rev() {
        bench.act(|node, now| node.handle_store(now, id, answer));
    }
}

#[test]
fn answers_out_of_order_cost_no_read() {
    let mut bench = Bench::new();
    let first = bench.attach();
    let second = attach_another(&mut bench);
    bench.subscribe(first, 1, &log("a"), None, WIDE);
    bench.topics(first);
    answered_in_reverse(&mut bench, first, second);
    assert_eq!(bench.topics(first), ["event 1", "event 2"]);
    bench.pass(1_000);
    let reads = bench.ops.iter().filter(|(_, op)| matches!(op, StoreOp::ReadLog { .. }));
    assert_eq!(reads.count(), 0);
}

/// An event that came before an earlier one waits a moment for it, then the log is read.
#[test]
fn an_event_waits_for_an_earlier_one_only_so_long() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.subscribe(conn, 1, &log("a"), None, WIDE);
    bench.topics(conn);
    bench.by_hand = true;
    bench.publish(&log("a"), 2);
    // Another node's comes first, and nothing tells of it.
    let (op, append) = bench.ops.pop_front().unwrap();
    let mut theirs = append.clone();
    if let StoreOp::Append { appends, .. } = &mut theirs {
        appends[0].key = steadfast::session::store::AppendKey::Direct { node: 1, count: 1 };
        appends[0].bodies = node_support::publication(log("a"), 1).bodies;
    }
    bench.store.apply(bench.now, theirs);
    let answer = bench.store.apply(bench.now, append);
    bench.act(|node, now| node.handle_store(now, op, answer));
    assert_eq!((bench.topics(conn), bench.ops.len()), (vec![], 0));
    bench.pass(1_000);
    bench.store_all();
    assert_eq!(bench.topics(conn), ["event 1", "event 2"]);
}

// ---- news ----

/// A bench whose client follows a topic with three entries, and has them.
fn follower() -> (Bench, ConnId) {
    let mut bench = Bench::new();
    (1..=3).for_each(|n| bench.publish(&log("a"), n));
    let conn = bench.attach();
    let head = bench.node.topic_head(&log("a"));
    bench.subscribe(conn, 1, &log("a"), head, WIDE);
    bench.take(conn);
    bench.by_hand = true;
    (bench, conn)
}

/// Another node appends to the shared store, and nothing tells of it. Where the log stands then,
/// with its latest entries.
fn others_append(bench: &mut Bench, numbers: RangeInclusive<u64>) -> Advanced {
    // Each time it is another node.
    let mut other = Bench::of(config(), [*numbers.start() as u8; 32]);
    std::mem::swap(&mut bench.store, &mut other.store);
    let mut count = 0;
    for n in numbers {
        other.publish(&log("a"), n);
        count += 1;
    }
    std::mem::swap(&mut bench.store, &mut other.store);
    let epoch = bench.node.topic_head(&log("a")).unwrap().epoch;
    let from = ReadFrom::After(TopicSeq(0));
    let read = StoreOp::ReadLog { topic: log("a"), epoch, from, max: 100, max_bytes: 1 << 20 };
    let StoreOutcome::Log { head, entries } = bench.store.apply(bench.now, read) else { panic!() };
    let head = Position { epoch: head.epoch, ts: head.head };
    let entries = entries[entries.len() - count..].to_vec();
    Advanced { topic: log("a"), head, entries }
}

fn hears(bench: &mut Bench, news: News) {
    bench.act(|node, now| node.handle_news(now, news));
}

#[test]
fn news_with_the_next_entries_costs_no_read() {
    let (mut bench, conn) = follower();
    let news = others_append(&mut bench, 4..=6);
    hears(&mut bench, News::Advanced(vec![news.clone()]));
    assert_eq!(bench.topics(conn), ["event 4", "event 5", "event 6"]);
    hears(&mut bench, News::Advanced(vec![news]));
    assert_eq!((bench.topics(conn), bench.ops.len()), (vec![], 0), "it is known already");
}

/// What is missing between may be on its way; what never comes is read.
#[test]
fn news_that_comes_too_early_waits_and_is_not_lost() {
    let (mut bench, conn) = follower();
    let first = others_append(&mut bench, 4..=4);
    let second = others_append(&mut bench, 5..=5);
    hears(&mut bench, News::Advanced(vec![second]));
    assert_eq!((bench.topics(conn), bench.ops.len()), (vec![], 0));
    hears(&mut bench, News::Advanced(vec![first]));
    assert_eq!(bench.topics(conn), ["event 4", "event 5"]);
    let mut third = others_append(&mut bench, 6..=7);
    third.entries.remove(0);
    hears(&mut bench, News::Advanced(vec![third]));
    bench.pass(50);
    bench.store_all();
    assert_eq!(bench.topics(conn), ["event 6", "event 7"]);
}

#[test]
fn news_that_is_lost_costs_seconds() {
    let (mut bench, conn) = follower();
    others_append(&mut bench, 4..=5);
    bench.by_hand = false;
    let mut waited = 0;
    while bench.frames.get(&conn).is_none_or(Vec::is_empty) && waited < 60_000 {
        bench.act(|node, now| node.handle_alive(now, conn));
        bench.pass(1_000);
        waited += 1_000;
    }
    assert_eq!(bench.topics(conn), ["event 4", "event 5"]);
    assert!(waited <= 5_000, "{waited} ms");
}

#[test]
fn missed_news_makes_the_node_look_at_what_it_holds_a_part_at_a_time() {
    let mut bench = Bench::with(|config| config.heads_per_look = 2);
    let conn = bench.attach();
    let topics = ["a", "b", "c", "d", "e"].map(log);
    for (sub, topic) in (1..).zip(&topics) {
        bench.subscribe(conn, sub, topic, None, WIDE);
    }
    bench.by_hand = true;
    hears(&mut bench, News::Missed);
    let mut looks = Vec::new();
    while let [(_, StoreOp::Heads { topics })] = &bench.ops.make_contiguous()[..] {
        looks.push(topics.len());
        bench.store_one();
    }
    assert_eq!((looks, bench.ops.len()), (vec![2, 2, 1], 0));
}

/// The store went back: followers begin anew, and an idle client learns that its lease is gone.
#[test]
fn another_incarnation_reopens_topics_and_ends_leases() {
    let (mut bench, conn) = follower();
    bench.by_hand = false;
    bench.store.begin_incarnation(bench.now, 7);
    hears(&mut bench, News::Rolled);
    bench.pass(1);
    assert_eq!(bench.topics(conn), ["Epoch at 3"]);
    assert_eq!(bench.code(conn), Some(4100));
}

/// A lease that was granted before the store went back, and is told of afterwards, is asked for
/// again.
#[test]
fn a_lease_of_the_incarnation_before_is_not_taken() {
    let mut bench = Bench::new();
    bench.by_hand = true;
    let hello = bench.hello();
    let conn = bench.dial(hello);
    let at = bench.ops.iter().position(|(_, op)| matches!(op, StoreOp::OpenLease { .. }));
    let (op, what) = bench.ops.remove(at.unwrap()).unwrap();
    let granted = bench.store.apply(bench.now, what);
    bench.store.begin_incarnation(bench.now, 7);
    hears(&mut bench, News::Rolled);
    bench.act(|node, now| node.handle_store(now, op, granted));
    // Another one is asked for, first as of the incarnation before.
    bench.store_all();
    let (id, generation, low) = (bench.lease(conn).id, Generation(1), CommandNo(1));
    let renew = StoreOp::RenewLease { id, generation, held: true, low };
    assert!(matches!(bench.store.apply(bench.now, renew), StoreOutcome::Lease { .. }));
}
