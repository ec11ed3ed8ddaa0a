//! What decides outcomes when their records are written, until it has, or nobody needs it. When it
//! runs is for the state to say.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::session::store::{Decided, DecisionId, StoreOp};

/// What decides for a memory store, which has nothing to work in.
type Code = Box<dyn FnMut(&mut ()) -> Decided + Send>;

/// Of one node. As many as it has commands in its tables.
#[derive(Default)]
pub(super) struct Decisions(BTreeMap<DecisionId, Code>);

impl Decisions {
    /// The decisions that an operation waits for.
    pub(super) fn named_by(op: &StoreOp) -> Vec<DecisionId> {
        let StoreOp::Commit { commits, .. } = op else { return Vec::new() };
        commits.iter().filter_map(|commit| Some(commit.decide.as_ref()?.id)).collect()
    }

    /// Whether an operation waits for any.
    pub(super) fn any_named_by(op: &StoreOp) -> bool {
        let StoreOp::Commit { commits, .. } = op else { return false };
        commits.iter().any(|commit| commit.decide.is_some())
    }

    pub(super) fn hand_over(&mut self, id: DecisionId, decide: Code) {
        self.0.insert(id, decide);
    }

    pub(super) fn withdraw(&mut self, id: DecisionId) -> Option<Code> {
        self.0.remove(&id)
    }

    /// What is decided; a panic harms nobody else.
    pub(super) fn decide(&mut self, id: DecisionId) -> Decided {
        let Some(decide) = self.0.get_mut(&id) else { return Decided::internal() };
        // It is dropped afterwards, so nobody sees what a panic has left of it.
        catch_unwind(AssertUnwindSafe(|| decide(&mut ()))).unwrap_or_else(|_| Decided::internal())
    }
}
