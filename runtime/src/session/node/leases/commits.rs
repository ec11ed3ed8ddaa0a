//! From an execution's end to its record in the store (PROTOCOL.md 5.6). One commit per lease is
//! under way at a time and carries everything that has ended by then, in order. What a record
//! publishes is not looked into here.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::asking::is_repetition;
use super::lease::Lease;
use super::slot::{Committing, SlotState};
use super::state::Leases;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::node::keys::{LeaseKey, OperationKey};
use crate::session::node::types::{ExecId, StagedPublish};
use crate::session::store::{
    Commit, CommitOutcome, Decided, Outcome, Publication, Record, StoreOp, Terms, TopicId,
};
use crate::session::{Now, Random};
use crate::wire::{CommandNo, Epoch, FailureCode, LeaseId};

/// What came of one record of a commit.
pub(crate) enum Committed {
    /// It stands, and is this node's.
    Written { publishes: Vec<Publication>, afterwards: Vec<StagedPublish>, dup: bool },
    /// Another command has its message id, and what that id stands for is recorded.
    Used { dup: bool },
    /// An earlier one stands; `same` if it is of the same command. `publishes` is what this node's
    /// own would have published: the store need not know any more where that of the other one went.
    Exists { same: bool, publishes: Vec<Publication> },
    /// The client has resolved it by other means: nobody waits.
    Nothing,
}

/// Splits what a handler published, on the terms of all commands; one that breaks them fails and
/// publishes nothing.
fn stage(
    outcome: Outcome,
    publishes: Vec<StagedPublish>,
    terms: &Terms,
) -> (Outcome, Vec<Publication>, Vec<StagedPublish>) {
    let internal = || (Outcome::internal(), Vec::new(), Vec::new());
    if !terms.admit_reply(&outcome) {
        return internal();
    }
    if publishes.is_empty() || !matches!(outcome, Outcome::Ok(_)) {
        return (outcome, Vec::new(), Vec::new());
    }
    let count = publishes.len();
    let (mut events, mut afterwards) = (Vec::new(), Vec::new());
    for publish in publishes {
        match publish {
            StagedPublish::Event(event) => events.push(event),
            later @ (StagedPublish::Volatile(_) | StagedPublish::Direct(_)) => {
                afterwards.push(later)
            }
        }
    }
    match count <= terms.publishes && terms.admit_events(&events) {
        true => (outcome, events, afterwards),
        false => internal(),
    }
}

impl Lease {
    /// The record of `n` that is under way, taken out to be replaced by what came of it.
    fn take_committing(&mut self, n: CommandNo) -> Option<Committing> {
        let here = self.slot_mut(n).and_then(|slot| slot.state.take_committing());
        here.or_else(|| self.commits.leaving.remove(&n))
    }

    fn committing(&self, n: CommandNo) -> Option<&Committing> {
        match &self.slot(n)?.state {
            SlotState::Committing(committing) => Some(committing),
            _ => None,
        }
    }

    /// Whether the store has not told what came of `n`.
    pub(super) fn is_committing(&self, n: CommandNo) -> bool {
        self.committing(n).is_some() || self.commits.leaving.contains_key(&n)
    }

    /// Records that are under way to the store.
    fn under_way(&self) -> impl Iterator<Item = &Record> {
        let here = self.slots().filter_map(|(n, _)| self.committing(n));
        let leaving = self.commits.leaving.values();
        here.chain(leaving).map(|committing| &committing.record)
    }
}

impl Leases {
    /// A handler has ended: its record is to be committed. The next ordered command may begin.
    pub(crate) fn executed(
        &mut self,
        now: Now,
        (key, n): (LeaseKey, CommandNo),
        exec: ExecId,
        (outcome, publishes): (Outcome, Vec<StagedPublish>),
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        if let Some(running) = self.end(now, key, n, exec, config, fx) {
            let (outcome, publishes, afterwards) = stage(outcome, publishes, &self.terms);
            let settled = publishes.is_empty();
            let record = Record { hash: running.hash, outcome, publishes, settled };
            self.commit((key, n), record, afterwards, false);
        }
        self.start_next(now, key, config, fx);
    }

    pub(super) fn commit(
        &mut self,
        (key, n): (LeaseKey, CommandNo),
        record: Record,
        afterwards: Vec<StagedPublish>,
        dup: bool,
    ) {
        let Some(lease) = self.leases.held_mut(key) else { return };
        let Some(slot) = held(lease.slot_mut(n), "what has ended has a slot") else { return };
        slot.state = SlotState::Committing(Committing { record, afterwards, dup });
        lease.commits.executed.push_back(n);
        self.queue_commit(key);
    }

    fn queue_commit(&mut self, key: LeaseKey) {
        if let Some(lease) = self.leases.get_mut(key)
            && lease.commits.under_way.is_none()
            && !lease.commits.queued
            && !lease.commits.executed.is_empty()
        {
            lease.commits.queued = true;
            self.uncommitted.push_back(key);
        }
    }

    /// The commit of a lease whose commands have ended: an operation that has begun.
    pub(crate) fn next_commit(&mut self, fx: &mut Effects) -> Option<OperationKey> {
        loop {
            let key = self.uncommitted.pop_front()?;
            // It may have been dropped since.
            let Some(lease) = self.leases.get_mut(key) else { continue };
            lease.commits.queued = false;
            let numbers = lease.commits.executed.drain(..).collect();
            let operation = fx.begin_operation(Purpose::Commit(key, numbers));
            lease.commits.under_way = Some(operation);
            lease.told_low = lease.low;
            return Some(operation);
        }
    }

    /// Makes the operation from the execution table; the same again when it is repeated. `waits`
    /// says whether earlier appends to a topic wait, `waiting` for which they do.
    pub(crate) fn commit_op(
        &self,
        key: LeaseKey,
        numbers: &[CommandNo],
        (waits, waiting): (impl Fn(&TopicId) -> bool, impl Fn() -> BTreeSet<TopicId>),
        config: &NodeConfig,
        random: &mut Random,
    ) -> Option<StoreOp> {
        let lease = self.leases.get(key)?;
        let mut commits = Vec::with_capacity(numbers.len());
        let mut topics = None;
        for n in numbers {
            // The client may call it resolved since it ended.
            let Some(committing) = lease.committing(*n) else { continue };
            let record = &committing.record;
            // Once one record must wait for its topics, so must every later one of its lease: that
            // is for the store to see.
            let settle = !record.topics().any(&waits);
            let retention =
                record.publishes.iter().map(|p| config.retention(&p.topic.name)).collect();
            let fresh_epochs = record.publishes.iter().map(|_| Epoch(random.u64())).collect();
            let id = self.message_ids.of((key, *n)).map(|id| Box::new(id.clone()));
            let decide = lease.commits.decisions.get(n).map(|decision| {
                let waiting = topics.get_or_insert_with(|| Arc::new(waiting()));
                let fresh_epoch = Epoch(random.u64());
                Box::new(decision.decide(&self.terms, waiting, fresh_epoch))
            });
            let (n, record) = (*n, record.clone());
            commits.push(Commit { n, record, settle, retention, fresh_epochs, id, decide });
        }
        Some(StoreOp::Commit { lease: lease.id, low: lease.low, commits })
    }

    /// A commit was answered, or is given up: the next one may go. The lease's name, or `None` if
    /// it was dropped meanwhile.
    pub(crate) fn commit_ended(&mut self, key: LeaseKey) -> Option<LeaseId> {
        let lease = self.leases.held_mut(key)?;
        lease.commits.under_way = None;
        Some(lease.id)
    }

    /// What came of one record. An outcome that stands is kept for duplicates.
    pub(crate) fn committed(
        &mut self,
        key: LeaseKey,
        n: CommandNo,
        outcome: &CommitOutcome,
        config: &NodeConfig,
    ) -> Committed {
        let limit = u64::from(config.lease_record_bytes);
        // An earlier record of the same commit may have cost it its session, and then the lease.
        let Some(lease) = self.leases.get_mut(key) else { return Committed::Nothing };
        let ours = held(lease.take_committing(n), "what is committed is under way");
        let Some(ours) = ours else { return Committed::Nothing };
        match outcome {
            CommitOutcome::Written { .. } => {
                lease.contact.recorded = true;
                let Committing { record, afterwards, dup } = ours;
                lease.keep(n, record.hash, record.outcome, limit);
                Committed::Written { publishes: record.publishes, afterwards, dup }
            }
            CommitOutcome::Decided { decided, .. } => {
                lease.contact.recorded = true;
                let Committing { record, afterwards, dup } = ours;
                let Decided { outcome, publishes } = (**decided).clone();
                lease.keep(n, record.hash, outcome, limit);
                Committed::Written { publishes, afterwards, dup }
            }
            CommitOutcome::Used(outcome) => {
                lease.contact.recorded = true;
                lease.keep(n, ours.record.hash, outcome.clone(), limit);
                Committed::Used { dup: is_repetition(outcome) }
            }
            CommitOutcome::Exists(record) => {
                lease.keep(n, record.hash, record.outcome.clone(), limit);
                let ours = ours.record;
                Committed::Exists { same: record.hash == ours.hash, publishes: ours.publishes }
            }
            CommitOutcome::BelowLow => Committed::Nothing,
        }
    }

    /// Topics of records that left the table before their commit was answered, and that the answer
    /// did not name.
    pub(crate) fn take_left(&mut self, key: LeaseKey, numbers: &[CommandNo]) -> Vec<TopicId> {
        // See `committed`.
        let Some(lease) = self.leases.get_mut(key) else { return Vec::new() };
        if lease.commits.leaving.is_empty() {
            return Vec::new();
        }
        let left = numbers.iter().filter_map(|n| lease.commits.leaving.remove(n));
        left.flat_map(|left| left.record.publishes).map(|left| left.topic).collect()
    }

    /// Everything of a commit is done with: the next one is queued, what waited for a decision
    /// begins, and a lease that nobody holds is forgotten.
    pub(crate) fn after_commit(
        &mut self,
        now: Now,
        key: LeaseKey,
        decided: bool,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        self.queue_commit(key);
        if decided {
            self.start_next(now, key, config, fx);
        }
        self.release(key, config, fx);
    }

    /// The record of `n` may or may not have been written, and the store does not say: the outcome
    /// is unknown, and said so. What it publishes.
    pub(crate) fn outcome_unknown(
        &mut self,
        key: LeaseKey,
        n: CommandNo,
        config: &NodeConfig,
    ) -> Vec<Publication> {
        let Some(lease) = self.leases.held_mut(key) else { return Vec::new() };
        if let Some(left) = lease.commits.leaving.remove(&n) {
            return left.record.publishes;
        }
        let ours = lease.slot_mut(n).and_then(|slot| slot.state.take_committing());
        let Some(ours) = held(ours, "what is committed is under way") else { return Vec::new() };
        lease.keep(
            n,
            ours.record.hash,
            Outcome::plain_failure(FailureCode::Unknown),
            u64::from(config.lease_record_bytes),
        );
        ours.record.publishes
    }

    /// A lease is dropped while a commit of it is under way: what comes of the commit still
    /// concerns followers.
    pub(super) fn orphan(lease: &Lease, fx: &mut Effects) {
        for decision in lease.commits.decisions.values() {
            fx.stop(decision.exec);
        }
        if let Some(operation) = lease.commits.under_way {
            let topics = lease.under_way().flat_map(Record::topics).cloned().collect();
            fx.orphan(operation, topics);
        }
    }
}

impl Record {
    /// The topics that it publishes to, one by one.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &TopicId> {
        self.publishes.iter().map(|publication| &publication.topic)
    }
}
