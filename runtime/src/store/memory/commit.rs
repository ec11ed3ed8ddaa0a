//! Commits: records of a lease, the ids that they take, and what they publish (PROTOCOL.md 5.6,
//! 5.20). All that a commit touches is held at once.

use super::bytes::publication_bytes;
use super::limits::MemoryLimits;
use super::run::Run;
use super::shards::{Held, Place, Places, Shards};
use super::topics::NewEntry;
use crate::session::store::{Appended, Commit, CommitId, CommitOutcome, Record, StoreOutcome};
use crate::wire::{CommandNo, LeaseId};

/// What a commit needs.
#[derive(Default)]
struct Needs {
    people: Places,
    topics: Places,
    /// Bytes of publications that it would leave to be appended.
    owed: u64,
    /// Publications that it would append itself, and their bytes.
    appended: (u64, u64),
}

impl<S: Shards> Run<'_, S> {
    fn needs(&self, commits: &[Commit]) -> Needs {
        let mut needs = Needs::default();
        for Commit { record, settle, id, .. } in commits {
            if let Some(taken) = id {
                needs.people.add(S::place_of_principal(&taken.id.principal));
            }
            let bytes = publication_bytes(&record.publishes);
            if *settle && self.limits.append_window.is_none() {
                needs.appended.0 += record.publishes.len() as u64;
                needs.appended.1 += bytes;
                let places = record.publishes.iter().map(|it| S::place_of_topic(&it.topic));
                places.for_each(|place| needs.topics.add(place));
            } else {
                needs.owed += bytes;
            }
        }
        needs
    }

    pub(super) fn commit(
        &mut self,
        lease: LeaseId,
        low: CommandNo,
        commits: Vec<Commit>,
    ) -> StoreOutcome {
        let mut needs = self.needs(&commits);
        if self.would_owe_too_much(needs.owed) {
            return StoreOutcome::Failed;
        }
        let Some(place) = self.shards.place_of_lease(lease) else {
            return StoreOutcome::LeaseGone;
        };
        needs.people.add(place);
        let limits = self.limits;
        let present = self.present(needs.appended, || {
            let mut published = commits.iter().flat_map(|commit| &commit.record.publishes);
            published.next_back().map(|publication| publication.topic.clone())
        });
        let outcome = self.with(needs.people, needs.topics, |held| {
            let now = held.now();
            let Some(claim) = held.people(place).leases.begin_commit(now, lease, low) else {
                return StoreOutcome::LeaseGone;
            };
            let mut outcomes = Vec::with_capacity(commits.len());
            for commit in commits {
                let n = commit.n;
                let outcome = match held.people(place).leases.obstacle(lease, n) {
                    Some(obstacle) => obstacle,
                    None => write::<S>(held, (place, lease), commit, limits),
                };
                outcomes.push((n, outcome));
            }
            StoreOutcome::Committed { at: held.people(place).leases.time(now), claim, outcomes }
        });
        self.keep_replies_within();
        if let Some(topic) = present {
            self.keep_topics_within(&topic);
        }
        outcome
    }
}

fn write<S: Shards>(
    held: &mut dyn Held,
    (place, lease): (Place, LeaseId),
    mut commit: Commit,
    limits: &MemoryLimits,
) -> CommitOutcome {
    if let Some(used) = yields::<S>(held, (place, lease), &commit, limits) {
        return used;
    }
    let now = held.now();
    let taken = commit.id.take();
    if let Some(taken) = taken.filter(|_| commit.record.outcome.stands()) {
        let all = held.sums();
        let ids = &mut held.people(S::place_of_principal(&taken.id.principal)).ids;
        ids.take(now, *taken, commit.record.outcome.clone(), &all, limits);
    }
    let settled = settle::<S>(held, (place, lease), &mut commit, limits);
    let Commit { n, mut record, .. } = commit;
    record.settled = settled.is_some();
    held.people(place).leases.write(now, lease, n, record, limits);
    CommitOutcome::Written { settled }
}

/// Writes a record, unless its id belongs to another command: then what is recorded is what the id
/// has for it. `None` if the record may go on.
fn yields<S: Shards>(
    held: &mut dyn Held,
    (place, lease): (Place, LeaseId),
    commit: &Commit,
    limits: &MemoryLimits,
) -> Option<CommitOutcome> {
    let CommitId { id, hash, .. } = &**commit.id.as_ref()?;
    let ids = &held.people(S::place_of_principal(&id.principal)).ids;
    let outcome = ids.get(id)?.answer(*hash);
    let record = Record {
        hash: commit.record.hash,
        outcome: outcome.clone(),
        publishes: Vec::new(),
        settled: true,
    };
    let now = held.now();
    held.people(place).leases.write(now, lease, commit.n, record, limits);
    Some(CommitOutcome::Used(outcome))
}

/// Brings what a record publishes into the logs, if that may be done with the record.
fn settle<S: Shards>(
    held: &mut dyn Held,
    (place, lease): (Place, LeaseId),
    commit: &mut Commit,
    limits: &MemoryLimits,
) -> Option<Vec<Appended>> {
    let Commit { n, record, settle, retention, fresh_epochs, .. } = commit;
    let publishes = record.publishes.len();
    if publishes == 0 {
        return Some(Vec::new());
    }
    if !*settle
        || limits.append_window.is_some()
        || held.people(place).leases.owes_below(lease, *n)
        || retention.len() != publishes
        || fresh_epochs.len() != publishes
    {
        return None;
    }
    let mut appended = Vec::with_capacity(publishes);
    let kept = retention.drain(..).zip(fresh_epochs.drain(..));
    for (publication, (retention, fresh_epoch)) in record.publishes.drain(..).zip(kept) {
        let place = S::place_of_topic(&publication.topic);
        let new = NewEntry { key: None, publication, retention, fresh_epoch };
        appended.push(held.append(place, new, limits));
    }
    Some(appended)
}
