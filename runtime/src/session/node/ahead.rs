//! Ordered commands handed out ahead of their turn, so that a driver whose handlers end at once
//! need not come back after each. Owns the promise that makes this the same as one at a time: what
//! is handed out ahead begins after the one before it has ended, or comes back unbegun (PROTOCOL.md
//! 5.5).

use super::lease::{SlotState, Waiting};
use super::state::{LeaseKey, Running};
use super::types::{ExecId, Execution};
use super::{Node, Output};
use crate::session::Now;
use crate::session::table::Key;
use crate::wire::CommandNo;

impl Node {
    /// The command whose order comes when the one that was handed out last has ended, if it is
    /// there already. Whoever takes it runs it then, or gives it back with
    /// [`Node::handle_unbegun`].
    pub(super) fn next_ahead(&mut self, now: Now) -> Option<Execution> {
        let exec = self.handed_out.take()?;
        let next = self.hand_out_after(now, exec)?;
        self.handed_out = next.command();
        Some(next)
    }

    fn hand_out_after(&mut self, now: Now, exec: ExecId) -> Option<Execution> {
        let (lease, n) = self.ordered_command(exec)?;
        let table = self.leases.get_mut(lease)?;
        let last = table.ordered_running == Some(n);
        if !last || self.commands_running >= self.config.executions {
            return None;
        }
        let next = table.waiting.pop_front()?;
        table.ordered_running = Some(next);
        let before = self.outputs.len();
        self.begin(now, lease, next);
        if self.outputs.len() > before {
            // Beginning a command puts out that command and nothing after it.
            match self.outputs.pop_back() {
                Some(Output::Execute { execution, .. }) => return Some(execution),
                other => self.outputs.extend(other),
            }
        }
        // It had expired, and so had all that waited.
        if let Some(table) = self.leases.get_mut(lease) {
            table.ordered_running.get_or_insert(n);
        }
        None
    }

    /// Commands of one lease that were handed out ahead and did not begin, in their order, because
    /// `exec` did not end at once.
    pub fn handle_unbegun(&mut self, now: Now, exec: ExecId, unbegun: Vec<Execution>) {
        let mut lease = None;
        for execution in unbegun.into_iter().rev() {
            lease = self.take_back(execution).or(lease);
        }
        let Some(key) = lease else { return };
        let still = self.ordered_command(exec).filter(|(of, _)| *of == key).map(|(_, n)| n);
        if let Some(table) = self.leases.get_mut(key) {
            table.ordered_running = still;
        }
        self.start_next_ordered(now, key);
        self.fill_places(now);
    }

    /// The command of an execution that still counts.
    fn ordered_command(&self, exec: ExecId) -> Option<(LeaseKey, CommandNo)> {
        let Running::Command(lease, n) = self.running.get(Key::from_raw(exec.0))?.what else {
            return None;
        };
        let slot = self.leases.get(lease)?.slot(n)?;
        matches!(slot.state, SlotState::Running { ordered: true, exec: running, .. } if running == exec)
            .then_some((lease, n))
    }

    /// From running to waiting; nothing has happened.
    fn take_back(&mut self, execution: Execution) -> Option<LeaseKey> {
        let Execution::Command { exec, conn, message, body, timeout_ms, .. } = execution else {
            return None;
        };
        let (lease, n) = self.ordered_command(exec)?;
        self.running.remove(Key::from_raw(exec.0));
        let table = self.leases.get_mut(lease)?;
        let slot = table.slot_mut(n)?;
        let SlotState::Running { hash, deadline, .. } = slot.state else { return None };
        slot.state = SlotState::Waiting(Waiting {
            hash,
            message,
            body,
            ordered: true,
            deadline,
            timeout_ms,
            conn,
        });
        table.running -= 1;
        table.wait_in_order(n);
        self.commands_running -= 1;
        Some(lease)
    }
}
