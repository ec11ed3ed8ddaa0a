//! Records: what is committed, in which order, and what a node says of it.

use std::collections::BTreeSet;

use steadfast::session::Now;
use steadfast::session::store::{
    AppendKey, Commit, CommitOutcome, OpId, Outcome, StoreOp, StoreOutcome,
};
use steadfast::wire::{Codec, FailureCode, LeaseId, RefusalCode, ServerFrame, SessionId};
use steadfast_rig::Rule;

use super::{CommitBook, Fate};
use crate::checkers::{Checkers, Restored};

fn has_shrunk(outcome: &Outcome) -> bool {
    outcome.failure() == Some(FailureCode::Unknown)
}

/// Whether this is what was committed, with the same bytes; what the node says of its own accord is
/// told in the codec of the lease.
pub(super) fn is_told(committed: &Outcome, told: &Outcome) -> bool {
    Codec::ALL.into_iter().any(|codec| committed.clone().told_in(codec) == *told)
}

/// The commit that writes what was decided, if something was.
fn as_decided(commit: &Commit, outcome: &CommitOutcome) -> Option<Commit> {
    let CommitOutcome::Decided { decided, .. } = outcome else { return None };
    let mut commit = commit.clone();
    commit.record.outcome = decided.outcome.clone();
    commit.record.publishes = decided.publishes.clone();
    Some(commit)
}

impl Checkers {
    /// RESULT and FAILED follow the commit, with its bytes (PROTOCOL.md 5.6).
    pub(in crate::checkers) fn results_follow_commits(
        &mut self,
        session: SessionId,
        n: u64,
        frame: &ServerFrame,
    ) {
        let Some(lease) = self.sessions.get(&session).and_then(|session| session.lease) else {
            return;
        };
        let told = match frame {
            ServerFrame::Result { body, .. } => Outcome::Ok(body.clone()),
            ServerFrame::Failed { code: FailureCode::Unknown, .. } => {
                return self.unknown_only_after_patience((lease, n));
            }
            ServerFrame::Failed { code, name, body, .. } => {
                Outcome::failed(*code, name.clone(), body.clone())
            }
            _ => return,
        };
        let committed = self.commits.get(&(lease, n)).map(|commit| commit.outcome.clone());
        let same = committed.as_ref().is_some_and(|committed| is_told(committed, &told));
        self.require(same, Rule::ResultFollowsCommit, || {
            format!("{lease:?} {n}: told {told:?}, committed {committed:?}")
        });
    }

    /// A refusal says that the command was not executed (PROTOCOL.md 5.10). What a node says that
    /// another one has replaced reaches nobody.
    pub(in crate::checkers) fn refusals_say_the_truth(
        &mut self,
        process: u64,
        session: SessionId,
        n: u64,
        code: RefusalCode,
    ) {
        let Some(lease) = self.sessions.get(&session).and_then(|session| session.lease) else {
            return;
        };
        if self.leases.get(&lease).is_some_and(|book| book.node != process) {
            return;
        }
        let committed =
            self.commits.get(&(lease, n)).is_some_and(|commit| commit.outcome != Outcome::Expired);
        self.require(code.is_retry() || !committed, Rule::RefusedNeverRan, || {
            format!("{lease:?} {n} is refused with {code:?} and was committed")
        });
    }

    /// What really came of a store operation.
    pub fn stored(&mut self, at: Now, process: u64, op: &StoreOp, outcome: &StoreOutcome) {
        self.an_unused_id_finds_room(at, op, outcome);
        match (op, outcome) {
            (StoreOp::Commit { lease, commits, .. }, StoreOutcome::Committed { outcomes, .. }) => {
                let mut published = 0;
                for (commit, (n, outcome)) in commits.iter().zip(outcomes) {
                    let same = commit.n == *n;
                    self.require(same, Rule::CommitsAnsweredInOrder, || format!("{lease:?} {n}"));
                    let decided = as_decided(commit, outcome);
                    let commit = decided.as_ref().unwrap_or(commit);
                    published += self.largest.weigh(&commit.record.publishes);
                    self.commit_happens(at, process, *lease, commit, outcome);
                }
                self.largest.commit = self.largest.commit.max(published);
            }
            (StoreOp::Commit { .. }, StoreOutcome::LeaseGone) => {
                self.sometimes.count("commit finds no lease")
            }
            (StoreOp::Settle { records }, StoreOutcome::Done) => {
                for (lease, n) in records {
                    self.unsettled.remove(&(*lease, n.0));
                }
            }
            (StoreOp::Append { topic, appends, .. }, StoreOutcome::Appended(outcomes)) => {
                self.appends_happen(topic, appends, outcomes);
            }
            (StoreOp::OpenTopic { topic, .. }, StoreOutcome::Topic(head)) => {
                self.topic_is_at(topic, head);
            }
            (StoreOp::ReadLog { topic, .. }, StoreOutcome::Log { head, entries }) => {
                self.topic_is_at(topic, head);
                self.log_keeps_its_bytes(topic, head.epoch, entries);
            }
            _ => {}
        }
    }

    fn commit_happens(
        &mut self,
        at: Now,
        process: u64,
        lease: LeaseId,
        commit: &Commit,
        outcome: &CommitOutcome,
    ) {
        let key = (lease, commit.n.0);
        let settled = match outcome {
            CommitOutcome::Written { settled } | CommitOutcome::Decided { settled, .. } => settled,
            CommitOutcome::Exists(record) => {
                self.sometimes.count("commit finds a record");
                let stands = self.commits.get(&key).map(|commit| commit.outcome.clone());
                // A store may have let go of the reply, never of the record.
                let same = stands.as_ref() == Some(&record.outcome) || has_shrunk(&record.outcome);
                return self.require(same, Rule::RecordStands, || {
                    format!("{key:?}: {stands:?}, {record:?}")
                });
            }
            CommitOutcome::BelowLow => return self.sometimes.count("commit below low"),
            CommitOutcome::Used(outcome) => {
                self.sometimes.count("commit finds its id used");
                self.at_most_one_commit(key, outcome);
                self.an_id_is_used(at, key, outcome);
                let book = CommitBook { outcome: outcome.clone(), publishes: Vec::new() };
                self.commits.insert(key, book);
                return;
            }
        };
        self.at_most_one_commit(key, &commit.record.outcome);
        if !self.a_record_repeats_its_id(process, key, &commit.record) {
            self.a_commit_is_what_a_handler_said(process, key, &commit.record.outcome);
            self.an_id_has_one_outcome(at, key, &commit.record);
        }
        self.only_successes_publish(key, commit);
        // A deadline that had passed is recorded without running anything: it has no place in the
        // order.
        if self.was_said(process, key, &commit.record.outcome) {
            self.commits_keep_their_order(key);
        }
        let book = CommitBook {
            outcome: commit.record.outcome.clone(),
            publishes: commit.record.publishes.clone(),
        };
        self.commits.insert(key, book);
        match settled {
            Some(places) => {
                for (index, (publication, place)) in
                    commit.record.publishes.iter().zip(places).enumerate()
                {
                    let index = index as u32;
                    let key = AppendKey::Command { lease, n: commit.n, index };
                    self.append_happens(key, publication, *place);
                }
            }
            None if !commit.record.publishes.is_empty() => {
                self.unsettled.insert(key);
            }
            None => {}
        }
    }

    /// A handler that fails has published nothing (PROTOCOL.md 5.6).
    fn only_successes_publish(&mut self, key: (LeaseId, u64), commit: &Commit) {
        let holds =
            matches!(commit.record.outcome, Outcome::Ok(_)) || commit.record.publishes.is_empty();
        self.require(holds, Rule::OnlySuccessesPublish, || format!("{key:?}: {:?}", commit.record));
    }

    /// At most one committed effect per lease and number, and none of what was refused.
    fn at_most_one_commit(&mut self, key: (LeaseId, u64), outcome: &Outcome) {
        let again = self.commits.contains_key(&key);
        self.require(!again, Rule::OneCommitPerNumber, || format!("{key:?} is committed again"));
        let Some(command) = self.sent.get(&key).copied() else {
            return self.require(false, Rule::OnlySentIsCommitted, || format!("{key:?}"));
        };
        let Some(call) = self.calls.get_mut(&command).filter(|_| *outcome != Outcome::Expired)
        else {
            return;
        };
        call.commits += 1;
        let (commits, fate, client) = (call.commits, call.fate, call.call);
        self.require(commits == 1, Rule::OneCommitPerCommand, || {
            format!("command {command} {client:?}")
        });
        self.require(fate != Fate::NeverRan, Rule::RefusedNeverRan, || {
            format!("command {command} {client:?}: {key:?}, after it was refused or withdrawn")
        });
    }

    /// Ordered commands of a lease are committed in the order of their numbers.
    fn commits_keep_their_order(&mut self, (lease, n): (LeaseId, u64)) {
        let ordered = self
            .sent
            .get(&(lease, n))
            .and_then(|command| self.calls.get(command))
            .is_some_and(|c| c.ordered);
        let Some(book) = self.leases.get_mut(&lease).filter(|_| ordered) else { return };
        let before = book.last_ordered;
        book.last_ordered = before.max(n);
        let holds = n > before || self.outages.has_given_up();
        self.require(holds, Rule::CommitsInOrder, || format!("{lease:?}: {n} after {before}"));
    }

    /// The store has lost everything.
    pub fn store_lost(&mut self) {
        self.ids.lost();
        self.unsettled.clear();
        self.topics.store_lost();
    }

    /// The store has lost what it took last.
    pub fn store_rolled_back(
        &mut self,
        restored: &[Restored],
        unsettled: BTreeSet<(LeaseId, u64)>,
    ) {
        self.sometimes.count("store rolled back");
        self.ids.rolled_back();
        self.unsettled = unsettled;
        restored.iter().for_each(|restored| self.topics.restored(restored));
    }

    /// Long after the end of its lease a record is let go, settled or not.
    pub fn what_is_owed_may_expire(&mut self) {
        self.unsettled.clear();
    }

    /// What the store was made to say.
    pub fn answered(&mut self, now: Now, process: u64, op: OpId, outcome: &StoreOutcome) {
        self.store_answers(now, process, op, outcome);
        self.own_events_are_learnt(process, op, outcome);
        self.records_are_told(process, op, outcome);
        self.ids_are_told(process, op, outcome);
        self.claims_are_told(process, op, outcome);
        self.decisions_are_told(process, op, outcome);
        match outcome {
            StoreOutcome::Unknown => self.sometimes.count("commit unknown"),
            StoreOutcome::Unsettled { records, .. } if !records.is_empty() => {
                self.sometimes.count("unsettled record settled")
            }
            _ => {}
        }
    }

    /// Whether every record's publications are in their logs.
    #[must_use]
    pub fn all_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Nothing stays half done.
    pub fn records_are_settled_at_rest(&mut self) {
        let left = self.unsettled.first().copied();
        self.require(left.is_none(), Rule::RecordsAreSettled, || format!("{left:?}"));
    }
}
