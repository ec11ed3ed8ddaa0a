//! The small file beside the database, `<name>-lock`. It keeps other processes out, and remembers
//! that there was a store and how often it was opened; it never has anything of its content.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::OpenError;

/// What it remembers of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remembered {
    /// Nothing: there was none yet.
    Nothing,
    /// It was opened so many times.
    Opened(i64),
    /// A restore has begun.
    Restoring,
}

/// The locked file. The operating system lets go of the lock with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Note {
    file: File,
}

/// `<name>-lock`.
pub(crate) fn place(path: &Path) -> PathBuf {
    beside(path, "-lock")
}

/// A file of the same name with something behind it.
pub(crate) fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(what);
    name.into()
}

impl Note {
    /// Locks it, so that nobody else has the store.
    pub(crate) fn lock(path: &Path) -> Result<Self, OpenError> {
        let io = |error| OpenError::Io { path: path.into(), error };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(place(path)).map_err(io)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.into() }),
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    pub(crate) fn read(&mut self) -> io::Result<Remembered> {
        let mut text = String::new();
        self.file.seek(SeekFrom::Start(0))?;
        // A note that was torn by a crash says nothing, which is what a missing one says.
        Read::by_ref(&mut self.file).take(256).read_to_string(&mut text)?;
        let mut words = text.split_whitespace();
        Ok(match (words.next(), words.next(), words.next()) {
            (Some("steadfast-sqlite"), Some("restoring"), _) => Remembered::Restoring,
            (Some("steadfast-sqlite"), Some("opened"), Some(times)) => {
                times.parse().map_or(Remembered::Nothing, Remembered::Opened)
            }
            _ => Remembered::Nothing,
        })
    }

    pub(crate) fn write(&mut self, remembered: Remembered) -> io::Result<()> {
        let text = match remembered {
            Remembered::Nothing => String::new(),
            Remembered::Opened(times) => format!("steadfast-sqlite opened {times} times\n"),
            Remembered::Restoring => "steadfast-sqlite restoring\n".to_owned(),
        };
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(text.as_bytes())?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_all()
    }
}
