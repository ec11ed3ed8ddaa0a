//! A store that several nodes share and that misbehaves as a seed says: late, out of order, silent, wrong about what it did, and
//! sometimes without its memory. Owns when an operation happens and what is said about it; what it means is the production
//! memory store's business.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use steadfast::session::store::{OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::session::{Now, Random};
use steadfast::store::{MemoryLimits, MemoryState};
use steadfast::wire::{Epoch, LeaseId};

/// Which node asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// How badly the store behaves. Probabilities are of 1000.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Faults {
    /// That an operation takes time before it happens, and again before its answer.
    pub delayed: u64,
    /// The most milliseconds of each such delay.
    pub delay_ms: u64,
    /// That an operation may overtake, and be overtaken; others happen in the order in which they were asked for.
    pub reordered: u64,
    /// `Failed`, and it did not happen.
    pub failed: u64,
    /// `Unknown`, and it did not happen.
    pub unknown_undone: u64,
    /// `Unknown`, and it happened.
    pub unknown_done: u64,
    /// That the answer comes at `silent_until` only.
    pub silent: u64,
    /// When silence ends.
    pub silent_until: Now,
    /// Whether a commit may append its publications in the same transaction.
    pub settles: bool,
    /// Operations that can be rolled back; each costs a copy of the state.
    pub history: usize,
}

impl Faults {
    /// A store without any.
    pub const NONE: Self = Self {
        delayed: 0,
        delay_ms: 0,
        reordered: 0,
        failed: 0,
        unknown_undone: 0,
        unknown_done: 0,
        silent: 0,
        silent_until: Now(0),
        settles: true,
        history: 0,
    };
}

/// What is to become of one operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Fate {
    Told,
    Failed,
    UnknownUndone,
    UnknownDone,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    node: NodeId,
    id: OpId,
    op: StoreOp,
    fate: Fate,
    answer_after_ms: u64,
    not_before: Now,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Answer {
    node: NodeId,
    id: OpId,
    outcome: StoreOutcome,
}

/// An operation that happened, and the state before it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Past {
    before: MemoryState,
    op: StoreOp,
}

/// The store; see the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostileStore {
    limits: MemoryLimits,
    state: MemoryState,
    random: Random,
    faults: Faults,
    /// By time, then in the order of asking.
    asked: BTreeMap<(Now, u64), Asked>,
    answers: BTreeMap<(Now, u64), Answer>,
    count: u64,
    /// The latest time at which an operation that keeps its place happens.
    in_order: Now,
    past: VecDeque<Past>,
}

impl HostileStore {
    /// An empty store; the same seed and the same questions give the same answers.
    #[must_use]
    pub fn new(limits: MemoryLimits, faults: Faults, seed: [u8; 32]) -> Self {
        Self {
            state: MemoryState::new(limits.clone()),
            limits,
            random: Random::new(seed),
            faults,
            asked: BTreeMap::new(),
            answers: BTreeMap::new(),
            count: 0,
            in_order: Now(0),
            past: VecDeque::new(),
        }
    }

    /// Behaves differently from now on; what is under way keeps its fate.
    pub fn set_faults(&mut self, faults: Faults) {
        self.faults = faults;
    }

    /// What is stored, for checkers.
    #[must_use]
    pub const fn state(&self) -> &MemoryState {
        &self.state
    }

    fn chance(&mut self, of_1000: u64) -> bool {
        // Always drawn, so that one probability more or less leaves the other draws where they were.
        self.random.up_to(999) < of_1000
    }

    fn delay(&mut self) -> u64 {
        let wait = self.random.up_to(self.faults.delay_ms);
        if self.chance(self.faults.delayed) { wait } else { 0 }
    }

    fn fate(&mut self) -> Fate {
        let failed = self.chance(self.faults.failed);
        let undone = self.chance(self.faults.unknown_undone);
        let done = self.chance(self.faults.unknown_done);
        match (failed, undone, done) {
            (true, _, _) => Fate::Failed,
            (_, true, _) => Fate::UnknownUndone,
            (_, _, true) => Fate::UnknownDone,
            _ => Fate::Told,
        }
    }

    /// A node asks.
    pub fn submit(&mut self, now: Now, node: NodeId, id: OpId, op: StoreOp) {
        let mut at = now.after_ms(self.delay());
        if !self.chance(self.faults.reordered) {
            at = at.max(self.in_order);
            self.in_order = at;
        }
        let not_before = if self.chance(self.faults.silent) { self.faults.silent_until } else { now };
        let asked = Asked { node, id, op, fate: self.fate(), answer_after_ms: self.delay(), not_before };
        self.asked.insert((at, self.count), asked);
        self.count += 1;
    }

    /// The next answer that is due by `now`; carries out what is due before it.
    pub fn poll(&mut self, now: Now) -> Option<(NodeId, OpId, StoreOutcome)> {
        while let Some(next) = self.asked.first_entry().filter(|next| next.key().0 <= now) {
            let (place, asked) = next.remove_entry();
            self.happen(place, asked);
        }
        let answer = self.answers.first_entry().filter(|next| next.key().0 <= now)?.remove();
        Some((answer.node, answer.id, answer.outcome))
    }

    /// When [`poll`](Self::poll) has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Now> {
        let asked = self.asked.first_key_value().map(|(place, _)| place.0);
        let answer = self.answers.first_key_value().map(|(place, _)| place.0);
        asked.into_iter().chain(answer).min()
    }

    fn happen(&mut self, (at, count): (Now, u64), asked: Asked) {
        let Asked { node, id, op, fate, answer_after_ms, not_before } = asked;
        let outcome = match fate {
            Fate::Failed => StoreOutcome::Failed,
            Fate::UnknownUndone => StoreOutcome::Unknown,
            Fate::UnknownDone => {
                self.carry_out(at, op);
                StoreOutcome::Unknown
            }
            Fate::Told => self.carry_out(at, op),
        };
        let due = at.after_ms(answer_after_ms).max(not_before);
        self.answers.insert((due, count), Answer { node, id, outcome });
    }

    fn carry_out(&mut self, at: Now, mut op: StoreOp) -> StoreOutcome {
        if let StoreOp::Commit { commits, .. } = &mut op
            && !self.faults.settles
        {
            commits.iter_mut().for_each(|commit| commit.settle = false);
        }
        if self.faults.history > 0 {
            self.past.push_back(Past { before: self.state.clone(), op: op.clone() });
        }
        while self.past.len() > self.faults.history {
            self.past.pop_front();
        }
        self.state.apply(at, op)
    }

    /// Loses everything. What was under way did not happen, or is lost with the rest; either way nobody can say.
    pub fn crash(&mut self) {
        self.state = MemoryState::new(self.limits.clone());
        self.past.clear();
        self.doubt();
    }

    /// Goes back to before the last `n` operations that happened, or as far as `history` reaches, as a store restored from a
    /// backup does: topics that they touched get other epochs (PROTOCOL.md 7.1), and leases whose records they may have written
    /// end, so that an outcome is unknown, not committed again (5.1). Returns how many were undone.
    pub fn roll_back(&mut self, now: Now, n: usize) -> usize {
        let first = self.past.len().saturating_sub(n);
        let undone: Vec<Past> = self.past.drain(first..).collect();
        let count = undone.len();
        let (mut topics, mut leases) = (BTreeSet::new(), BTreeSet::new());
        for past in &undone {
            touched(&past.op, &mut topics, &mut leases);
        }
        if let Some(oldest) = undone.into_iter().next() {
            self.state = oldest.before;
        }
        for topic in topics {
            let epoch = Epoch(self.random.u64());
            self.state.renew_epoch(&topic, epoch);
        }
        for id in leases {
            self.state.apply(now, StoreOp::EndLease { id });
        }
        // Going back further would bring the old epochs and leases to life again.
        self.past.clear();
        self.doubt();
        count
    }

    /// What has been asked for does not happen, and what has happened may have been undone.
    fn doubt(&mut self) {
        self.asked.values_mut().for_each(|asked| asked.fate = Fate::UnknownUndone);
        self.answers.values_mut().for_each(|answer| answer.outcome = StoreOutcome::Unknown);
    }
}

fn touched(op: &StoreOp, topics: &mut BTreeSet<TopicId>, leases: &mut BTreeSet<LeaseId>) {
    match op {
        StoreOp::Append { publication, .. } => drop(topics.insert(publication.topic.clone())),
        StoreOp::OpenTopic { topic, .. } => drop(topics.insert(topic.clone())),
        StoreOp::Commit { lease, commits, .. } => {
            leases.insert(*lease);
            let published = commits.iter().flat_map(|commit| &commit.record.publishes);
            topics.extend(published.map(|publication| publication.topic.clone()));
        }
        StoreOp::EndLease { id } => drop(leases.insert(*id)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use steadfast::session::store::{
        AppendKey, Appended, Commit, CommitOutcome, Outcome, Publication, Record, Retention,
    };
    use steadfast::wire::{Body, Codec, CommandNo, Name, TopicSeq};

    use super::*;

    const NODE: NodeId = NodeId(1);
    const KEPT: Retention = Retention { entries: 100, ttl_ms: 100_000 };

    fn store(faults: Faults) -> HostileStore {
        HostileStore::new(MemoryLimits::default(), faults, [7; 32])
    }

    fn publication() -> Publication {
        let topic = TopicId { name: Name::from_static("room").expect("a legal name"), key: "a".into() };
        let name = Name::from_static("said").expect("a legal name");
        Publication { topic, name, bodies: vec![(Codec::Json, Body::UNIT)] }
    }

    fn append(count: u64) -> StoreOp {
        let key = AppendKey::Direct { node: 1, count };
        StoreOp::Append { key, publication: publication(), retention: KEPT, fresh_epoch: Epoch(count) }
    }

    fn open_lease() -> StoreOp {
        StoreOp::OpenLease {
            id: LeaseId(1),
            principal: "ann".into(),
            codec: Codec::Json,
            ttl_ms: 100_000,
            unused_ttl_ms: 100_000,
            max_per_principal: 1,
            held_ms: 0,
        }
    }

    fn commit() -> StoreOp {
        let publishes = vec![publication()];
        let record = Record { hash: 1, outcome: Outcome::Ok(Body::UNIT), publishes, settled: false };
        let (retention, fresh_epochs) = (vec![KEPT], vec![Epoch(99)]);
        let commit = Commit { n: CommandNo(1), record, settle: true, retention, fresh_epochs };
        StoreOp::Commit { lease: LeaseId(1), low: CommandNo(1), commits: vec![commit] }
    }

    /// Asks for the operations and gives all answers in the order in which they come.
    fn answers(store: &mut HostileStore, ops: impl IntoIterator<Item = StoreOp>) -> Vec<(u64, StoreOutcome)> {
        for (id, op) in (1..).zip(ops) {
            store.submit(Now(0), NODE, OpId(id), op);
        }
        let mut given = Vec::new();
        while let Some(now) = store.poll_timeout() {
            while let Some((node, id, outcome)) = store.poll(now) {
                assert_eq!(node, NODE);
                given.push((id.0, outcome));
            }
        }
        given
    }

    fn landed(outcome: &StoreOutcome) -> Option<Appended> {
        if let StoreOutcome::Appended(at) = outcome { Some(*at) } else { None }
    }

    /// Where an operation that changes nothing else says that the topic stands.
    fn next_append(store: &mut HostileStore, count: u64) -> Appended {
        store.set_faults(Faults::NONE);
        landed(&answers(store, [append(count)])[0].1).expect("no faults any more")
    }

    #[test]
    fn without_faults_it_answers_at_once_and_in_order() {
        let mut store = store(Faults::NONE);
        let given = answers(&mut store, (1..=5).map(append));
        let numbers: Vec<_> = given.iter().map(|(id, outcome)| (*id, landed(outcome).map(|at| at.ts.0))).collect();
        assert_eq!(numbers, (1..=5).map(|n| (n, Some(n))).collect::<Vec<_>>());
    }

    #[test]
    fn the_same_seed_gives_the_same_answers_and_another_seed_others() {
        let faults = Faults {
            delayed: 500,
            delay_ms: 50,
            reordered: 500,
            failed: 100,
            unknown_undone: 100,
            unknown_done: 100,
            ..Faults::NONE
        };
        let run = |seed| {
            let mut store = HostileStore::new(MemoryLimits::default(), faults.clone(), [seed; 32]);
            (answers(&mut store, (1..=100).map(append)), store)
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(2).0);
    }

    #[test]
    fn what_failed_did_not_happen() {
        let mut store = store(Faults { failed: 1000, ..Faults::NONE });
        assert_eq!(answers(&mut store, [append(1)]), [(1, StoreOutcome::Failed)]);
        assert_eq!(next_append(&mut store, 2).ts, TopicSeq(1));
    }

    #[test]
    fn what_is_unknown_did_not_happen_or_did() {
        for (faults, next) in
            [(Faults { unknown_undone: 1000, ..Faults::NONE }, 1), (Faults { unknown_done: 1000, ..Faults::NONE }, 2)]
        {
            let mut store = store(faults);
            assert_eq!(answers(&mut store, [append(1)]), [(1, StoreOutcome::Unknown)]);
            assert_eq!(next_append(&mut store, 2).ts, TopicSeq(next));
        }
    }

    #[test]
    fn operations_overtake_only_where_they_may() {
        let order = |reordered| {
            let mut store = store(Faults { delayed: 1000, delay_ms: 100, reordered, ..Faults::NONE });
            let mut given = answers(&mut store, (1..=50).map(append));
            given.sort_unstable_by_key(|(id, _)| *id);
            given.iter().filter_map(|(_, outcome)| landed(outcome)).map(|at| at.ts.0).collect::<Vec<_>>()
        };
        assert!(order(0).is_sorted());
        assert!(!order(1000).is_sorted());
    }

    #[test]
    fn a_silent_store_answers_when_its_silence_ends() {
        let mut store = store(Faults { silent: 1000, silent_until: Now(5000), ..Faults::NONE });
        store.submit(Now(0), NODE, OpId(1), append(1));
        assert_eq!(store.poll(Now(4999)), None);
        assert!(store.poll(Now(5000)).is_some_and(|(_, _, outcome)| landed(&outcome).is_some()));
    }

    #[test]
    fn a_store_that_does_not_settle_leaves_every_publication_to_the_node() {
        let mut store = store(Faults { settles: false, ..Faults::NONE });
        let given = answers(&mut store, [open_lease(), commit(), StoreOp::ListUnsettled { max: 9 }]);
        let written = vec![(CommandNo(1), CommitOutcome::Written { settled: None })];
        assert_eq!(given[1].1, StoreOutcome::Committed(written));
        assert!(matches!(&given[2].1, StoreOutcome::Unsettled(records) if records.len() == 1));
    }

    #[test]
    fn a_crash_loses_everything_and_changes_epochs() {
        let mut store = store(Faults::NONE);
        let before = landed(&answers(&mut store, [append(1), open_lease()])[0].1).expect("no faults");
        store.submit(Now(0), NODE, OpId(9), append(2));
        store.crash();
        assert_eq!(store.poll(Now(0)), Some((NODE, OpId(9), StoreOutcome::Unknown)));
        let after = next_append(&mut store, 3);
        assert_eq!(after.ts, TopicSeq(1));
        assert_ne!(after.epoch, before.epoch);
        assert_eq!(answers(&mut store, [commit()])[0].1, StoreOutcome::LeaseGone);
    }

    #[test]
    fn a_roll_back_undoes_operations_changes_epochs_and_ends_leases() {
        let mut store = store(Faults { history: 10, ..Faults::NONE });
        let given = answers(&mut store, [append(1), open_lease(), commit(), append(2)]);
        let before = landed(&given[0].1).expect("no faults");
        assert_eq!(store.roll_back(Now(0), 2), 2);
        let after = next_append(&mut store, 3);
        assert_eq!(after.ts, TopicSeq(2), "what was not rolled back is there");
        assert_ne!(after.epoch, before.epoch);
        assert_eq!(answers(&mut store, [commit()])[0].1, StoreOutcome::LeaseGone, "it must not commit again");
    }

    #[test]
    fn a_roll_back_reaches_as_far_as_the_history() {
        let mut store = store(Faults { history: 2, ..Faults::NONE });
        answers(&mut store, (1..=5).map(append));
        assert_eq!(store.roll_back(Now(0), 9), 2);
        assert_eq!(next_append(&mut store, 6).ts, TopicSeq(4));
    }
}
