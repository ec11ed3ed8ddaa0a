//! Commands from submission to outcome: numbers, low, commits, results, refusals (PROTOCOL.md
//! sections 5 and 6).

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::Now;
use steadfast::session::client::{CallId, CallOutcome};
use steadfast::session::store::{
    Commit, CommitOutcome, OpId, Outcome, Publication, StoreOp, StoreOutcome,
};
use steadfast::wire::{
    CommandFrame, FailureCode, Hello, LeaseId, LeaseState, RefusalCode, ServerFrame, SessionId,
    Welcome,
};

use super::{Checkers, Owed, Restored, number_in};
use crate::rng::Rng;

/// A lease, as the border shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct LeaseBook {
    user: String,
    /// Node process of its last session.
    pub(super) node: u64,
    /// Highest ordered number that was committed.
    last_ordered: u64,
}

/// A client process.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientBook {
    lease: Option<LeaseId>,
    /// The lowest number never sent under the lease.
    next: u64,
    /// Numbers of the lease that are sent and not resolved.
    open: BTreeMap<u64, u64>,
    calls: BTreeMap<CallId, u64>,
    pub(super) unresolved: BTreeSet<CallId>,
    closed: bool,
}

/// How a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Open,
    Resolved,
    /// It was said that it never ran, and never will.
    NeverRan,
}

/// A command of the run.
#[derive(Debug, Clone)]
pub(super) struct CallBook {
    call: CallId,
    pub(super) ordered: bool,
    fate: Fate,
    sent: Vec<(LeaseId, u64)>,
    commits: u32,
    /// The last answer that reached the client: a refusal, or (without a code) a result.
    answer: Option<Option<RefusalCode>>,
    /// The lease was lost after it was sent.
    lease_lost: bool,
    /// When its caller's patience ends, by the client's clock.
    due: Now,
    /// It was sent for the first time after that.
    late: bool,
}

/// A committed record.
#[derive(Debug, Clone)]
pub(super) struct CommitBook {
    outcome: Outcome,
    pub(super) publishes: Vec<Publication>,
}

impl Checkers {
    // ---- the application ----

    /// A client process starts.
    pub fn client_starts(&mut self, process: u64) {
        self.clients.insert(process, ClientBook { next: 1, ..ClientBook::default() });
    }

    /// A client process ends: whatever it waited for is nobody's business any more.
    pub fn client_crashes(&mut self, process: u64) {
        self.clients.remove(&process);
        self.states.remove(&process);
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
    pub(super) fn was_connected(&self, process: u64) -> bool {
        self.clients.get(&process).is_some_and(|book| book.lease.is_some())
    }

    /// A client has taken a command whose caller waits until then.
    pub fn submitted(&mut self, process: u64, call: CallId, command: u64, ordered: bool, due: Now) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        book.calls.insert(call, command);
        book.unresolved.insert(call);
        let fate = Fate::Open;
        let book = CallBook {
            call,
            ordered,
            fate,
            sent: Vec::new(),
            commits: 0,
            answer: None,
            lease_lost: false,
            due,
            late: false,
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
        self.require(open, "an outcome comes once", || {
            format!("process {process} {call:?} command {command}")
        });
        Some(command)
    }

    fn never_runs(&mut self, command: u64) {
        let Some(book) = self.calls.get_mut(&command) else { return };
        book.fate = Fate::NeverRan;
        let commits = book.commits;
        self.require(commits == 0, "what was refused never ran", || {
            format!("command {command} was committed")
        });
    }

    /// A client reports an outcome.
    pub fn resolved(&mut self, process: u64, call: CallId, outcome: &CallOutcome) {
        let Some(command) = self.close_call(process, call) else {
            return self.require(false, "an outcome belongs to a command", || {
                format!("process {process} {call:?}")
            });
        };
        let closed = self.clients.get(&process).is_some_and(|book| book.closed);
        self.an_outcome_has_its_reason(command, outcome, closed);
        if let Some(book) = self.calls.get_mut(&command) {
            book.fate = Fate::Resolved;
        }
        match outcome {
            CallOutcome::Reply(body) => {
                self.an_outcome_is_what_was_committed(command, &Outcome::Ok(body.clone()))
            }
            CallOutcome::Failed { code, name, body } => {
                self.sometimes.count(&format!("failed: {code:?}"));
                if *code != FailureCode::Unknown {
                    let outcome =
                        Outcome::Failed { code: *code, name: name.clone(), body: body.clone() };
                    self.an_outcome_is_what_was_committed(command, &outcome);
                }
            }
            CallOutcome::Refused(code) => {
                self.sometimes.count(&format!("refused: {code:?}"));
                self.never_runs(command);
            }
            CallOutcome::OutcomeUnknown => self.sometimes.count("outcome unknown"),
            CallOutcome::Closed { sent: false } => self.never_runs(command),
            CallOutcome::Closed { sent: true } => {}
        }
    }

    /// A reply implies exactly one commit, with the same bytes.
    fn an_outcome_is_what_was_committed(&mut self, command: u64, outcome: &Outcome) {
        let Some(book) = self.calls.get(&command) else { return };
        let commits: Vec<&CommitBook> =
            book.sent.iter().filter_map(|key| self.commits.get(key)).collect();
        let same = commits.len() == 1 && commits[0].outcome == *outcome;
        let found =
            format!("{:?}", commits.iter().map(|commit| &commit.outcome).collect::<Vec<_>>());
        self.require(same, "a reply implies one commit with its bytes", || {
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
            CallOutcome::OutcomeUnknown => book.lease_lost && !unsent,
            CallOutcome::Closed { sent } => closed && (*sent || book.commits == 0),
        };
        let book = format!("{book:?}");
        self.require(holds, "an outcome has its reason", || {
            format!("command {command} ends as {outcome:?}: {book}")
        });
    }

    // ---- numbers ----

    pub(super) fn lease_is_told(&mut self, process: u64, lease: LeaseId, _new: bool) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let before = book.lease.replace(lease);
        if before == Some(lease) {
            return;
        }
        book.next = 1;
        let lost = std::mem::take(&mut book.open);
        if before.is_some() {
            self.sometimes.count("lease lost");
        }
        for command in lost.into_values() {
            if let Some(call) = self.calls.get_mut(&command) {
                call.lease_lost = true;
            }
        }
    }

    /// `low` is told only when everything below is resolved.
    pub(super) fn low_never_passes_an_unresolved_number(&mut self, process: u64, low: u64) {
        let Some(book) = self.clients.get(&process) else { return };
        let open = book.open.first_key_value().map(|(n, command)| (*n, *command));
        let next = book.next;
        let holds = low <= next && open.is_none_or(|(n, _)| low <= n);
        self.require(holds, "low never passes an unresolved number", || {
            format!("process {process}: low {low}, next {next}, lowest unresolved {open:?}")
        });
    }

    pub(super) fn numbers_stay_within_the_span(&mut self, command: &CommandFrame) {
        let span = u64::from(self.node_config.span);
        self.require(command.n.0 - command.low.0 < span, "numbers stay within the span", || {
            format!("{command:?}")
        });
    }

    /// A new number goes to the earliest call that has none.
    fn numbers_follow_the_order_of_calls(&mut self, process: u64, command: u64) {
        let Some(book) = self.clients.get(&process) else { return };
        let numbered: BTreeSet<u64> = book.open.values().copied().collect();
        let command_of = |call: &CallId| book.calls.get(call).copied();
        let first =
            book.unresolved.iter().filter_map(command_of).find(|first| !numbered.contains(first));
        self.require(first == Some(command), "numbers follow the order of calls", || {
            format!("process {process}: command {command} is sent before {first:?}")
        });
    }

    pub(super) fn nothing_runs_that_waited_too_long(&mut self, command: u64) {
        let late = self.calls.get(&command).is_some_and(|call| call.late);
        self.require(!late, "a call that waited longer than its time was never executed", || {
            format!("command {command}")
        });
    }

    pub(super) fn command_is_sent(&mut self, now: Now, process: u64, frame: &CommandFrame) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let (Some(lease), n, command) = (book.lease, frame.n.0, number_in(&frame.body)) else {
            return;
        };
        if n == book.next {
            book.next += 1;
            self.numbers_follow_the_order_of_calls(process, command);
            let open = self.calls.get(&command).is_some_and(|call| call.fate == Fate::Open);
            self.require(open, "only what is unresolved gets a number", || {
                format!("command {command}")
            });
            if let Some(book) = self.clients.get_mut(&process) {
                book.open.insert(n, command);
            }
            self.sent.insert((lease, n), command);
            if let Some(call) = self.calls.get_mut(&command) {
                if call.sent.is_empty() && now >= call.due {
                    call.late = true;
                    self.sometimes.count("call sent after its time");
                }
                call.sent.push((lease, n));
                call.lease_lost = false;
            }
            return;
        }
        let next = book.next;
        let before = self.sent.get(&(lease, n)).copied();
        self.require(before == Some(command), "a number means one command", || {
            format!("process {process}: {n} is command {command}, was {before:?}; next is {next}")
        });
    }

    pub(super) fn answer_arrives(&mut self, process: u64, n: u64, refusal: Option<RefusalCode>) {
        let Some(command) = self.clients.get(&process).and_then(|book| book.open.get(&n)) else {
            return;
        };
        if let Some(code) = refusal.filter(|code| code.is_retry()) {
            self.sometimes.count(&format!("refused: {code:?}"));
        }
        if let Some(call) = self.calls.get_mut(command) {
            call.answer = Some(refusal);
        }
    }

    // ---- the server ----

    pub(super) fn lease_is_granted(
        &mut self,
        node: u64,
        hello: &Hello,
        welcome: &Welcome,
        user: &str,
    ) {
        let id = welcome.lease.id;
        let claimed = hello.lease.as_ref().map(|claim| claim.id);
        if welcome.lease.state == LeaseState::New {
            let known = self.leases.contains_key(&id);
            self.require(!known && claimed != Some(id), "a lease id is used once", || {
                format!("{id:?}")
            });
            self.leases.insert(id, LeaseBook { user: user.to_owned(), node, last_ordered: 0 });
            return;
        }
        self.require(claimed == Some(id), "a lease goes on for who claims it", || {
            format!("{id:?}, {claimed:?}")
        });
        let Some(lease) = self.leases.get_mut(&id) else {
            return self
                .require(false, "an unknown lease has expired", || format!("{id:?} goes on"));
        };
        let owner = lease.user.clone();
        self.lease_comes_with_records(node, id);
        let Some(lease) = self.leases.get_mut(&id) else { return };
        if std::mem::replace(&mut lease.node, node) != node {
            self.sometimes.count("takeover");
        }
        self.require(owner == user, "a lease never changes its principal", || {
            format!("{id:?}: {owner}, {user}")
        });
    }

    /// RESULT and FAILED follow the commit, with its bytes (PROTOCOL.md 5.6).
    pub(super) fn results_follow_commits(
        &mut self,
        session: SessionId,
        n: u64,
        frame: &ServerFrame,
    ) {
        let Some(lease) = self.sessions.get(&session).map(|session| session.lease) else { return };
        let told = match frame {
            ServerFrame::Result { body, .. } => Outcome::Ok(body.clone()),
            ServerFrame::Failed { code: FailureCode::Unknown, .. } => return,
            ServerFrame::Failed { code, name, body, .. } => {
                Outcome::Failed { code: *code, name: name.clone(), body: body.clone() }
            }
            _ => return,
        };
        let committed = self.commits.get(&(lease, n)).map(|commit| commit.outcome.clone());
        self.require(committed.as_ref() == Some(&told), "results follow commits", || {
            format!("{lease:?} {n}: told {told:?}, committed {committed:?}")
        });
    }

    /// A refusal says that the command was not executed (PROTOCOL.md 5.10). What a node says that
    /// another one has replaced reaches nobody.
    pub(super) fn refusals_say_the_truth(
        &mut self,
        process: u64,
        session: SessionId,
        n: u64,
        code: RefusalCode,
    ) {
        let Some(lease) = self.sessions.get(&session).map(|session| session.lease) else { return };
        if self.leases.get(&lease).is_some_and(|book| book.node != process) {
            return;
        }
        let committed =
            self.commits.get(&(lease, n)).is_some_and(|commit| commit.outcome != Outcome::Expired);
        self.require(code.is_retry() || !committed, "what was refused never ran", || {
            format!("{lease:?} {n} is refused with {code:?} and was committed")
        });
    }

    // ---- the store ----

    /// What really came of a store operation.
    pub fn stored(&mut self, process: u64, op: &StoreOp, outcome: &StoreOutcome) {
        match (op, outcome) {
            (StoreOp::Commit { lease, commits, .. }, StoreOutcome::Committed(outcomes)) => {
                for (commit, (n, outcome)) in commits.iter().zip(outcomes) {
                    let same = commit.n == *n;
                    self.require(same, "commits are answered in order", || {
                        format!("{lease:?} {n}")
                    });
                    self.commit_happens(process, *lease, commit, outcome);
                }
            }
            (StoreOp::Commit { .. }, StoreOutcome::LeaseGone) => {
                self.sometimes.count("commit finds no lease")
            }
            (StoreOp::Settle { lease, n }, StoreOutcome::Done) => {
                self.unsettled.remove(&(*lease, n.0));
            }
            (StoreOp::Append { key, publication, .. }, StoreOutcome::Appended(place)) => {
                self.append_happens(*key, publication, *place);
            }
            (StoreOp::OpenTopic { topic, .. }, StoreOutcome::Topic(head)) => {
                self.topic_is_at(topic, head);
            }
            (StoreOp::ReadLog { topic, .. }, StoreOutcome::Log { head, entries }) => {
                self.topic_is_at(topic, head);
                self.log_keeps_its_bytes(topic, head.epoch, entries);
            }
            _ => {}
        }
    }

    fn commit_happens(
        &mut self,
        process: u64,
        lease: LeaseId,
        commit: &Commit,
        outcome: &CommitOutcome,
    ) {
        let key = (lease, commit.n.0);
        let settled = match outcome {
            CommitOutcome::Written { settled } => settled,
            CommitOutcome::Exists(record) => {
                self.sometimes.count("commit finds a record");
                let stands = self.commits.get(&key).map(|commit| commit.outcome.clone());
                let same = stands.as_ref() == Some(&record.outcome);
                return self.require(same, "a record stands", || {
                    format!("{key:?}: {stands:?}, {record:?}")
                });
            }
            CommitOutcome::BelowLow => return self.sometimes.count("commit below low"),
        };
        self.at_most_one_commit(key, &commit.record.outcome);
        self.a_commit_is_what_a_handler_said(process, key, &commit.record.outcome);
        self.only_successes_publish(key, commit);
        // A deadline that had passed is recorded without running anything: it has no place in the
        // order.
        if self.was_said(process, key, &commit.record.outcome) {
            self.commits_keep_their_order(key);
        }
        let book = CommitBook {
            outcome: commit.record.outcome.clone(),
            publishes: commit.record.publishes.clone(),
        };
        self.commits.insert(key, book);
        match settled {
            Some(places) => {
                for (index, (publication, place)) in
                    commit.record.publishes.iter().zip(places).enumerate()
                {
                    let index = index as u32;
                    let key =
                        steadfast::session::store::AppendKey::Command { lease, n: commit.n, index };
                    self.append_happens(key, publication, *place);
                }
            }
            None if !commit.record.publishes.is_empty() => {
                self.unsettled.insert(key);
            }
            None => {}
        }
    }

    /// A handler that fails has published nothing (PROTOCOL.md 5.6).
    fn only_successes_publish(&mut self, key: (LeaseId, u64), commit: &Commit) {
        let holds =
            matches!(commit.record.outcome, Outcome::Ok(_)) || commit.record.publishes.is_empty();
        self.require(holds, "only successes publish", || format!("{key:?}: {:?}", commit.record));
    }

    /// At most one committed effect per lease and number, and none of what was refused.
    fn at_most_one_commit(&mut self, key: (LeaseId, u64), outcome: &Outcome) {
        let again = self.commits.contains_key(&key);
        self.require(!again, "at most one commit per number", || {
            format!("{key:?} is committed again")
        });
        let Some(command) = self.sent.get(&key).copied() else {
            return self.require(false, "only what was sent is committed", || format!("{key:?}"));
        };
        let Some(call) = self.calls.get_mut(&command).filter(|_| *outcome != Outcome::Expired)
        else {
            return;
        };
        call.commits += 1;
        let (commits, fate, client) = (call.commits, call.fate, call.call);
        self.require(commits == 1, "at most one commit per command", || {
            format!("command {command} {client:?}")
        });
        self.require(fate != Fate::NeverRan, "what was refused never ran", || {
            format!("command {command} {client:?} is committed as {key:?} after it was refused or withdrawn")
        });
    }

    /// Ordered commands of a lease are committed in the order of their numbers.
    fn commits_keep_their_order(&mut self, (lease, n): (LeaseId, u64)) {
        let ordered = self
            .sent
            .get(&(lease, n))
            .and_then(|command| self.calls.get(command))
            .is_some_and(|c| c.ordered);
        let Some(book) = self.leases.get_mut(&lease).filter(|_| ordered) else { return };
        let before = book.last_ordered;
        book.last_ordered = before.max(n);
        let holds = n > before || self.given_up;
        self.require(holds, "ordered commands commit in order", || {
            format!("{lease:?}: {n} after {before}")
        });
    }

    /// The store has lost everything.
    pub fn store_lost(&mut self) {
        self.unsettled.clear();
        self.topics.store_lost();
    }

    /// The store has lost what it took last.
    pub fn store_rolled_back(
        &mut self,
        restored: &[Restored],
        unsettled: BTreeSet<(LeaseId, u64)>,
    ) {
        self.sometimes.count("store rolled back");
        self.unsettled = unsettled;
        restored.iter().for_each(|restored| self.topics.restored(restored));
    }

    /// Long after the end of its lease a record is let go, settled or not.
    pub fn what_is_owed_may_expire(&mut self) {
        self.unsettled.clear();
    }

    /// What the store was made to say.
    pub fn answered(&mut self, process: u64, op: OpId, outcome: &StoreOutcome) {
        if matches!(outcome, StoreOutcome::Unknown | StoreOutcome::Failed) {
            let failures = self.failures.entry((process, op)).or_default();
            *failures += 1;
            self.given_up |= *failures >= self.node_config.store_tries;
        }
        self.records_are_told(process, op, outcome);
        match outcome {
            StoreOutcome::Unknown => self.sometimes.count("commit unknown"),
            StoreOutcome::Unsettled(records) if !records.is_empty() => {
                self.sometimes.count("unsettled record settled")
            }
            _ => {}
        }
    }

    /// Whether every record's publications are in their logs.
    #[must_use]
    pub fn all_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// Nothing stays half done.
    pub fn records_are_settled_at_rest(&mut self) {
        let left = self.unsettled.first().copied();
        self.require(left.is_none(), "records are settled at rest", || format!("{left:?}"));
    }
}
