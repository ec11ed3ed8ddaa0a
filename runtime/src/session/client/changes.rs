//! What callers change about commands that are under way: they wait longer or shorter, or do not
//! want them any more (PROTOCOL.md 5.27). An outcome is never made here: what may have been
//! executed stays in the outbox until the server has told.

use super::entry::{SendStage, Unresolved};
use super::outbox::Outbox;
use super::submission::CallId;
use super::timer::{ClientTimer, Effects};
use super::types::Event;
use crate::wire::CommandNo;

impl Outbox {
    // ---- cancelled ----

    /// Withdraws a command that certainly was not executed. Of one that may have been the server is
    /// told, and its outcome is awaited.
    pub(super) fn cancel(&mut self, call: CallId, fx: &mut Effects) -> bool {
        if let Some(entry) = self.entries.get_mut(&call)
            && entry.maybe_executed()
        {
            if !std::mem::replace(&mut entry.cancelled, true) && entry.stage == SendStage::Out {
                self.cancels.insert(call);
            }
            return false;
        }
        let is_here = self.entries.contains_key(&call) || self.backlog.contains(call);
        if is_here {
            self.withdraw(call, fx);
        }
        is_here
    }

    /// A command that certainly was not executed never will be.
    pub(super) fn withdraw(&mut self, call: CallId, fx: &mut Effects) {
        let entry = self.remove(call, fx);
        match (entry, &mut self.journal) {
            (Some(entry), Some(journal)) => journal.withdrawn(call, &entry, fx),
            _ => fx.event(Event::Withdrawn { call }),
        }
        self.let_in(fx);
    }

    /// The next cancelled command of which the server is to hear: one that it may have in its table.
    pub(super) fn next_cancel(&mut self) -> Option<CommandNo> {
        while let Some(call) = self.cancels.pop_first() {
            let entry = self.entries.get(&call);
            // It may have been refused for now since.
            if let Some(entry) = entry.filter(|entry| entry.stage == SendStage::Out) {
                return Some(entry.n);
            }
        }
        None
    }

    /// A new attachment: what the last one carried may have been lost, so all are told again.
    pub(super) fn attached(&mut self) {
        let is_told = |entry: &Unresolved| entry.cancelled && entry.stage == SendStage::Out;
        let again = self.entries.iter().filter(|(_, entry)| is_told(entry));
        self.cancels = again.map(|(call, _)| *call).collect();
    }

    // ---- patience ----

    /// The caller waits so long, counted from when it called. What the server was told of it stays
    /// until the command is sent again.
    pub(super) fn set_timeout(&mut self, call: CallId, timeout_ms: u64, fx: &mut Effects) {
        let until = if let Some(command) = self.backlog.get_mut(call) {
            command.set_timeout(timeout_ms);
            command.given_up(self.age_ms)
        } else {
            // It may have ended.
            let Some(entry) = self.entries.get_mut(&call) else { return };
            entry.command.set_timeout(timeout_ms);
            entry.timed_out = false;
            match entry.is_unsent() {
                true => entry.command.given_up(self.age_ms),
                false => entry.command.patience_ends(),
            }
        };
        fx.timers.set(ClientTimer::Call(call), until);
    }
}
