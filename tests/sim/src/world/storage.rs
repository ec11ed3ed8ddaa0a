//! The one store of all nodes, with delays and lies about what happened. It decides when an
//! operation happens; the memory store of production carries it out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use steadfast::session::Now;
use steadfast::session::node::ExecId;
use steadfast::session::store::{
    Advanced, Appended, Decided, Generation, LogEntry, News, OpId, ReadFrom, StoreOp, StoreOutcome,
    TopicId,
};
use steadfast::store::{MemoryLimits, MemoryState};

use steadfast::wire::{Body, Codec, CommandNo, Epoch, LeaseId, Name, Position};

use super::settled::Settled;
use super::{Clock, Due, World};
use crate::checkers::Restored;
use crate::rng::Rng;
use crate::store_plan::StorePlan;

/// The memory store and its moods.
#[derive(Debug)]
pub struct Shelf {
    /// The production state.
    pub state: MemoryState,
    /// Its time.
    pub clock: Clock,
    /// Until then every operation fails.
    pub outage_until: Now,
    backup: Option<MemoryState>,
    settled: Settled,
    /// When each node last asked, and when that happens: what is asked for at once keeps its order.
    last: BTreeMap<usize, (Now, Now)>,
}

impl Shelf {
    /// Where a topic stands, without touching it.
    fn standing(&mut self, now: Now, topic: &TopicId) -> Option<Position> {
        let look = StoreOp::ReadLog {
            topic: topic.clone(),
            epoch: Epoch(0),
            from: ReadFrom::Last(0),
            max: 0,
            max_bytes: 0,
        };
        match self.state.apply(self.clock.reads(now), look) {
            StoreOutcome::Log { head, .. } => Some(Position { epoch: head.epoch, ts: head.head }),
            _ => None,
        }
    }

    /// Whether a lease lives, without touching it.
    #[must_use]
    pub fn has_lease(&self, now: Now, id: LeaseId) -> bool {
        let (generation, low) = (Generation(0), CommandNo(1));
        let look = StoreOp::RenewLease { id, generation, held: true, low };
        let outcome = self.state.clone().apply(self.clock.reads(now), look);
        matches!(outcome, StoreOutcome::Lease { .. })
    }

    pub(super) fn new(plan: &StorePlan) -> Self {
        Self {
            state: empty(plan),
            clock: Clock::new(Now(0), 0),
            outage_until: Now(0),
            backup: None,
            settled: Settled::default(),
            last: BTreeMap::new(),
        }
    }
}

pub(super) fn limits(plan: &StorePlan) -> MemoryLimits {
    let mut limits = MemoryLimits::default();
    limits.topic_memory = Duration::from_millis(plan.topic_memory_ms);
    (limits.lease_bytes, limits.principal_bytes, limits.reply_bytes) = plan.reply_bytes;
    (limits.owed_bytes, limits.log_bytes) = (plan.owed_bytes, plan.log_bytes);
    let (ended_memory_ms, ended_leases) = plan.ended;
    (limits.ended_memory, limits.ended_leases) =
        (Duration::from_millis(ended_memory_ms), ended_leases);
    (limits.topics, limits.leases) = (plan.topics as usize, plan.leases as usize);
    limits.ids = plan.ids as usize;
    limits.append_window = plan.append_window_ms.map(Duration::from_millis);
    limits
}

fn empty(plan: &StorePlan) -> MemoryState {
    MemoryState::new(limits(plan))
}

/// How long after its report an operation still happens.
const LATE_MS: (u64, u64) = (1, 400);

/// So many times that long for one that opens a lease, which may come and go meanwhile.
const LATER: u64 = 10;

/// What is to become of one operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Odds {
    happens: bool,
    report: Report,
    after_ms: u64,
    /// It happens so long after it was reported.
    late_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Truth,
    Failed,
    Unknown,
    /// That was done before.
    Nothing,
}

fn roll(rng: &mut Rng, plan: &StorePlan, calm: bool, outage: bool) -> Odds {
    let after_ms = if calm { 0 } else { rng.within(plan.after_ms) };
    let mut late_ms = None;
    let (happens, report) = if calm {
        (true, Report::Truth)
    } else if outage {
        if rng.chance(500) { (false, Report::Failed) } else { (false, Report::Unknown) }
    } else if rng.chance(plan.failed) {
        (false, Report::Failed)
    } else if rng.chance(plan.unknown_lost) {
        (false, Report::Unknown)
    } else if rng.chance(plan.unknown_late) {
        late_ms = Some(rng.within(LATE_MS));
        (false, Report::Unknown)
    } else if rng.chance(plan.unknown_done) {
        (true, Report::Unknown)
    } else {
        (true, Report::Truth)
    };
    Odds { happens, report, after_ms, late_ms }
}

impl World {
    pub(super) fn ask_store(&mut self, node: usize, process: u64, op: OpId, body: StoreOp) {
        let outage = self.shelf.outage_until > self.now;
        let odds = roll(&mut self.rng, &self.plan.store, self.healing, outage);
        let before = if self.healing { 0 } else { self.rng.within(self.plan.store.before_ms) };
        let mut when = self.now.after_ms(before);
        if let Some((asked, earlier)) = self.shelf.last.get(&node) {
            when = if *asked == self.now { when.max(*earlier) } else { when };
        }
        self.shelf.last.insert(node, (self.now, when));
        self.note(|_| format!("node {node}: store {op:?} {body:?}"));
        let asked = self.node_now(node);
        self.checkers.asked(asked, process, op, &body);
        if when == self.now {
            self.apply(node, process, op, &body, odds);
        } else {
            self.at(when, Due::StoreApply { node, process, op, body: Box::new(body), odds });
        }
    }

    pub(super) fn apply(
        &mut self,
        node: usize,
        process: u64,
        op: OpId,
        body: &StoreOp,
        odds: Odds,
    ) {
        let orphan = self.nodes[node].process != process || self.nodes[node].core.is_none();
        let happens = odds.happens && !(orphan && self.rng.chance(500));
        // What happens after its report is news to the node that asked as well.
        let knows = (odds.report != Report::Nothing).then_some(node);
        let truth = happens.then(|| self.carry_out(knows, process, body));
        let outcome = match (odds.report, truth) {
            (Report::Truth, Some(truth)) => truth,
            (Report::Failed, _) => StoreOutcome::Failed,
            (Report::Unknown, _) | (Report::Truth, None) => StoreOutcome::Unknown,
            (Report::Nothing, _) => return,
        };
        if let Some(wait) = odds.late_ms {
            self.checkers.sometimes.count("operation after its report");
            let opens = matches!(body, StoreOp::OpenLease { .. });
            let wait = if opens { wait * LATER } else { wait };
            let odds = Odds { happens: true, report: Report::Nothing, after_ms: 0, late_ms: None };
            let body = Box::new(body.clone());
            self.after(wait, Due::StoreApply { node, process, op, body, odds });
        }
        if orphan {
            return;
        }
        // Whoever sleeps hears of it later.
        if odds.after_ms == 0 && !self.node_sleeps(node) {
            self.answer_store(node, process, op, outcome);
        } else {
            self.after(
                odds.after_ms,
                Due::StoreAnswer { node, process, op, outcome: Box::new(outcome) },
            );
        }
    }

    fn carry_out(&mut self, knows: Option<usize>, process: u64, body: &StoreOp) -> StoreOutcome {
        let mut body = body.clone();
        if let StoreOp::Commit { commits, .. } = &mut body {
            let settles = self.plan.store.settles;
            commits.iter_mut().for_each(|commit| commit.settle &= self.rng.chance(settles));
        }
        let mut truth = self.decide_and_store(process, &body);
        if self.plan.store.keeps_settled {
            self.shelf.settled.show(&body, &mut truth);
        }
        self.note(|_| format!("store: {truth:?}"));
        let at = self.shelf.clock.reads(self.now);
        self.checkers.stored(at, process, &body, &truth);
        body.landed(&truth, |topic, event, place| self.spread(knows, topic, event, place));
        truth
    }

    /// What is decided is drawn when it happens, and counts if the store has asked for it.
    fn decide_and_store(&mut self, process: u64, body: &StoreOp) -> StoreOutcome {
        let mut drawn = BTreeMap::new();
        if let StoreOp::Commit { commits, .. } = body {
            for decide in commits.iter().filter_map(|commit| commit.decide.as_ref()) {
                let decided = self.decide();
                drawn.insert(decide.id, decided);
            }
        }
        let mut asked = Vec::new();
        let outcome = self.meddle_store(body, &mut |id| {
            asked.push(id);
            drawn.get(&id).cloned().unwrap_or_else(Decided::internal)
        });
        for id in asked {
            self.checkers.decided(process, ExecId(id.0), &drawn[&id]);
        }
        outcome
    }

    /// News to the nodes that want it and do not know yet, with the entry or without; some is late,
    /// some is lost, some comes twice.
    fn spread(
        &mut self,
        knows: Option<usize>,
        topic: &TopicId,
        (name, bodies): (&Name, &[(Codec, Body)]),
        place: Appended,
    ) {
        for node in (0..self.nodes.len()).filter(|&node| Some(node) != knows) {
            if !self.nodes[node].wanted.contains(topic) {
                continue;
            }
            if !self.healing && self.plan.faults_ms.is_some() && self.rng.chance(200) {
                continue;
            }
            for _ in 0..=u32::from(!self.healing && self.rng.chance(100)) {
                let wait = self.latency();
                let head = Position { epoch: place.epoch, ts: place.ts };
                let entry = LogEntry { ts: place.ts, name: name.clone(), bodies: bodies.to_vec() };
                let entries = if self.rng.chance(500) { vec![entry] } else { Vec::new() };
                let advanced = Advanced { topic: topic.clone(), head, entries };
                let news = Box::new(News::Advanced(vec![advanced]));
                self.after(wait, Due::News { node, news });
            }
        }
    }

    pub(super) fn answer_store(
        &mut self,
        node: usize,
        process: u64,
        op: OpId,
        outcome: StoreOutcome,
    ) {
        let now = self.node_now(node);
        let slot = &mut self.nodes[node];
        let Some(core) = slot.core.as_mut().filter(|_| slot.process == process) else { return };
        core.handle_store(now, op, outcome.clone());
        self.note(|_| format!("node {node}: {op:?} answered {outcome:?}"));
        self.checkers.answered(now, process, op, &outcome);
    }

    /// Every operation that is asked for in this time fails.
    pub fn store_goes_away(&mut self, ms: u64) {
        self.note(|_| format!("store: fails for {ms} ms"));
        self.shelf.outage_until = self.now.after_ms(ms);
        if ms >= 60_000 {
            self.checkers.sometimes.count("store away for a minute");
        }
    }

    /// A replica is left behind, or a backup taken.
    pub fn back_up_store(&mut self) {
        self.note(|_| "store: backed up".to_owned());
        self.shelf.backup = Some(self.shelf.state.clone());
        self.checkers.store_backed_up();
    }

    /// The store goes back to its backup, as after the failover to a replica that was behind, and
    /// is another incarnation; nodes run on and are told after a while. `false` if there is no
    /// backup.
    pub fn roll_store_back(&mut self) -> bool {
        let Some(backup) = self.shelf.backup.take() else { return false };
        self.note(|_| "store: goes back to its backup".to_owned());
        let now = self.now;
        self.shelf.state = backup;
        // What was reported before never happens afterwards: a lease would come back to life.
        self.due.retain(|_, due| match due {
            Due::StoreApply { odds, .. } => odds.report != Report::Nothing,
            _ => true,
        });
        let topics: Vec<TopicId> =
            self.checkers.topics.heads().map(|(topic, _)| topic.clone()).collect();
        let before: Vec<_> = topics.iter().map(|topic| self.shelf.standing(now, topic)).collect();
        let clock = self.shelf.clock.reads(now);
        let incarnation = self.rng.next_u64();
        self.shelf.state.begin_incarnation(clock, incarnation);
        let after: Vec<_> = topics.iter().map(|topic| self.shelf.standing(now, topic)).collect();
        let places = topics.into_iter().zip(before).zip(after);
        let restored: Vec<Restored> =
            places.map(|((topic, before), after)| Restored { topic, before, after }).collect();
        let unsettled = match self.shelf.state.apply(
            clock,
            StoreOp::ListUnsettled {
                max: u32::MAX,
                max_bytes: u64::MAX,
                after: None,
                older_than_ms: 0,
            },
        ) {
            StoreOutcome::Unsettled { records, .. } => {
                records.into_iter().map(|(lease, n, _)| (lease, n.0)).collect()
            }
            _ => BTreeSet::new(),
        };
        self.checkers.store_rolled_back(&restored, unsettled);
        for node in 0..self.nodes.len() {
            let wait = self.latency();
            self.after(wait, Due::News { node, news: Box::new(News::Rolled) });
        }
        true
    }

    /// Loses everything that the store has; only while no node runs.
    pub fn lose_store(&mut self) {
        self.note(|_| "store: lost".to_owned());
        self.shelf.state = empty(&self.plan.store);
        self.shelf.backup = None;
        // What was on its way to it is lost with it.
        self.due.retain(|_, due| !matches!(due, Due::StoreApply { .. }));
        self.checkers.store_lost();
    }
}
