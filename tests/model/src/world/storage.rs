//! The one store of all nodes: when an operation happens, and what is said about it. What it means
//! is the production memory store's business.

use std::sync::Arc;

use steadfast::session::node::ExecId;
use steadfast::session::store::{
    Advanced, AppendOutcome, Appended, CommitOutcome, Decided, DecisionId, News, OpId, StoreOp,
    StoreOutcome,
};
use steadfast::store::MemoryState;
use steadfast::wire::{Body, Epoch, Position};

use super::World;
use super::node_end::answer;
use crate::marks::Mark;
use crate::mistake::Mistake;
use crate::settings::{StorePace, topic};
use crate::state::{Asked, NOW, Process, Running};

impl World<'_> {
    /// A node asks.
    pub(super) fn ask(&mut self, node: usize, op: OpId, mut body: StoreOp) {
        forget_proposals(&mut body);
        if let StoreOp::Commit { commits, .. } = &mut body {
            commits.iter_mut().for_each(|commit| commit.settle &= self.model.settings.settles);
        }
        let process = self.state.nodes[node].process;
        let slow = self.is_slow(&body);
        // What takes no time may not overtake what does, or a node's operations would change their
        // order.
        let before = |other: &Asked| other.process == Some(process);
        let waits = !self.settings().any_order && self.state.asked.iter().any(before);
        self.state.asked.push(Asked { node, process: Some(process), op, body });
        if !slow && !waits {
            self.answer(self.state.asked.len() - 1, None);
        }
    }

    fn is_slow(&self, body: &StoreOp) -> bool {
        match self.settings().store {
            StorePace::Instant => false,
            StorePace::Commits => matches!(body, StoreOp::Commit { .. }),
            StorePace::Slow => {
                !matches!(body, StoreOp::OpenTopic { .. } | StoreOp::ListUnsettled { .. })
            }
        }
    }

    /// An operation is carried out and answered; `doubt` says that the answer is "unknown", and
    /// whether it happened.
    pub(super) fn answer(&mut self, at: usize, doubt: Option<bool>) {
        let Asked { node, process, op, body } = self.state.asked.remove(at);
        if self.state.asked[..at].iter().any(|other| other.process == process) {
            self.model.marks.set(Mark::OutOfOrder);
        }
        let decided = decisions(&body);
        let truth = doubt.unwrap_or(true).then(|| self.carry_out(node, body));
        let outcome = truth.filter(|_| doubt.is_none()).unwrap_or(StoreOutcome::Unknown);
        self.tell(node, process, (op, &decided), outcome);
        self.answer_the_quick(process);
    }

    /// A node is answered, unless its process is gone.
    fn tell(
        &mut self,
        node: usize,
        process: Option<Process>,
        (op, decided): (OpId, &[ExecId]),
        outcome: StoreOutcome,
    ) {
        if process == Some(self.state.nodes[node].process) {
            let slot = self.node(node);
            slot.failing.remove(&op);
            if outcome != StoreOutcome::Unknown {
                slot.deciding.retain(|exec, _| !decided.contains(exec));
            }
            slot.core.handle_store(NOW, op, outcome);
        }
    }

    /// The store can't say whether an operation happened. It has not, but may.
    pub(super) fn delay(&mut self, at: usize) {
        let asked = &mut self.state.asked[at];
        let (node, op) = (asked.node, asked.op);
        let process = asked.process.take();
        self.tell(node, process, (op, &[]), StoreOutcome::Unknown);
        self.answer_the_quick(process);
    }

    /// An operation happens that nobody counts on.
    pub(super) fn happen_late(&mut self, at: usize) {
        let Asked { node, body, .. } = self.state.asked.remove(at);
        self.model.marks.set(Mark::Late);
        self.carry_out(node, body);
    }

    /// A commit does not happen, and its node knows.
    pub(super) fn fail(&mut self, at: usize) {
        let Asked { node, process, op, .. } = self.state.asked.remove(at);
        let slot = self.node(node);
        slot.failing.insert(op);
        slot.core.handle_store(NOW, op, StoreOutcome::Failed);
        self.answer_the_quick(process);
    }

    /// What waited only for its place in the order.
    fn answer_the_quick(&mut self, process: Option<Process>) {
        let waits = |asked: &Asked| process.is_some() && asked.process == process;
        let next = self.state.asked.iter().position(waits);
        if let Some(at) = next.filter(|at| !self.is_slow(&self.state.asked[*at].body)) {
            self.answer(at, None);
        }
    }

    fn carry_out(&mut self, node: usize, mut body: StoreOp) -> StoreOutcome {
        propose(&mut body, self.state.epoch);
        let (slot, settings) = (Arc::clone(&self.state.nodes[node]), self.settings().clone());
        let outcome = self.apply(&body, &mut |id| match slot.deciding.get(&ExecId(id.0)) {
            Some(Running::Command { command, .. }) => answer(node, *command, &settings),
            _ => Decided::internal(),
        });
        let marks = &self.model.marks;
        self.ledger().stored(&body, &outcome, marks);
        match (&body, &outcome) {
            (StoreOp::Append { .. }, StoreOutcome::Appended(outcomes)) => {
                for outcome in outcomes {
                    if let AppendOutcome::Landed(place) = outcome {
                        self.spread(node, *place);
                    }
                }
            }
            (StoreOp::Commit { .. }, StoreOutcome::Committed { outcomes, .. }) => {
                for (_, outcome) in outcomes {
                    if let CommitOutcome::Written { settled: Some(places) }
                    | CommitOutcome::Decided { settled: Some(places), .. } = outcome
                    {
                        places.iter().for_each(|place| self.spread(node, *place));
                    }
                }
            }
            _ => {}
        }
        outcome
    }

    /// The other nodes will hear of it; what they hear later makes what they hear first
    /// superfluous.
    fn spread(&mut self, from: usize, place: Appended) {
        if self.is_mistaken(Mistake::LosesHints) {
            return;
        }
        for node in (0..self.state.nodes.len()).filter(|node| *node != from) {
            self.state.hints.insert(node, Position { epoch: place.epoch, ts: place.ts });
            // With nothing else going on there it makes no difference when.
            if !self.state.sockets.values().any(|socket| socket.node == node && socket.node_open) {
                self.hint(node);
            }
        }
    }

    pub(super) fn hint(&mut self, node: usize) {
        if let Some(head) = self.state.hints.remove(&node) {
            let advanced = Advanced { topic: topic(), head, entries: Vec::new() };
            self.node(node).core.handle_news(NOW, News::Advanced(vec![advanced]));
        }
    }

    fn store(&mut self) -> &mut MemoryState {
        Arc::make_mut(&mut self.state.store)
    }

    fn apply(
        &mut self,
        body: &StoreOp,
        decide: &mut dyn FnMut(DecisionId) -> Decided,
    ) -> StoreOutcome {
        match (self.settings().mistake, body) {
            (Some(Mistake::ForgetsRecords), StoreOp::Commit { .. }) => {
                let before = Arc::clone(&self.state.store);
                let outcome = self.store().apply_deciding(NOW, body.clone(), decide);
                self.state.store = before;
                outcome
            }
            (Some(Mistake::IgnoresLow), StoreOp::Commit { commits, .. }) => {
                let mut outcome = self.store().apply_deciding(NOW, body.clone(), decide);
                if let StoreOutcome::Committed { outcomes, .. } = &mut outcome {
                    for ((_, outcome), commit) in outcomes.iter_mut().zip(commits) {
                        if *outcome == CommitOutcome::BelowLow {
                            let settled = commit.record.publishes.is_empty().then(Vec::new);
                            *outcome = CommitOutcome::Written { settled };
                        }
                    }
                }
                outcome
            }
            (Some(Mistake::ChangesEvents), StoreOp::ReadLog { .. }) => {
                let mut outcome = self.store().apply_deciding(NOW, body.clone(), decide);
                if let StoreOutcome::Log { entries, .. } = &mut outcome {
                    entries
                        .iter_mut()
                        .flat_map(|entry| &mut entry.bodies)
                        .for_each(|(_, body)| *body = Body::UNIT);
                }
                outcome
            }
            _ => self.store().apply_deciding(NOW, body.clone(), decide),
        }
    }
}

/// What a commit leaves to the store.
fn decisions(body: &StoreOp) -> Vec<ExecId> {
    let StoreOp::Commit { commits, .. } = body else { return Vec::new() };
    commits.iter().filter_map(|commit| Some(ExecId(commit.decide.as_ref()?.id.0))).collect()
}

/// What a node proposes for a topic that does not exist is random; states need not differ in it.
fn forget_proposals(body: &mut StoreOp) {
    propose(body, Epoch(0));
}

fn propose(body: &mut StoreOp, epoch: Epoch) {
    match body {
        StoreOp::Append { fresh_epoch, .. } | StoreOp::OpenTopic { fresh_epoch, .. } => {
            *fresh_epoch = epoch
        }
        StoreOp::Commit { commits, .. } => {
            for commit in commits {
                commit.fresh_epochs.iter_mut().for_each(|fresh| *fresh = epoch);
                if let Some(decide) = &mut commit.decide {
                    decide.fresh_epoch = epoch;
                }
            }
        }
        _ => {}
    }
}
