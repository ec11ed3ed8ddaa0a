//! Commands from submission to outcome: numbers, low, executions, commits, results (PROTOCOL.md
//! sections 5 and 6).

use std::collections::BTreeMap;

use steadfast::session::client::{CallId, CallOutcome};
use steadfast::session::store::{
    Append, AppendOutcome, Commit, CommitOutcome, Outcome, Publication, StoreOp, StoreOutcome,
};
use steadfast::wire::{
    Body, ClientFrame, CommandFrame, CommandNo, LeaseGrant, LeaseId, LeaseState, Position,
    RefusalCode, ServerFrame,
};

use steadfast_rig::Rule;
use steadfast_rig::fixtures::{id_in, number_in};

use super::Ledger;
use super::sessions::sequence_of;
use crate::marks::{Mark, Marks};
use crate::state::{NodeSlot, Process, Running, Socket, Way};

/// A client process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ClientBook {
    lease: Option<LeaseId>,
    /// Commands by number in the lease, from 1.
    numbers: Vec<u64>,
    /// Numbers that are not resolved.
    open: BTreeMap<u64, u64>,
    /// Commands by call, from 1.
    calls: Vec<u64>,
    /// How many of them had a number in an earlier lease.
    numbered: usize,
    unresolved: usize,
    /// Where its application stands in the topic.
    pub(super) seen: Option<Position>,
}

/// A lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LeaseBook {
    /// Whether its owner is the other user.
    stranger: bool,
    /// Highest number that was committed.
    committed: u64,
}

/// A command of an application.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct CommandBook {
    /// As what it was sent last.
    sent: Option<(LeaseId, u64)>,
    /// What was committed.
    pub(super) committed: Option<Body>,
    /// Its lease was lost after it had been sent.
    lost: bool,
    /// It was said that it never ran.
    refused: bool,
    /// Its application does not want it any more.
    unwanted: bool,
}

impl Ledger {
    // ---- the application ----

    pub(crate) fn client_starts(&mut self, process: Process) {
        self.clients.insert(process, ClientBook::default());
    }

    /// Whatever it waited for is nobody's business any more.
    pub(crate) fn client_crashes(&mut self, process: Process) {
        self.clients.remove(&process);
        self.sessions.retain(|_, book| book.process != process);
    }

    pub(crate) fn submitted(&mut self, process: Process, command: u64) {
        self.commands.insert(command, CommandBook::default());
        if let Some(book) = self.clients.get_mut(&process) {
            book.calls.push(command);
            book.unresolved += 1;
        }
    }

    pub(crate) fn outbox_is(&mut self, process: Process, held: usize) {
        let unresolved = self.clients.get(&process).map_or(0, |book| book.unresolved);
        self.require(held == unresolved, Rule::OutboxHoldsUnresolved, || {
            format!("it holds {held}, {unresolved} are unresolved")
        });
    }

    /// The lease that a client has been told last.
    pub(crate) fn lease_of(&self, process: Process) -> Option<LeaseId> {
        self.clients.get(&process).and_then(|book| book.lease)
    }

    /// Whether a client has nothing to wait for.
    pub(crate) fn is_resolved(&self, process: Process) -> bool {
        self.clients.get(&process).is_none_or(|book| book.unresolved == 0)
    }

    pub(crate) fn resolved(
        &mut self,
        process: Process,
        call: CallId,
        outcome: &CallOutcome,
        marks: &Marks,
    ) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let Some(&command) = usize::try_from(call.0).ok().and_then(|at| book.calls.get(at - 1))
        else {
            return self.require(false, Rule::OutcomeHasReason, || {
                format!("{call:?} was never submitted")
            });
        };
        let again = book.unresolved == 0;
        book.unresolved = book.unresolved.saturating_sub(1);
        book.open.retain(|_, other| *other != command);
        let Some(book) = self.commands.get_mut(&command).cloned() else { return };
        let holds = match outcome {
            CallOutcome::Reply(_) => !again,
            CallOutcome::OutcomeUnknown => book.lost,
            CallOutcome::Refused(RefusalCode::Expired) => book.unwanted,
            // Nothing here is late, malformed, fails, or is closed by its application.
            CallOutcome::Failed { .. }
            | CallOutcome::Refused(_)
            | CallOutcome::Closed { .. }
            | CallOutcome::Kept
            | CallOutcome::NotSaved => false,
        };
        self.require(holds, Rule::OutcomeHasReason, || {
            format!("command {command} ends as {outcome:?}: {book:?}")
        });
        match outcome {
            CallOutcome::Reply(body) => {
                self.require(book.committed.as_ref() == Some(body), Rule::ReplyIsCommitted, || {
                    format!("command {command}: told {body:?}, committed {:?}", book.committed)
                })
            }
            CallOutcome::OutcomeUnknown => marks.set(Mark::OutcomeUnknown),
            CallOutcome::Refused(_) => {
                marks.set(Mark::NeverBegan);
                self.never_runs(command);
            }
            _ => {}
        }
    }

    /// Its application does not want a command any more.
    pub(crate) fn is_unwanted(&mut self, process: Process, call: CallId) {
        if let Some(command) = self.command_called(process, call)
            && let Some(book) = self.commands.get_mut(&command)
        {
            book.unwanted = true;
        }
    }

    /// A client takes a command back: it never ran, and never will.
    pub(crate) fn withdrawn(&mut self, process: Process, call: CallId) {
        let Some(command) = self.command_called(process, call) else { return };
        if let Some(book) = self.clients.get_mut(&process) {
            book.unresolved -= 1;
            book.open.retain(|_, other| *other != command);
        }
        self.never_runs(command);
    }

    fn command_called(&self, process: Process, call: CallId) -> Option<u64> {
        let at = usize::try_from(call.0).ok()?.checked_sub(1)?;
        self.clients.get(&process)?.calls.get(at).copied()
    }

    fn never_runs(&mut self, command: u64) {
        let Some(book) = self.commands.get_mut(&command) else { return };
        book.refused = true;
        let committed = book.committed.clone();
        self.require(committed.is_none(), Rule::RefusedNeverRan, || {
            format!("{command} never ran, and was committed as {committed:?}")
        });
    }

    // ---- numbers ----

    pub(super) fn lease_is_told(&mut self, process: Process, lease: LeaseId, marks: &Marks) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let before = book.lease.replace(lease);
        if before == Some(lease) {
            return;
        }
        book.numbered += book.numbers.len();
        book.numbers.clear();
        let lost = std::mem::take(&mut book.open);
        if before.is_some() {
            marks.set(Mark::LeaseLoss);
        }
        for command in lost.into_values() {
            if let Some(book) = self.commands.get_mut(&command) {
                book.lost = true;
            }
        }
    }

    fn low_is(&mut self, process: Process, low: CommandNo) {
        let Some(book) = self.clients.get(&process) else { return };
        let next = book.numbers.len() as u64 + 1;
        let lowest = book.open.first_key_value().map_or(next, |(n, _)| *n);
        self.require(low.0 <= lowest, Rule::LowPassesNothing, || {
            format!("low is {low}, {lowest} is unresolved")
        });
    }

    /// A client writes a frame.
    pub(crate) fn client_sends(&mut self, process: Process, socket: &Socket, frame: &ClientFrame) {
        match frame {
            ClientFrame::Hello(hello) => {
                if let Some(claim) = &hello.lease {
                    self.low_is(process, claim.low);
                }
                if let Some(resume) = &hello.resume {
                    self.ack_leaves(Some(resume.session), Way::Down, resume.recv);
                }
            }
            ClientFrame::Ack { ack, low } => {
                self.low_is(process, *low);
                self.ack_leaves(socket.joined, Way::Down, *ack);
            }
            ClientFrame::Command(command) => {
                self.low_is(process, command.low);
                self.ack_leaves(socket.joined, Way::Down, command.ack);
                self.command_leaves(process, command);
            }
            _ => {}
        }
    }

    fn command_leaves(&mut self, process: Process, frame: &CommandFrame) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let (Some(lease), n) = (book.lease, frame.n.0) else { return };
        let at = n as usize - 1;
        // Those with an id all say the same: they go in the order of calls.
        let call = book.calls.get(book.numbered + at).filter(|_| has_id(&frame.body));
        let of_id = call.copied();
        let command = of_id.unwrap_or_else(|| number_in(&frame.body));
        if at == book.numbers.len() {
            book.numbers.push(command);
            book.open.insert(n, command);
            if let Some(book) = self.commands.get_mut(&command) {
                book.sent = Some((lease, n));
                book.lost = false;
            }
            return;
        }
        let known = book.numbers.get(at).copied();
        self.require(known == Some(command), Rule::NumberMeansOneCommand, || {
            format!("{n} is {command}, was {known:?}")
        });
    }

    /// A frame is about to reach a node's core, on an attachment that counts.
    pub(crate) fn node_receives(&mut self, socket: &Socket, frame: &ClientFrame) {
        match frame {
            ClientFrame::Command(command) => {
                self.sequence_arrives(socket.served, Way::Up, command.seq);
                self.ack_arrives(socket.served, command.ack);
            }
            ClientFrame::Ack { ack, .. } => self.ack_arrives(socket.served, *ack),
            ClientFrame::Hello(hello) => {
                if let Some(resume) = &hello.resume {
                    self.ack_arrives(Some(resume.session), resume.recv);
                }
            }
            _ => {}
        }
    }

    // ---- the node ----

    /// A lease goes on for who owns it.
    pub(crate) fn lease_is_granted(&mut self, socket: &Socket, lease: &LeaseGrant) {
        let (id, stranger) = (lease.id, socket.stranger);
        // A late HELLO may resume a session that its client has left; nobody hears of it.
        let session = socket.served.and_then(|session| self.sessions.get_mut(&session));
        let Some(book) = session else { return };
        // A session that goes on tells a lease again of which its client may not have heard.
        let again = book.lease.replace(id) == Some(id);
        if lease.state == LeaseState::New && again {
            return;
        }
        if lease.state == LeaseState::New {
            let known = self.leases.insert(id, LeaseBook { stranger, committed: 0 }).is_some();
            return self.require(!known, Rule::LeaseIdOnce, || format!("{id:?} is new twice"));
        }
        let owner = self.leases.get(&id).map(|book| book.stranger);
        self.require(owner == Some(stranger), Rule::LeaseKeepsPrincipal, || {
            format!("{id:?} goes on for another")
        });
    }

    pub(crate) fn executing(
        &mut self,
        node: &NodeSlot,
        (lease, n): (LeaseId, CommandNo),
        command: u64,
    ) {
        let sent = self.commands.get(&command).and_then(|book| book.sent);
        // A node that the client has left may still have it under an earlier lease.
        let earlier = sent.is_none_or(|(now, _)| now != lease);
        self.require(earlier || sent == Some((lease, n.0)), Rule::NumberMeansOneCommand, || {
            format!("{lease:?} {n} runs command {command}, sent as {sent:?}")
        });
        let mut running = node.running.values().chain(node.deciding.values());
        let running = running.find_map(|running| match running {
            Running::Command { lease: other, n, .. } if *other == lease => Some(*n),
            _ => None,
        });
        self.require(running.is_none(), Rule::StartsInOrder, || {
            format!("{n} starts while {running:?} runs")
        });
        self.require(node.failing.is_empty(), Rule::NothingBeginsInOutage, || {
            format!("{n} starts while {:?} fail", node.failing)
        });
    }

    /// The command that a body belongs to, which came under this number.
    pub(crate) fn command_of_body(&self, (lease, n): (LeaseId, CommandNo), body: &Body) -> u64 {
        if !has_id(body) {
            return number_in(body);
        }
        self.command_sent_as(lease, n.0).unwrap_or(0)
    }

    fn command_sent_as(&self, lease: LeaseId, n: u64) -> Option<u64> {
        let sent = self.commands.iter().find(|(_, book)| book.sent == Some((lease, n)));
        sent.map(|(command, _)| *command)
    }

    /// A node writes a frame to an attached client.
    pub(crate) fn node_sends(
        &mut self,
        socket: &Socket,
        frame: &ServerFrame,
        window: u32,
        marks: &Marks,
    ) {
        if let Some((seq, ack)) = sequence_of(frame) {
            self.sequence_leaves(socket.served, seq, window);
            self.ack_leaves(socket.served, Way::Up, ack);
        }
        match frame {
            ServerFrame::Ack { ack } => self.ack_leaves(socket.served, Way::Up, *ack),
            ServerFrame::Result { n, body, dup, .. } => {
                if *dup {
                    marks.set(Mark::Duplicate);
                }
                self.result_leaves(socket, *n, body);
            }
            ServerFrame::Refused { n, code, .. } => self.refusal_leaves(socket, *n, *code, marks),
            _ => {}
        }
    }

    fn command_of(&self, socket: &Socket, n: CommandNo) -> Option<&CommandBook> {
        let lease = self.sessions.get(&socket.served?)?.lease?;
        self.commands.values().find(|book| book.sent == Some((lease, n.0)))
    }

    fn result_leaves(&mut self, socket: &Socket, n: CommandNo, body: &Body) {
        let Some(book) = self.command_of(socket, n) else { return };
        let committed = book.committed.clone();
        self.require(committed.as_ref() == Some(body), Rule::ResultFollowsCommit, || {
            format!("{n}: told {body:?}, committed {committed:?}")
        });
    }

    fn refusal_leaves(&mut self, socket: &Socket, n: CommandNo, code: RefusalCode, marks: &Marks) {
        if code.is_retry() {
            return marks.set(Mark::Refused);
        }
        let ran = self.command_of(socket, n).is_some_and(|book| book.committed.is_some());
        self.require(!ran, Rule::RefusedNeverRan, || {
            format!("{n} is refused with {code:?} and was committed")
        });
    }

    /// A frame is about to reach a client's core, on its current socket.
    pub(crate) fn client_receives(
        &mut self,
        process: Process,
        socket: &mut Socket,
        frame: &ServerFrame,
        marks: &Marks,
    ) {
        if let ServerFrame::Welcome(welcome) = frame {
            return self.welcome_arrives(process, socket, welcome, marks);
        }
        if let Some((seq, _)) = sequence_of(frame) {
            self.sequence_arrives(socket.joined, Way::Down, seq);
        }
        match frame {
            ServerFrame::Subscribed(subscribed) => self.subscription_begins(process, subscribed),
            ServerFrame::Lease(lease) => self.lease_is_told(process, lease.id, marks),
            _ => {}
        }
    }

    // ---- the store ----

    /// What really came of a store operation.
    pub(crate) fn stored(&mut self, op: &StoreOp, outcome: &StoreOutcome, marks: &Marks) {
        match (op, outcome) {
            (StoreOp::Commit { lease, commits, .. }, StoreOutcome::Committed { outcomes, .. }) => {
                for (commit, (_, outcome)) in commits.iter().zip(outcomes) {
                    self.commit_happens(*lease, commit, outcome, marks);
                }
            }
            (StoreOp::Append { topic, appends, .. }, StoreOutcome::Appended(outcomes)) => {
                for (append, outcome) in appends.iter().zip(outcomes) {
                    let AppendOutcome::Landed(place) = outcome else { continue };
                    let Append { key, name, bodies, .. } = append.clone();
                    let publication = Publication { topic: topic.clone(), name, bodies };
                    self.append_happens(key, &publication, *place);
                }
            }
            (StoreOp::OpenTopic { .. }, StoreOutcome::Topic(head))
            | (StoreOp::ReadLog { .. }, StoreOutcome::Log { head, .. }) => self.topic_is_at(head),
            (StoreOp::Settle { .. }, StoreOutcome::Done) => marks.set(Mark::Settled),
            _ => {}
        }
    }

    fn commit_happens(
        &mut self,
        lease: LeaseId,
        commit: &Commit,
        outcome: &CommitOutcome,
        marks: &Marks,
    ) {
        let n = commit.n.0;
        let mut record = commit.record.clone();
        let settled = match outcome {
            CommitOutcome::Exists(_) => return marks.set(Mark::RecordExists),
            CommitOutcome::BelowLow => return marks.set(Mark::BelowLow),
            CommitOutcome::Used(outcome) => {
                marks.set(Mark::IdUsed);
                return self.command_is_committed((lease, n), outcome, false);
            }
            CommitOutcome::Written { settled } => settled,
            CommitOutcome::Decided { settled, decided } => {
                marks.set(Mark::Decided);
                (record.outcome, record.publishes) =
                    (decided.outcome.clone(), decided.publishes.clone());
                settled
            }
        };
        let fresh = self.commits.insert((lease, n));
        self.require(fresh, Rule::OneCommitPerNumber, || {
            format!("{lease:?} {n} is committed again")
        });
        if record.outcome == Outcome::Expired {
            // It takes no place in the order: it never ran.
            return self.only_what_is_unwanted_expires((lease, n));
        }
        let last =
            self.leases.get_mut(&lease).map_or(0, |book| std::mem::replace(&mut book.committed, n));
        self.require(last < n || !fresh, Rule::CommitsInOrder, || {
            format!("{n} is committed after {last}")
        });
        let publishes = !record.publishes.is_empty();
        self.command_is_committed((lease, n), &record.outcome, publishes);
        for (publication, place) in record.publishes.iter().zip(settled.iter().flatten()) {
            self.event_lands(publication, *place);
        }
    }

    fn only_what_is_unwanted_expires(&mut self, (lease, n): (LeaseId, u64)) {
        let command = self.command_sent_as(lease, n);
        let book = command.and_then(|command| self.commands.get(&command));
        // Of a lease that its client has left nobody knows any more.
        let unwanted = book.is_none_or(|book| book.unwanted);
        self.require(unwanted, Rule::OutcomeHasReason, || format!("{n} has expired"));
    }

    fn command_is_committed(
        &mut self,
        (lease, n): (LeaseId, u64),
        outcome: &Outcome,
        publishes: bool,
    ) {
        let Outcome::Ok(body) = outcome else {
            return self.require(false, Rule::OutcomeHasReason, || {
                format!("{n} is committed as {outcome:?}")
            });
        };
        let command = self.command_sent_as(lease, n).unwrap_or_else(|| number_in(body));
        if self.one_id {
            // All commands are one: the first outcome is that of all, and nothing else is published.
            let first = self.of_id.get_or_insert_with(|| (command, body.clone())).clone();
            let again = first.0 != command;
            self.require(first.1 == *body && !(again && publishes), Rule::IdHasOneOutcome, || {
                format!("{command} is committed as {body:?}, {first:?} was first")
            });
        }
        if let Some(book) = self.commands.get_mut(&command) {
            let refused = book.refused;
            let before = book.committed.replace(body.clone());
            self.require(before.is_none(), Rule::OneCommitPerCommand, || {
                format!("{command}: {before:?}, then {body:?}")
            });
            self.require(!refused, Rule::RefusedNeverRan, || format!("{command} was refused"));
        }
    }
}

fn has_id(body: &Body) -> bool {
    id_in(body.as_bytes()).is_some()
}
