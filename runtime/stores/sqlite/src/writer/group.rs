//! A group: operations that share one COMMIT. It is carried out, or undone as if it had never been;
//! what it is answered follows from how far it got.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::{Connection, Error, ErrorCode};

use steadfast::session::Now;
use steadfast::session::store::{StoreOp, StoreOutcome};
use steadfast::store::AdminError;

use super::kept::{Kept, Tables};
use crate::rows::Sql;

/// How a group ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// It is on the disk; what came of each operation, in order.
    Committed(Vec<StoreOutcome>),
    /// It certainly did not happen.
    Undone(Error),
    /// COMMIT failed: after a crash right now it may have happened.
    Unknown(Error),
}

/// How one attempt ended.
enum Attempt {
    Ended(Ended),
    /// It was undone because of one operation, and may succeed without it.
    Without(usize),
}

/// Carries out operations in one transaction. An operation that SQLite refuses, or that panics, is
/// answered `Failed`, and the others are carried out again without it. So what runs here is run
/// as often as it takes, until its COMMIT has succeeded.
pub(super) fn run(db: &Connection, kept: &mut Kept, now: Now, ops: &[&StoreOp]) -> Ended {
    let mut left_out = vec![false; ops.len()];
    loop {
        match attempt(db, kept, now, ops, &left_out) {
            Attempt::Ended(ended) => return ended,
            Attempt::Without(index) => {
                debug_assert!(!left_out[index], "what was left out did not run");
                left_out[index] = true;
            }
        }
    }
}

fn attempt(
    db: &Connection,
    kept: &mut Kept,
    now: Now,
    ops: &[&StoreOp],
    left_out: &[bool],
) -> Attempt {
    let changes = db.total_changes();
    if let Err(error) = begin(db, kept, now) {
        undo(db, kept);
        return Attempt::Ended(Ended::Undone(error));
    }
    let mut outcomes = Vec::with_capacity(ops.len());
    for (index, op) in ops.iter().enumerate() {
        if left_out[index] {
            outcomes.push(StoreOutcome::Failed);
            continue;
        }
        let mut tables = Tables { db, kept, now };
        // What a panic leaves behind is undone with the group.
        match catch_unwind(AssertUnwindSafe(|| tables.apply(op))) {
            Ok(Ok(outcome)) => outcomes.push(outcome),
            Ok(Err(error)) => {
                let group = concerns_all(db, &error);
                undo(db, kept);
                tracing::error!(%error, "SQLite refused an operation");
                return match group {
                    true => Attempt::Ended(Ended::Undone(error)),
                    false => Attempt::Without(index),
                };
            }
            Err(_) => {
                undo(db, kept);
                return Attempt::Without(index);
            }
        }
    }
    let mut tables = Tables { db, kept, now };
    if let Err(error) = write_what_changed(&mut tables, changes) {
        undo(db, kept);
        return Attempt::Ended(Ended::Undone(error));
    }
    Attempt::Ended(match commit(db, kept) {
        Ok(()) => Ended::Committed(outcomes),
        Err(error) => Ended::Unknown(error),
    })
}

/// Begins a transaction, and lets go of what has expired.
fn begin(db: &Connection, kept: &mut Kept, now: Now) -> Sql<()> {
    db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    Tables { db, kept, now }.expire()
}

/// Writes the rows that the group has changed, and the time served with them. A group that changed
/// nothing writes nothing, and its COMMIT does not touch the disk.
fn write_what_changed(tables: &mut Tables<'_>, changes: u64) -> Sql<()> {
    tables.flush(false)?;
    if tables.db.total_changes() != changes {
        tables.write_served()?;
    }
    Ok(())
}

/// Whether an error is about the file or the whole transaction, and not about one operation.
fn concerns_all(db: &Connection, error: &Error) -> bool {
    // SQLite ends the transaction by itself when the disk is full, among others.
    db.is_autocommit()
        || matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::OutOfMemory
                    | ErrorCode::ReadOnly
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::DatabaseCorrupt
                    | ErrorCode::DiskFull
                    | ErrorCode::CannotOpen
                    | ErrorCode::NotADatabase
            )
        )
}

/// Carries something out in a transaction of its own.
pub(super) fn alone<T>(
    db: &Connection,
    kept: &mut Kept,
    now: Now,
    act: impl FnOnce(&mut Tables<'_>) -> Sql<T>,
) -> Result<T, AdminError> {
    let changes = db.total_changes();
    let carry_out = || {
        begin(db, kept, now)?;
        let mut tables = Tables { db, kept, now };
        let value = act(&mut tables)?;
        write_what_changed(&mut tables, changes)?;
        Ok(value)
    };
    let value = match carry_out() {
        Ok(value) => value,
        Err(error) => {
            let error: Error = error;
            undo(db, kept);
            return Err(AdminError::Failed(error.to_string()));
        }
    };
    commit(db, kept).map_err(|error| AdminError::Unknown(error.to_string()))?;
    Ok(value)
}

/// Puts what was done on the disk. If that fails it is undone here, and after a crash right now it
/// may have happened.
fn commit(db: &Connection, kept: &mut Kept) -> Sql<()> {
    let committed = db.prepare_cached("COMMIT").and_then(|mut commit| commit.execute([]));
    match committed {
        Ok(_) => kept.committed(),
        Err(_) => undo(db, kept),
    }
    committed.map(drop)
}

/// Undoes what was begun, in the tables and in what is known of them.
pub(super) fn undo(db: &Connection, kept: &mut Kept) {
    if !db.is_autocommit()
        && let Err(error) = db.execute_batch("ROLLBACK")
    {
        // The transaction stays open, so the next BEGIN fails, and so on until SQLite gives way.
        tracing::error!(%error, "SQLite did not undo a transaction");
    }
    kept.undone();
}

/// Writes everything that can wait, and the time served.
pub(super) fn write_all(db: &Connection, kept: &mut Kept, now: Now) -> Sql<()> {
    let write = |kept: &mut Kept| {
        begin(db, kept, now)?;
        let mut tables = Tables { db, kept, now };
        tables.flush(true)?;
        tables.write_served()
    };
    if let Err(error) = write(kept) {
        undo(db, kept);
        return Err(error);
    }
    commit(db, kept)
}
