//! Random operations, put to the local store and to the memory store: both answer the same. The
//! memory store is the reference, because simulator and model checker know it.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::time::Duration;

use steadfast::session::store::{OpId, StoreOp, StoreOutcome};
use steadfast::store::{MemoryLimits, MemoryState, Store};
use steadfast::wire::Epoch;
use steadfast_rig::dice::Dice;
use steadfast_sqlite::{LocalLimits, LocalSettings, LocalStore};
use support::{Hand, Place};

const OPERATIONS: usize = 1_500;

fn memory_limits() -> MemoryLimits {
    let mut limits = MemoryLimits::default();
    limits.topic_memory = Duration::from_secs(20);
    limits.empty_topic_memory = Duration::from_secs(7);
    limits.topics = 5;
    limits.log_bytes = 4_000;
    limits.leases = 6;
    limits.lease_bytes = 300;
    limits.principal_bytes = 500;
    limits.owed_bytes = 900;
    limits.ids = 8;
    limits.id_bytes = 300;
    limits.owed = Duration::from_secs(3_600);
    limits
}

fn limits() -> LocalLimits {
    let same = memory_limits();
    let mut limits = LocalLimits::default();
    limits.topic_memory = same.topic_memory;
    limits.empty_topic_memory = same.empty_topic_memory;
    limits.topics = same.topics;
    limits.log_bytes = same.log_bytes;
    limits.leases = same.leases;
    limits.lease_bytes = same.lease_bytes;
    limits.principal_bytes = same.principal_bytes;
    limits.owed_bytes = same.owed_bytes;
    limits.ids = same.ids as u64;
    limits.id_bytes = same.id_bytes;
    limits.owed = same.owed;
    limits
}

fn reads(op: &StoreOp) -> bool {
    matches!(op, StoreOp::ReadLog { .. } | StoreOp::ListUnsettled { .. })
}

/// A read is asked for with the epoch that the topic has.
fn with_epoch(memory: &mut MemoryState, hand: &Hand, op: StoreOp) -> StoreOp {
    match op {
        StoreOp::ReadLog { topic, from, max, max_bytes, .. } => {
            let heads = StoreOp::Heads { topics: vec![topic.clone()] };
            let epoch = match memory.clone().apply(hand.now(), heads) {
                StoreOutcome::Heads(heads) => heads[0].map_or(Epoch(7), |head| head.epoch),
                _ => Epoch(7),
            };
            StoreOp::ReadLog { topic, epoch, from, max, max_bytes }
        }
        op => op,
    }
}

async fn compare(seed: u64) {
    let (place, hand) = (Place::new(), Hand::default());
    let mut memory = MemoryState::new(memory_limits());
    let mut dice = Dice::new(seed);
    let mut settings = LocalSettings::default();
    // The tables are read again and again.
    settings.cached_leases = 4;
    settings.cached_topics = 3;
    let open = || {
        let builder = LocalStore::builder(place.file()).settings(settings.clone());
        builder.limits(limits()).clock(hand.clock()).open().unwrap()
    };
    let mut store = open();
    for step in 0..OPERATIONS {
        if dice.below(4) == 0 {
            hand.go_on(dice.below(2_000));
        }
        if dice.below(300) == 0 {
            drop(store);
            store = open();
            // Which leases ended before is forgotten, as nobody can ask for them any more.
            dice.leave_leases();
        }
        let mut ops: Vec<StoreOp> = (0..=dice.below(3)).map(|_| dice.op()).collect();
        if ops.iter().any(reads) {
            // It may be read beside the others, of which some may forget its topic.
            ops.truncate(1);
        }
        let ops: Vec<StoreOp> =
            ops.into_iter().map(|op| with_epoch(&mut memory, &hand, op)).collect();
        let expected: Vec<StoreOutcome> =
            ops.iter().map(|op| memory.apply(hand.now(), op.clone())).collect();
        let batch: Vec<_> = (0..).map(OpId).zip(ops.iter().cloned()).collect();
        let mut answers = store.execute(batch).await;
        answers.sort_by_key(|(id, _)| *id);
        for ((op, expected), (_, came)) in ops.iter().zip(&expected).zip(&answers) {
            assert_eq!(came, expected, "seed {seed}, step {step}: {op:?}");
            dice.hear(came);
        }
        if ops.iter().any(reads) {
            // Nothing is let go by reading.
            continue;
        }
        let metrics = store.metrics();
        let bytes = memory.bytes();
        let sums = (metrics.reply_bytes, metrics.owed_bytes, metrics.log_bytes);
        assert_eq!(sums, (bytes.replies, bytes.owed, bytes.logs), "seed {seed}, step {step}");
    }
}

#[tokio::test]
async fn the_local_store_answers_what_the_memory_store_answers() {
    for seed in 1..=12 {
        compare(seed).await;
    }
}
