//! A producer lease with its execution table (PROTOCOL.md 1.3, section 5): numbering, order and
//! what is kept. It starts, commits and answers nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::queue::Queue;
use super::slot::{Committing, Decision, Slot, SlotState};
use crate::session::node::keys::{OperationKey, SessionKey};
use crate::session::node::types::{Attempt, ExecId, Principal};
use crate::session::store::{Generation, Outcome};
use crate::session::{Build, Now};
use crate::wire::{Codec, CommandNo, Dial, FailureCode, Hello, InstanceId, LeaseId, RefusalCode};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) id: LeaseId,
    pub(super) principal: Principal,
    /// What its last holder was built from.
    pub(super) client: Arc<Build>,
    pub(super) codec: Codec,
    pub(super) session: Option<SessionKey>,
    /// The last process and socket that held it: an older socket of that process may not take it
    /// back (4.9).
    pub(super) instance: InstanceId,
    pub(super) dial: Dial,
    /// Lowest number that the client has not resolved; `slots[0]` is its slot.
    pub(super) low: CommandNo,
    slots: VecDeque<Slot>,
    /// What the store was last told of `low`: it keeps the records above.
    pub(super) told_low: CommandNo,
    /// Highest number that the client has used, as far as this node knows.
    pub(super) highest: CommandNo,
    /// A number below may have run on another node, or before a restart.
    pub(super) retry_below: CommandNo,
    pub(super) order: Order,
    pub(super) running: u32,
    /// What waits for a place.
    pub(super) queue: Queue,
    /// Bytes of commands that wait or run.
    pub(super) queue_bytes: u64,
    /// Bytes of kept replies.
    pub(super) record_bytes: u64,
    /// Kept replies, oldest first, for shrinking.
    kept: VecDeque<CommandNo>,
    pub(super) commits: Commits,
    pub(super) timers: Deadlines,
    pub(super) contact: Contact,
    pub(super) issue: Issue,
    /// Whether a command was ever accepted: an unused lease is not worth ending.
    pub(super) used: bool,
}

/// Whether the store has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Issue {
    /// Only this node knows it: its client has nothing to command.
    Reserved,
    /// The store is asked.
    Asked,
    Done,
}

/// Ordered commands that have not begun (PROTOCOL.md 5.5, 5.11).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Order {
    /// Those that wait, the lowest first.
    waiting: VecDeque<CommandNo>,
    /// The last one that was handed out; those before it have ended, or end first.
    pub(super) handed_out: Option<CommandNo>,
    /// Those that were refused for now, and bar all later ones (5.11).
    pub(super) barred: BTreeMap<CommandNo, RefusalCode>,
}

/// What is on its way to the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Commits {
    /// Executed, to be committed with the next operation, in the order of their ends.
    pub(super) executed: VecDeque<CommandNo>,
    pub(super) under_way: Option<OperationKey>,
    pub(super) queued: bool,
    /// Under way to the store although the client calls them resolved: another node has answered.
    pub(super) leaving: BTreeMap<CommandNo, Committing>,
    /// Those whose outcomes the store decides, until it has told.
    pub(super) decisions: BTreeMap<CommandNo, Decision>,
}

/// What the store knows of a lease's holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Contact {
    /// This node's claim of it.
    pub(super) generation: Generation,
    /// The latest claim of another node that this one knows of. If that is the later one, nothing
    /// of the lease starts here, and its contact is not this node's to tell.
    pub(super) elsewhere: Generation,
    /// A client is connected that has it.
    pub(super) held: bool,
    /// What the store was told of that last.
    pub(super) told_held: bool,
    /// It is being told. One at a time: two of them may change their order.
    pub(super) under_way: bool,
    /// There is more to tell since.
    pub(super) again: bool,
    /// The store has a record of it, so that it lives as long as used ones do.
    pub(super) recorded: bool,
}

/// What is armed for a lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Deadlines {
    /// When the earliest running command is looked at.
    pub(super) overdue: Option<Now>,
    /// When its contact is told to the store.
    pub(super) renew: Option<Now>,
    /// When it is looked at whether the lease has come to rest.
    pub(super) rest: Option<Now>,
}

impl Contact {
    /// Whether another node has claimed the lease since.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.elsewhere > self.generation
    }
}

impl Order {
    /// An ordered command waits; they come in order, as a rule.
    pub(super) fn wait(&mut self, n: CommandNo) {
        let at = self.waiting.partition_point(|other| *other < n);
        if self.waiting.get(at) != Some(&n) {
            self.waiting.insert(at, n);
        }
    }

    /// The next one, if everything before it has ended.
    pub(super) fn next(&mut self) -> Option<CommandNo> {
        if self.handed_out.is_some() {
            return None;
        }
        self.hand_out()
    }

    fn hand_out(&mut self) -> Option<CommandNo> {
        let n = self.waiting.pop_front()?;
        self.handed_out = Some(n);
        Some(n)
    }

    /// One that was handed out has ended, or ends no more.
    pub(super) fn ended(&mut self, n: CommandNo) {
        if self.handed_out == Some(n) {
            self.handed_out = None;
        }
    }

    /// A command that has not begun will not begin.
    pub(super) fn stop(&mut self, n: CommandNo) {
        if let Ok(at) = self.waiting.binary_search(&n) {
            self.waiting.remove(at);
        }
        self.ended(n);
    }

    /// Everything that waits, given up.
    pub(super) fn take_waiting(&mut self) -> VecDeque<CommandNo> {
        std::mem::take(&mut self.waiting)
    }

    /// What bars an ordered command.
    pub(super) fn bar(&self, n: CommandNo) -> Option<RefusalCode> {
        self.barred.first_key_value().filter(|(barring, _)| **barring < n).map(|(_, code)| *code)
    }
}

impl Lease {
    pub(super) fn new(
        id: LeaseId,
        principal: Principal,
        codec: Codec,
        hello: &Hello,
        queue: Queue,
    ) -> Self {
        Self {
            id,
            principal,
            client: Arc::default(),
            codec,
            session: None,
            instance: hello.instance,
            dial: hello.dial,
            low: CommandNo(1),
            slots: VecDeque::new(),
            told_low: CommandNo(1),
            highest: CommandNo::ZERO,
            retry_below: CommandNo(1),
            order: Order::default(),
            running: 0,
            queue,
            queue_bytes: 0,
            record_bytes: 0,
            kept: VecDeque::new(),
            commits: Commits::default(),
            timers: Deadlines::default(),
            contact: Contact { told_held: true, ..Contact::default() },
            issue: Issue::Done,
            used: false,
        }
    }

    fn place(&self, n: CommandNo) -> Option<usize> {
        usize::try_from(n.0.checked_sub(self.low.0)?).ok()
    }

    pub(super) fn slot(&self, n: CommandNo) -> Option<&Slot> {
        self.slots.get(self.place(n)?)
    }

    pub(super) fn slot_mut(&mut self, n: CommandNo) -> Option<&mut Slot> {
        let at = self.place(n)?;
        self.slots.get_mut(at)
    }

    /// The slot of `n`, made if need be; `n` lies within the span. `None` below `low`.
    pub(super) fn slot_entry(&mut self, n: CommandNo) -> Option<&mut Slot> {
        let at = self.place(n)?;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, Slot::default);
        }
        self.slots.get_mut(at)
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (CommandNo, &Slot)> {
        self.slots.iter().enumerate().map(|(at, slot)| (CommandNo(self.low.0 + at as u64), slot))
    }

    pub(super) fn places(&self) -> usize {
        self.slots.len()
    }

    /// The next ordered command, to begin after the one that was handed out last. Before one that
    /// has a message id the store is asked, so it is not handed out ahead.
    pub(super) fn next_ahead(&mut self) -> Option<CommandNo> {
        let next = self.order.waiting.front()?;
        let has_id = |slot: &Slot| matches!(&slot.state, SlotState::Waiting(it) if it.id.is_some());
        if self.slot(*next).is_some_and(has_id) {
            return None;
        }
        self.order.hand_out()
    }

    pub(super) fn attempt(&self, n: CommandNo) -> Attempt {
        if n < self.retry_below { Attempt::MaybeRetry } else { Attempt::First }
    }

    /// A new session has asked for nothing yet.
    pub(super) fn forget_asked(&mut self) {
        for slot in &mut self.slots {
            slot.asked = false;
            slot.owed = false;
        }
    }

    /// Gives back what a burst needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.slots.shrink_to_fit();
        self.order.waiting.shrink_to_fit();
        self.kept.shrink_to_fit();
        self.commits.executed.shrink_to_fit();
        self.queue.shrink_to_fit();
    }

    /// Forgets everything below `low` (PROTOCOL.md 5.4); returns what runs and need not any more,
    /// or `None` if nothing waited or ran there, which is so whenever the answers came from here.
    pub(super) fn raise_low(&mut self, low: CommandNo) -> Option<Vec<ExecId>> {
        let (mut stopped, mut live) = (Vec::new(), false);
        while self.low < low {
            let n = self.low;
            if let Some(slot) = self.slots.pop_front() {
                live |= slot.state.is_live() && !matches!(slot.state, SlotState::Committing(_));
                stopped.extend(slot.state.running().map(|running| running.exec));
                self.forget(n, slot.state);
            } else {
                self.low = low;
                break;
            }
            self.low = n.next();
        }
        if self.order.barred.first_key_value().is_some_and(|(n, _)| *n < low) {
            self.order.barred = self.order.barred.split_off(&low);
        }
        live.then_some(stopped)
    }

    fn forget(&mut self, n: CommandNo, state: SlotState) {
        match state {
            SlotState::Waiting(waiting) => {
                self.queue_bytes -= waiting.body.len() as u64;
                self.order.stop(n);
            }
            SlotState::Asking(waiting) => {
                self.queue_bytes -= waiting.body.len() as u64;
                self.running -= 1;
                if waiting.ordered {
                    self.order.ended(n);
                }
            }
            SlotState::Running(running) => {
                self.queue_bytes -= u64::from(running.bytes);
                self.running -= 1;
                if running.ordered {
                    self.order.ended(n);
                }
            }
            SlotState::Done { outcome, .. } => self.record_bytes -= outcome.bytes(),
            SlotState::Committing(committing) => {
                self.commits.leaving.insert(n, committing);
            }
            SlotState::Vacant => {}
        }
        while self.kept.front().is_some_and(|kept| *kept <= n) {
            self.kept.pop_front();
        }
    }

    /// Keeps an outcome for duplicates, unless nobody can ask for it any more; shrinks the oldest
    /// replies when there are too many bytes of them.
    pub(super) fn keep(&mut self, n: CommandNo, hash: u64, outcome: Outcome, limit: u64) {
        let bytes = outcome.bytes();
        // The client has resolved it meanwhile.
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

    /// What is kept of a reply that takes too much room: that it can't be known any more.
    fn shrink(&mut self, n: CommandNo) {
        let unknown = Outcome::plain_failure(FailureCode::Unknown);
        let left = unknown.bytes();
        if let Some(Slot { state: SlotState::Done { outcome, .. }, .. }) = self.slot_mut(n) {
            let freed = std::mem::replace(outcome, unknown).bytes();
            self.record_bytes = self.record_bytes - freed + left;
        }
    }

    /// Kept replies, and their bytes.
    pub(super) fn kept(&self) -> (usize, u64) {
        (self.kept.len(), self.record_bytes)
    }

    /// Nothing runs, waits, or is being committed.
    pub(super) fn is_idle(&self) -> bool {
        self.commits.under_way.is_none()
            && self.commits.executed.is_empty()
            && !self.slots.iter().any(|slot| slot.state.is_live())
    }

    /// The client has resolved every number that it used.
    pub(super) fn is_resolved(&self) -> bool {
        self.low > self.highest
    }
}
