//! Answers to commands, as a lease gives them and a session sends them. An answer has no sequence
//! until its session gives it one.

use crate::session::store::{Failure, Outcome};
use crate::wire::{CommandNo, RefusalCode, Seq, ServerFrame};

/// An answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owed {
    pub(super) n: CommandNo,
    pub(super) dup: bool,
    pub(super) answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Outcome(Outcome),
    Refused { code: RefusalCode, retry_ms: u64 },
}

impl Owed {
    pub(super) const fn bytes(&self) -> u64 {
        match &self.answer {
            Answer::Outcome(outcome) => outcome.bytes(),
            Answer::Refused { .. } => 0,
        }
    }

    pub(super) fn frame(&self, seq: Seq, ack: Seq) -> ServerFrame {
        let (n, dup) = (self.n, self.dup);
        match &self.answer {
            Answer::Outcome(Outcome::Ok(body)) => {
                ServerFrame::Result { seq, ack, n, dup, body: body.clone() }
            }
            Answer::Outcome(Outcome::Failed(failure)) => {
                let Failure { code, name, body } = Failure::clone(failure);
                ServerFrame::Failed { seq, ack, n, dup, code, name, body }
            }
            Answer::Outcome(Outcome::Expired) => {
                ServerFrame::Refused { seq, ack, n, code: RefusalCode::Expired, retry_ms: 0 }
            }
            Answer::Refused { code, retry_ms } => {
                ServerFrame::Refused { seq, ack, n, code: *code, retry_ms: *retry_ms }
            }
        }
    }
}
