//! What the engine's lock protects: the node, and what its driver keeps beside it. Turns the node's
//! outputs into work, and what came of work into inputs; the order of both is the node's.

use std::sync::Arc;

use super::execute::Prepared;
use super::registry::Registry;
use super::storing::{store_at_once, tell_interest};
use super::work::{Done, Tray, Work};
use crate::session::Now;
use crate::session::node::{ExecId, Executed, Execution, Node, NodeConfig, NodeEvent, Output};
use crate::store::DynStore;

pub(super) struct State {
    /// Changed by inputs of a turn only, so that its outputs are taken.
    pub(super) node: Node,
    pub(super) registry: Registry,
    /// What the timer task sleeps until.
    armed: Option<Now>,
    draining: bool,
    /// What the store was given to decide that nobody asks for.
    withdrawn: Vec<ExecId>,
    /// Of turns that panicked.
    left: Option<Box<Tray>>,
}

impl State {
    pub(super) fn new(config: Arc<NodeConfig>, seed: [u8; 32]) -> Self {
        Self {
            node: Node::new(config, seed),
            registry: Registry::default(),
            armed: None,
            draining: false,
            withdrawn: Vec::new(),
            left: None,
        }
    }

    /// Leaves in order.
    pub(super) fn drain(&mut self, now: Now, deadline_ms: u64, spread_ms: u64) {
        self.draining = true;
        self.node.drain(now, deadline_ms, spread_ms);
    }

    /// Whether whoever waits for the end of a drain is to look.
    pub(super) fn has_drained(&self) -> bool {
        self.draining && self.node.is_drained()
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Now) {
        if self.armed.is_some_and(|at| at <= now) {
            self.armed = None;
            self.node.handle_timeout(now);
        }
    }

    /// What the timer task sleeps until.
    pub(super) const fn due(&self) -> Option<Now> {
        self.armed
    }

    /// Arms the timer; whether it is to look, because it would sleep too long. It may wake too
    /// early, and then sleeps again.
    pub(super) fn arm(&mut self) -> bool {
        let timeout = self.node.poll_timeout();
        let sooner = timeout.is_some_and(|at| self.armed.is_none_or(|armed| at < armed));
        if sooner {
            self.armed = timeout;
        }
        sooner
    }

    /// Keeps what a turn that panicked had taken from the node, for the next turn; the timer makes
    /// one `later` and not before.
    pub(super) fn leave(&mut self, later: Now, mut tray: Box<Tray>) {
        self.take_over(&mut tray.work, &mut tray.done);
        self.left = Some(tray);
        self.armed = Some(later);
    }

    pub(super) fn take_over(&mut self, work: &mut Work, done: &mut Done) {
        if let Some(mut left) = self.left.take() {
            work.take_over(&mut left.work);
            done.take_over(&mut left.done);
        }
    }

    /// An execution has ended.
    pub(super) fn executed(&mut self, now: Now, exec: ExecId, executed: Executed) {
        if matches!(executed, Executed::Decides) && !self.node.is_running(exec) {
            // It was aborted meanwhile.
            self.withdrawn.push(exec);
        }
        self.node.handle_executed(now, exec, executed);
    }

    pub(super) fn feed(&mut self, now: Now, done: &mut Done) {
        // One at a time, so that those behind one that makes the node panic are kept.
        while let Some((exec, executed)) = done.executed.pop_front() {
            self.executed(now, exec, executed);
        }
        while let Some((before, unbegun)) = done.unbegun.pop_front() {
            self.node.handle_unbegun(now, before, unbegun);
        }
        while let Some((op, outcome)) = done.stored.pop_front() {
            self.node.handle_store(now, op, outcome);
        }
    }

    /// Takes everything that the node wants done.
    pub(super) fn poll_outputs(&mut self, now: Now, store: &dyn DynStore, work: &mut Work) {
        while let Some(output) = self.node.poll_output(now) {
            match output {
                Output::Event(event) => self.on_event(event, work),
                Output::Execute { execution, ahead } => {
                    let prepared = self.prepare(execution, ahead);
                    work.executions.push_back(prepared);
                }
                Output::Interest { topic, interested } => {
                    tell_interest(store, &topic, interested);
                }
                Output::Store(id, op) => match store_at_once(store, op) {
                    Ok(outcome) => self.node.handle_store(now, id, outcome),
                    Err(op) => work.operations.push((id, op)),
                },
            }
        }
        work.withdrawn.append(&mut self.withdrawn);
    }

    /// Every input is followed by [`State::poll_outputs`], transmitting too: what is left here
    /// would wait for somebody else's turn.
    pub(super) fn assert_nothing_left(&mut self, now: Now) {
        if cfg!(debug_assertions) {
            let left = self.node.poll_output(now);
            debug_assert!(left.is_none(), "left behind by a turn: {left:?}");
        }
    }

    fn prepare(&mut self, execution: Execution, ahead: bool) -> Prepared {
        let shown = match &execution {
            Execution::Authenticate { conn, .. } => Some(Box::new(self.registry.take_shown(*conn))),
            _ => None,
        };
        Prepared::new(execution, shown, ahead)
    }

    fn on_event(&mut self, event: NodeEvent, work: &mut Work) {
        match event {
            NodeEvent::Wake(conn) => work.wakes.add(self.registry.conn(conn)),
            NodeEvent::Close(conn, close) => work.wakes.add(self.registry.close(conn, close)),
            NodeEvent::Abort(exec) => match self.registry.take_task(exec) {
                Some(task) => task.abort(),
                None => {
                    // It has not begun, and must not. One that another turn has taken and is about
                    // to begin finds in `Engine::go_on` that nobody waits for it.
                    work.withdraw(exec);
                    // Or it has left its outcome to the store.
                    work.withdrawn.push(exec);
                }
            },
            // One that has not come to its first wait is told there, see `Engine::go_on`.
            NodeEvent::Cancel(exec) => work.cancelled.extend(self.registry.canceller(exec)),
            NodeEvent::Returned(who, session) => work.returned.push((who, session)),
            NodeEvent::Published(id, landed) => {
                let waiting = self.registry.take_publisher(id);
                work.published.extend(waiting.map(|waiting| (waiting, landed)));
            }
        }
    }
}
