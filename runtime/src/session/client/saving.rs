//! The outbox with a journal: nothing is accepted, numbered or let go of before that is saved. The
//! traps are in the order of things: a number must not be used twice, what was taken back must not
//! come again, and the server must not forget an outcome that a crash could take from here.

use super::config::ClientConfig;
use super::entry::{SendStage, Unresolved};
use super::journal::{Held, Journal};
use super::outbox::{Outbox, tell_end};
use super::recovery::{Recovered, Recovery};
use super::submission::{CallId, CallOutcome};
use super::timer::{ClientTimer, Effects};
use super::types::{Event, Fate, SaveNo};
use crate::session::Now;
use crate::wire::{CommandNo, LeaseId};

impl Outbox {
    /// An outbox with a journal, and what an earlier process left in that. What may have been sent
    /// is sent again under its number.
    pub(super) fn recovered(config: &ClientConfig, recovery: &Recovery, fx: &mut Effects) -> Self {
        let mut outbox = Self::new(config);
        outbox.journal = Some(Box::new(Journal::new(config.journal.clone(), recovery)));
        outbox.last_call = recovery.last_call().0;
        outbox.next = recovery.next();
        for (call, recovered) in recovery.calls() {
            if recovered.outcome.is_none() {
                outbox.take_up(*call, recovered, fx);
            }
        }
        outbox.rewrite(fx);
        outbox
    }

    fn take_up(&mut self, call: CallId, recovered: &Recovered, fx: &mut Effects) {
        let mut entry = Unresolved::new(recovered.command.clone());
        self.bytes += entry.command.bytes();
        let until = if let Some(n) = recovered.n {
            (entry.n, entry.stage, entry.fate) = (n, SendStage::Again, Fate::Written);
            (entry.exposed, entry.transmitted) = (true, true);
            self.numbered.insert(n, call);
            self.again.insert(n, Now(0));
            entry.command.patience_ends()
        } else {
            self.fresh.insert(call);
            entry.command.given_up(self.age_ms)
        };
        fx.timers.set(ClientTimer::Call(call), until);
        self.entries.insert(call, entry);
    }

    // ---- numbers ----

    /// Gives new commands their numbers as far as `span` lets them, so that these are saved by the
    /// time they may be used. Without a journal a command gets its number when it is sent.
    pub(super) fn plan(&mut self, span: u64, fx: &mut Effects) {
        if self.journal.is_none() || self.fresh.is_empty() {
            return;
        }
        let low = self.low();
        let Some(journal) = self.journal.as_mut().filter(|journal| !journal.is_broken()) else {
            return;
        };
        while self.next.0.saturating_sub(low.0) < span
            && let Some(call) = self.fresh.pop_first()
        {
            let entry = self.entries.get_mut(&call).expect("what is fresh is in the outbox");
            (entry.n, entry.stage) = (self.next, SendStage::Planned);
            self.numbered.insert(self.next, call);
            journal.numbered(call, self.next, fx);
            self.next = self.next.next();
        }
    }

    /// Numbers from `n` on were never used: whoever has one gets another, so that there is no gap
    /// (PROTOCOL.md 5.2).
    pub(super) fn take_numbers_back(&mut self, n: CommandNo, fx: &mut Effects) {
        for call in self.numbered.split_off(&n).into_values() {
            let entry = self.entries.get_mut(&call).expect("what has a number is in the outbox");
            debug_assert_eq!(entry.stage, SendStage::Planned, "they are sent in their order");
            (entry.n, entry.stage) = (CommandNo::ZERO, SendStage::Fresh);
            self.fresh.insert(call);
        }
        self.next = n;
        if let Some(journal) = &mut self.journal {
            journal.unnumbered(n, fx);
        }
    }

    /// The lease is this one.
    pub(super) fn leased(&mut self, lease: LeaseId, fx: &mut Effects) {
        if let Some(journal) = &mut self.journal {
            journal.leased(lease, fx);
        }
    }

    // ---- saving ----

    /// Hands out what replaces everything that was saved.
    pub(super) fn rewrite(&mut self, fx: &mut Effects) {
        let live = self.entries.iter();
        let live = live.map(|(call, entry)| (*call, entry.command.clone(), entry.n));
        if let Some(journal) = &mut self.journal {
            journal.rewrite(self.next, live, fx);
        }
    }

    /// Everything up to `no` is saved.
    pub(super) fn saved(&mut self, no: SaveNo, over: bool, fx: &mut Effects) {
        let Some(journal) = &mut self.journal else { return };
        for held in journal.saved(no) {
            match held {
                Held::Accepted(call) if over => self.leave(call, fx),
                // It may have ended, or been withdrawn, before it was accepted.
                Held::Accepted(call) => self.set_fate_if_waiting(call, fx),
                Held::Ended(call, outcome) => {
                    fx.timers.cancel(ClientTimer::Call(call));
                    tell_end(call, outcome, fx);
                }
                Held::Withdrawn(call) => {
                    fx.timers.cancel(ClientTimer::Call(call));
                    fx.event(Event::Withdrawn { call });
                }
            }
        }
        if !over {
            self.let_in(fx);
        }
        if !over && self.journal.as_ref().is_some_and(|journal| journal.is_long()) {
            self.rewrite(fx);
        }
    }

    fn set_fate_if_waiting(&mut self, call: CallId, fx: &mut Effects) {
        if self.entries.get(&call).is_some_and(|entry| entry.fate == Fate::Waiting) {
            self.set_fate(call, Fate::Queued, fx);
        }
    }

    /// What was handed out from `no` on, or before it, and not reported, is not saved. With `undone`
    /// nothing of it is left: then nobody can come upon a command that was not accepted, and its
    /// caller is told. Else the next try takes it along.
    pub(super) fn unsaved(
        &mut self,
        now: Now,
        (no, undone): (SaveNo, bool),
        over: bool,
        fx: &mut Effects,
    ) {
        let Some(journal) = &mut self.journal else { return };
        if !journal.unsaved(now, no, fx) {
            return;
        }
        if undone {
            self.refuse_unsaved(fx);
        }
        if over {
            self.nothing_is_saved_any_more(fx);
        }
    }

    fn refuse_unsaved(&mut self, fx: &mut Effects) {
        let Some(journal) = &self.journal else { return };
        let unsaved = self.entries.iter().filter(|(_, entry)| !journal.is_saved(entry.taken));
        let calls: Vec<CallId> = unsaved.map(|(call, _)| *call).collect();
        for call in calls {
            self.remove(call, fx);
            if let Some(journal) = &mut self.journal {
                journal.refuse(call);
            }
            tell_end(call, CallOutcome::NotSaved, fx);
        }
        self.let_in(fx);
    }

    // ---- the end of this process ----

    /// The client is over: nothing is sent any more.
    pub(super) fn leave_all(&mut self, fx: &mut Effects) {
        self.fresh.clear();
        self.numbered.clear();
        self.again.clear();
        for entry in self.entries.values_mut() {
            (entry.stage, entry.n) = (SendStage::Fresh, CommandNo::ZERO);
        }
        let calls: Vec<CallId> = self.entries.keys().copied().collect();
        calls.into_iter().for_each(|call| self.leave(call, fx));
    }

    /// The client is over: a command that is saved stays for the next process. One that is not yet
    /// waits for that.
    fn leave(&mut self, call: CallId, fx: &mut Effects) {
        let Some(journal) = &self.journal else { return };
        let Some(entry) = self.entries.get(&call).filter(|entry| journal.is_saved(entry.taken))
        else {
            return;
        };
        self.bytes -= entry.command.bytes();
        fx.timers.cancel(ClientTimer::Call(call));
        self.entries.remove(&call);
        tell_end(call, CallOutcome::Kept, fx);
    }

    /// The client is over and the journal can't be written: what the next process finds there is
    /// not known.
    fn nothing_is_saved_any_more(&mut self, fx: &mut Effects) {
        let Some(journal) = &mut self.journal else { return };
        for held in journal.take_held() {
            let untold = match held {
                Held::Accepted(call) => self.entries.remove(&call).map(|_| call),
                Held::Ended(call, _) | Held::Withdrawn(call) => Some(call),
            };
            if let Some(call) = untold {
                tell_end(call, CallOutcome::Closed { sent: true }, fx);
            }
        }
    }

    /// The application is done with an outcome that the journal keeps for it.
    pub(super) fn forget(&mut self, call: CallId, fx: &mut Effects) {
        if let Some(journal) = &mut self.journal {
            journal.forget(call, fx);
        }
    }
}
