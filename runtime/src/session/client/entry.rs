//! A command in the outbox, and how far it has got under the present lease. What happens to it next
//! is the outbox's to say.

use super::command::Command;
use super::types::{Fate, SaveNo};
use crate::session::Now;
use crate::wire::CommandNo;

/// Where a command stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SendStage {
    /// Never sent under this lease; has no number.
    Fresh,
    /// Never sent under this lease; its number is in the journal first.
    Planned,
    /// Sent in this session; an answer is owed.
    Out,
    /// To be sent again under its number: refused for now, or its session was lost.
    Again,
}

/// A command in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Unresolved {
    pub(super) command: Command,
    pub(super) n: CommandNo,
    pub(super) stage: SendStage,
    pub(super) fate: Fate,
    /// Whether a transmission of an earlier session was never answered: then a refusal of a later
    /// one says nothing about it.
    pub(super) exposed: bool,
    pub(super) transmitted: bool,
    pub(super) timed_out: bool,
    /// Its caller does not want it any more, and it may have been executed.
    pub(super) cancelled: bool,
    /// The save by which it is accepted, if there is a journal.
    pub(super) taken: SaveNo,
}

impl Unresolved {
    pub(super) const fn new(command: Command) -> Self {
        Self {
            command,
            n: CommandNo::ZERO,
            stage: SendStage::Fresh,
            fate: Fate::Queued,
            exposed: false,
            transmitted: false,
            timed_out: false,
            cancelled: false,
            taken: SaveNo::ZERO,
        }
    }

    pub(super) const fn is_unsent(&self) -> bool {
        matches!(self.stage, SendStage::Fresh | SendStage::Planned)
    }

    /// What travels as `deadline_ms`: of a cancelled one the time is over, so that it does not begin
    /// if it has not (PROTOCOL.md 5.27).
    pub(super) fn deadline_ms(&self, now: Now, again: bool) -> Option<u64> {
        if self.cancelled { Some(0) } else { self.command.deadline_ms(now, again) }
    }

    /// Cancelled, and by now certainly not executed.
    pub(super) fn is_to_be_withdrawn(&self) -> bool {
        self.cancelled && !self.maybe_executed()
    }

    pub(super) fn maybe_executed(&self) -> bool {
        self.stage == SendStage::Out || self.exposed
    }
}
