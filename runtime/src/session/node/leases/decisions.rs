//! Commands whose outcomes the store decides when it writes their records: their handlers have
//! ended, and their turn in the order has not. What is decided is the store's to say.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::slot::Decision;
use super::state::Leases;
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::Effects;
use crate::session::node::keys::LeaseKey;
use crate::session::node::types::ExecId;
use crate::session::store::{Decide, DecisionId, Outcome, Record, Terms, TopicId};
use crate::wire::{CommandNo, Epoch};

impl Decision {
    /// What the store needs to know.
    pub(super) fn decide(
        self,
        terms: &Arc<Terms>,
        waiting: &Arc<BTreeSet<TopicId>>,
        fresh_epoch: Epoch,
    ) -> Decide {
        let (terms, waiting) = (Arc::clone(terms), Arc::clone(waiting));
        Decide { id: DecisionId(self.exec.0), terms, waiting, fresh_epoch }
    }
}

impl Leases {
    /// A handler has ended and leaves its outcome to the store. What comes after it in the order
    /// waits for that: it may look at what the decision changes.
    pub(crate) fn decides(
        &mut self,
        now: Now,
        (key, n): (LeaseKey, CommandNo),
        exec: ExecId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        // Its client may have called it resolved since.
        let Some(running) = self.leave_place(key, n, exec, config) else { return };
        if let Some(lease) = self.leases.held_mut(key) {
            lease.commits.decisions.insert(n, Decision { exec, ordered: running.ordered });
        }
        // Until the store has decided nothing is known, and nothing is published.
        let (outcome, publishes) = (Outcome::internal(), Vec::new());
        let record = Record { hash: running.hash, outcome, publishes, settled: true };
        self.commit((key, n), record, Vec::new(), false);
        self.fill_places(now, config, fx);
    }

    /// The number of an execution whose decision is under way.
    pub(super) fn deciding(&self, key: LeaseKey, exec: ExecId) -> Option<CommandNo> {
        let decisions = &self.leases.get(key)?.commits.decisions;
        let ordered = |decision: &Decision| decision.ordered && decision.exec == exec;
        decisions.iter().find(|(_, decision)| ordered(decision)).map(|(n, _)| *n)
    }

    /// A commit was answered, or is given up: nothing waits for its decisions any more. Where it has
    /// not told the outcome, the store need not keep what decides. Whether there were any.
    pub(crate) fn end_decisions(
        &mut self,
        key: LeaseKey,
        numbers: &[CommandNo],
        fx: &mut Effects,
    ) -> bool {
        let Some(lease) = self.leases.get_mut(key) else { return false };
        if lease.commits.decisions.is_empty() {
            return false;
        }
        for n in numbers {
            let Some(decision) = lease.commits.decisions.remove(n) else { continue };
            if decision.ordered {
                lease.order.ended(*n);
            }
            if lease.is_committing(*n) {
                fx.stop(decision.exec);
            }
        }
        true
    }
}
