//! Opens the file, or says why not and what to do. A file is changed only after everything about it
//! has been found to be as it should be.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::incarnation;
use super::note::{self, Note, Remembered};
use super::schema::{self, Found};
use crate::error::OpenError;
use crate::settings::LocalSettings;

/// Statements that a connection keeps ready.
const STATEMENTS: usize = 128;

/// An open file.
pub(crate) struct Opened {
    pub(crate) db: Connection,
    /// Nobody else has the file while this is held.
    pub(crate) note: Note,
    pub(crate) path: PathBuf,
    /// How many times it was opened: another number in the file is another store's.
    pub(crate) times: i64,
}

/// What is wrong, if SQLite says no.
pub(crate) fn refused(path: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            OpenError::Damaged { path: path.into(), what: error.to_string() }
        }
        _ => OpenError::Sqlite { path: path.into(), error },
    }
}

/// One name for a file, so that it has one lock.
pub(super) fn one_name(path: &Path) -> Result<PathBuf, OpenError> {
    let io = |error| OpenError::Io { path: path.into(), error };
    match path.canonicalize() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        found => return found.map_err(io),
    }
    let absolute = std::path::absolute(path).map_err(io)?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(io(std::io::ErrorKind::InvalidInput.into()));
    };
    let folder = parent.canonicalize().map_err(io)?;
    let place = folder.join(name);
    match place.read_link() {
        // The file will be made at its end. It has one: a circle of links is no `NotFound`.
        Ok(end) => one_name(&folder.join(end)),
        Err(_) => Ok(place),
    }
}

/// Opens a store for writing, or makes it.
pub(crate) fn open(path: &Path, settings: &LocalSettings) -> Result<Opened, OpenError> {
    let path = one_name(path)?;
    let mut note = Note::lock(&path)?;
    let io = |error| OpenError::Io { path: path.clone(), error };
    let remembered = note.read().map_err(io)?;
    match remembered {
        Remembered::Restoring => return Err(OpenError::RestoreUnfinished { path }),
        Remembered::Opened(_) if std::fs::metadata(&path).is_ok_and(|file| file.len() > 0) => {}
        Remembered::Opened(_) => {
            let note = note::place(&path);
            return Err(OpenError::Emptied { path, note });
        }
        Remembered::Nothing => {}
    }
    let db = connect(&path, settings).map_err(|error| refused(&path, error))?;
    let mode: String = db
        .query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0))
        .map_err(|error| refused(&path, error))?;
    if mode != "wal" {
        return Err(OpenError::NoWal { path, mode });
    }
    if settings.check_at_open {
        check(&db, &path)?;
    }
    let times = begin(&db, &path, remembered)?;
    note.write(Remembered::Opened(times)).map_err(io)?;
    Ok(Opened { db, note, path, times })
}

/// A connection that writes.
fn connect(path: &Path, settings: &LocalSettings) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(settings.lock_wait)?;
    // EXTRA is FULL, and the journal with which the file is made can't come back after a power cut.
    // The write-ahead log is shortened to this when it has been brought into the file.
    let shortest = settings.checkpoint_bytes.saturating_mul(2);
    db.execute_batch(&format!(
        "PRAGMA synchronous=EXTRA; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-{}; \
         PRAGMA journal_size_limit={shortest};",
        settings.cached_pages / 1024
    ))?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// A connection that reads, beside the one that writes.
pub(crate) fn reading(path: &Path, settings: &LocalSettings) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(settings.lock_wait)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(db)
}

/// Makes, or migrates, or recognizes the tables; how many times the store was opened.
fn begin(db: &Connection, path: &Path, remembered: Remembered) -> Result<i64, OpenError> {
    let sql = |error| refused(path, error);
    let step = db.unchecked_transaction().map_err(sql)?;
    let format = match schema::look(&step).map_err(sql)? {
        Found::Nothing if remembered == Remembered::Nothing => {
            schema::create(&step, incarnation::random()).map_err(sql)?;
            schema::FORMAT
        }
        Found::Nothing => {
            return Err(OpenError::Emptied { path: path.into(), note: note::place(path) });
        }
        Found::Parts(what) => return Err(OpenError::Damaged { path: path.into(), what }),
        Found::Format(format) => format,
    };
    if format > schema::FORMAT {
        let (found, known) = (format, schema::FORMAT);
        return Err(OpenError::TooNew { path: path.into(), found, known });
    }
    if format < schema::FORMAT {
        schema::migrate(&step, format).map_err(sql)?;
    }
    let opened = "UPDATE sf_store SET opened = opened + 1 RETURNING opened";
    let mut times: i64 = step.query_row(opened, [], |row| row.get(0)).map_err(sql)?;
    if let Remembered::Opened(before) = remembered
        && times <= before
    {
        // Somebody has put an earlier copy into the place of the file.
        tracing::warn!(path = %path.display(), "the file went back: begins a new incarnation");
        incarnation::begin(&step).map_err(sql)?;
        times = before + 1;
        step.execute("UPDATE sf_store SET opened = ?1", [times]).map_err(sql)?;
    }
    step.commit().map_err(sql)?;
    Ok(times)
}

/// Looks at every page of the file.
pub(super) fn check(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let look = || -> rusqlite::Result<Vec<String>> {
        let mut query = db.prepare("PRAGMA integrity_check(10)")?;
        query.query_map([], |row| row.get(0))?.collect()
    };
    let found = look().map_err(|error| refused(path, error))?;
    if found.iter().eq(["ok"]) {
        return Ok(());
    }
    Err(OpenError::Damaged { path: path.into(), what: found.join("; ") })
}

/// Looks at every page of a file that need not be closed.
pub(crate) fn check_file(path: &Path) -> Result<(), OpenError> {
    let db = reading(path, &LocalSettings::default()).map_err(|error| refused(path, error))?;
    check(&db, path)
}
