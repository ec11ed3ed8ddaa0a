//! The outbox: commands in the order of their submission, from `submit` to their outcome
//! (PROTOCOL.md sections 5 and 6). Owns numbering, resubmission, refusals and deadlines; refuses
//! sequences and sockets.

use std::collections::{BTreeMap, BTreeSet};

use super::config::RETRY_CAP_MS;
use super::timer::{Effects, Timer};
use super::{CallId, CallOutcome, ClientConfig, Event, Fate, Submission, SubmitError};
use crate::session::Now;
use crate::wire::{Body, CommandNo, FailureCode, LeaseClaim, LeaseId, Name, RefusalCode};

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    /// Never sent under this lease; has no number.
    Fresh,
    /// Sent in this session; an answer is owed.
    Out,
    /// To be sent again under its number: refused for now, or its session was lost.
    Again,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Entry {
    name: Name,
    body: Body,
    submitted: Now,
    timeout_ms: u64,
    declared_ms: u64,
    n: CommandNo,
    stage: Stage,
    fate: Fate,
    /// Whether a transmission of an earlier session was never answered: then a refusal of a later
    /// one says nothing about it.
    exposed: bool,
    transmitted: bool,
    timed_out: bool,
}

impl Entry {
    fn maybe_executed(&self) -> bool {
        self.stage == Stage::Out || self.exposed
    }
}

/// The next command to send, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Head {
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

/// Every command that is not resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Outbox {
    last_call: u64,
    entries: BTreeMap<CallId, Entry>,
    bytes: usize,
    fresh: BTreeSet<CallId>,
    numbered: BTreeMap<CommandNo, CallId>,
    again: BTreeMap<CommandNo, Now>,
    next: CommandNo,
}

impl Outbox {
    pub(super) const fn new() -> Self {
        Self {
            last_call: 0,
            entries: BTreeMap::new(),
            bytes: 0,
            fresh: BTreeSet::new(),
            numbered: BTreeMap::new(),
            again: BTreeMap::new(),
            next: CommandNo(1),
        }
    }

    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries.len(), self.bytes)
    }

    pub(super) fn fate(&self, call: CallId) -> Option<Fate> {
        self.entries.get(&call).map(|entry| entry.fate)
    }

    /// The lowest number that is not resolved (PROTOCOL.md 5.4).
    pub(super) fn low(&self) -> CommandNo {
        self.numbered.first_key_value().map_or(self.next, |(n, _)| *n)
    }

    pub(super) fn claim(&self, id: LeaseId) -> LeaseClaim {
        LeaseClaim { id, low: self.low(), next: self.next }
    }

    // ---- in and out ----

    pub(super) fn submit(
        &mut self,
        now: Now,
        command: Submission,
        config: &ClientConfig,
        fx: &mut Effects,
    ) -> Result<CallId, SubmitError> {
        let bytes = command.body.len();
        let full = self.entries.len() >= config.outbox_commands as usize
            || self.bytes.saturating_add(bytes) > config.outbox_bytes as usize;
        if full {
            return Err(SubmitError::Full);
        }
        self.last_call += 1;
        let call = CallId(self.last_call);
        let entry = Entry {
            name: command.name,
            body: command.body,
            submitted: now,
            timeout_ms: command.timeout_ms,
            declared_ms: command.declared_timeout_ms,
            n: CommandNo::ZERO,
            stage: Stage::Fresh,
            fate: Fate::Queued,
            exposed: false,
            transmitted: false,
            timed_out: false,
        };
        self.bytes += bytes;
        self.fresh.insert(call);
        fx.timers.set(Timer::Call(call), now.after_ms(entry.timeout_ms.min(config.outbox_age_ms)));
        self.entries.insert(call, entry);
        Ok(call)
    }

    /// Takes back a command that was never sent.
    pub(super) fn cancel(&mut self, call: CallId, fx: &mut Effects) -> bool {
        let never_sent = self.entries.get(&call).is_some_and(|entry| !entry.transmitted);
        if never_sent {
            self.remove(call, fx);
        }
        never_sent
    }

    fn remove(&mut self, call: CallId, fx: &mut Effects) -> Option<Entry> {
        let entry = self.entries.remove(&call)?;
        self.bytes -= entry.body.len();
        match entry.stage {
            Stage::Fresh => {
                self.fresh.remove(&call);
            }
            Stage::Out | Stage::Again => {
                self.numbered.remove(&entry.n);
                self.again.remove(&entry.n);
            }
        }
        fx.timers.cancel(Timer::Call(call));
        Some(entry)
    }

    fn resolve(&mut self, call: CallId, outcome: CallOutcome, fx: &mut Effects) {
        if self.remove(call, fx).is_none() {
            return;
        }
        let fate = match &outcome {
            CallOutcome::Reply(_) => Fate::Done,
            CallOutcome::Failed { code: FailureCode::Unknown, .. }
            | CallOutcome::OutcomeUnknown
            | CallOutcome::Closed { sent: true } => Fate::Unknown,
            CallOutcome::Failed { .. }
            | CallOutcome::Refused(_)
            | CallOutcome::Closed { sent: false } => Fate::Failed,
        };
        fx.event(Event::Fate { call, fate });
        fx.event(Event::Resolved { call, outcome });
    }

    fn set_fate(&mut self, call: CallId, fate: Fate, fx: &mut Effects) {
        if let Some(entry) = self.entries.get_mut(&call).filter(|entry| entry.fate != fate) {
            entry.fate = fate;
            fx.event(Event::Fate { call, fate });
        }
    }

    /// Ends everything: the client was closed or gave up.
    pub(super) fn close(&mut self, fx: &mut Effects) {
        let calls: Vec<(CallId, bool)> =
            self.entries.iter().map(|(call, entry)| (*call, entry.maybe_executed())).collect();
        for (call, sent) in calls {
            self.resolve(call, CallOutcome::Closed { sent }, fx);
        }
    }

    // ---- sending ----

    /// What is to be sent next: numbered ones in their order, then new ones in theirs.
    pub(super) fn head(&self, now: Now) -> Head {
        if let Some((&n, &not_before)) = self.again.first_key_value() {
            if not_before > now {
                return Head::Wait(not_before);
            }
            return self.numbered.get(&n).map_or(Head::None, |&call| self.ready(call, n));
        }
        self.fresh.first().map_or(Head::None, |&call| self.ready(call, self.next))
    }

    fn ready(&self, call: CallId, n: CommandNo) -> Head {
        let bytes = self.entries.get(&call).map_or(0, |entry| entry.body.len());
        Head::Ready { call, n, bytes }
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
            Stage::Fresh => {
                entry.n = next;
                self.next = next.next();
                self.fresh.remove(&call);
                self.numbered.insert(next, call);
                if !entry.timed_out {
                    fx.timers.set(Timer::Call(call), entry.submitted.after_ms(entry.timeout_ms));
                }
            }
            Stage::Again | Stage::Out => {
                self.again.remove(&entry.n);
            }
        }
        let again = std::mem::replace(&mut entry.transmitted, true);
        entry.stage = Stage::Out;
        let deadline_ms = deadline(now, entry, again);
        let sending =
            Sending { n: entry.n, deadline_ms, name: entry.name.clone(), body: entry.body.clone() };
        if entry.fate == Fate::Queued {
            self.set_fate(call, Fate::Written, fx);
        }
        Some(sending)
    }

    /// What is left of a caller's patience when its command is replayed. A resolved one has nobody
    /// who waits for it.
    pub(super) fn replay_deadline(&self, now: Now, call: CallId) -> Option<u64> {
        self.entries.get(&call).map_or(Some(0), |entry| deadline(now, entry, true))
    }

    /// A command that does not fit into what this server takes: it can't be sent (again).
    pub(super) fn too_large(&mut self, call: CallId, fx: &mut Effects) {
        let exposed = self.entries.get(&call).is_some_and(Entry::maybe_executed);
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
            .is_some_and(|entry| entry.stage == Stage::Out && entry.fate == Fate::Written)
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
        let Some(&call) = self.numbered.get(&n) else { return };
        let Some(entry) = self.entries.get_mut(&call) else { return };
        if entry.stage == Stage::Out {
            entry.stage = Stage::Again;
            let fate = if entry.exposed { Fate::Written } else { Fate::Queued };
            self.set_fate(call, fate, fx);
        }
        self.again.insert(n, now.after_ms(retry_ms.min(RETRY_CAP_MS)));
    }

    /// The session is gone: whatever it carried has to be sent again under its number (PROTOCOL.md
    /// 5.9).
    pub(super) fn session_lost(&mut self) {
        for (&n, call) in &self.numbered {
            if let Some(entry) =
                self.entries.get_mut(call).filter(|entry| entry.stage == Stage::Out)
            {
                entry.stage = Stage::Again;
                entry.exposed = true;
                self.again.insert(n, Now(0));
            }
        }
    }

    /// The lease is gone (PROTOCOL.md 5.1): what it may have executed has an unknown outcome, the
    /// rest is numbered anew.
    pub(super) fn lease_lost(&mut self, config: &ClientConfig, fx: &mut Effects) {
        let numbered = std::mem::take(&mut self.numbered);
        self.again.clear();
        self.next = CommandNo(1);
        for call in numbered.into_values() {
            let Some(entry) = self.entries.get_mut(&call) else { continue };
            if entry.maybe_executed() {
                self.resolve(call, CallOutcome::OutcomeUnknown, fx);
                continue;
            }
            entry.stage = Stage::Fresh;
            entry.n = CommandNo::ZERO;
            let patience_ms = entry.timeout_ms.min(config.outbox_age_ms);
            fx.timers.set(Timer::Call(call), entry.submitted.after_ms(patience_ms));
            self.fresh.insert(call);
        }
    }

    /// The time of a command has come: an unsent one is given up, for a sent one the caller is
    /// told.
    pub(super) fn expired(&mut self, call: CallId, fx: &mut Effects) {
        let Some(entry) = self.entries.get_mut(&call) else { return };
        if entry.stage == Stage::Fresh {
            self.resolve(call, CallOutcome::Refused(RefusalCode::Expired), fx);
        } else if !std::mem::replace(&mut entry.timed_out, true) {
            fx.event(Event::TimedOut { call });
        }
    }
}

/// What travels as `deadline_ms` (PROTOCOL.md 5.13): nothing while the declared timeout is near
/// enough.
fn deadline(now: Now, entry: &Entry, again: bool) -> Option<u64> {
    let left = entry.submitted.after_ms(entry.timeout_ms).since(now);
    let differs = left.abs_diff(entry.declared_ms) > entry.declared_ms / 10;
    // The range of a wire number (PROTOCOL.md 1.6); nobody waits that long.
    (again || differs).then_some(left.min(crate::wire::MAX_SEQUENCE))
}
