//! One thread at a time: a store of many shards answers what the pure state answers, which is one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::session::Now;
use steadfast::session::store::{StoreOp, StoreOutcome};
use steadfast::store::{MemoryLimits, MemoryState, MemoryStore, Store};
use steadfast_rig::dice::Dice;

const SEEDS: u64 = 40;
const OPERATIONS: usize = 1_500;

/// Bounds that are met all the time.
fn limits(apart: bool) -> MemoryLimits {
    let mut limits = MemoryLimits::default();
    limits.topic_memory = Duration::from_secs(20);
    limits.topics = 5;
    limits.log_bytes = 4_000;
    limits.leases = 6;
    // Shards forget them one by one.
    limits.ended_memory = Duration::from_secs(1_000_000);
    limits.lease_bytes = 300;
    limits.principal_bytes = 500;
    limits.owed_bytes = 900;
    limits.ids = 8;
    limits.id_bytes = 300;
    limits.append_window = apart.then_some(Duration::from_secs(5));
    limits
}

/// A read is asked for with the epoch that the topic has.
fn with_epoch(state: &MemoryState, now: Now, op: StoreOp) -> StoreOp {
    match op {
        StoreOp::ReadLog { topic, from, max, max_bytes, epoch } => {
            let heads = StoreOp::Heads { topics: vec![topic.clone()] };
            let epoch = match state.clone().apply(now, heads) {
                StoreOutcome::Heads(heads) => heads[0].map_or(epoch, |head| head.epoch),
                _ => epoch,
            };
            StoreOp::ReadLog { topic, epoch, from, max, max_bytes }
        }
        op => op,
    }
}

fn compare(seed: u64, apart: bool) {
    let time = Arc::new(AtomicU64::new(0));
    let clock = {
        let time = Arc::clone(&time);
        move || Now(time.load(Ordering::Relaxed))
    };
    let store = MemoryStore::new(limits(apart), Arc::new(clock));
    let mut state = MemoryState::new(limits(apart));
    let mut dice = Dice::new(seed);
    for step in 0..OPERATIONS {
        if dice.below(4) == 0 {
            time.fetch_add(dice.below(2_000), Ordering::Relaxed);
        }
        let now = Now(time.load(Ordering::Relaxed));
        if dice.below(200) == 0 {
            state.begin_incarnation(now, seed);
            store.begin_incarnation(seed);
        }
        let op = with_epoch(&state, now, dice.op());
        let expected = state.apply(now, op.clone());
        let came = store.execute_at_once(op.clone()).expect("it answers at once");
        assert_eq!(came, expected, "seed {seed}, step {step}: {op:?}");
        dice.hear(&came);
    }
}

#[test]
fn a_store_of_many_shards_answers_what_one_shard_answers() {
    for seed in 1..=SEEDS {
        compare(seed, seed % 4 == 0);
    }
}
