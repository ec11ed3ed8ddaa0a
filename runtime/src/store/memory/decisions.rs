//! What decides outcomes when their records are written, until it has, or nobody needs it. When it
//! runs is for the state to say.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::session::store::{Decided, DecisionId, StoreOp};
use crate::store::deciding::Decision;

/// Of one node. As many as it has commands in its tables.
#[derive(Default)]
pub(super) struct Decisions(BTreeMap<DecisionId, Decision>);

impl Decisions {
    /// The decisions that an operation waits for.
    pub(super) fn named_by(op: &StoreOp) -> Vec<DecisionId> {
        let StoreOp::Commit { commits, .. } = op else { return Vec::new() };
        commits.iter().filter_map(|commit| Some(commit.decide.as_ref()?.id)).collect()
    }

    pub(super) fn hand_over(&mut self, id: DecisionId, decide: Decision) {
        self.0.insert(id, decide);
    }

    pub(super) fn withdraw(&mut self, id: DecisionId) -> Option<Decision> {
        self.0.remove(&id)
    }

    /// What is decided; a panic harms nobody else.
    pub(super) fn decide(&mut self, id: DecisionId) -> Decided {
        let Some(decide) = self.0.get_mut(&id) else { return Decided::internal() };
        // It is dropped afterwards, so nobody sees what a panic has left of it.
        catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| Decided::internal())
    }
}
