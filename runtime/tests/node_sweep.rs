//! Looks for records that were left unsettled: when a node begins, page by page, and when a lease is
//! claimed (PROTOCOL.md 5.6).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod node_support;

use node_support::{Bench, config, event, told_answers};
use steadfast::session::node::StagedPublish;
use steadfast::session::store::{Outcome, StoreOp, StoreOutcome, StoreTime};
use steadfast_rig::fixtures::{body, log};

fn done(bench: &mut Bench, n: u64, publishes: Vec<StagedPublish>) {
    bench.finish_with(n, Outcome::Ok(body("{}")), publishes);
}

fn nothing_unsettled() -> StoreOutcome {
    StoreOutcome::Unsettled { at: StoreTime::default(), records: Vec::new() }
}

fn unsettled(store_of: &mut Bench) {
    store_of.by_hand = false;
    let conn = store_of.attach();
    store_of.post(conn, 1);
    store_of.by_hand = true;
    store_of.ops.clear();
    done(store_of, 1, vec![event(log("a"), 1)]);
    let StoreOp::Commit { lease, low, mut commits } = store_of.ops[0].1.clone() else { panic!() };
    commits[0].settle = false;
    store_of.store.apply(store_of.now, StoreOp::Commit { lease, low, commits });
}

/// PROTOCOL.md 5.6: whoever finds an unsettled record settles it.
#[test]
fn an_unsettled_record_is_settled_at_start() {
    let mut dead = Bench::new();
    unsettled(&mut dead);
    let mut bench = Bench::of(config(), [9; 32]);
    std::mem::swap(&mut bench.store, &mut dead.store);
    bench.act(|node, now| node.start(now));
    let listed = bench.store.apply(
        bench.now,
        StoreOp::ListUnsettled { max: 9, max_bytes: 9_999, after: None, older_than_ms: 0 },
    );
    assert!(matches!(listed, StoreOutcome::Unsettled { records, .. } if records.is_empty()));
}

/// The same of more records than the store is asked for at a time, in count or in bytes.
#[test]
fn unsettled_records_are_looked_for_page_by_page() {
    for (records, bytes) in [(1, 1_000_000), (9, 1), (9, 1_000_000)] {
        let mut dead = Bench::new();
        for _ in 0..3 {
            unsettled(&mut dead);
        }
        let mut config = config();
        (config.sweep_records, config.sweep_bytes) = (records, bytes);
        let mut bench = Bench::of(config, [9; 32]);
        std::mem::swap(&mut bench.store, &mut dead.store);
        bench.by_hand = true;
        bench.act(|node, now| node.start(now));
        let mut pages = 0;
        while let Some((_, op)) = bench.ops.front() {
            if let StoreOp::ListUnsettled { max, max_bytes, .. } = op {
                assert_eq!((*max, *max_bytes), (records, bytes));
                pages += 1;
            }
            bench.store_one();
        }
        assert_eq!(pages, if records == 1 || bytes == 1 { 4 } else { 1 });
        assert_eq!(bench.node.load().unsettled, 0);
        let (max, max_bytes, older_than_ms) = (9, 9_999, 0);
        let list = StoreOp::ListUnsettled { max, max_bytes, after: None, older_than_ms };
        let listed = bench.store.apply(bench.now, list);
        assert!(matches!(listed, StoreOutcome::Unsettled { records, .. } if records.is_empty()));
    }
}

/// A list that is under way may have been made before the record that somebody looks for.
#[test]
fn who_looks_for_unsettled_records_while_a_list_is_under_way_gets_another_one() {
    let mut bench = Bench::new();
    let conn = bench.attach();
    bench.post(conn, 1);
    bench.by_hand = true;
    bench.act(|node, now| node.start(now));
    let (early, op) = bench.ops.pop_front().unwrap();
    assert!(matches!(op, StoreOp::ListUnsettled { .. }));
    done(&mut bench, 1, vec![event(log("a"), 1)]);
    bench.outcome(StoreOutcome::LeaseGone);
    let lists = |bench: &Bench| {
        bench.ops.iter().filter(|(_, op)| matches!(op, StoreOp::ListUnsettled { .. })).count()
    };
    assert_eq!(lists(&bench), 0, "one at a time");
    bench.act(|node, now| node.handle_store(now, early, nothing_unsettled()));
    assert_eq!(lists(&bench), 1);
}

/// The same when its client comes.
#[test]
fn an_unsettled_record_is_settled_when_its_lease_is_claimed() {
    let mut dead = Bench::new();
    unsettled(&mut dead);
    let mut bench = Bench::of(config(), [9; 32]);
    std::mem::swap(&mut bench.store, &mut dead.store);
    let hello = dead.again(*dead.peers.keys().next().unwrap());
    let conn = bench.dial(hello);
    bench.post(conn, 1);
    assert_eq!(
        bench.answers(conn),
        told_answers(&[(1, "ok again")]),
        "the handler does not run again"
    );
    let listed = bench.store.apply(
        bench.now,
        StoreOp::ListUnsettled { max: 9, max_bytes: 9_999, after: None, older_than_ms: 0 },
    );
    assert!(matches!(listed, StoreOutcome::Unsettled { records, .. } if records.is_empty()));
}
