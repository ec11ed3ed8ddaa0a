//! What a pass under the engine's lock leaves to do outside of it, and what came of that. Nothing
//! of either is lost when a turn panics: the next turn takes it over.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::cx::Canceller;
use super::execute::Prepared;
use super::registry::{ConnHandle, Landed};
use crate::session::node::{ExecId, Executed, Execution, Principal};
use crate::session::store::{OpId, StoreOp, StoreOutcome};
use crate::wire::ResumeFailure;

/// To do outside of the lock.
#[derive(Default)]
pub(super) struct Work {
    pub(super) wakes: Wakes,
    pub(super) executions: VecDeque<Prepared>,
    pub(super) operations: Vec<(OpId, StoreOp)>,
    pub(super) published: Vec<(oneshot::Sender<Landed>, Landed)>,
    /// Clients that have come back, for the application.
    pub(super) returned: Vec<Returned>,
    /// Handlers whose callers do not want them any more.
    pub(super) cancelled: Vec<Canceller>,
    /// Executions whose outcomes the store need not decide.
    pub(super) withdrawn: Vec<ExecId>,
}

/// Who has come back, and whether the session goes on.
pub(super) type Returned = (Principal, Result<(), ResumeFailure>);

/// Connections to wake.
#[derive(Default)]
pub(super) struct Wakes(Vec<Arc<ConnHandle>>);

/// What came of it, for the node.
#[derive(Default)]
pub(super) struct Done {
    pub(super) executed: VecDeque<(ExecId, Executed)>,
    pub(super) stored: VecDeque<(OpId, StoreOutcome)>,
    /// By the execution that did not end at once.
    pub(super) unbegun: VecDeque<(ExecId, Vec<Execution>)>,
}

/// Both, in the room that the turns of a thread use one after another.
#[derive(Default)]
pub(super) struct Tray {
    pub(super) work: Work,
    pub(super) done: Done,
}

impl Work {
    /// Whether something comes of it that the node is to be told.
    pub(super) fn has_more(&self) -> bool {
        !self.executions.is_empty() || !self.operations.is_empty()
    }

    /// An execution that has not begun here does not begin.
    pub(super) fn withdraw(&mut self, exec: ExecId) {
        self.executions.retain(|prepared| prepared.exec() != exec);
    }

    /// Wakes connections, and tells handlers that are cancelled and those who wait for a publication.
    pub(super) fn tell(&mut self) {
        self.cancelled.drain(..).for_each(|canceller| canceller.cancel());
        for handle in self.wakes.0.drain(..) {
            handle.wake.raise();
        }
        for (waiting, landed) in self.published.drain(..) {
            // Nobody waits any more: the publication stands all the same.
            let _ = waiting.send(landed);
        }
    }

    /// Adds what an earlier turn did not come to, before what this one has.
    pub(super) fn take_over(&mut self, earlier: &mut Self) {
        earlier.executions.append(&mut self.executions);
        earlier.operations.append(&mut self.operations);
        std::mem::swap(&mut self.executions, &mut earlier.executions);
        std::mem::swap(&mut self.operations, &mut earlier.operations);
    }
}

impl Wakes {
    pub(super) fn add(&mut self, handle: Option<Arc<ConnHandle>>) {
        self.0.extend(handle);
    }

    /// This connection has just been given everything, under the lock: it need not be told that
    /// there was something.
    pub(super) fn served(&mut self, handle: &Arc<ConnHandle>) {
        self.0.retain(|other| !Arc::ptr_eq(other, handle));
        handle.wake.take();
    }
}

impl Done {
    pub(super) fn unbegun(&mut self, before: ExecId, execution: Execution) {
        match self.unbegun.back_mut() {
            Some((other, list)) if *other == before => list.push(execution),
            _ => self.unbegun.push_back((before, vec![execution])),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.executed.is_empty() && self.stored.is_empty() && self.unbegun.is_empty()
    }

    /// Adds what an earlier turn did not come to tell.
    pub(super) fn take_over(&mut self, earlier: &mut Self) {
        self.executed.append(&mut earlier.executed);
        self.stored.append(&mut earlier.stored);
        self.unbegun.append(&mut earlier.unbegun);
    }
}
