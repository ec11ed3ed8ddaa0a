//! A producer lease and its execution table. Owns the rules that concern one lease alone:
//! numbering, order, what is kept; refuses starting, committing and answering.

use std::collections::{BTreeMap, VecDeque};

use super::state::SessionKey;
use super::types::{Attempt, ConnId, ExecId, Principal, StagedPublish};
use crate::session::Now;
use crate::session::store::{OpId, Outcome, Record};
use crate::wire::{
    Body, Codec, CommandNo, Dial, FailureCode, Hello, InstanceId, LeaseId, Name, RefusalCode,
};

/// A producer lease and its execution table (PROTOCOL.md 1.3, section 5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    pub(super) principal: Principal,
    pub(super) codec: Codec,
    pub(super) session: Option<SessionKey>,
    /// The last process and socket that held it: an older socket of that process may not take it
    /// back (4.9).
    pub(super) instance: InstanceId,
    pub(super) dial: Dial,
    /// Lowest number that the client has not resolved; `slots[0]` is its slot.
    pub(super) low: CommandNo,
    pub(super) slots: VecDeque<Slot>,
    /// What the store was last told of `low`: it keeps the records above.
    pub(super) told_low: CommandNo,
    /// When it is looked at whether the lease has come to rest.
    pub(super) rest_timer: Option<Now>,
    /// Highest number that the client has used, as far as this node knows.
    pub(super) highest: CommandNo,
    /// A number below may have run on another node, or before a restart.
    pub(super) retry_below: CommandNo,
    /// Ordered commands that wait for their turn, the lowest first.
    pub(super) waiting: VecDeque<CommandNo>,
    /// The last ordered command that was handed out; those before it have ended, or end first.
    pub(super) ordered_running: Option<CommandNo>,
    /// Ordered commands that were refused for now, and bar all later ones (5.11).
    pub(super) barred: BTreeMap<CommandNo, RefusalCode>,
    pub(super) running: u32,
    pub(super) queue_bytes: u64,
    pub(super) record_bytes: u64,
    /// Kept replies, oldest first, for shrinking.
    pub(super) kept: VecDeque<CommandNo>,
    /// Executed, to be committed with the next operation, in the order of their ends.
    pub(super) executed: VecDeque<CommandNo>,
    pub(super) commit: Option<OpId>,
    /// Under way to the store although the client calls them resolved: another node has answered.
    pub(super) leaving: BTreeMap<CommandNo, Box<Committing>>,
    pub(super) commit_queued: bool,
    /// When the earliest running command is looked at.
    pub(super) overdue_timer: Option<Now>,
    /// When its contact is told to the store.
    pub(super) renew_timer: Option<Now>,
    /// Whether a command was ever accepted: an unused lease is not worth ending.
    pub(super) used: bool,
}

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
    /// Accepted; waits for its turn.
    Waiting(Waiting),
    /// Its handler runs.
    Running { exec: ExecId, hash: u64, bytes: u32, ordered: bool, deadline: Now, overdue: Now },
    /// Its handler has ended; the record is on its way to the store.
    Committing(Box<Committing>),
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
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Committing {
    pub(super) record: Record,
    pub(super) volatiles: Vec<StagedPublish>,
}

impl SlotState {
    pub(super) fn hash(&self) -> Option<u64> {
        match self {
            Self::Vacant => None,
            Self::Waiting(waiting) => Some(waiting.hash),
            Self::Running { hash, .. } | Self::Done { hash, .. } => Some(*hash),
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

    fn is_live(&self) -> bool {
        matches!(self, Self::Waiting(_) | Self::Running { .. } | Self::Committing(_))
    }
}

impl Lease {
    pub(super) fn new(id: LeaseId, principal: Principal, codec: Codec, hello: &Hello) -> Self {
        Self {
            id,
            principal,
            codec,
            session: None,
            instance: hello.instance,
            dial: hello.dial,
            low: CommandNo(1),
            slots: VecDeque::new(),
            told_low: CommandNo(1),
            rest_timer: None,
            highest: CommandNo::ZERO,
            retry_below: CommandNo(1),
            waiting: VecDeque::new(),
            ordered_running: None,
            barred: BTreeMap::new(),
            running: 0,
            queue_bytes: 0,
            record_bytes: 0,
            kept: VecDeque::new(),
            executed: VecDeque::new(),
            commit: None,
            leaving: BTreeMap::new(),
            commit_queued: false,
            overdue_timer: None,
            renew_timer: None,
            used: false,
        }
    }

    pub(super) fn slot(&self, n: CommandNo) -> Option<&Slot> {
        self.slots.get(usize::try_from(n.0.checked_sub(self.low.0)?).ok()?)
    }

    pub(super) fn slot_mut(&mut self, n: CommandNo) -> Option<&mut Slot> {
        self.slots.get_mut(usize::try_from(n.0.checked_sub(self.low.0)?).ok()?)
    }

    /// The slot of `n`, made if need be; `n` lies within the span.
    pub(super) fn slot_entry(&mut self, n: CommandNo) -> Option<&mut Slot> {
        let at = usize::try_from(n.0.checked_sub(self.low.0)?).ok()?;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, Slot::default);
        }
        self.slots.get_mut(at)
    }

    pub(super) fn attempt(&self, n: CommandNo) -> Attempt {
        if n < self.retry_below { Attempt::MaybeRetry } else { Attempt::First }
    }

    /// Gives back what a burst needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.slots.shrink_to_fit();
        self.waiting.shrink_to_fit();
        self.kept.shrink_to_fit();
        self.executed.shrink_to_fit();
    }

    /// Forgets everything below `low` (PROTOCOL.md 5.4); returns what runs and need not any more.
    pub(super) fn raise_low(&mut self, low: CommandNo) -> Vec<ExecId> {
        let mut stopped = Vec::new();
        while self.low < low {
            let n = self.low;
            if let Some(slot) = self.slots.pop_front() {
                if let SlotState::Running { exec, .. } = slot.state {
                    stopped.push(exec);
                }
                self.forget(n, slot.state);
            } else {
                self.low = low;
                break;
            }
            self.low = n.next();
        }
        if self.barred.first_key_value().is_some_and(|(n, _)| *n < low) {
            self.barred = self.barred.split_off(&low);
        }
        stopped
    }

    fn forget(&mut self, n: CommandNo, state: SlotState) {
        match state {
            SlotState::Waiting(waiting) => {
                self.queue_bytes -= waiting.body.len() as u64;
                self.stop_waiting(n);
            }
            SlotState::Running { bytes, ordered, .. } => {
                self.queue_bytes -= u64::from(bytes);
                self.running -= 1;
                if ordered && self.ordered_running == Some(n) {
                    self.ordered_running = None;
                }
            }
            SlotState::Done { outcome, .. } => self.record_bytes -= outcome.bytes(),
            SlotState::Committing(committing) => {
                self.leaving.insert(n, committing);
            }
            SlotState::Vacant => {}
        }
        while self.kept.front().is_some_and(|kept| *kept <= n) {
            self.kept.pop_front();
        }
    }

    /// An ordered command waits for its turn; they come in order, as a rule.
    pub(super) fn wait_in_order(&mut self, n: CommandNo) {
        let at = self.waiting.partition_point(|other| *other < n);
        if self.waiting.get(at) != Some(&n) {
            self.waiting.insert(at, n);
        }
    }

    /// A command that has not begun will not begin.
    pub(super) fn stop_waiting(&mut self, n: CommandNo) {
        if let Ok(at) = self.waiting.binary_search(&n) {
            self.waiting.remove(at);
        }
        if self.ordered_running == Some(n) {
            self.ordered_running = None;
        }
    }

    /// Keeps an outcome for duplicates, unless nobody can ask for it any more; shrinks the oldest
    /// replies when there are too many bytes of them.
    pub(super) fn keep(&mut self, n: CommandNo, hash: u64, outcome: Outcome, limit: u64) {
        let bytes = outcome.bytes();
        let Some(slot) = self.slot_mut(n) else { return };
        if let SlotState::Done { outcome, .. } =
            std::mem::replace(&mut slot.state, SlotState::Done { hash, outcome })
        {
            self.record_bytes -= outcome.bytes();
        }
        self.record_bytes += bytes;
        self.kept.push_back(n);
        while self.record_bytes > limit && self.kept.len() > 1 {
            let Some(oldest) = self.kept.pop_front() else { break };
            self.shrink(oldest);
        }
    }

    fn shrink(&mut self, n: CommandNo) {
        let Some(Slot { state: SlotState::Done { outcome, .. }, .. }) = self.slot_mut(n) else {
            return;
        };
        let freed = outcome.bytes();
        *outcome =
            Outcome::Failed { code: FailureCode::Unknown, name: Name::EMPTY, body: Body::UNIT };
        let left = outcome.bytes();
        self.record_bytes = self.record_bytes - freed + left;
    }

    /// Nothing runs, waits, or is being committed.
    pub(super) fn is_idle(&self) -> bool {
        self.commit.is_none()
            && self.executed.is_empty()
            && !self.slots.iter().any(|slot| slot.state.is_live())
    }

    /// The client has resolved every number that it used.
    pub(super) fn is_resolved(&self) -> bool {
        self.low > self.highest
    }
}
