//! The outbox: commands in the order of their submission, from `submit` to their outcome
//! (PROTOCOL.md sections 5 and 6). It numbers them, sends them again and gives them up; sequences
//! and sockets are not its business.

use std::collections::{BTreeMap, BTreeSet};

use super::backlog::Backlog;
use super::command::Command;
use super::config::ClientConfig;
use super::config::RETRY_CAP_MS;
use super::entry::{SendStage, Unresolved};
use super::journal::Journal;
use super::timer::{ClientTimer, Effects};
use super::types::{CallId, CallOutcome, Event, Fate, Submission, SubmitError};
use crate::session::{Now, millis};
use crate::wire::{Body, CommandNo, FailureCode, LeaseClaim, LeaseId, Name, RefusalCode};

/// The next command to send, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextCommand {
    /// Nothing waits.
    None,
    /// A refused one waits until then, and everything behind it.
    Wait(Now),
    /// This one.
    Ready { call: CallId, n: CommandNo, bytes: usize },
}

/// A command on its way out.
#[derive(Debug)]
pub(super) struct Sending {
    pub(super) n: CommandNo,
    pub(super) deadline_ms: Option<u64>,
    pub(super) name: Name,
    pub(super) body: Body,
}

/// Every command that is not resolved; those that the outbox has no room for wait in the backlog.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    pub(super) last_call: u64,
    pub(super) backlog: Backlog,
    most_commands: usize,
    most_bytes: usize,
    pub(super) age_ms: u64,
    pub(super) entries: BTreeMap<CallId, Unresolved>,
    pub(super) bytes: usize,
    pub(super) fresh: BTreeSet<CallId>,
    pub(super) numbered: BTreeMap<CommandNo, CallId>,
    pub(super) again: BTreeMap<CommandNo, Now>,
    /// Cancelled ones of which the server has yet to hear on this attachment.
    pub(super) cancels: BTreeSet<CallId>,
    pub(super) next: CommandNo,
    pub(super) journal: Option<Box<Journal>>,
}

impl Outbox {
    pub(super) const fn new(config: &ClientConfig) -> Self {
        Self {
            last_call: 0,
            backlog: Backlog::new(config),
            most_commands: config.outbox_commands as usize,
            most_bytes: config.outbox_bytes as usize,
            age_ms: millis(config.outbox_age),
            entries: BTreeMap::new(),
            bytes: 0,
            fresh: BTreeSet::new(),
            numbered: BTreeMap::new(),
            again: BTreeMap::new(),
            cancels: BTreeSet::new(),
            next: CommandNo(1),
            journal: None,
        }
    }

    /// Commands, and the bytes of their bodies.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    pub(super) const fn has_journal(&self) -> bool {
        self.journal.is_some()
    }

    /// Outcomes that the journal keeps, their bytes, and what waits to be told.
    pub(super) fn journal(&self) -> (usize, usize, usize) {
        self.journal.as_ref().map_or((0, 0, 0), |journal| journal.size())
    }

    /// The same of those that wait for room.
    pub(super) fn backlog(&self) -> (usize, usize) {
        self.backlog.size()
    }

    pub(super) fn fate(&self, call: CallId) -> Option<Fate> {
        if self.backlog.contains(call) {
            return Some(Fate::Waiting);
        }
        self.entries.get(&call).map(|entry| entry.fate)
    }

    /// The lowest number that is not resolved (PROTOCOL.md 5.4).
    pub(super) fn low(&self) -> CommandNo {
        let unresolved = self.lowest_numbered();
        // The next process has to hear of an end that this one fails to save.
        let unsaved = self.journal.as_ref().and_then(|journal| journal.first_ending());
        unsaved.map_or(unresolved, |n| n.min(unresolved))
    }

    fn lowest_numbered(&self) -> CommandNo {
        self.numbered.first_key_value().map_or(self.next, |(n, _)| *n)
    }

    pub(super) fn claim(&self, id: LeaseId) -> LeaseClaim {
        let planned = self.journal.as_ref().and_then(|journal| journal.next_planned());
        LeaseClaim { id, low: self.low(), next: planned.map_or(self.next, |(n, _)| n) }
    }

    // ---- in and out ----

    /// Takes a command in, or lets it wait behind whoever waits already.
    pub(super) fn submit(
        &mut self,
        now: Now,
        submission: Submission,
        fx: &mut Effects,
    ) -> Result<CallId, SubmitError> {
        let command = Command::new(now, submission);
        let enters = self.backlog.is_empty() && self.has_room(command.bytes());
        // Room is made by what ends, so nobody waits where there is nothing.
        let may_wait = self.room_taken() > 0 && self.backlog.has_room(command.bytes());
        if !enters && !may_wait {
            return Err(SubmitError::Full);
        }
        self.last_call += 1;
        let call = CallId(self.last_call);
        fx.timers.set(ClientTimer::Call(call), command.given_up(self.age_ms));
        if enters {
            self.enter(call, command, fx);
        } else {
            self.backlog.push(call, command);
        }
        Ok(call)
    }

    /// With those that have ended, and of which nobody can be told yet.
    fn room_taken(&self) -> usize {
        self.entries.len() + self.journal().2
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.room_taken() < self.most_commands
            && self.bytes.saturating_add(bytes) <= self.most_bytes
    }

    /// What it may do from now on; with a journal it is saved first.
    fn enter(&mut self, call: CallId, command: Command, fx: &mut Effects) -> Fate {
        self.bytes += command.bytes();
        self.fresh.insert(call);
        let mut entry = Unresolved::new(command);
        if let Some(journal) = &mut self.journal {
            entry.taken = journal.taken(call, &entry.command, fx);
            entry.fate = Fate::Waiting;
        }
        let fate = entry.fate;
        self.entries.insert(call, entry);
        fate
    }

    /// Lets those who wait in, in the order of calls, while there is room.
    pub(super) fn let_in(&mut self, fx: &mut Effects) {
        while self.backlog.first_bytes().is_some_and(|bytes| self.has_room(bytes))
            && let Some((call, command)) = self.backlog.pop_first()
        {
            if self.enter(call, command, fx) == Fate::Queued {
                fx.event(Event::Fate { call, fate: Fate::Queued });
            }
        }
    }

    /// Forgets a command, wherever it is; what the outbox had of it.
    pub(super) fn remove(&mut self, call: CallId, fx: &mut Effects) -> Option<Unresolved> {
        fx.timers.cancel(ClientTimer::Call(call));
        if self.backlog.remove(call).is_some() {
            return None;
        }
        let entry = self.entries.remove(&call)?;
        self.cancels.remove(&call);
        self.bytes -= entry.command.bytes();
        match entry.stage {
            SendStage::Fresh => {
                self.fresh.remove(&call);
            }
            SendStage::Planned => {
                self.numbered.remove(&entry.n);
                self.take_numbers_back(entry.n, fx);
            }
            SendStage::Out | SendStage::Again => {
                self.numbered.remove(&entry.n);
                self.again.remove(&entry.n);
            }
        }
        Some(entry)
    }

    fn resolve(&mut self, call: CallId, outcome: CallOutcome, fx: &mut Effects) {
        let waited = self.backlog.contains(call);
        match (self.remove(call, fx), &mut self.journal) {
            (Some(entry), Some(journal)) => {
                if let Some(outcome) = journal.ended(call, entry, outcome, fx) {
                    tell_end(call, outcome, fx);
                }
            }
            (Some(_), None) => tell_end(call, outcome, fx),
            (None, _) if waited => tell_end(call, outcome, fx),
            (None, _) => return,
        }
        self.let_in(fx);
    }

    pub(super) fn set_fate(&mut self, call: CallId, fate: Fate, fx: &mut Effects) {
        if let Some(entry) = self.entries.get_mut(&call).filter(|entry| entry.fate != fate) {
            entry.fate = fate;
            fx.event(Event::Fate { call, fate });
        }
    }

    /// Ends everything: the client was closed or gave up.
    pub(super) fn close(&mut self, fx: &mut Effects) {
        // First, or they would be let in by what ends before them.
        let waiting = self.backlog.take();
        let calls: Vec<(CallId, bool)> =
            self.entries.iter().map(|(call, entry)| (*call, entry.maybe_executed())).collect();
        if self.journal.is_some() {
            self.leave_all(fx);
        } else {
            for (call, sent) in calls {
                self.resolve(call, CallOutcome::Closed { sent }, fx);
            }
        }
        for call in waiting {
            fx.timers.cancel(ClientTimer::Call(call));
            tell_end(call, CallOutcome::Closed { sent: false }, fx);
        }
    }

    // ---- sending ----

    /// What is to be sent next: numbered ones in their order, then new ones in theirs.
    pub(super) fn head(&self, now: Now) -> NextCommand {
        if let Some((&n, &not_before)) = self.again.first_key_value() {
            if not_before > now {
                return NextCommand::Wait(not_before);
            }
            return self.numbered.get(&n).map_or(NextCommand::None, |&call| self.ready(call, n));
        }
        if let Some(journal) = &self.journal {
            return match journal.next_planned() {
                Some((n, true)) => {
                    self.numbered.get(&n).map_or(NextCommand::None, |&call| self.ready(call, n))
                }
                _ => NextCommand::None,
            };
        }
        self.fresh.first().map_or(NextCommand::None, |&call| self.ready(call, self.next))
    }

    fn ready(&self, call: CallId, n: CommandNo) -> NextCommand {
        let bytes = self.entries.get(&call).map_or(0, |entry| entry.command.bytes());
        NextCommand::Ready { call, n, bytes }
    }

    /// When the first refused command may be sent again.
    pub(super) fn retry_at(&self) -> Option<Now> {
        self.again.first_key_value().map(|(_, at)| *at)
    }

    /// Marks a head as sent; gives a fresh one its number.
    pub(super) fn send(&mut self, now: Now, call: CallId, fx: &mut Effects) -> Option<Sending> {
        let next = self.next;
        let entry = self.entries.get_mut(&call)?;
        match entry.stage {
            SendStage::Fresh => {
                entry.n = next;
                self.next = next.next();
                self.fresh.remove(&call);
                self.numbered.insert(next, call);
                if !entry.timed_out {
                    fx.timers.set(ClientTimer::Call(call), entry.command.patience_ends());
                }
            }
            SendStage::Planned => {
                if let Some(journal) = &mut self.journal {
                    journal.used(entry.n);
                }
                if !entry.timed_out {
                    fx.timers.set(ClientTimer::Call(call), entry.command.patience_ends());
                }
            }
            SendStage::Again | SendStage::Out => {
                self.again.remove(&entry.n);
            }
        }
        let again = std::mem::replace(&mut entry.transmitted, true);
        entry.stage = SendStage::Out;
        if entry.cancelled {
            self.cancels.insert(call);
        }
        let sending = Sending {
            n: entry.n,
            deadline_ms: entry.deadline_ms(now, again),
            name: entry.command.name().clone(),
            body: entry.command.body().clone(),
        };
        if entry.fate == Fate::Queued {
            self.set_fate(call, Fate::Written, fx);
        }
        Some(sending)
    }

    /// What is left of a caller's patience when its command is replayed. A resolved one has nobody
    /// who waits for it.
    pub(super) fn replay_deadline(&self, now: Now, call: CallId) -> Option<u64> {
        self.entries.get(&call).map_or(Some(0), |entry| entry.deadline_ms(now, true))
    }

    /// A command that does not fit into what this server takes: it can't be sent (again).
    pub(super) fn too_large(&mut self, call: CallId, fx: &mut Effects) {
        let exposed = self.entries.get(&call).is_some_and(Unresolved::maybe_executed);
        let outcome = if exposed {
            CallOutcome::OutcomeUnknown
        } else {
            CallOutcome::Refused(RefusalCode::TooLarge)
        };
        self.resolve(call, outcome, fx);
    }

    // ---- what the server says ----

    /// The server's core has this transmission.
    pub(super) fn accepted(&mut self, call: CallId, fx: &mut Effects) {
        if self
            .entries
            .get(&call)
            .is_some_and(|entry| entry.stage == SendStage::Out && entry.fate == Fate::Written)
        {
            self.set_fate(call, Fate::Acked, fx);
        }
    }

    /// The outcome of `n`; one that is resolved already, or was never sent, changes nothing.
    pub(super) fn outcome(&mut self, n: CommandNo, outcome: CallOutcome, fx: &mut Effects) {
        if let Some(&call) = self.numbered.get(&n) {
            self.resolve(call, outcome, fx);
        }
    }

    /// `n` was not executed, and is to be sent again (PROTOCOL.md 5.10).
    pub(super) fn refused(&mut self, now: Now, n: CommandNo, retry_ms: u64, fx: &mut Effects) {
        // A later transmission was answered before.
        let Some(&call) = self.numbered.get(&n) else { return };
        let entry = self.entries.get_mut(&call).expect("what has a number is in the outbox");
        if entry.stage == SendStage::Out {
            entry.stage = SendStage::Again;
            let fate = if entry.exposed { Fate::Written } else { Fate::Queued };
            if entry.is_to_be_withdrawn() {
                return self.withdraw(call, fx);
            }
            self.set_fate(call, fate, fx);
        }
        self.again.insert(n, now.after_ms(retry_ms.min(RETRY_CAP_MS)));
    }

    /// The session is gone: whatever it carried has to be sent again under its number (PROTOCOL.md
    /// 5.9).
    pub(super) fn session_lost(&mut self) {
        for (&n, call) in &self.numbered {
            if let Some(entry) =
                self.entries.get_mut(call).filter(|entry| entry.stage == SendStage::Out)
            {
                entry.stage = SendStage::Again;
                entry.exposed = true;
                self.again.insert(n, Now(0));
            }
        }
    }

    /// The lease is gone (PROTOCOL.md 5.1): what it may have executed has an unknown outcome, the
    /// rest is numbered anew.
    pub(super) fn lease_lost(&mut self, fx: &mut Effects) {
        let numbered = std::mem::take(&mut self.numbered);
        self.again.clear();
        self.next = CommandNo(1);
        for call in numbered.into_values() {
            let entry = self.entries.get_mut(&call).expect("what has a number is in the outbox");
            if entry.maybe_executed() {
                self.resolve(call, CallOutcome::OutcomeUnknown, fx);
                continue;
            }
            entry.stage = SendStage::Fresh;
            entry.n = CommandNo::ZERO;
            fx.timers.set(ClientTimer::Call(call), entry.command.given_up(self.age_ms));
            self.fresh.insert(call);
        }
    }

    /// The time of a command has come: an unsent one is given up, for a sent one the caller is
    /// told.
    pub(super) fn expired(&mut self, call: CallId, fx: &mut Effects) {
        if self.journal.as_ref().is_some_and(|journal| journal.holds_end(call)) {
            return fx.event(Event::TimedOut { call });
        }
        let sent = self.entries.get_mut(&call).filter(|entry| !entry.is_unsent());
        match sent {
            Some(entry) => {
                if !std::mem::replace(&mut entry.timed_out, true) {
                    fx.event(Event::TimedOut { call });
                }
            }
            None => self.resolve(call, CallOutcome::Refused(RefusalCode::Expired), fx),
        }
    }
}

/// Reports the end of a command.
pub(super) fn tell_end(call: CallId, outcome: CallOutcome, fx: &mut Effects) {
    let fate = match &outcome {
        CallOutcome::Reply(_) => Fate::Done,
        CallOutcome::Failed { code: FailureCode::Unknown, .. }
        | CallOutcome::OutcomeUnknown
        | CallOutcome::Closed { sent: true } => Fate::Unknown,
        CallOutcome::Failed { .. }
        | CallOutcome::Refused(_)
        | CallOutcome::NotSaved
        | CallOutcome::Closed { sent: false } => Fate::Failed,
        // It goes on in another process.
        CallOutcome::Kept => return fx.event(Event::Resolved { call, outcome }),
    };
    fx.event(Event::Fate { call, fate });
    fx.event(Event::Resolved { call, outcome });
}
