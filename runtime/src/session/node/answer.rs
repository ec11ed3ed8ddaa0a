//! Answers to commands, as a lease gives them, and what a session sends in sequence: answers and
//! direct messages. They have no sequence until their session gives them one.

use crate::session::store::{Failure, Outcome};
use crate::wire::{Body, CommandNo, Name, RefusalCode, Seq, ServerFrame};

/// What a session sends in sequence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Outbound {
    Answer(Owed),
    Direct { name: Name, body: Body },
}

impl Outbound {
    pub(super) const fn bytes(&self) -> u64 {
        match self {
            Self::Answer(owed) => owed.bytes(),
            Self::Direct { body, .. } => body.len() as u64,
        }
    }

    /// The command that it answers, if it is an answer.
    pub(super) const fn command(&self) -> Option<CommandNo> {
        match self {
            Self::Answer(owed) => Some(owed.n),
            Self::Direct { .. } => None,
        }
    }

    pub(super) fn frame(&self, seq: Seq, ack: Seq) -> ServerFrame {
        match self {
            Self::Answer(owed) => owed.frame(seq, ack),
            Self::Direct { name, body } => {
                ServerFrame::Direct { seq, ack, name: name.clone(), body: body.clone() }
            }
        }
    }
}

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
