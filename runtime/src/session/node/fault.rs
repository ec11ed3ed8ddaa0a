//! What an execution comes to whose code is at fault: it panicked, could not read what it was
//! given, or published what can't travel (PROTOCOL.md 5.7, 7.10). Says nothing of code that
//! answers.

use super::types::{Denied, Executed, Execution};
use crate::session::store::Outcome;
use crate::wire::{FailureCode, RefusalCode, UnsubscribeCode};

/// Which code of the application an execution runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The authentication hook.
    Authenticate,
    /// A command's handler.
    Command,
    /// A volatile's handler.
    Volatile,
    /// A topic's authorization hook.
    Authorize,
    /// A topic's snapshot hook.
    Snapshot,
}

impl Execution {
    /// Which code it runs.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Authenticate { .. } => Code::Authenticate,
            Self::Command { .. } => Code::Command,
            Self::Volatile { .. } => Code::Volatile,
            Self::Authorize { .. } => Code::Authorize,
            Self::Snapshot { .. } => Code::Snapshot,
        }
    }
}

impl Executed {
    /// The code panicked, or what it published can't be: nothing of it counts, and a caller is told
    /// that the server failed.
    #[must_use]
    pub fn failed(code: Code) -> Self {
        match code {
            Code::Authenticate => Self::Authenticated(Err(Denied {
                reason: "the server could not check the credentials".to_owned(),
            })),
            Code::Command => Self::Command { outcome: Outcome::internal(), publishes: Vec::new() },
            Code::Volatile => Self::Volatile { publishes: Vec::new() },
            Code::Authorize => Self::Authorized(Err(UnsubscribeCode::Internal)),
            Code::Snapshot => Self::Snapshot(None),
        }
    }

    /// A command's body does not fit its message: its handler does not run.
    #[must_use]
    pub fn unreadable() -> Self {
        Self::Refused(RefusalCode::Invalid)
    }
}

impl Outcome {
    /// The server failed, and not the application: `internal`.
    #[must_use]
    pub fn internal() -> Self {
        Self::plain_failure(FailureCode::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fault never lets anybody in, never counts as success, and publishes nothing.
    #[test]
    fn nothing_of_code_at_fault_counts() {
        let internal = Outcome::plain_failure(FailureCode::Internal);
        let table = [
            (Code::Command, Executed::Command { outcome: internal, publishes: vec![] }),
            (Code::Volatile, Executed::Volatile { publishes: vec![] }),
            (Code::Authorize, Executed::Authorized(Err(UnsubscribeCode::Internal))),
            (Code::Snapshot, Executed::Snapshot(None)),
        ];
        for (code, executed) in table {
            assert_eq!(Executed::failed(code), executed, "{code:?}");
        }
        assert!(matches!(
            Executed::failed(Code::Authenticate),
            Executed::Authenticated(Err(Denied { .. }))
        ));
    }
}
