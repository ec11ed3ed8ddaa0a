//! A transaction of the writer: begun, committed or undone, in the tables and in what is known of
//! them. What happens in it is not known here.

use rusqlite::{Error, ErrorCode};

use steadfast::session::Now;
use steadfast::store::AdminError;

use super::kept::{Kept, Tables};
use super::ready::{Hot, Ready};
use crate::rows::Sql;

/// Begins a transaction, and lets go of what has expired.
pub(super) fn begin(db: &Ready<'_>, kept: &mut Kept, now: Now) -> Sql<()> {
    db.run(Hot::Begin, [])?;
    Tables { db, kept, now }.expire()
}

/// Writes the rows that the group has changed, and the time served with them. A group that changed
/// nothing writes nothing, and its COMMIT does not touch the disk.
pub(super) fn write_what_changed(tables: &mut Tables<'_, '_>, changes: u64) -> Sql<()> {
    tables.flush(false)?;
    if tables.db.total_changes() != changes {
        tables.write_served()?;
    }
    Ok(())
}

/// Whether an error is about the file or the whole transaction, and not about one operation.
pub(super) fn concerns_all(db: &Ready<'_>, error: &Error) -> bool {
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
    db: &Ready<'_>,
    kept: &mut Kept,
    now: Now,
    act: impl FnOnce(&mut Tables<'_, '_>) -> Sql<T>,
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
    commit(db, kept, now).map_err(|error| AdminError::Unknown(error.to_string()))?;
    Ok(value)
}

/// Puts what was done on the disk. If that fails it is undone here, and after a crash right now it
/// may have happened.
pub(super) fn commit(db: &Ready<'_>, kept: &mut Kept, now: Now) -> Sql<()> {
    let committed = db.run(Hot::Commit, []);
    match committed {
        Ok(_) => kept.committed(now),
        Err(_) => undo(db, kept),
    }
    committed.map(drop)
}

/// Undoes what was begun, in the tables and in what is known of them.
pub(super) fn undo(db: &Ready<'_>, kept: &mut Kept) {
    if !db.is_autocommit()
        && let Err(error) = db.execute_batch("ROLLBACK")
    {
        // The transaction stays open, so the next BEGIN fails, and so on until SQLite gives way.
        tracing::error!(%error, "SQLite did not undo a transaction");
    }
    kept.undone();
}

/// Writes everything that can wait, and the time served.
pub(super) fn write_all(db: &Ready<'_>, kept: &mut Kept, now: Now) -> Sql<()> {
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
    commit(db, kept, now)
}
