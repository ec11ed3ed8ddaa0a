//! Leases, records and logs in memory, and each operation on them. Time comes in from outside.

use super::bytes::MemoryBytes;
use super::ids::Ids;
use super::leases::{self, Leases};
use super::limits::MemoryLimits;
use super::topics::Topics;
use crate::session::Now;
use crate::session::store::{
    Append, AppendKey, AppendOutcome, Commit, CommitId, CommitOutcome, LogEntry, Publication,
    Record, Retention, StoreOp, StoreOutcome, StoreTime, TopicId,
};
use crate::wire::{CommandNo, Epoch, LeaseId, Position};

/// The state of a memory store. It is pure, so that tests and simulators use the same rules as
/// production. An operation costs O(log n) of what is stored, plus what it returns or lets go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MemoryState {
    pub(super) limits: MemoryLimits,
    leases: Leases,
    ids: Ids,
    pub(super) topics: Topics,
}

impl MemoryState {
    /// An empty store.
    #[must_use]
    pub fn new(limits: MemoryLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Carries an operation out, after letting go of what has expired by `now`. A `now` that goes
    /// back expires nothing.
    pub fn apply(&mut self, now: Now, op: StoreOp) -> StoreOutcome {
        self.leases.expire(now, &self.limits);
        self.ids.expire(now);
        self.topics.expire(now, &self.limits);
        let outcome = self.carry_out(now, op);
        self.forget_keys(now);
        outcome
    }

    /// Records that are settled or gone take the keys of their appends with them.
    fn forget_keys(&mut self, now: Now) {
        for (lease, n, publishes) in self.leases.take_done_with() {
            match self.limits.append_window {
                None => self.topics.forget_keys(lease, n, &publishes),
                Some(window) => {
                    self.topics.forget_keys_later(now.after(window), lease, n, publishes);
                }
            }
        }
    }

    /// Becomes another incarnation, as a store does that was restored, promoted, or rolled back to
    /// an earlier moment. Each topic's epoch becomes a mixture of what is stored and `incarnation`,
    /// a random number: numbers may come again with other bytes (PROTOCOL.md 7.1). Each lease is
    /// gone, since records may be missing and commands would run again (5.1); what it owes is still
    /// appended. Ids stay as they are stored: each came with its record, and would go with it.
    pub fn begin_incarnation(&mut self, now: Now, incarnation: u64) {
        self.leases.incarnation = incarnation;
        self.topics.begin_incarnation(incarnation);
        self.leases.end_all(now, &self.limits);
        self.forget_keys(now);
    }

    /// Where a topic stands, with its latest entries, at most `max`.
    pub(super) fn tail(&self, topic: &TopicId, max: usize) -> Option<(Position, Vec<LogEntry>)> {
        self.topics.tail(topic, max)
    }

    /// How much it holds, for metrics and for checks that everything is bounded.
    #[must_use]
    pub const fn bytes(&self) -> MemoryBytes {
        MemoryBytes {
            replies: self.leases.reply_bytes,
            ids: self.ids.bytes,
            owed: self.leases.owed_bytes,
            logs: self.topics.bytes,
        }
    }

    fn carry_out(&mut self, now: Now, op: StoreOp) -> StoreOutcome {
        match op {
            StoreOp::OpenLease {
                id,
                holder,
                principal,
                codec,
                ttl_ms,
                unused_ttl_ms,
                max_per_principal,
                held_ms,
            } => {
                let lease =
                    leases::Lease::new(now, holder, principal, codec, (ttl_ms, unused_ttl_ms));
                self.leases.open(now, id, lease, (max_per_principal, held_ms), &self.limits)
            }
            StoreOp::ClaimLease { id, holder, principal, codec, low } => {
                self.leases.claim(now, id, holder, (&principal, codec), low)
            }
            StoreOp::RenewLease { id, generation, held, low } => {
                self.leases.renew(now, id, generation, held, low)
            }
            StoreOp::EndLease { id } => {
                self.leases.end(now, id, &self.limits);
                StoreOutcome::Done
            }
            StoreOp::Commit { lease, low, commits } => self.commit(now, lease, low, commits),
            StoreOp::FindId { id, max_per_principal, max_bytes_per_principal } => {
                let max = (max_per_principal, max_bytes_per_principal);
                self.ids.find(&id, max, &self.limits)
            }
            StoreOp::Settle { records } => {
                records.into_iter().for_each(|(lease, n)| self.leases.settle(lease, n));
                StoreOutcome::Done
            }
            StoreOp::ListUnsettled { max, after, older_than_ms } => StoreOutcome::Unsettled {
                at: self.leases.time(now),
                records: self.leases.unsettled(now, max, after, older_than_ms),
            },
            StoreOp::Append { topic, appends, retention, fresh_epoch } => {
                self.append(now, &topic, appends, (retention, fresh_epoch))
            }
            StoreOp::OpenTopic { topic, fresh_epoch, retention } => StoreOutcome::Topic(
                self.topics.open(now, &topic, fresh_epoch, retention, &self.limits),
            ),
            StoreOp::Heads { topics } => {
                let heads = topics.iter().map(|topic| self.topics.look(now, topic));
                StoreOutcome::Heads(heads.collect())
            }
            StoreOp::ReadLog { topic, epoch, from, max, max_bytes } => {
                self.topics.read(now, &topic, epoch, from, (max, max_bytes))
            }
        }
    }

    fn commit(
        &mut self,
        now: Now,
        id: LeaseId,
        low: CommandNo,
        commits: Vec<Commit>,
    ) -> StoreOutcome {
        if self.leases.would_owe_too_much(&commits, &self.limits) {
            return StoreOutcome::Failed;
        }
        let Some(claim) = self.leases.begin_commit(now, id, low) else {
            return StoreOutcome::LeaseGone;
        };
        let mut outcomes = Vec::with_capacity(commits.len());
        for commit in commits {
            let n = commit.n;
            let outcome = match self.leases.obstacle(id, n) {
                Some(obstacle) => obstacle,
                None => self.write(now, id, commit),
            };
            outcomes.push((n, outcome));
        }
        StoreOutcome::Committed { at: self.leases.time(now), claim, outcomes }
    }

    /// Writes a record, unless its id belongs to another command: then what is recorded is what the
    /// id has for it. `None` if the record may go on.
    fn yields(&mut self, now: Now, lease: LeaseId, commit: &Commit) -> Option<CommitOutcome> {
        let CommitId { id, hash, .. } = &**commit.id.as_ref()?;
        let outcome = self.ids.get(id)?.answer(*hash);
        let record = Record {
            hash: commit.record.hash,
            outcome: outcome.clone(),
            publishes: Vec::new(),
            settled: true,
        };
        self.leases.write(now, lease, commit.n, record, &self.limits);
        Some(CommitOutcome::Used(outcome))
    }

    fn write(&mut self, now: Now, id: LeaseId, commit: Commit) -> CommitOutcome {
        if let Some(used) = self.yields(now, id, &commit) {
            return used;
        }
        let Commit { n, mut record, settle, retention, fresh_epochs, id: taken } = commit;
        if let Some(taken) = taken.filter(|_| record.outcome.stands()) {
            self.ids.take(now, *taken, record.outcome.clone(), &self.limits);
        }
        let publishes = record.publishes.len();
        let settled = if publishes == 0 {
            Some(Vec::new())
        } else if settle
            && self.limits.append_window.is_none()
            && !self.leases.owes_below(id, n)
            && retention.len() == publishes
            && fresh_epochs.len() == publishes
        {
            let mut appended = Vec::with_capacity(publishes);
            let kept = retention.into_iter().zip(fresh_epochs);
            for (publication, (retention, epoch)) in record.publishes.drain(..).zip(kept) {
                appended.push(self.topics.append(
                    now,
                    None,
                    publication,
                    retention,
                    epoch,
                    &self.limits,
                ));
            }
            Some(appended)
        } else {
            None
        };
        record.settled = settled.is_some();
        self.leases.write(now, id, n, record, &self.limits);
        CommitOutcome::Written { settled }
    }

    fn append(
        &mut self,
        now: Now,
        topic: &TopicId,
        appends: Vec<Append>,
        (retention, fresh_epoch): (Retention, Epoch),
    ) -> StoreOutcome {
        let mut outcomes = Vec::with_capacity(appends.len());
        for append in appends {
            let Append { key, as_of, name, bodies } = append;
            let outcome = self.before_append(now, topic, key, as_of).unwrap_or_else(|| {
                let publication = Publication { topic: topic.clone(), name, bodies };
                let limits = &self.limits;
                let key = Some(key);
                AppendOutcome::Landed(self.topics.append(
                    now,
                    key,
                    publication,
                    retention,
                    fresh_epoch,
                    limits,
                ))
            });
            outcomes.push(outcome);
            if outcome == AppendOutcome::Stale {
                break;
            }
        }
        StoreOutcome::Appended(outcomes)
    }

    /// What came of an append before this one, or keeps it from happening.
    fn before_append(
        &self,
        now: Now,
        topic: &TopicId,
        key: AppendKey,
        as_of: Option<StoreTime>,
    ) -> Option<AppendOutcome> {
        if let Some(appended) = self.topics.landed(key, topic) {
            return Some(AppendOutcome::Landed(appended));
        }
        let AppendKey::Command { lease, n, .. } = key else { return None };
        match self.limits.append_window {
            None => (!self.leases.owes(lease, n)).then_some(AppendOutcome::Settled),
            Some(window) => {
                let recent = as_of.is_some_and(|seen| {
                    let same = seen.incarnation == self.leases.incarnation;
                    same && Now(seen.ms).after(window) >= now
                });
                (!recent).then_some(AppendOutcome::Stale)
            }
        }
    }
}
