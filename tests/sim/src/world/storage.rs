//! The one store of all nodes, with delays and lies about what happened. Owns when an operation happens; what it means is
//! the production memory store's business.

use std::collections::BTreeMap;

use steadfast::session::Now;
use steadfast::session::store::{Appended, CommitOutcome, OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::store::{MemoryLimits, MemoryState};

use steadfast::wire::Position;

use super::{Clock, Due, World};
use crate::plan::StorePlan;
use crate::rng::Rng;

/// The memory store and its moods.
#[derive(Debug)]
pub struct Shelf {
    /// The production state.
    pub state: MemoryState,
    /// Its time.
    pub clock: Clock,
    /// Until then every operation fails.
    pub outage_until: Now,
    /// When each node last asked, and when that happens: what is asked for at once keeps its order.
    last: BTreeMap<usize, (Now, Now)>,
}

impl Shelf {
    pub(super) fn new(plan: &StorePlan) -> Self {
        Self { state: empty(plan), clock: Clock::new(Now(0), 0), outage_until: Now(0), last: BTreeMap::new() }
    }
}

fn empty(plan: &StorePlan) -> MemoryState {
    MemoryState::new(MemoryLimits { topic_memory_ms: plan.topic_memory_ms, ..MemoryLimits::default() })
}

/// What is to become of one operation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Odds {
    happens: bool,
    report: Report,
    after_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Truth,
    Failed,
    Unknown,
}

fn roll(rng: &mut Rng, plan: &StorePlan, calm: bool, outage: bool) -> Odds {
    let after_ms = if calm { 0 } else { rng.within(plan.after_ms) };
    let (happens, report) = if calm {
        (true, Report::Truth)
    } else if outage {
        if rng.chance(500) { (false, Report::Failed) } else { (false, Report::Unknown) }
    } else if rng.chance(plan.failed) {
        (false, Report::Failed)
    } else if rng.chance(plan.unknown_lost) {
        (false, Report::Unknown)
    } else if rng.chance(plan.unknown_done) {
        (true, Report::Unknown)
    } else {
        (true, Report::Truth)
    };
    Odds { happens, report, after_ms }
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
        if when == self.now {
            self.apply(node, process, op, &body, odds);
        } else {
            self.at(when, Due::StoreApply { node, process, op, body: Box::new(body), odds });
        }
    }

    pub(super) fn apply(&mut self, node: usize, process: u64, op: OpId, body: &StoreOp, odds: Odds) {
        let orphan = self.nodes[node].process != process || self.nodes[node].core.is_none();
        let happens = odds.happens && !(orphan && self.rng.chance(500));
        let truth = happens.then(|| self.carry_out(node, process, body));
        let outcome = match (odds.report, truth) {
            (Report::Truth, Some(truth)) => truth,
            (Report::Failed, _) => StoreOutcome::Failed,
            (Report::Unknown, _) | (Report::Truth, None) => StoreOutcome::Unknown,
        };
        if orphan {
            return;
        }
        if odds.after_ms == 0 {
            self.answer_store(node, process, op, outcome);
        } else {
            self.after(odds.after_ms, Due::StoreAnswer { node, process, op, outcome: Box::new(outcome) });
        }
    }

    fn carry_out(&mut self, node: usize, process: u64, body: &StoreOp) -> StoreOutcome {
        let mut body = body.clone();
        if let StoreOp::Commit { commits, .. } = &mut body {
            commits.iter_mut().for_each(|commit| commit.settle &= self.plan.store.settles);
        }
        let truth = self.meddle_store(&body);
        self.note(|_| format!("store: {truth:?}"));
        self.checkers.stored(process, &body, &truth);
        match (&body, &truth) {
            (StoreOp::Append { publication, .. }, StoreOutcome::Appended(place)) => {
                self.spread(node, &publication.topic, *place);
            }
            (StoreOp::Commit { commits, .. }, StoreOutcome::Committed(outcomes)) => {
                for (commit, (_, outcome)) in commits.iter().zip(outcomes) {
                    let CommitOutcome::Written { settled: Some(places) } = outcome else { continue };
                    for (publication, place) in commit.record.publishes.iter().zip(places) {
                        self.spread(node, &publication.topic, *place);
                    }
                }
            }
            _ => {}
        }
        truth
    }

    /// Hints to the other nodes; some are late, some are lost.
    fn spread(&mut self, from: usize, topic: &TopicId, place: Appended) {
        for node in (0..self.nodes.len()).filter(|&node| node != from) {
            if !self.healing && self.plan.faults_ms.is_some() && self.rng.chance(200) {
                continue;
            }
            let wait = self.latency();
            self.after(
                wait,
                Due::Hint { node, topic: topic.clone(), head: Position { epoch: place.epoch, ts: place.ts } },
            );
        }
    }

    pub(super) fn answer_store(&mut self, node: usize, process: u64, op: OpId, outcome: StoreOutcome) {
        let now = self.node_now(node);
        let slot = &mut self.nodes[node];
        let Some(core) = slot.core.as_mut().filter(|_| slot.process == process) else { return };
        core.handle_store(now, op, outcome.clone());
        self.note(|_| format!("node {node}: {op:?} answered {outcome:?}"));
        self.checkers.answered(process, op, &outcome);
    }

    /// Loses everything that the store has; only while no node runs.
    pub fn lose_store(&mut self) {
        self.note(|_| "store: lost".to_owned());
        self.shelf.state = empty(&self.plan.store);
        // What was on its way to it is lost with it.
        self.due.retain(|_, due| !matches!(due, Due::StoreApply { .. }));
        self.checkers.store_lost();
    }
}
