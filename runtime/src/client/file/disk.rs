//! The files of an outbox: the log, the one that replaces it, and the one that is locked. It writes,
//! flushes, and puts back what it could not finish; when that is due is not decided here.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs4::{FileExt, TryLockError};

use super::error::OutboxError;
use super::log::{self, Owner};
use super::settings::Flush;

/// A batch was not written. `undone`: and nothing of it, or of one before that failed, is left.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) undone: bool,
    pub(super) error: io::Error,
}

/// Keeps everybody else out until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// An outbox file to be written.
#[derive(Debug)]
pub(super) struct Disk {
    path: PathBuf,
    flush: Flush,
    owner: Owner,
    /// The log, if this process has written it anew.
    log: Option<File>,
    /// How much of it is whole.
    whole: u64,
    next: u64,
    /// It has nothing but what is whole.
    clean: bool,
    _lock: Lock,
}

/// A name beside the file's.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Files are for their owner alone: who knows a lease, and its user's credentials, may claim it.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// One name for a file, however it is called: it has one lock then, and stays where it is when the
/// process goes to another folder.
pub(super) fn one_name(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let absolute = std::path::absolute(path)?;
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let folder = parent.canonicalize()?;
    let place = folder.join(name);
    match place.read_link() {
        // The file will be made at its end. It has one: a circle of links is no `NotFound`.
        Ok(end) => one_name(&folder.join(end)),
        Err(_) => Ok(place),
    }
}

/// Locks the outbox at `place`, which is called `path`. The lock is a file of its own, since the
/// log is replaced.
pub(super) fn lock(place: &Path, path: &Path) -> Result<Lock, OutboxError> {
    let io = |error: &io::Error| OutboxError::io(path, error);
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    let file = private(&mut options).open(beside(place, ".lock")).map_err(|error| io(&error))?;
    match FileExt::try_lock(&file) {
        Ok(()) => Ok(Lock { _file: file }),
        Err(TryLockError::WouldBlock) => Err(OutboxError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io(&error)),
    }
}

/// Keeps a damaged file for whoever wants to look at it.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let mut count = 1;
    loop {
        let aside = beside(path, &format!(".damaged-{count}"));
        let mut options = OpenOptions::new();
        match private(options.create_new(true).write(true)).open(&aside) {
            Ok(mut copy) => {
                io::copy(&mut File::open(path)?, &mut copy)?;
                copy.sync_all()?;
                return Ok(aside);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => count += 1,
            Err(error) => return Err(error),
        }
    }
}

impl Disk {
    /// Nothing is written until [`Disk::rewrite`].
    pub(super) fn new(path: PathBuf, flush: Flush, owner: Owner, lock: Lock) -> Self {
        Self { path, flush, owner, log: None, whole: 0, next: 1, clean: true, _lock: lock }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a batch. After a failure nothing is added until [`Disk::rewrite`] has succeeded.
    pub(super) fn append(&mut self, records: &[u8]) -> Result<(), Failed> {
        let mut batch = Vec::with_capacity(records.len() + 32);
        log::write_batch(self.next, records, &mut batch);
        let written = match self.log.as_mut() {
            Some(log) => log.write_all(&batch).and_then(|()| match self.flush {
                Flush::ToDisk => log.sync_data(),
                Flush::ToSystem => Ok(()),
            }),
            None => Err(io::Error::other("an earlier write has failed")),
        };
        match written {
            Ok(()) => {
                self.whole += batch.len() as u64;
                self.next += 1;
                Ok(())
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Puts back what a write left. The log is not written any more after that.
    fn failed(&mut self, error: io::Error) -> Failed {
        if let Some(log) = self.log.take() {
            self.clean = log.set_len(self.whole).and_then(|()| log.sync_data()).is_ok();
        }
        Failed { undone: self.clean, error }
    }

    /// Replaces everything by one batch: after a crash either that is there, or what was.
    pub(super) fn rewrite(&mut self, records: &[u8]) -> Result<(), Failed> {
        let mut bytes = Vec::with_capacity(records.len() + 256);
        log::write_head(&self.owner, &mut bytes);
        if !records.is_empty() {
            log::write_batch(1, records, &mut bytes);
        }
        let new = beside(&self.path, ".new");
        let written = write_new(&new, &bytes);
        let log = match written {
            Ok(log) => log,
            Err(error) => {
                // What is left of it takes room, and nobody reads it.
                let _ = std::fs::remove_file(&new);
                return Err(self.failed(error));
            }
        };
        if let Err(error) = std::fs::rename(&new, &self.path) {
            return Err(self.failed(error));
        }
        // From here on a crash may come upon the new one, or upon the old one.
        (self.log, self.clean) = (None, false);
        sync_folder(&self.path).map_err(|error| Failed { undone: false, error })?;
        (self.log, self.clean) = (Some(log), true);
        self.whole = bytes.len() as u64;
        self.next = if records.is_empty() { 1 } else { 2 };
        Ok(())
    }
}

/// It is open to be appended to afterwards.
fn write_new(path: &Path, bytes: &[u8]) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = private(options.create_new(true).append(true)).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// A new name is on disk once its folder is. Elsewhere than on Unix folders can't be flushed.
fn sync_folder(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
