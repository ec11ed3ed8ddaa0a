//! What a store promises, one claim per test. This file has what the tests share.

mod appends;
mod bounds;
mod clones;
mod ids;
mod leases;
mod records;
mod topics;

use std::time::Duration;

use super::{MemoryLimits, MemoryState};
use crate::session::Now;
use crate::session::store::{
    Append, AppendKey, AppendOutcome, Appended, Claim, Commit, CommitOutcome, Generation, Holder,
    LogEntry, Outcome, Publication, ReadFrom, Record, Retention, StoreOp, StoreOutcome, StoreTime,
    TopicHead, TopicId,
};
use crate::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name, TopicSeq};

const TTL: u64 = 1000;
const HELD: u64 = 20;
const UNUSED_TTL: u64 = 100;
const KEPT_MS: u64 = 500;
const KEPT: Retention = Retention::new(3, Duration::from_millis(KEPT_MS));

const HOLDER: Holder = Holder { node: 1, instance: InstanceId(1), dial: Dial(1) };
const OPENED: Claim = Claim { generation: Generation(1), holder: HOLDER };

/// A store's state, and the time that it is told.
struct Shelf {
    now: Now,
    state: MemoryState,
    epochs: u64,
}

fn lease(id: u128) -> LeaseId {
    LeaseId(id)
}

fn topic(key: &str) -> TopicId {
    TopicId { name: Name::from_static("room").expect("a legal name"), key: key.into() }
}

fn event(key: &str, text: &str) -> Publication {
    let bodies = vec![(Codec::Json, Body::copy_from(text.as_bytes()))];
    Publication {
        topic: topic(key),
        name: Name::from_static("said").expect("a legal name"),
        bodies,
    }
}

fn record(publishes: &[Publication]) -> Record {
    let settled = publishes.is_empty();
    Record { hash: 7, outcome: Outcome::Ok(Body::UNIT), publishes: publishes.to_vec(), settled }
}

/// Appends one publication from outside of commands.
fn append_op(
    count: u64,
    publication: Publication,
    retention: Retention,
    fresh_epoch: Epoch,
) -> StoreOp {
    let Publication { topic, name, bodies } = publication;
    let key = AppendKey::Direct { node: 1, count };
    let appends = vec![Append { key, as_of: None, name, bodies }];
    StoreOp::Append { topic, appends, retention, fresh_epoch }
}

fn gone(outcome: &StoreOutcome) -> bool {
    matches!(outcome, StoreOutcome::LeaseGone)
}

impl Shelf {
    fn new() -> Self {
        Self::with(MemoryLimits::default())
    }

    fn with(limits: MemoryLimits) -> Self {
        Self { now: Now(0), state: MemoryState::new(limits), epochs: 0 }
    }

    fn wait(&mut self, ms: u64) -> &mut Self {
        self.now = self.now.after_ms(ms);
        self
    }

    fn apply(&mut self, op: StoreOp) -> StoreOutcome {
        self.state.apply(self.now, op)
    }

    fn fresh(&mut self) -> Epoch {
        self.epochs += 1;
        Epoch(self.epochs)
    }

    fn open(&mut self, id: u128, principal: &str) -> StoreOutcome {
        self.apply(StoreOp::OpenLease {
            id: lease(id),
            as_of: StoreTime::default(),
            holder: HOLDER,
            principal: principal.into(),
            codec: Codec::Json,
            ttl_ms: TTL,
            unused_ttl_ms: UNUSED_TTL,
            max_per_principal: 2,
            held_ms: HELD,
        })
    }

    fn claim(&mut self, id: u128, principal: &str, low: u64) -> StoreOutcome {
        let (id, principal, low) = (lease(id), principal.into(), CommandNo(low));
        self.apply(StoreOp::ClaimLease { id, holder: HOLDER, principal, codec: Codec::Json, low })
    }

    fn renew(&mut self, id: u128, low: u64) -> StoreOutcome {
        self.contact(id, true, low)
    }

    fn let_go(&mut self, id: u128) -> StoreOutcome {
        self.contact(id, false, 1)
    }

    fn contact(&mut self, id: u128, held: bool, low: u64) -> StoreOutcome {
        let (id, generation, low) = (lease(id), Generation(1), CommandNo(low));
        self.apply(StoreOp::RenewLease { id, generation, held, low })
    }

    fn end(&mut self, id: u128) -> StoreOutcome {
        self.apply(StoreOp::EndLease { id: lease(id) })
    }

    fn commit(
        &mut self,
        id: u128,
        n: u64,
        low: u64,
        publishes: &[Publication],
        settle: bool,
    ) -> StoreOutcome {
        let fresh_epochs = publishes.iter().map(|_| self.fresh()).collect();
        let retention = vec![KEPT; publishes.len()];
        let (n, record) = (CommandNo(n), record(publishes));
        let commit = Commit { n, record, settle, retention, fresh_epochs, id: None, decide: None };
        self.apply(StoreOp::Commit { lease: lease(id), low: CommandNo(low), commits: vec![commit] })
    }

    /// Commits one record for a lease that lives.
    fn written(
        &mut self,
        id: u128,
        n: u64,
        low: u64,
        publishes: &[Publication],
        settle: bool,
    ) -> CommitOutcome {
        match self.commit(id, n, low, publishes, settle) {
            StoreOutcome::Committed { mut outcomes, .. }
                if outcomes.len() == 1 && outcomes[0].0 == CommandNo(n) =>
            {
                outcomes.remove(0).1
            }
            other => panic!("{other:?}"),
        }
    }

    fn settle(&mut self, id: u128, n: u64) -> StoreOutcome {
        self.apply(StoreOp::Settle { records: vec![(lease(id), CommandNo(n))] })
    }

    fn unsettled(&mut self) -> Vec<(LeaseId, CommandNo)> {
        match self.apply(StoreOp::ListUnsettled {
            max: 100,
            max_bytes: 9_999,
            after: None,
            older_than_ms: 0,
        }) {
            StoreOutcome::Unsettled { records, .. } => {
                records.into_iter().map(|(id, n, _)| (id, n)).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    fn append(&mut self, key: AppendKey, publication: Publication) -> AppendOutcome {
        self.append_seen(key, None, publication)
    }

    fn append_seen(
        &mut self,
        key: AppendKey,
        as_of: Option<StoreTime>,
        publication: Publication,
    ) -> AppendOutcome {
        let fresh_epoch = self.fresh();
        let Publication { topic, name, bodies } = publication;
        let appends = vec![Append { key, as_of, name, bodies }];
        match self.apply(StoreOp::Append { topic, appends, retention: KEPT, fresh_epoch }) {
            StoreOutcome::Appended(outcomes) if outcomes.len() == 1 => outcomes[0],
            other => panic!("{other:?}"),
        }
    }

    fn publish(&mut self, count: u64, key: &str, text: &str) -> Appended {
        match self.append(AppendKey::Direct { node: 1, count }, event(key, text)) {
            AppendOutcome::Landed(appended) => appended,
            other => panic!("{other:?}"),
        }
    }

    fn head(&mut self, key: &str) -> TopicHead {
        let fresh_epoch = self.fresh();
        match self.apply(StoreOp::OpenTopic { topic: topic(key), fresh_epoch, retention: KEPT }) {
            StoreOutcome::Topic(head) => head,
            other => panic!("{other:?}"),
        }
    }

    /// Where a topic stands, if there is one.
    fn looked(&mut self, key: &str) -> Option<TopicHead> {
        match self.apply(StoreOp::Heads { topics: vec![topic(key)] }) {
            StoreOutcome::Heads(heads) => heads[0],
            other => panic!("{other:?}"),
        }
    }

    fn read(
        &mut self,
        key: &str,
        epoch: Epoch,
        after: u64,
        max: u32,
    ) -> (TopicHead, Vec<LogEntry>) {
        let from = ReadFrom::After(TopicSeq(after));
        self.read_page(key, epoch, from, max, u64::MAX)
    }

    fn read_page(
        &mut self,
        key: &str,
        epoch: Epoch,
        from: ReadFrom,
        max: u32,
        max_bytes: u64,
    ) -> (TopicHead, Vec<LogEntry>) {
        match self.apply(StoreOp::ReadLog { topic: topic(key), epoch, from, max, max_bytes }) {
            StoreOutcome::Log { head, entries } => (head, entries),
            other => panic!("{other:?}"),
        }
    }

    fn read_numbers(&mut self, key: &str, after: u64, max: u32) -> Vec<u64> {
        let epoch = self.head(key).epoch;
        self.read(key, epoch, after, max).1.iter().map(|entry| entry.ts.0).collect()
    }
}

fn command(id: u128, n: u64) -> AppendKey {
    AppendKey::Command { lease: lease(id), n: CommandNo(n), index: 0 }
}
