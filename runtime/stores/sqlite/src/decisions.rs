//! What decides the outcomes of commands, as it was given to one handle of the store, until nobody
//! needs it. When it runs is the writer's to say.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use steadfast::session::store::{Commit, Decided, DecisionId, StoreOp};

use crate::savepoint::Savepoint;

/// What decides.
pub(crate) type Decision = Box<dyn for<'t> FnMut(&mut Savepoint<'t>) -> Decided + Send>;

/// The same, while the writer may run it and its handle may let go of it.
pub(crate) type Code = Arc<Mutex<Decision>>;

/// Of one handle, and so of one node. As many as it has commands in its tables.
#[derive(Default)]
pub(crate) struct Decisions(Mutex<BTreeMap<DecisionId, Code>>);

/// The decisions that an operation waits for.
pub(crate) fn named_by(op: &StoreOp) -> impl Iterator<Item = DecisionId> {
    let commits: &[Commit] = match op {
        StoreOp::Commit { commits, .. } => commits,
        _ => &[],
    };
    commits.iter().filter_map(|commit| Some(commit.decide.as_ref()?.id))
}

impl Decisions {
    /// Whether an operation waits for a decision.
    pub(crate) fn any_named_by(op: &StoreOp) -> bool {
        named_by(op).next().is_some()
    }

    pub(crate) fn keep(&self, id: DecisionId, decide: Decision) {
        let before = self.lock().insert(id, Arc::new(Mutex::new(decide)));
        drop(before);
    }

    pub(crate) fn get(&self, id: DecisionId) -> Option<Code> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn withdraw(&self, id: DecisionId) {
        let code = self.lock().remove(&id);
        // The application's code is dropped outside of the lock.
        drop(code);
    }

    /// Lets go of what an operation has waited for: it was answered. A panic of what is dropped
    /// harms nobody.
    pub(crate) fn done_with(&self, op: &StoreOp) {
        for id in named_by(op) {
            let _ = catch_unwind(AssertUnwindSafe(|| self.withdraw(id)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<DecisionId, Code>> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
