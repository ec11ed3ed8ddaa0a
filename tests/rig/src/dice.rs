//! Random operations of a node on its store, over a few leases, principals, ids and topics, so that
//! they meet. What a store should answer is not known here.

use std::time::Duration;

use fastrand::Rng;
use steadfast::session::store::{
    Append, AppendKey, Commit, CommitId, Generation, Holder, MessageId, Outcome, Publication,
    ReadFrom, Record, Retention, StoreOp, StoreOutcome, StoreTime, TopicId,
};
use steadfast::wire::{
    Body, Codec, CommandNo, Dial, Epoch, FailureCode, InstanceId, LeaseId, Name, TopicSeq,
};

/// Leases that operations are about at the same time.
const LEASES: u64 = 9;

/// After how many draws one of them gives way to another.
const DRAWS: u64 = 20;

/// Draws operations from a seed.
#[derive(Debug)]
pub struct Dice {
    rng: Rng,
    keys: u64,
    /// How often a lease was drawn.
    drawn: u64,
    /// The latest time of the store.
    heard: StoreTime,
}

impl Dice {
    /// The same operations for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed), keys: 0, drawn: 0, heard: StoreTime::default() }
    }

    /// The store has answered: what is asked for later is as of that time.
    pub fn hear(&mut self, outcome: &StoreOutcome) {
        self.heard = outcome.at().unwrap_or(self.heard);
    }

    /// From here on no lease is drawn that was drawn before.
    pub fn leave_leases(&mut self) {
        self.drawn += DRAWS * LEASES;
    }

    /// A number below `end`, from the same source.
    pub fn below(&mut self, end: u64) -> u64 {
        self.rng.u64(0..end)
    }

    /// One that ended is not opened again, so others come in their places.
    fn lease(&mut self) -> LeaseId {
        self.drawn += 1;
        LeaseId(u128::from(self.drawn / DRAWS + self.rng.u64(1..=LEASES)))
    }

    /// Sometimes the operation is one that was asked for long ago.
    fn as_of(&mut self) -> StoreTime {
        match self.rng.u8(0..16) {
            0 => StoreTime::default(),
            _ => self.heard,
        }
    }

    fn holder(&mut self) -> Holder {
        Holder { node: self.rng.u128(1..4), instance: InstanceId(1), dial: Dial(1) }
    }

    fn topic(&mut self) -> TopicId {
        let key = self.rng.u8(0..7).to_string().into();
        TopicId { name: Name::from_static("room").expect("a legal name"), key }
    }

    fn body(&mut self) -> Body {
        let long = if self.rng.u8(0..8) == 0 { 200 } else { 20 };
        Body::copy_from("x".repeat(self.rng.usize(0..long)).as_bytes())
    }

    fn retention(&mut self) -> Retention {
        Retention::new(20, Duration::from_secs(30)).with_bytes(1_000)
    }

    fn publication(&mut self) -> Publication {
        let name = Name::from_static("said").expect("a legal name");
        Publication { topic: self.topic(), name, bodies: vec![(Codec::Json, self.body())] }
    }

    fn outcome(&mut self) -> Outcome {
        match self.rng.u8(0..8) {
            0 => Outcome::Expired,
            1 => Outcome::plain_failure(FailureCode::Timeout),
            2 => {
                let name = Name::from_static("no").expect("a legal name");
                Outcome::failed(FailureCode::Error, name, self.body())
            }
            _ => Outcome::Ok(self.body()),
        }
    }

    fn message_id(&mut self) -> MessageId {
        let principal = ["ann", "bob"][self.rng.usize(0..2)].into();
        let message =
            Name::from_static(["order", "pay"][self.rng.usize(0..2)]).expect("a legal name");
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
            decide: None,
            record,
        }
    }

    /// The next one.
    pub fn op(&mut self) -> StoreOp {
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
                as_of: self.as_of(),
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
                max_bytes: self.rng.u64(0..200),
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
            _ => self.page(),
        }
    }

    fn page(&mut self) -> StoreOp {
        StoreOp::ReadLog {
            topic: self.topic(),
            epoch: Epoch(7),
            from: match self.rng.bool() {
                true => ReadFrom::After(TopicSeq(self.rng.u64(0..40))),
                false => ReadFrom::Last(self.rng.u32(0..20)),
            },
            max: self.rng.u32(0..10),
            max_bytes: self.rng.u64(0..400),
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
