//! A place in a lease's execution table: where a command stands between its arrival and its
//! settled outcome.

use crate::session::Now;
use crate::session::node::types::{ConnId, ExecId, StagedPublish};
use crate::session::store::{CommitId, Outcome, Record};
use crate::wire::Body;

/// A place in the execution table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Slot {
    pub(super) state: SlotState,
    /// The present session has sent it, so it gets the answer.
    pub(super) asked: bool,
    /// An answer waits for the window.
    pub(super) owed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum SlotState {
    /// Never seen, or refused: it may come.
    #[default]
    Vacant,
    /// Accepted; waits for its order, or for a free place among the executions.
    Waiting(Waiting),
    /// Its order has come, and it has a place; what its message id stands for is being found out.
    Asking(Box<Waiting>),
    /// Its handler runs.
    Running(Running),
    /// Its handler has ended; the record is on its way to the store.
    Committing(Committing),
    /// Its outcome is settled for good.
    Done { hash: u64, outcome: Outcome },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) hash: u64,
    pub(super) message: u16,
    pub(super) body: Body,
    pub(super) ordered: bool,
    pub(super) deadline: Now,
    pub(super) timeout_ms: u64,
    pub(super) conn: ConnId,
    /// If its message declares one.
    pub(super) id: Option<Box<CommitId>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Running {
    pub(super) exec: ExecId,
    pub(super) hash: u64,
    pub(super) bytes: u32,
    pub(super) ordered: bool,
    pub(super) deadline: Now,
    pub(super) overdue: Now,
    /// Its caller does not want it any more.
    pub(super) cancelled: bool,
}

/// A record on its way to the store, and the volatiles that go out once it is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Committing {
    pub(super) record: Record,
    pub(super) volatiles: Vec<StagedPublish>,
    /// Its outcome is that of an earlier command with the same message id.
    pub(super) dup: bool,
}

/// What the store decides when it writes the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Decision {
    /// The execution that has come to it, by which driver and store know it.
    pub(super) exec: ExecId,
    pub(super) ordered: bool,
}

impl SlotState {
    pub(super) fn hash(&self) -> Option<u64> {
        match self {
            Self::Vacant => None,
            Self::Waiting(waiting) => Some(waiting.hash),
            Self::Asking(waiting) => Some(waiting.hash),
            Self::Running(running) => Some(running.hash),
            Self::Done { hash, .. } => Some(*hash),
            Self::Committing(committing) => Some(committing.record.hash),
        }
    }

    /// The outcome, once it is settled.
    pub(super) fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Done { outcome, .. } => Some(outcome),
            _ => None,
        }
    }

    /// Whether something of it is still to happen.
    pub(super) const fn is_live(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::Asking(_) | Self::Running(_) | Self::Committing(_))
    }

    pub(super) const fn running(&self) -> Option<Running> {
        match self {
            Self::Running(running) => Some(*running),
            _ => None,
        }
    }

    /// Takes a command out whose id is being asked for, and leaves the slot vacant.
    pub(super) fn take_asking(&mut self) -> Option<Waiting> {
        match std::mem::take(self) {
            Self::Asking(waiting) => Some(*waiting),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Takes the record out that is on its way, and leaves the slot vacant.
    pub(super) fn take_committing(&mut self) -> Option<Committing> {
        match std::mem::take(self) {
            Self::Committing(ours) => Some(ours),
            other => {
                *self = other;
                None
            }
        }
    }
}
