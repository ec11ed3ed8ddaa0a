//! What outlives a client's process: what was accepted is there in the next one, or was told and let
//! go of; what was told stays true.

use std::collections::BTreeMap;

use steadfast::session::Now;
use steadfast::session::client::{CallId, CallOutcome, Fate as Told};
use steadfast::wire::LeaseId;
use steadfast_rig::Rule;

use super::{ClientBook, Fate};
use crate::checkers::Checkers;

/// What a process finds of an earlier one.
#[derive(Debug, Clone)]
pub struct TakenUp {
    /// The lease that it goes on with.
    pub lease: Option<LeaseId>,
    /// Its calls.
    pub calls: BTreeMap<CallId, Found>,
}

/// A call of an earlier process.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its outcome, if it has one.
    pub outcome: Option<CallOutcome>,
    /// Whether it had a number.
    pub numbered: bool,
    /// When its caller's patience ends.
    pub due: Now,
}

impl Checkers {
    /// A client tells how far a call has got: beyond waiting it is accepted.
    pub fn call_may_be_accepted(&mut self, process: u64, call: CallId, fate: Told) {
        if let Some(book) = self.clients.get_mut(&process)
            && matches!(fate, Told::Queued | Told::Written | Told::Acked | Told::Done)
        {
            book.accepted.insert(call);
        }
    }

    /// The application is done with an outcome.
    pub fn lets_go(&mut self, process: u64, call: CallId) {
        if let Some(book) = self.clients.get_mut(&process) {
            book.accepted.remove(&call);
        }
    }

    /// A process with a journal dies, and the next one takes up what is saved.
    pub fn client_goes_on(&mut self, old: u64, process: u64, taken_up: &TakenUp) {
        let Some(before) = self.clients.remove(&old) else { return };
        self.what_was_accepted_is_there(old, &before, taken_up);
        let mut book = ClientBook { lease: taken_up.lease, next: 1, ..ClientBook::default() };
        for (&call, &command) in &before.calls {
            match taken_up.calls.get(&call) {
                Some(found) => {
                    book.calls.insert(call, command);
                    book.accepted.insert(call);
                    if let Some(call) = self.calls.get_mut(&command) {
                        call.due = found.due;
                        call.maybe_sent |= found.numbered;
                    }
                }
                // Nobody will ever hear of it.
                None if before.unresolved.contains(&call) => self.never_runs(command),
                None => {}
            }
        }
        if let Some(lease) = taken_up.lease {
            self.claims.commands(process);
            let sent = self.sent.range((lease, 0)..=(lease, u64::MAX));
            book.next = sent.clone().next_back().map_or(1, |((_, n), _)| n + 1);
            let open = |call: &CallId| {
                taken_up.calls.get(call).is_some_and(|found| found.outcome.is_none())
            };
            let commands = book.calls.iter().filter(|(call, _)| open(call));
            let unresolved: Vec<u64> = commands.map(|(_, command)| *command).collect();
            let sent = sent.filter(|(_, command)| unresolved.contains(command));
            book.open = sent.map(|((_, n), command)| (*n, *command)).collect();
            self.low_passed_nothing_that_comes_again(lease, &book);
        }
        if !taken_up.calls.is_empty() {
            self.claims.commands(process);
        }
        self.clients.insert(process, book);
        self.sometimes.count("client went on from its journal");
        for (call, found) in &taken_up.calls {
            self.is_taken_up(process, *call, found.outcome.as_ref());
        }
    }

    fn what_was_accepted_is_there(&mut self, old: u64, before: &ClientBook, taken_up: &TakenUp) {
        let missing = before.accepted.iter().find(|call| !taken_up.calls.contains_key(call));
        let missing = missing.map(|call| (*call, before.calls.get(call).copied()));
        self.require(missing.is_none(), Rule::AcceptedIsKept, || {
            format!("process {old}: {missing:?} was accepted, and is not found again")
        });
    }

    /// The server may have forgotten what was below `low`.
    fn low_passed_nothing_that_comes_again(&mut self, lease: LeaseId, book: &ClientBook) {
        let Some((&n, &command)) = book.open.first_key_value() else { return };
        let low = self.leases.get(&lease).map_or(0, |lease| lease.low);
        self.require(low <= n, Rule::LowPassesNothing, || {
            format!("{lease:?}: low was {low}, and {n} (command {command}) has no outcome")
        });
    }

    /// A call without an outcome goes on; one with an outcome ends as it did, if that was told.
    fn is_taken_up(&mut self, process: u64, call: CallId, outcome: Option<&CallOutcome>) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let Some(&command) = book.calls.get(&call) else {
            return self.require(false, Rule::OutcomeBelongsToCommand, || {
                format!("process {process} finds {call:?}, which nobody submitted")
            });
        };
        let Some(of) = self.calls.get_mut(&command) else { return };
        let told = of.told.clone();
        match (outcome, told) {
            (Some(outcome), Some(told)) => {
                let same = *outcome == told;
                self.require(same, Rule::OutcomeComesOnce, || {
                    format!("command {command} was told {told:?}, and {outcome:?} is saved")
                });
            }
            (Some(outcome), None) => {
                book.unresolved.insert(call);
                self.resolved(process, call, outcome);
            }
            (None, _) => {
                book.unresolved.insert(call);
                // Whoever was told that it never ran must not see it run now.
                if of.fate != Fate::NeverRan {
                    (of.fate, of.answer) = (Fate::Open, None);
                }
            }
        }
    }
}
