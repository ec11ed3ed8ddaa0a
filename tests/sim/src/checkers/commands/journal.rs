//! What outlives a client's process: what was accepted is there in the next one, or was told and let
//! go of; what was told stays true.

use std::collections::BTreeMap;

use steadfast::session::Now;
use steadfast::session::client::{CallId, CallOutcome, Fate as Told};
use steadfast::wire::{LeaseId, RefusalCode};
use steadfast_rig::Rule;

use super::{ClientBook, Fate};
use crate::checkers::Checkers;

/// What a process finds of an earlier one.
#[derive(Debug, Clone)]
pub struct TakenUp {
    /// The lease that it goes on with.
    pub lease: Option<LeaseId>,
    /// The lowest number of it that no command had.
    pub next: u64,
    /// Its calls.
    pub calls: BTreeMap<CallId, Found>,
}

/// A call of an earlier process.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its outcome, if it has one.
    pub outcome: Option<CallOutcome>,
    /// The number that it had.
    pub n: Option<u64>,
    /// When its caller's patience ends.
    pub due: Now,
}

impl Checkers {
    /// A client tells how far a call has got: beyond waiting it is accepted.
    pub fn call_may_be_accepted(&mut self, process: u64, call: CallId, fate: Told) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let of = book.calls.get(&call).and_then(|command| self.calls.get(command));
        // What is cancelled and has not run is withdrawn: nobody has to find it again.
        let withdrawn = of.is_some_and(|of| {
            let retry = of.answer.flatten().is_some_and(RefusalCode::is_retry);
            of.unwanted_by == Some(process) && retry
        });
        if !withdrawn && matches!(fate, Told::Queued | Told::Written | Told::Acked | Told::Done) {
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
                        call.maybe_sent |= found.n.is_some();
                    }
                }
                // Nobody will ever hear of it.
                None if before.unresolved.contains(&call) => self.never_runs(command),
                None => {}
            }
        }
        if let Some(lease) = taken_up.lease {
            self.claims.commands(process);
            self.numbers_go_on(process, lease, taken_up, &mut book);
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

    /// A number is saved before it is sent, so whatever was sent has its number still. One that was
    /// saved and not sent comes yet, unless its command has ended: then nobody ever uses it.
    fn numbers_go_on(
        &mut self,
        process: u64,
        lease: LeaseId,
        taken_up: &TakenUp,
        book: &mut ClientBook,
    ) {
        let live = taken_up.calls.iter().filter(|(_, found)| found.outcome.is_none());
        let numbered = live.filter_map(|(call, found)| Some((found.n?, *book.calls.get(call)?)));
        book.open = numbered.collect();
        let sent: BTreeMap<u64, u64> =
            self.sent.range((lease, 0)..=(lease, u64::MAX)).map(|((_, n), it)| (*n, *it)).collect();
        let past = sent.last_key_value().map_or(1, |(n, _)| n + 1);
        let unused = (past..taken_up.next).find(|n| book.open.contains_key(n));
        book.next = unused.unwrap_or(taken_up.next);
        let another = book.open.iter().find(|(n, it)| sent.get(n).is_some_and(|sent| sent != *it));
        let holds = past <= taken_up.next && another.is_none();
        self.require(holds, Rule::NumberMeansOneCommand, || {
            format!("process {process} finds {taken_up:?}; sent were {sent:?}")
        });
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
            (Some(outcome), Some(_)) => self.a_later_process_hears_no_other_end(command, outcome),
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
