//! The journal: what a client has to remember beyond its own process, in the order in which it is
//! to be saved, and what waits until it is. Nothing is written here; whoever drives the client
//! writes, and says how that went.

use std::collections::{BTreeMap, VecDeque};

use super::command::Command;
use super::config::JournalConfig;
use super::entry::Unresolved;
use super::recovery::{Record, Recovered, Recovery};
use super::timer::{ClientTimer, Effects};
use super::types::{CallId, CallOutcome, Event, SaveNo, Saving};
use crate::session::Now;
use crate::wire::{CommandNo, LeaseId};

/// Bytes that a record takes beside its texts, about.
const RECORD_BYTES: usize = 64;

/// What happens when a save is known to have succeeded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Held {
    /// A command is accepted.
    Accepted(CallId),
    /// An outcome that only this client knows of may be told.
    Ended(CallId, CallOutcome),
    /// A command is withdrawn.
    Withdrawn(CallId),
}

/// A command that has ended, until the application lets go of its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Kept {
    command: Command,
    outcome: CallOutcome,
}

impl Kept {
    fn bytes(&self) -> usize {
        self.command.bytes() + outcome_bytes(&self.outcome)
    }
}

/// What is saved, what is not yet, and what follows when it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Journal {
    config: JournalConfig,
    lease: Option<LeaseId>,
    /// The last save that was handed out.
    last: SaveNo,
    /// Everything up to this one is saved.
    saved: SaveNo,
    /// The last save that replaced everything before it.
    rewritten: SaveNo,
    /// A save has failed, and what replaces everything was not handed out since.
    broken: bool,
    held: VecDeque<(SaveNo, Held)>,
    /// How many of those are the ends of commands.
    untold: usize,
    /// Numbers that were given and never used, with the save that has to come first.
    planned: BTreeMap<CommandNo, SaveNo>,
    /// Numbers of commands whose end is not saved yet.
    ending: BTreeMap<CommandNo, SaveNo>,
    kept: BTreeMap<CallId, Kept>,
    kept_bytes: usize,
    /// Bytes that were added since everything was replaced, and what that was then.
    added: usize,
    replaced: usize,
}

impl Journal {
    pub(super) fn new(config: JournalConfig, recovery: &Recovery) -> Self {
        let mut journal = Self {
            config,
            lease: recovery.lease(),
            last: SaveNo::ZERO,
            saved: SaveNo::ZERO,
            rewritten: SaveNo::ZERO,
            // What was read is written anew first: whatever is damaged is gone then.
            broken: true,
            held: VecDeque::new(),
            untold: 0,
            planned: BTreeMap::new(),
            ending: BTreeMap::new(),
            kept: BTreeMap::new(),
            kept_bytes: 0,
            added: 0,
            replaced: 0,
        };
        for (call, Recovered { command, outcome, .. }) in recovery.calls() {
            if let Some(outcome) = outcome.clone() {
                journal.keep(*call, Kept { command: command.clone(), outcome });
            }
        }
        journal
    }

    // ---- what is to be saved ----

    /// Hands a record out; the save that has it. While a save has failed nothing is handed out,
    /// because what follows replaces everything.
    fn save(&mut self, record: Record, fx: &mut Effects) -> SaveNo {
        if self.broken {
            return self.last.next();
        }
        self.last = self.last.next();
        self.added = self.added.saturating_add(bytes_of(&record));
        fx.event(Event::Save { no: self.last, saving: Saving::Append(record) });
        self.last
    }

    /// A command has come; it is accepted once this is saved.
    pub(super) fn taken(&mut self, call: CallId, command: &Command, fx: &mut Effects) -> SaveNo {
        let no = self.save(Record::Taken { call, command: command.clone() }, fx);
        self.held.push_back((no, Held::Accepted(call)));
        no
    }

    /// A command gets its number; it may be sent once this is saved.
    pub(super) fn numbered(&mut self, call: CallId, n: CommandNo, fx: &mut Effects) {
        let no = self.save(Record::Numbered { call, n }, fx);
        self.planned.insert(n, no);
    }

    /// The numbers from `n` on were never used, and are free again.
    pub(super) fn unnumbered(&mut self, n: CommandNo, fx: &mut Effects) {
        self.planned.split_off(&n);
        self.save(Record::Unnumbered { from: n }, fx);
    }

    /// Numbers are of this lease from here on, beginning with 1.
    pub(super) fn leased(&mut self, lease: LeaseId, fx: &mut Effects) {
        if self.lease != Some(lease) {
            self.lease = Some(lease);
            self.planned.clear();
            self.ending.clear();
            self.save(Record::Lease { id: lease, next: CommandNo(1) }, fx);
        }
    }

    /// A command has ended. What the server has recorded may be told at once: it would say the same
    /// again. Anything else is told once nobody can come to another end any more.
    pub(super) fn ended(
        &mut self,
        call: CallId,
        entry: Unresolved,
        outcome: CallOutcome,
        fx: &mut Effects,
    ) -> Option<CallOutcome> {
        let no = self.save(Record::Ended { call, outcome: outcome.clone() }, fx);
        if !entry.is_unsent() {
            self.ending.insert(entry.n, no);
        }
        self.bound_the_wait(call, &entry, fx);
        self.keep(call, Kept { command: entry.command, outcome: outcome.clone() });
        self.forget_what_is_too_much(fx);
        if matches!(outcome, CallOutcome::Reply(_) | CallOutcome::Failed { .. }) {
            fx.timers.cancel(ClientTimer::Call(call));
            return Some(outcome);
        }
        self.hold_end(no, Held::Ended(call, outcome));
        None
    }

    /// A command was taken back that was not executed; that is told once it can't come back.
    pub(super) fn withdrawn(&mut self, call: CallId, entry: &Unresolved, fx: &mut Effects) {
        self.bound_the_wait(call, entry, fx);
        let no = self.save(Record::Forgotten { call }, fx);
        if !entry.is_unsent() {
            self.ending.insert(entry.n, no);
        }
        self.hold_end(no, Held::Withdrawn(call));
    }

    /// Whoever waits for an outcome hears when its time is over, and saving is not.
    fn bound_the_wait(&self, call: CallId, entry: &Unresolved, fx: &mut Effects) {
        if !entry.timed_out {
            let until = entry.command.patience_ends().after(self.config.retry);
            fx.timers.set(ClientTimer::Call(call), until);
        }
    }

    fn hold_end(&mut self, no: SaveNo, end: Held) {
        self.held.push_back((no, end));
        self.untold += 1;
    }

    /// The application is done with an outcome.
    pub(super) fn forget(&mut self, call: CallId, fx: &mut Effects) {
        if let Some(kept) = self.kept.remove(&call) {
            self.kept_bytes -= kept.bytes();
            self.save(Record::Forgotten { call }, fx);
        }
    }

    /// Whether a command has ended, and nobody may hear of it yet.
    pub(super) fn holds_end(&self, call: CallId) -> bool {
        self.held.iter().any(|(_, held)| match held {
            Held::Ended(of, _) | Held::Withdrawn(of) => *of == call,
            Held::Accepted(_) => false,
        })
    }

    fn keep(&mut self, call: CallId, kept: Kept) {
        self.kept_bytes += kept.bytes();
        self.kept.insert(call, kept);
    }

    /// The application holds on to more outcomes than are kept for it; it was told of each.
    fn forget_what_is_too_much(&mut self, fx: &mut Effects) {
        while self.kept.len() > self.config.kept_outcomes as usize
            || self.kept_bytes > self.config.kept_bytes as usize
        {
            let oldest = self.kept.keys().find(|call| !self.holds_end(**call)).copied();
            let Some(oldest) = oldest else { return };
            self.forget(oldest, fx);
        }
    }

    // ---- everything at once ----

    /// Whether so much was added that all should be written anew, shorter.
    pub(super) const fn is_long(&self) -> bool {
        let most = self.replaced.saturating_add(self.config.slack_bytes as usize);
        !self.broken && self.added > most
    }

    /// Hands out what replaces everything before it: `live` is what the outbox holds.
    pub(super) fn rewrite(
        &mut self,
        next: CommandNo,
        live: impl Iterator<Item = (CallId, Command, CommandNo)>,
        fx: &mut Effects,
    ) {
        let mut calls: BTreeMap<CallId, (Command, Option<CallOutcome>)> = BTreeMap::new();
        let mut numbers = BTreeMap::new();
        for (call, command, n) in live {
            calls.insert(call, (command, None));
            if n > CommandNo::ZERO {
                numbers.insert(n, call);
            }
        }
        for (call, kept) in &self.kept {
            calls.insert(*call, (kept.command.clone(), Some(kept.outcome.clone())));
        }
        let mut records: Vec<Record> =
            self.lease.iter().map(|id| Record::Lease { id: *id, next }).collect();
        for (call, (command, outcome)) in calls {
            records.push(Record::Taken { call, command });
            records.extend(outcome.map(|outcome| Record::Ended { call, outcome }));
        }
        records.extend(numbers.into_iter().map(|(n, call)| Record::Numbered { call, n }));
        self.last = self.last.next();
        self.rewritten = self.last;
        self.broken = false;
        self.added = 0;
        self.replaced = records.iter().map(bytes_of).sum();
        fx.event(Event::Save { no: self.last, saving: Saving::Rewrite(records) });
    }

    // ---- how that went ----

    /// Everything up to `no` is saved; what follows from that.
    pub(super) fn saved(&mut self, no: SaveNo) -> Vec<Held> {
        self.saved = self.saved.max(no);
        let saved = self.saved;
        self.ending.retain(|_, until| *until > saved);
        let due = self.held.iter().take_while(|(until, _)| *until <= saved).count();
        let due: Vec<Held> = self.held.drain(..due).map(|(_, held)| held).collect();
        self.untold -= due.iter().filter(|held| !matches!(held, Held::Accepted(_))).count();
        due
    }

    /// Nothing after what is saved is, up to `no` and whatever was handed out since. `false` if all
    /// of it was handed out once more meanwhile.
    pub(super) fn unsaved(&mut self, now: Now, no: SaveNo, fx: &mut Effects) -> bool {
        if no < self.rewritten {
            return false;
        }
        self.broken = true;
        fx.timers.set_once(ClientTimer::Save, now.after(self.config.retry));
        true
    }

    /// Nothing will be saved any more: what was held back.
    pub(super) fn take_held(&mut self) -> Vec<Held> {
        self.untold = 0;
        self.held.drain(..).map(|(_, held)| held).collect()
    }

    /// A command is not accepted, and nowhere.
    pub(super) fn refuse(&mut self, call: CallId) {
        self.held.retain(|(_, held)| *held != Held::Accepted(call));
    }

    pub(super) fn is_saved(&self, no: SaveNo) -> bool {
        no <= self.saved
    }

    pub(super) const fn is_broken(&self) -> bool {
        self.broken
    }

    // ---- numbers ----

    /// The first number that was given and never used; whether it may be.
    pub(super) fn next_planned(&self) -> Option<(CommandNo, bool)> {
        let (n, no) = self.planned.first_key_value()?;
        Some((*n, self.is_saved(*no)))
    }

    /// A number is used from now on.
    pub(super) fn used(&mut self, n: CommandNo) {
        self.planned.remove(&n);
    }

    /// The lowest number whose end is not saved: the server must not forget it (PROTOCOL.md 5.4).
    pub(super) fn first_ending(&self) -> Option<CommandNo> {
        self.ending.first_key_value().map(|(n, _)| *n)
    }

    /// Outcomes that are kept, their bytes, and what waits to be told.
    pub(super) fn size(&self) -> (usize, usize, usize) {
        (self.kept.len(), self.kept_bytes, self.untold)
    }
}

fn outcome_bytes(outcome: &CallOutcome) -> usize {
    match outcome {
        CallOutcome::Reply(body) | CallOutcome::Failed { body, .. } => body.len(),
        _ => 0,
    }
}

fn bytes_of(record: &Record) -> usize {
    RECORD_BYTES
        + match record {
            Record::Taken { command, .. } => command.bytes(),
            Record::Ended { outcome, .. } => outcome_bytes(outcome),
            _ => 0,
        }
}
