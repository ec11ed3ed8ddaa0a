//! Callers that do not want their commands any more (PROTOCOL.md 5.27): what has not begun is
//! recorded as expired, and of what runs the handler is told. How that ends is the handler's to say.

use super::slot::{SlotState, Waiting};
use super::state::Leases;
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{self, Effects};
use crate::session::node::keys::LeaseKey;
use crate::session::node::types::{ExecId, NodeEvent};
use crate::wire::CommandNo;

/// The deadline of a command that nobody wants: it has passed.
const PASSED: Now = Now(0);

impl Leases {
    /// The caller of a command does not want it any more.
    pub(crate) fn cancel(
        &mut self,
        now: Now,
        (key, n): (LeaseKey, CommandNo),
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let slot = self.leases.held_mut(key).and_then(|lease| lease.slot_mut(n));
        // It may never have come, or be resolved.
        let Some(slot) = slot else { return };
        match std::mem::take(&mut slot.state) {
            SlotState::Waiting(waiting) => {
                self.cancel_waiting(now, (key, n), &waiting, config, fx);
            }
            SlotState::Asking(mut waiting) => {
                // What its id stands for is answered soon, and then it does not begin.
                waiting.deadline = PASSED;
                slot.state = SlotState::Asking(waiting);
            }
            SlotState::Running(mut running) => {
                if !std::mem::replace(&mut running.cancelled, true) {
                    fx.event(NodeEvent::Cancel(running.exec));
                }
                // For one that goes back unbegun.
                running.deadline = PASSED;
                slot.state = SlotState::Running(running);
            }
            state => slot.state = state,
        }
    }

    /// It leaves the order at once, and what comes after it need not wait for it.
    fn cancel_waiting(
        &mut self,
        now: Now,
        (key, n): (LeaseKey, CommandNo),
        waiting: &Waiting,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let Some(lease) = self.leases.held_mut(key) else { return };
        lease.queue_bytes -= waiting.body.len() as u64;
        lease.order.stop(n);
        self.places.forget(n, lease);
        self.expire(key, n, waiting);
        self.start_next(now, key, config, fx);
    }

    /// Whether an execution is of a command that nobody wants any more.
    pub(crate) fn is_cancelled(&self, exec: ExecId, fx: &Effects) -> bool {
        let Some(effects::Running::Command(key, n)) = fx.running(exec) else { return false };
        let slot = self.leases.get(key).and_then(|lease| lease.slot(n));
        slot.and_then(|slot| slot.state.running())
            .is_some_and(|running| running.exec == exec && running.cancelled)
    }
}
