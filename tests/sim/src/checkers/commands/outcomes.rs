//! What an application is told of its commands: once, for a reason, and the truth.

use steadfast::session::Now;
use steadfast::session::client::{CallId, CallOutcome};
use steadfast::session::store::Outcome;
use steadfast::wire::{FailureCode, RefusalCode};
use steadfast_rig::Rule;

use super::commits::is_told;
use super::{CallBook, ClientBook, CommitBook, Fate, Said};
use crate::checkers::{Checkers, Owed};
use crate::rng::Rng;

impl Checkers {
    /// A client process starts.
    pub fn client_starts(&mut self, process: u64) {
        self.clients.insert(process, ClientBook { next: 1, ..ClientBook::default() });
    }

    /// A client process ends: whatever it waited for is nobody's business any more, unless the next
    /// one goes on with it.
    pub fn client_crashes(&mut self, process: u64, goes_on: bool) {
        if !goes_on {
            self.clients.remove(&process);
        }
        self.states.remove(&process);
        self.inboxes.remove(&process);
        self.rooms.remove(&process);
        self.refusals.remove(&process);
        self.owes_nothing(process);
        self.topics.process_ends(process);
    }

    /// The application closes its client.
    pub fn client_closed(&mut self, process: u64) {
        if let Some(book) = self.clients.get_mut(&process) {
            book.closed = true;
        }
    }

    /// Whether a client process ever heard WELCOME.
    pub(in crate::checkers) fn was_connected(&self, process: u64) -> bool {
        self.clients.get(&process).is_some_and(|book| book.welcomed)
    }

    pub(in crate::checkers) fn is_welcomed(&mut self, process: u64) {
        if let Some(book) = self.clients.get_mut(&process) {
            book.welcomed = true;
        }
    }

    /// A client has taken a command whose caller waits until then.
    pub fn submitted(&mut self, process: u64, call: CallId, command: u64, said: Said, due: Now) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        book.calls.insert(call, command);
        book.unresolved.insert(call);
        self.claims.commands(process);
        let fate = Fate::Open;
        let Said { ordered, written, id } = said;
        let book = CallBook {
            call,
            written,
            id,
            ordered,
            fate,
            sent: Vec::new(),
            commits: 0,
            answer: None,
            lease_lost: false,
            due,
            late: false,
            maybe_sent: false,
            unwanted_by: None,
            told: None,
        };
        self.calls.insert(command, book);
    }

    /// A command that is not resolved, for somebody who wants to cancel one.
    pub fn some_call(&self, process: u64, rng: &mut Rng) -> Option<CallId> {
        let calls: Vec<CallId> = self.clients.get(&process)?.unresolved.iter().copied().collect();
        (!calls.is_empty()).then(|| rng.pick(&calls))
    }

    /// A command was withdrawn: it never ran, and never will.
    pub fn cancelled(&mut self, process: u64, call: CallId) {
        self.sometimes.count("cancelled");
        self.lets_go(process, call);
        if let Some(command) = self.close_call(process, call) {
            self.never_runs(command);
        }
    }

    fn close_call(&mut self, process: u64, call: CallId) -> Option<u64> {
        let book = self.clients.get_mut(&process)?;
        let command = book.calls.get(&call).copied()?;
        let open = book.unresolved.remove(&call);
        book.open.retain(|_, other| *other != command);
        self.kept(process, Owed::Call(call));
        self.call_leaves(process, call);
        self.require(open, Rule::OutcomeComesOnce, || {
            format!("process {process} {call:?} command {command}")
        });
        Some(command)
    }

    pub(super) fn never_runs(&mut self, command: u64) {
        let Some(book) = self.calls.get_mut(&command) else { return };
        book.fate = Fate::NeverRan;
        let commits = book.commits;
        self.require(commits == 0, Rule::RefusedNeverRan, || {
            format!("command {command} was committed")
        });
    }

    /// A client reports an outcome.
    pub fn resolved(&mut self, process: u64, call: CallId, outcome: &CallOutcome) {
        let Some(command) = self.close_call(process, call) else {
            return self.require(false, Rule::OutcomeBelongsToCommand, || {
                format!("process {process} {call:?}")
            });
        };
        let closed = self.clients.get(&process).is_some_and(|book| book.closed);
        self.an_outcome_has_its_reason(command, outcome, closed);
        // The next process has more to say, or may have.
        if *outcome == CallOutcome::Kept {
            return self.sometimes.count("kept for the next process");
        }
        if self.journals && *outcome == (CallOutcome::Closed { sent: true }) {
            return self.sometimes.count("not known whether it was kept");
        }
        self.a_later_process_hears_no_other_end(command, outcome);
        if let Some(book) = self.calls.get_mut(&command) {
            (book.fate, book.told) = (Fate::Resolved, Some(outcome.clone()));
        }
        match outcome {
            CallOutcome::Reply(body) => {
                self.sometimes.count("replied");
                self.an_outcome_is_what_was_committed(command, &Outcome::Ok(body.clone()))
            }
            CallOutcome::Failed { code, name, body } => {
                self.sometimes.count(&format!("failed: {code:?}"));
                if *code != FailureCode::Unknown {
                    let outcome = Outcome::failed(*code, name.clone(), body.clone());
                    self.an_outcome_is_what_was_committed(command, &outcome);
                }
            }
            CallOutcome::Refused(code) => {
                self.sometimes.count(&format!("refused: {code:?}"));
                self.never_runs(command);
            }
            CallOutcome::OutcomeUnknown => self.sometimes.count("outcome unknown"),
            CallOutcome::Closed { sent: false } | CallOutcome::NotSaved => self.never_runs(command),
            CallOutcome::Closed { sent: true } | CallOutcome::Kept => {}
        }
    }

    /// What an earlier process was told is told again, unless it was an answer, which is told before
    /// it is saved: who asks again may hear that nobody knows, if the lease or the record is gone
    /// meanwhile, or what nobody knew before.
    pub(super) fn a_later_process_hears_no_other_end(
        &mut self,
        command: u64,
        outcome: &CallOutcome,
    ) {
        let Some(book) = self.calls.get(&command) else { return };
        let Some(told) = &book.told else { return };
        if told == outcome {
            return;
        }
        let holds = is_answer(told) && (knows_nothing(told) || knows_nothing(outcome));
        let text = format!("command {command} was told {told:?}, then {outcome:?}");
        self.require(holds, Rule::OutcomeComesOnce, || text);
        self.sometimes.count("an answer was forgotten with its process");
    }

    /// A reply implies exactly one commit, with the same bytes.
    fn an_outcome_is_what_was_committed(&mut self, command: u64, outcome: &Outcome) {
        let Some(book) = self.calls.get(&command) else { return };
        let commits: Vec<&CommitBook> =
            book.sent.iter().filter_map(|key| self.commits.get(key)).collect();
        let same = commits.len() == 1 && is_told(&commits[0].outcome, outcome);
        let found =
            format!("{:?}", commits.iter().map(|commit| &commit.outcome).collect::<Vec<_>>());
        self.require(same, Rule::ReplyIsCommitted, || {
            format!("command {command}: told {outcome:?}, committed {found}")
        });
    }

    /// An entry leaves only by result, failure, terminal refusal, lost lease, expiry before
    /// sending, or the end of the client.
    fn an_outcome_has_its_reason(&mut self, command: u64, outcome: &CallOutcome, closed: bool) {
        let Some(book) = self.calls.get(&command) else { return };
        let unsent = book.sent.is_empty();
        let holds = match outcome {
            CallOutcome::Reply(_) | CallOutcome::Failed { .. } => book.answer == Some(None),
            CallOutcome::Refused(RefusalCode::Expired | RefusalCode::TooLarge) if unsent => true,
            // Refused for now, its lease lost, not sent under the new one: as good as unsent.
            CallOutcome::Refused(RefusalCode::Expired) if book.lease_lost => true,
            CallOutcome::Refused(code) => book.answer == Some(Some(*code)) && !code.is_retry(),
            CallOutcome::OutcomeUnknown => (book.lease_lost && !unsent) || book.maybe_sent,
            CallOutcome::Closed { sent } => closed && (*sent || book.commits == 0),
            CallOutcome::Kept => closed && self.journals,
            CallOutcome::NotSaved => self.journals && unsent,
        };
        let book = format!("{book:?}");
        self.require(holds, Rule::OutcomeHasReason, || {
            format!("command {command} ends as {outcome:?}: {book}")
        });
    }
}

/// Whether an outcome came from the server, which has recorded it.
const fn is_answer(outcome: &CallOutcome) -> bool {
    matches!(outcome, CallOutcome::Reply(_) | CallOutcome::Failed { .. })
}

/// Whether an outcome says that it is not known.
fn knows_nothing(outcome: &CallOutcome) -> bool {
    match outcome {
        CallOutcome::Failed { code, .. } => *code == FailureCode::Unknown,
        outcome => *outcome == CallOutcome::OutcomeUnknown,
    }
}
