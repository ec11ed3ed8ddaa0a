//! The queue of outputs, and what is under way outside.

use std::collections::VecDeque;
use std::time::Duration;

use super::executions::{Run, Running};
use super::failing::Failing;
use super::operations::{Operation, Purpose};
use super::timers::{Timer, Timers};
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::keys::{ExecutionRow, OperationKey, OperationRow};
use crate::session::node::load::NodeLoad;
use crate::session::node::types::{ConnId, ExecId, Execution, NodeEvent};
use crate::session::store::{OpId, TopicId};
use crate::session::table::{Key, Table};

/// Something that waits for [`super::Node::poll_output`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Effect {
    Event(NodeEvent),
    /// A connection has something to transmit; whether it knows that already is seen when this
    /// comes out.
    Wake(ConnId),
    Execute(Execution),
    /// The operation is made when it goes out, from what is true then.
    Ask(OperationKey),
    /// The store is told whether news of a topic is wanted.
    Interest(TopicId, bool),
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Effects {
    queue: VecDeque<Effect>,
    /// The command that was handed out last, if the next one of its lease may follow it.
    handed_out: Option<ExecId>,
    timers: Timers,
    executions: Table<ExecutionRow, Run>,
    operations: Table<OperationRow, Operation>,
    failing: Failing,
}

impl Effects {
    /// Whether nothing is under way outside.
    pub(crate) const fn is_idle(&self) -> bool {
        self.executions.is_empty() && self.operations.is_empty()
    }

    pub(crate) fn load(&self, load: &mut NodeLoad) {
        load.executions = self.executions.len();
        load.store_operations = self.operations.len();
        load.commits_failing = self.failing.len();
        load.timers = self.timers.len();
    }

    /// The next effect. A command that goes out may be followed, see
    /// [`Effects::take_handed_out`].
    pub(crate) fn pop(&mut self) -> Option<Effect> {
        let effect = self.queue.pop_front()?;
        if let Effect::Execute(execution) = &effect {
            self.hands_out(execution);
        }
        Some(effect)
    }

    pub(crate) const fn hands_out(&mut self, execution: &Execution) {
        self.handed_out = execution.command();
    }

    pub(crate) const fn take_handed_out(&mut self) -> Option<ExecId> {
        self.handed_out.take()
    }

    pub(crate) fn event(&mut self, event: NodeEvent) {
        self.queue.push_back(Effect::Event(event));
    }

    /// Tells the store whether news of a topic is wanted.
    pub(crate) fn interest(&mut self, topic: TopicId, interested: bool) {
        self.queue.push_back(Effect::Interest(topic, interested));
    }

    // ---- transmitting ----

    /// A connection has something to transmit.
    pub(crate) fn wake(&mut self, conn: ConnId) {
        let again = matches!(self.queue.back(), Some(Effect::Wake(last)) if *last == conn);
        if !again {
            self.queue.push_back(Effect::Wake(conn));
        }
    }

    // ---- timers ----

    pub(crate) fn arm(&mut self, at: Now, timer: Timer) {
        self.timers.arm(at, timer);
    }

    /// Takes a timer back that may be armed.
    pub(crate) fn disarm(&mut self, at: Option<Now>, timer: Timer) {
        if let Some(at) = at {
            self.timers.disarm(at, timer);
        }
    }

    pub(crate) fn next_timer(&self) -> Option<Now> {
        self.timers.next()
    }

    pub(crate) fn pop_due(&mut self, now: Now) -> Option<Timer> {
        self.timers.pop_due(now)
    }
}

impl Effects {
    /// Something begins whose time is bounded elsewhere: a command by its lease's timer,
    /// authentication by that of the handshake.
    pub(crate) fn begin_untimed(&mut self, what: Running) -> ExecId {
        ExecId(self.executions.insert(Run { what, until: None }).raw())
    }

    /// A hook, or the handler of a volatile, begins; it is late after `limit`.
    pub(crate) fn begin(&mut self, now: Now, limit: Duration, what: Running) -> ExecId {
        let until = now.after(limit);
        let exec = ExecId(self.executions.insert(Run { what, until: Some(until) }).raw());
        self.arm(until, Timer::Hook(exec));
        exec
    }

    /// Hands an execution to the driver.
    pub(crate) fn execute(&mut self, execution: Execution) {
        self.queue.push_back(Effect::Execute(execution));
    }

    /// What an execution is for, while it counts.
    pub(crate) fn running(&self, exec: ExecId) -> Option<Running> {
        self.executions.get(Key::from_raw(exec.0)).map(|run| run.what)
    }

    /// An execution counts no longer; what it was for.
    pub(crate) fn end(&mut self, exec: ExecId) -> Option<Running> {
        let Run { what, until } = self.executions.remove(Key::from_raw(exec.0))?;
        self.disarm(until, Timer::Hook(exec));
        Some(what)
    }

    /// Ends an execution that nobody waits for any more.
    pub(crate) fn abort(&mut self, exec: ExecId) {
        if self.end(exec).is_some() {
            self.stop(exec);
        }
    }

    /// An execution that has been ended here ends at the driver, too. What was not handed out yet
    /// is not: it would run without anybody who ends it.
    pub(crate) fn stop(&mut self, exec: ExecId) {
        let waits = |effect: &Effect| match effect {
            Effect::Execute(execution) => execution.exec() == exec,
            Effect::Event(_) | Effect::Wake(_) | Effect::Ask(_) | Effect::Interest(..) => false,
        };
        match self.queue.iter().position(waits) {
            Some(at) => drop(self.queue.remove(at)),
            None => self.event(NodeEvent::Abort(exec)),
        }
    }
}

pub(crate) fn op_id(key: OperationKey) -> OpId {
    OpId(key.raw())
}

impl Effects {
    /// Asks the store for something.
    pub(crate) fn ask(&mut self, purpose: Purpose) {
        let key = self.begin_operation(purpose);
        self.ask_again(key);
    }

    /// The same, for an operation that goes out at once.
    pub(crate) fn begin_operation(&mut self, purpose: Purpose) -> OperationKey {
        self.operations.insert(Operation {
            purpose,
            asked: None,
            tries: 0,
            maybe: false,
            outlived: false,
            stale: false,
        })
    }

    /// Repeats an operation at a later time.
    pub(crate) fn retry(&mut self, at: Now, key: OperationKey) {
        self.arm(at, Timer::Retry(key));
    }

    pub(crate) fn ask_again(&mut self, key: OperationKey) {
        self.queue.push_back(Effect::Ask(key));
    }

    /// An operation goes out, again or for the first time; `None` if it has been given up since it
    /// was queued.
    pub(crate) fn goes_out(&mut self, now: Now, key: OperationKey) -> Option<&Operation> {
        let operation = self.operations.get_mut(key)?;
        operation.asked.get_or_insert(now);
        Some(operation)
    }

    /// An operation that is under way; `None` for an answer that came twice, or to nobody.
    pub(crate) fn operation(&self, key: OperationKey) -> Option<&Operation> {
        self.operations.get(key)
    }

    /// A commit whose lease is gone goes on for those who follow its topics.
    pub(crate) fn orphan(&mut self, key: OperationKey, topics: Vec<TopicId>) {
        if let Some(operation) = self.operations.held_mut(key) {
            operation.purpose = Purpose::Orphan(topics);
            if let Some(asked) = operation.asked {
                self.failing.remove(asked, key);
            }
        }
    }

    /// One more try has failed; how many that makes, and when the first one was made.
    pub(crate) fn failed(
        &mut self,
        now: Now,
        key: OperationKey,
        maybe: bool,
    ) -> Option<(u32, Now)> {
        let operation = self.operations.held_mut(key)?;
        operation.tries = operation.tries.saturating_add(1);
        operation.maybe |= maybe;
        operation.outlived = false;
        let asked = *operation.asked.get_or_insert(now);
        if matches!(operation.purpose, Purpose::Commit(..)) {
            self.failing.add(asked, key);
        }
        Some((operation.tries, asked))
    }

    /// The store answers that an operation was asked for too long ago; whether it has said so
    /// before, or the operation is under way no longer.
    pub(crate) fn is_stale_again(&mut self, key: OperationKey) -> bool {
        let operation = self.operations.held_mut(key);
        operation.is_none_or(|operation| std::mem::replace(&mut operation.stale, true))
    }

    /// The store is another incarnation: what it answered before may not hold any more.
    pub(crate) fn outlive_operations(&mut self) {
        self.operations.values_mut().for_each(|operation| operation.outlived = true);
    }

    pub(crate) fn end_operation(&mut self, key: OperationKey) -> Option<Operation> {
        let operation = self.operations.remove(key)?;
        if operation.tries > 0
            && let Some(asked) = operation.asked
        {
            self.failing.remove(asked, key);
        }
        Some(operation)
    }

    /// Whether the store has failed for so long that no command should begin.
    pub(crate) fn store_fails(&self, now: Now, config: &NodeConfig) -> bool {
        self.failing.is_long(now, config)
    }

    /// Whether a commit that had failed has ended since the last time that this was asked: commands
    /// that wait for the store may begin.
    pub(crate) const fn take_eased(&mut self) -> bool {
        self.failing.take_eased()
    }
}

/// The key that an [`OpId`] of this node stands for.
pub(crate) fn key_of(op: OpId) -> OperationKey {
    Key::from_raw(op.0)
}
