//! Makes the decisions that commits wait for (`Commit::decide`), each in a savepoint of its own, of
//! which nothing stays unless it comes to a success. What is recorded of it is the records' part.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::PoisonError;
use std::time::Duration;

use rusqlite::{Error, ErrorCode};

use steadfast::session::store::{Decide, Decided, DecisionId};

use super::ready::{Hot, Ready};
use crate::decisions::Decisions;
use crate::guard::Guard;
use crate::savepoint::Savepoint;
use crate::space::Space;

/// What decisions need beside the tables.
pub(super) struct Deciders {
    pub(super) guard: Guard,
    /// For how long SQLite may work for one.
    pub(super) time: Duration,
}

/// What makes the decisions of one operation.
#[derive(Clone, Copy)]
pub(super) struct Decider<'a> {
    pub(super) all: &'a Deciders,
    /// Those that the asking handle was given.
    pub(super) given: Option<&'a Decisions>,
    /// Those that are not made, because of what they do to others; each has failed.
    pub(super) barred: &'a BTreeSet<DecisionId>,
    /// Room for what comes of it.
    pub(super) space: &'a Space,
}

/// Why an operation can't be carried out.
#[derive(Debug)]
pub(super) enum Stopped {
    /// SQLite refused it.
    Sql(Error),
    /// SQLite refused a decision of it, as it would refuse another one now: it may be asked for
    /// again.
    NotNow(Error),
    /// A decision has ended the whole transaction.
    EndedBy(DecisionId),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl Decider<'_> {
    /// What is decided, on its terms. What the decision has done stays only if it is a success.
    pub(super) fn decide(&self, db: &Ready<'_>, decide: &Decide) -> Result<Decided, Stopped> {
        if self.barred.contains(&decide.id) {
            return Ok(Decided::internal());
        }
        let Some(code) = self.given.and_then(|given| given.get(decide.id)) else {
            // It was withdrawn, or lost with a node.
            return Ok(Decided::internal());
        };
        db.run(Hot::BeginDecision, [])?;
        let mut savepoint = Savepoint::new(db);
        let made = self.all.guard.while_closed(self.all.time, || {
            // One that has panicked is not asked again, so nobody sees what it has left behind.
            let mut code = code.lock().unwrap_or_else(PoisonError::into_inner);
            catch_unwind(AssertUnwindSafe(|| code(&mut savepoint)))
        });
        let refused = savepoint.refused.take_if(|error| passes(error));
        if let Some(error) = refused {
            return Err(Stopped::NotNow(error));
        }
        if db.is_autocommit() {
            return Err(Stopped::EndedBy(decide.id));
        }
        let decided = match (made, savepoint.refused) {
            (Ok(decided), None) => decide.terms.apply(decided),
            (Ok(_), Some(error)) => {
                tracing::error!(%error, "SQLite refused what a command wanted to do");
                Decided::internal()
            }
            (Err(_), _) => {
                tracing::error!("what decides a command panicked");
                Decided::internal()
            }
        };
        let failed = |error| without_savepoint(error, decide.id);
        if !decided.is_success() {
            db.run(Hot::UndoDecision, []).map_err(failed)?;
        }
        db.run(Hot::EndDecision, []).map_err(failed)?;
        Ok(decided)
    }
}

/// What it means that the store's savepoint can't be ended. If there is none, the decision has
/// ended the transaction, and a savepoint of its own has begun another one.
fn without_savepoint(error: Error, id: DecisionId) -> Stopped {
    match error.sqlite_error_code() {
        // "no such savepoint" has no code of its own.
        Some(ErrorCode::Unknown) => Stopped::EndedBy(id),
        _ => Stopped::Sql(error),
    }
}

/// Whether an error is about the disk or memory, and not about what was to be done.
fn passes(error: &Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::OutOfMemory
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
        )
    )
}
