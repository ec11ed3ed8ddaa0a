//! A command as its caller sees it: what it is called, what it says, and how it ends. What happens
//! between is the outbox's.

use crate::wire::{Body, FailureCode, Name, RefusalCode};

/// Names a command that this client submitted; unique in the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// A command for the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Submission {
    /// Wire name.
    pub name: Name,
    /// Encoded fields.
    pub body: Body,
    /// Milliseconds of patience, counted from submission.
    pub timeout_ms: u64,
    /// Milliseconds that the protocol declares for this message: what the server assumes when no
    /// deadline travels.
    pub declared_timeout_ms: u64,
    /// The declared limit of the body.
    pub max_bytes: u32,
}

/// The end of a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// Executed, with this reply.
    Reply(Body),
    /// Executed or begun, without success.
    Failed {
        /// How.
        code: FailureCode,
        /// The application error's wire name, or empty.
        name: Name,
        /// Its fields.
        body: Body,
    },
    /// Certainly never executed. `Expired` also when its time ran out before it was ever sent.
    Refused(RefusalCode),
    /// The lease was lost after the command may have been sent: whether it was executed can't be
    /// known.
    OutcomeUnknown,
    /// The client was closed or gave up first. `sent` says whether it may have been executed.
    Closed {
        /// Whether it may have reached the server.
        sent: bool,
    },
    /// The client was closed or gave up, but the command is in its journal: the next process that
    /// takes that up goes on with it.
    Kept,
    /// It could not be saved, and is nowhere. Certainly never executed.
    NotSaved,
}
