//! Handlers: which may start, when, and that commits are what they said (PROTOCOL.md 5.5, 5.6,
//! 5.8).

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::Now;
use steadfast::session::node::{Attempt, ExecId, Executed, Execution, StagedPublish};
use steadfast::session::store::{Decided, OpId, Outcome, Publication, StoreOp, StoreOutcome};
use steadfast::wire::{CommandFrame, FailureCode, LeaseId, SessionId};
use steadfast_rig::Rule;
use steadfast_rig::fixtures::number_in;

use super::Checkers;

/// Every handler that ran, by node process.
#[derive(Debug, Clone, Default)]
pub(super) struct Executions {
    /// Commands that reached a node on an attachment that counts.
    arrived: BTreeSet<(LeaseId, u64)>,
    /// Until when one may start, by the clock of the node process that it has reached.
    deadlines: BTreeMap<(u64, LeaseId, u64), Now>,
    /// Numbers of what handlers have published.
    published: BTreeSet<u64>,
    /// Numbers that a handler was started for, with the node process that did so last.
    begun: BTreeMap<(LeaseId, u64), u64>,
    running: BTreeMap<(u64, ExecId), (LeaseId, u64)>,
    /// Those of `running`, and those that wait for a decision.
    running_numbers: BTreeSet<(u64, LeaseId, u64)>,
    /// What has left its outcome to the store.
    deciding: BTreeMap<(u64, ExecId), (LeaseId, u64)>,
    /// The same, for good: the store may carry out late what nobody waits for any more.
    decides: BTreeMap<(u64, ExecId), (LeaseId, u64)>,
    /// The decisions that a commit under way waits for.
    awaited: BTreeMap<(u64, OpId), Vec<ExecId>>,
    /// What handlers said.
    said: BTreeMap<(u64, LeaseId, u64), Outcome>,
    /// Highest ordered number started, per node process and lease.
    last_started: BTreeMap<(u64, LeaseId), u64>,
}

impl Executions {
    /// The handler that runs as this number in a process.
    pub(super) fn running_as(&self, process: u64, key: (LeaseId, u64)) -> Option<ExecId> {
        let in_process = (process, ExecId(0))..=(process, ExecId(u64::MAX));
        let running = self.running.range(in_process).find(|(_, running)| **running == key);
        running.map(|((_, exec), _)| *exec)
    }

    /// Whether a handler was started last in this process for a number.
    pub(super) fn was_begun(&self, process: u64, key: (LeaseId, u64)) -> bool {
        self.begun.get(&key) == Some(&process)
    }
}

impl Checkers {
    /// A node process starts.
    pub fn node_starts(&mut self, _node: usize, _process: u64) {}

    /// A node process ends.
    pub fn node_crashes(&mut self, process: u64) {
        self.owes_nothing(process);
        self.ids.node_crashes(process);
        self.sometimes.count("node crashed");
    }

    pub(super) fn command_arrives(
        &mut self,
        now: Now,
        node: u64,
        session: SessionId,
        command: &CommandFrame,
    ) {
        let Some(lease) = self.sessions.get(&session).and_then(|session| session.lease) else {
            return;
        };
        let declared_ms = self
            .node_config
            .message(&command.name)
            .map_or(0, |spec| spec.timeout.as_millis() as u64);
        let until = now.after_ms(command.deadline_ms.unwrap_or(declared_ms));
        self.executions.arrived.insert((lease, command.n.0));
        self.awaits_an_answer(node, lease, command.n.0);
        let latest = self.executions.deadlines.entry((node, lease, command.n.0)).or_default();
        *latest = until.max(*latest);
        if self.executions.running_numbers.contains(&(node, lease, command.n.0)) {
            self.sometimes.count("joined a running execution");
        }
    }

    /// A node, whose clock says `now`, asks for an execution.
    pub fn executing(&mut self, now: Now, process: u64, execution: &Execution) {
        let Execution::Command { exec, lease, n, attempt, body, principal, id, .. } = execution
        else {
            return;
        };
        let key = (*lease, n.0);
        self.only_what_arrived_is_executed(key, number_in(body));
        self.a_handler_runs_under_an_unused_id(process, *exec, key, id.as_deref());
        self.nothing_starts_after_its_deadline(now, process, key);
        self.nothing_begins_that_was_cancelled(process, key);
        self.nothing_begins_while_the_store_fails(now, process);
        if let Some(command) = self.sent.get(&key).copied() {
            self.nothing_runs_that_waited_too_long(command);
        }
        self.no_handler_runs_over_a_record(process, key);
        self.nothing_starts_of_anothers_lease(process, key);
        self.a_first_attempt_is_the_first(process, key, *attempt);
        self.one_execution_at_a_time(process, key);
        self.ordered_commands_start_in_order(process, key);
        let owner = self.lease_owner(*lease);
        self.require(owner.as_deref() == Some(principal.user()), Rule::LeaseKeepsPrincipal, || {
            format!("{lease:?} of {owner:?} runs as {}", principal.user())
        });
        if self.executions.begun.insert(key, process).is_some_and(|before| before != process) {
            self.sometimes.count("executed on two nodes");
        }
        self.executions.running.insert((process, *exec), key);
        self.executions.running_numbers.insert((process, key.0, key.1));
    }

    fn lease_owner(&self, lease: LeaseId) -> Option<String> {
        self.sessions
            .values()
            .find(|session| session.lease == Some(lease))
            .map(|session| session.user.clone())
    }

    /// Frames of replaced sockets have no effect; nor has anything that nobody sent.
    fn only_what_arrived_is_executed(&mut self, key: (LeaseId, u64), written: u64) {
        let arrived = self.executions.arrived.contains(&key);
        let sent = self.was_sent_as(key, written);
        self.require(arrived && sent, Rule::OnlyArrivedIsExecuted, || {
            format!("{key:?} as {written}; sent so: {sent}, arrived: {arrived}")
        });
    }

    /// A deadline that has passed is answered, not executed. One that came twice may go by its
    /// later deadline.
    fn nothing_starts_after_its_deadline(&mut self, now: Now, process: u64, key: (LeaseId, u64)) {
        let until =
            self.executions.deadlines.get(&(process, key.0, key.1)).copied().unwrap_or_default();
        self.require(now < until, Rule::StartsBeforeDeadline, || {
            format!("{key:?}: {until:?} at {now:?}")
        });
    }

    /// A node that another one has replaced, and that does not know it, can't tell.
    fn a_first_attempt_is_the_first(
        &mut self,
        process: u64,
        key: (LeaseId, u64),
        attempt: Attempt,
    ) {
        if attempt == Attempt::MaybeRetry {
            return self.sometimes.count("maybe retry");
        }
        if self.leases.get(&key.0).is_some_and(|lease| lease.node != process) {
            return;
        }
        let before = self.executions.begun.contains_key(&key);
        self.require(!before, Rule::FirstAttemptIsFirst, || format!("{key:?} has run before"));
    }

    fn one_execution_at_a_time(&mut self, process: u64, key: (LeaseId, u64)) {
        let twice = self.executions.running_numbers.contains(&(process, key.0, key.1));
        self.require(!twice, Rule::OneExecutionAtATime, || {
            format!("{key:?} runs already in this process")
        });
    }

    /// An ordered command starts when every lower ordered one has ended.
    fn ordered_commands_start_in_order(&mut self, process: u64, (lease, n): (LeaseId, u64)) {
        if !self.is_ordered((lease, n)) {
            return;
        }
        let running =
            self.executions.running_numbers.range((process, lease, 0)..(process, lease, n));
        let lower =
            running.map(|(_, _, lower)| *lower).find(|lower| self.is_ordered((lease, *lower)));
        self.require(lower.is_none(), Rule::StartsInOrder, || {
            format!("{lease:?}: {n} starts while {lower:?} runs")
        });
        let last = self.executions.last_started.entry((process, lease)).or_default();
        let before = std::mem::replace(last, (*last).max(n));
        // An outcome that the store did not take is unknown; asked again, the command runs again,
        // when later ones have run.
        let holds = n > before || self.outages.has_given_up();
        self.require(holds, Rule::StartsInOrder, || {
            format!("{lease:?}: {n} starts after {before}")
        });
    }

    pub(super) fn is_ordered(&self, key: (LeaseId, u64)) -> bool {
        self.sent
            .get(&key)
            .and_then(|command| self.calls.get(command))
            .is_some_and(|call| call.ordered)
    }

    /// A handler ends, and its node is there to hear it.
    pub fn executed(&mut self, process: u64, exec: ExecId, executed: &Executed) {
        if *executed == Executed::Decides {
            self.a_cancel_has_reached_the_handler(process, exec);
            // Its handler has ended; its turn in the order goes on.
            self.ids.ends(process, exec);
            if let Some(key) = self.executions.running.remove(&(process, exec)) {
                self.executions.deciding.insert((process, exec), key);
                self.executions.decides.insert((process, exec), key);
            }
            return;
        }
        let Some((lease, n)) = self.stop_running(process, exec) else { return };
        if let Executed::Command { outcome, publishes } = executed {
            let events = publishes.iter().filter_map(|publish| match publish {
                StagedPublish::Event(event) => Some(event),
                StagedPublish::Volatile(_) | StagedPublish::Direct(_) => None,
            });
            self.a_handler_says((process, lease, n), outcome, events);
        }
    }

    fn a_handler_says<'a>(
        &mut self,
        key: (u64, LeaseId, u64),
        outcome: &Outcome,
        events: impl Iterator<Item = &'a Publication>,
    ) {
        self.executions.published.extend(events.map(|event| number_in(&event.bodies[0].1)));
        self.executions.said.insert(key, outcome.clone());
    }

    /// A node no longer wants a handler's answer, or a decision.
    pub fn aborted(&mut self, process: u64, exec: ExecId) {
        self.stop_running(process, exec);
        self.stop_deciding(process, exec);
    }

    /// The store has asked what was decided, be it that its node has given up since.
    pub fn decided(&mut self, process: u64, exec: ExecId, decided: &Decided) {
        self.sometimes.count("outcome decided by the store");
        let Some(&(lease, n)) = self.executions.decides.get(&(process, exec)) else {
            return self.require(false, Rule::OnlySentIsCommitted, || {
                format!("a decision of {exec:?}, which has come to none")
            });
        };
        self.a_handler_says((process, lease, n), &decided.outcome, decided.publishes.iter());
    }

    pub(super) fn decisions_are_asked_for(&mut self, process: u64, op: OpId, body: &StoreOp) {
        let StoreOp::Commit { commits, .. } = body else { return };
        let named = commits.iter().filter_map(|one| Some(ExecId(one.decide.as_ref()?.id.0)));
        let named: Vec<ExecId> = named.collect();
        if !named.is_empty() {
            self.executions.awaited.insert((process, op), named);
        }
    }

    pub(super) fn decisions_are_told(&mut self, process: u64, op: OpId, outcome: &StoreOutcome) {
        if matches!(outcome, StoreOutcome::Failed | StoreOutcome::Unknown) {
            return;
        }
        for exec in self.executions.awaited.remove(&(process, op)).unwrap_or_default() {
            self.stop_deciding(process, exec);
        }
    }

    /// Of node processes that are there.
    pub fn decisions_are_let_go_at_rest(&mut self, processes: &BTreeSet<u64>) {
        let mut left = self.executions.deciding.iter();
        let left = left.find(|((process, _), _)| processes.contains(process));
        let left = left.map(|(_, key)| *key);
        self.require(left.is_none(), Rule::DecisionsAreLetGo, || format!("{left:?} is kept"));
    }

    fn stop_deciding(&mut self, process: u64, exec: ExecId) {
        if let Some((lease, n)) = self.executions.deciding.remove(&(process, exec)) {
            self.executions.running_numbers.remove(&(process, lease, n));
        }
    }

    fn stop_running(&mut self, process: u64, exec: ExecId) -> Option<(LeaseId, u64)> {
        self.a_cancel_has_reached_the_handler(process, exec);
        let key = self.executions.running.remove(&(process, exec))?;
        self.ids.ends(process, exec);
        self.executions.running_numbers.remove(&(process, key.0, key.1));
        Some(key)
    }

    pub(super) fn is_published_by_a_handler(&self, number: u64) -> bool {
        self.executions.published.contains(&number)
    }

    /// Whether a handler said this, in any process.
    pub(super) fn was_said(&self, process: u64, key: (LeaseId, u64), outcome: &Outcome) -> bool {
        self.executions.said.get(&(process, key.0, key.1)) == Some(outcome)
    }

    /// A commit holds what the handler said in that very process, or a failure that the node found.
    pub(super) fn a_commit_is_what_a_handler_said(
        &mut self,
        process: u64,
        key: (LeaseId, u64),
        outcome: &Outcome,
    ) {
        use FailureCode::{Internal, Timeout, Unknown};
        let own = *outcome == Outcome::Expired
            || matches!(outcome.failure(), Some(Timeout | Internal | Unknown));
        let said = self.executions.said.get(&(process, key.0, key.1)).cloned();
        self.require(own || said.as_ref() == Some(outcome), Rule::CommitWasSaid, || {
            format!("{key:?}: said {said:?}, committed {outcome:?}")
        });
    }
}
