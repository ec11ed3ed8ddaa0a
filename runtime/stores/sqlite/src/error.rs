//! Why a file can't be opened, backed up or restored, and what to do then.

use std::io;
use std::path::PathBuf;

/// Why a store was not opened. Nothing in the file was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another store has the file, in this process or in another one.
    #[error("{path} is in use by another steadfast store: one process at a time has a file")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of this crate wrote the file.
    #[error(
        "{path} has format {found}, and this version of steadfast-sqlite knows formats up to \
         {known}: use the newer version again, or restore a backup from before it"
    )]
    TooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is known here.
        known: i64,
    },
    /// The file can't be read as what it is.
    #[error(
        "{path} is damaged: {what}. Nothing was changed. Keep a copy of it, with the files \
         {path}-wal and {path}-shm; then restore a backup (`LocalStore::restore`), or save what \
         can be read with `sqlite3 {path} .recover`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// There was a store here, and its file is empty or gone.
    #[error(
        "{path} is empty or gone, but there was a store: {note} names it. Put the file back or \
         restore a backup (`LocalStore::restore`); to begin with nothing, delete {note}, too"
    )]
    Emptied {
        /// The file.
        path: PathBuf,
        /// The file beside it that remembers the store.
        note: PathBuf,
    },
    /// A restore has begun and not ended.
    #[error("{path} was being restored when the process ended: restore it again")]
    RestoreUnfinished {
        /// The file.
        path: PathBuf,
    },
    /// The file's place can't have a write-ahead log, so that nothing could be promised.
    #[error("{path} can't be opened with a write-ahead log (journal mode is {mode})")]
    NoWal {
        /// The file.
        path: PathBuf,
        /// The journal mode that SQLite fell back to.
        mode: String,
    },
    /// The application's own tables could not be made (`LocalBuilder::schema`). They are as they
    /// were.
    #[error("the application's own tables can't be made in {path}: {what}")]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// SQLite says no.
    #[error("{path} can't be opened: {error}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: rusqlite::Error,
    },
    /// The operating system says no.
    #[error("{path} can't be opened: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

/// Why a backup was not made. The store goes on; an unfinished copy is deleted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is a file at that place already.
    #[error("{0} exists: a backup never overwrites a file")]
    Exists(PathBuf),
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
    /// SQLite says no.
    #[error("the backup failed: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The operating system says no.
    #[error("the backup failed: {0}")]
    Io(#[from] io::Error),
}

/// Why a backup was not restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The backup is no store, is damaged, or is of a newer version.
    #[error("the backup can't be used: {0}")]
    Backup(#[source] OpenError),
    /// The file that it should take the place of is in use, or can't be written.
    #[error("nothing was restored: {0}")]
    Place(#[source] OpenError),
    /// SQLite says no.
    #[error("nothing was restored: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The operating system says no.
    #[error("nothing was restored: {0}")]
    Io(#[from] io::Error),
}
