//! The application's own ids of commands (PROTOCOL.md 5.20): what names one, and what one has come
//! to stand for. How an id is read from a body is not known here.

use std::sync::Arc;

use super::outcome::Outcome;
use crate::wire::{FailureCode, Name};

/// Who may use a lease.
pub type PrincipalId = Arc<str>;

/// What an application calls a command: in whatever lease it comes, and from whichever device, it
/// is the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId {
    /// Whose command it is.
    pub principal: PrincipalId,
    /// Wire name of its message; for one that came under an alias, too.
    pub message: Name,
    /// The text of the field that its message declares.
    pub text: Arc<str>,
}

/// An id that a commit takes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitId {
    /// Which.
    pub id: MessageId,
    /// Hash over the message's wire name and the body: tells the same command from another one.
    pub hash: u64,
    /// Milliseconds for which the id is kept after the commit; only time while the store is open
    /// counts.
    pub keep_ms: u64,
}

/// What an id stands for that a command has taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UsedId {
    /// That of [`CommitId`].
    pub hash: u64,
    /// How the command ended that took the id, or "unknown" where that is no longer kept.
    pub outcome: Outcome,
}

impl MessageId {
    /// Bytes of its names.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        (self.principal.len() + self.message.as_bytes().len() + self.text.len()) as u64
    }
}

impl UsedId {
    /// What a command with this id and a body with this hash is told.
    #[must_use]
    pub fn answer(&self, hash: u64) -> Outcome {
        if hash == self.hash {
            self.outcome.clone()
        } else {
            Outcome::plain_failure(FailureCode::IdReused)
        }
    }
}
