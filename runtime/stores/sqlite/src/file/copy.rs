//! Copies of a store: a backup while it runs, and a backup put into its place. Both are whole or
//! not there.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::note::{self, Note, Remembered};
use super::open::{check, one_name, reading};
use super::schema::{self, Found};
use super::{incarnation, open};
use crate::error::{BackupError, OpenError, RestoreError};
use crate::settings::LocalSettings;

/// Pages that are copied at once: the writer does something else in between.
const STEP_PAGES: i32 = 256;

/// Copies a store while it runs, and calls `between` after each part. The copy has everything that
/// was committed when it was finished.
pub(crate) fn backup(
    db: &Connection,
    to: &Path,
    mut between: impl FnMut(),
) -> Result<(), BackupError> {
    if to.exists() {
        return Err(BackupError::Exists(to.into()));
    }
    let unfinished = note::beside(to, "-unfinished");
    remove(&unfinished)?;
    let copied = copy(db, &unfinished, &mut between);
    if let Err(error) = copied {
        remove(&unfinished)?;
        return Err(error);
    }
    put(&unfinished, to)?;
    Ok(())
}

fn copy(db: &Connection, to: &Path, between: &mut impl FnMut()) -> Result<(), BackupError> {
    let mut copy = Connection::open(to)?;
    let parts = Backup::new(db, &mut copy)?;
    loop {
        match parts.step(STEP_PAGES)? {
            StepResult::Done => break,
            // Another program has a lock: it is tried again after the next group.
            _ => between(),
        }
    }
    drop(parts);
    // One file, which may be moved; it gets a write-ahead log again when it is opened.
    copy.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)?;
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Flushes a file and gives it its name, for good.
fn put(from: &Path, to: &Path) -> std::io::Result<()> {
    File::open(from)?.sync_all()?;
    fs::rename(from, to)?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Puts a backup into the place of a store that nobody has open, as another incarnation.
pub(crate) fn restore(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let from = one_name(from).map_err(RestoreError::Backup)?;
    usable(&from).map_err(RestoreError::Backup)?;
    let to = one_name(to).map_err(RestoreError::Place)?;
    let mut note = Note::lock(&to).map_err(RestoreError::Place)?;
    let new = note::beside(&to, "-restoring");
    remove(&new)?;
    take(&from, &new)?;
    let times = renewed(&new)?;
    // From here on there is either the whole backup, or a file that no store opens.
    note.write(Remembered::Restoring)?;
    remove(&note::beside(&to, "-wal"))?;
    remove(&note::beside(&to, "-shm"))?;
    put(&new, &to)?;
    note.write(Remembered::Opened(times))?;
    Ok(())
}

/// Copies a file together with the write-ahead log that may lie beside it: a backup of
/// [`LocalStore`](crate::LocalStore) has none, the files of a killed server have one.
fn take(from: &Path, new: &Path) -> rusqlite::Result<()> {
    let from = reading(from, &LocalSettings::default())?;
    let mut copy = Connection::open(new)?;
    Backup::new(&from, &mut copy)?.run_to_completion(STEP_PAGES, Duration::ZERO, None)?;
    copy.close().map_err(|(_, error)| error)
}

fn usable(path: &Path) -> Result<(), OpenError> {
    let sql = |error| open::refused(path, error);
    let db = reading(path, &LocalSettings::default()).map_err(sql)?;
    check(&db, path)?;
    match schema::look(&db).map_err(sql)? {
        Found::Format(found) if found > schema::FORMAT => {
            Err(OpenError::TooNew { path: path.into(), found, known: schema::FORMAT })
        }
        Found::Format(_) => Ok(()),
        Found::Nothing => {
            let what = "it has no tables of a store".to_owned();
            Err(OpenError::Damaged { path: path.into(), what })
        }
        Found::Parts(what) => Err(OpenError::Damaged { path: path.into(), what }),
    }
}

fn renewed(path: &Path) -> Result<i64, RestoreError> {
    let db = Connection::open(path)?;
    db.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(()))?;
    let step = db.unchecked_transaction()?;
    if let Found::Format(format) = schema::look(&step)?
        && format < schema::FORMAT
    {
        schema::migrate(&step, format)?;
    }
    incarnation::begin(&step)?;
    let times = step.query_row("SELECT opened FROM sf_store", [], |row| row.get(0))?;
    step.commit()?;
    db.close().map_err(|(_, error)| error)?;
    Ok(times)
}
