//! Random operations, put to the local store and to the memory store: both answer the same. The
//! memory store is the reference, because simulator and model checker know it.
#![allow(clippy::panic, clippy::unwrap_used)]

mod support;

use std::time::Duration;

use fastrand::Rng;
use steadfast::session::store::{
    Append, AppendKey, Commit, CommitId, Generation, Holder, MessageId, OpId, Outcome, Publication,
    ReadFrom, Record, Retention, StoreOp, StoreOutcome, TopicId,
};
use steadfast::store::{MemoryLimits, MemoryState, Store};
use steadfast::wire::{
    Body, Codec, CommandNo, Dial, Epoch, FailureCode, InstanceId, LeaseId, Name, TopicSeq,
};
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

struct Dice {
    rng: Rng,
    keys: u64,
}

impl Dice {
    fn lease(&mut self) -> LeaseId {
        LeaseId(self.rng.u128(1..10))
    }

    fn holder(&mut self) -> Holder {
        Holder { node: self.rng.u128(1..4), instance: InstanceId(1), dial: Dial(1) }
    }

    fn topic(&mut self) -> TopicId {
        let key = self.rng.u8(0..7).to_string().into();
        TopicId { name: Name::from_static("room").unwrap(), key }
    }

    fn body(&mut self) -> Body {
        let long = if self.rng.u8(0..8) == 0 { 200 } else { 20 };
        Body::copy_from("x".repeat(self.rng.usize(0..long)).as_bytes())
    }

    fn retention(&mut self) -> Retention {
        Retention::new(20, Duration::from_secs(30)).with_bytes(1_000)
    }

    fn publication(&mut self) -> Publication {
        let name = Name::from_static("said").unwrap();
        Publication { topic: self.topic(), name, bodies: vec![(Codec::Json, self.body())] }
    }

    fn outcome(&mut self) -> Outcome {
        match self.rng.u8(0..8) {
            0 => Outcome::Expired,
            1 => Outcome::plain_failure(FailureCode::Timeout),
            2 => {
                let name = Name::from_static("no").unwrap();
                Outcome::failed(FailureCode::Error, name, self.body())
            }
            _ => Outcome::Ok(self.body()),
        }
    }

    fn message_id(&mut self) -> MessageId {
        let principal = ["ann", "bob"][self.rng.usize(0..2)].into();
        let message = Name::from_static(["order", "pay"][self.rng.usize(0..2)]).unwrap();
        MessageId { principal, message, text: self.rng.u8(0..6).to_string().into() }
    }

    fn commit_id(&mut self) -> Option<Box<CommitId>> {
        let (hash, keep_ms) = (self.rng.u64(0..2), self.rng.u64(1..30) * 1_000);
        let id = CommitId { id: self.message_id(), hash, keep_ms };
        self.rng.bool().then(|| Box::new(id))
    }

    fn append(&mut self) -> Append {
        let Publication { name, bodies, .. } = self.publication();
        Append { key: self.key(), as_of: None, name, bodies }
    }

    fn commit(&mut self) -> Commit {
        let many = self.rng.usize(0..3);
        let publishes: Vec<_> = (0..many).map(|_| self.publication()).collect();
        let record = Record {
            hash: self.rng.u64(..),
            outcome: self.outcome(),
            settled: publishes.is_empty(),
            publishes,
        };
        Commit {
            n: CommandNo(self.rng.u64(1..30)),
            settle: self.rng.u8(0..4) > 0,
            retention: vec![self.retention(); many],
            fresh_epochs: (0..many).map(|_| Epoch(self.rng.u64(..))).collect(),
            id: self.commit_id(),
            record,
        }
    }

    fn op(&mut self) -> StoreOp {
        let low = CommandNo(self.rng.u64(0..20));
        let principal = ["ann", "bob"][self.rng.usize(0..2)].into();
        match self.rng.u8(0..22) {
            20..=21 => StoreOp::FindId {
                id: self.message_id(),
                max_per_principal: self.rng.u32(0..5),
                max_bytes_per_principal: self.rng.u64(0..400),
            },
            0..=2 => StoreOp::OpenLease {
                id: self.lease(),
                holder: self.holder(),
                principal,
                codec: Codec::Json,
                ttl_ms: 60_000,
                unused_ttl_ms: 9_000,
                max_per_principal: 3,
                held_ms: 5_000,
            },
            3..=4 => StoreOp::ClaimLease {
                id: self.lease(),
                holder: self.holder(),
                principal,
                codec: Codec::Json,
                low,
            },
            5 => StoreOp::RenewLease {
                id: self.lease(),
                generation: Generation(self.rng.u64(1..5)),
                held: self.rng.bool(),
                low,
            },
            6 if self.rng.u8(0..4) == 0 => StoreOp::EndLease { id: self.lease() },
            6..=11 => {
                let many = self.rng.usize(1..4);
                let commits = (0..many).map(|_| self.commit()).collect();
                StoreOp::Commit { lease: self.lease(), low: CommandNo(low.0 / 4), commits }
            }
            12..=13 => {
                let many = self.rng.usize(1..4);
                let records = (0..many).map(|_| (self.lease(), CommandNo(self.rng.u64(1..30))));
                StoreOp::Settle { records: records.collect() }
            }
            14 => StoreOp::ListUnsettled {
                max: self.rng.u32(1..6),
                after: self.rng.bool().then(|| (self.lease(), CommandNo(self.rng.u64(0..30)))),
                older_than_ms: self.rng.u64(0..3) * 500,
            },
            15..=16 => StoreOp::Append {
                topic: self.topic(),
                appends: (0..self.rng.usize(1..4)).map(|_| self.append()).collect(),
                retention: self.retention(),
                fresh_epoch: Epoch(self.rng.u64(..)),
            },
            17 => StoreOp::OpenTopic {
                topic: self.topic(),
                fresh_epoch: Epoch(self.rng.u64(..)),
                retention: self.retention(),
            },
            18 => StoreOp::Heads { topics: vec![self.topic()] },
            _ => StoreOp::ReadLog {
                topic: self.topic(),
                epoch: Epoch(7),
                from: match self.rng.bool() {
                    true => ReadFrom::After(TopicSeq(self.rng.u64(0..40))),
                    false => ReadFrom::Last(self.rng.u32(0..20)),
                },
                max: self.rng.u32(0..10),
                max_bytes: self.rng.u64(0..400),
            },
        }
    }

    fn key(&mut self) -> AppendKey {
        if self.rng.bool() {
            let (lease, n) = (self.lease(), CommandNo(self.rng.u64(1..30)));
            return AppendKey::Command { lease, n, index: self.rng.u32(0..2) };
        }
        self.keys += u64::from(self.rng.bool());
        AppendKey::Direct { node: 1, count: self.keys }
    }
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
    let mut dice = Dice { rng: Rng::with_seed(seed), keys: 0 };
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
        if dice.rng.u8(0..4) == 0 {
            hand.go_on(dice.rng.u64(0..2_000));
        }
        if dice.rng.u16(0..300) == 0 {
            drop(store);
            store = open();
        }
        let mut ops: Vec<StoreOp> = (0..dice.rng.usize(1..4)).map(|_| dice.op()).collect();
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
