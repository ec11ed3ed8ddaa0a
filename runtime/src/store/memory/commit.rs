//! Commits: records of a lease, the ids that they take, and what they publish (PROTOCOL.md 5.6,
//! 5.20). All that a commit touches is held at once.

use super::limits::MemoryLimits;
use super::run::Run;
use super::shards::{Held, Place, Places, Shards};
use super::topics::NewEntry;
use crate::session::store::{
    Appended, Commit, CommitId, CommitOutcome, Decided, DecisionId, Publication, Record,
    StoreOutcome, TopicId,
};
use crate::wire::{CommandNo, LeaseId};

/// What a commit needs.
#[derive(Default)]
struct Needs {
    people: Places,
    topics: Places,
    /// Publications that it would append itself, and their bytes.
    appended: (u64, u64),
    /// Bytes of publications that it would leave to be appended, if it appends none itself.
    owed: u64,
}

impl<S: Shards> Run<'_, S> {
    fn needs(&self, commits: &[Commit]) -> Needs {
        let mut needs = Needs::default();
        for Commit { record, settle, id, decide, .. } in commits {
            if let Some(taken) = id {
                needs.people.add(S::place_of_principal(&taken.id.principal));
            }
            if let Some(decide) = decide {
                // Nobody knows to which topics it will publish, and how much.
                let terms = &decide.terms;
                needs.topics = Places::all(S::SHARDS);
                let (entries, bytes) = (terms.publishes as u64, terms.publish_bytes as u64);
                needs.appended.0 = needs.appended.0.saturating_add(entries);
                needs.appended.1 = needs.appended.1.saturating_add(bytes);
                needs.owed = needs.owed.saturating_add(bytes);
                continue;
            }
            let bytes = Publication::owed_bytes(&record.publishes);
            needs.owed = needs.owed.saturating_add(bytes);
            if *settle && self.limits.append_window.is_none() {
                needs.appended.0 = needs.appended.0.saturating_add(record.publishes.len() as u64);
                needs.appended.1 = needs.appended.1.saturating_add(bytes);
                let places = record.publishes.iter().map(|it| S::place_of_topic(&it.topic));
                places.for_each(|place| needs.topics.add(place));
            }
        }
        needs
    }

    /// Bytes of publications that commits would leave to be appended, at most. A repetition leaves
    /// nothing new.
    fn left_by(&mut self, lease: LeaseId, commits: &[Commit]) -> u64 {
        let Some(place) = self.shards.place_of_lease(lease) else { return 0 };
        let apart = self.limits.append_window.is_some();
        self.with(Places::one(place), Places::NONE, |held| {
            let leases = &held.people(place).leases;
            if !leases.has_live(lease) {
                return 0;
            }
            let new = commits.iter().filter(|commit| leases.obstacle(lease, commit.n).is_none());
            new.fold(0_u64, |left, commit| {
                let behind = left > 0 || leases.owes_below(lease, commit.n);
                left.saturating_add(commit.may_owe(apart || behind))
            })
        })
    }

    pub(super) fn commit(
        &mut self,
        (lease, low): (LeaseId, CommandNo),
        commits: Vec<Commit>,
        decide: &mut dyn FnMut(DecisionId) -> Decided,
    ) -> StoreOutcome {
        let mut needs = self.needs(&commits);
        if self.would_owe_too_much(needs.owed) {
            let left = self.left_by(lease, &commits);
            if self.would_owe_too_much(left) {
                return StoreOutcome::Failed;
            }
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
                    None => write::<S>(held, (place, lease), commit, (limits, decide)),
                };
                outcomes.push((n, outcome));
            }
            StoreOutcome::Committed { at: held.people(place).leases.time(now), claim, outcomes }
        });
        self.keep_replies_within();
        if let Some(topic) = present.or_else(|| last_decided(&outcome)) {
            self.keep_topics_within(&topic);
        }
        outcome
    }
}

fn write<S: Shards>(
    held: &mut dyn Held,
    (place, lease): (Place, LeaseId),
    mut commit: Commit,
    (limits, decide): (&MemoryLimits, &mut dyn FnMut(DecisionId) -> Decided),
) -> CommitOutcome {
    if let Some(used) = yields::<S>(held, (place, lease), &commit, limits) {
        return used;
    }
    let decided = commit.decide.take().map(|it| {
        let decided = it.terms.apply(decide(it.id));
        commit.take_decision(&it, decided.clone());
        Box::new(decided)
    });
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
    match decided {
        Some(decided) => CommitOutcome::Decided { decided, settled },
        None => CommitOutcome::Written { settled },
    }
}

/// The topic to which a decision has appended last.
fn last_decided(outcome: &StoreOutcome) -> Option<TopicId> {
    let StoreOutcome::Committed { outcomes, .. } = outcome else { return None };
    let mut topics = outcomes.iter().rev().filter_map(|(_, outcome)| match outcome {
        CommitOutcome::Decided { decided, settled: Some(_) } => decided.publishes.last(),
        _ => None,
    });
    topics.next().map(|publication| publication.topic.clone())
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
