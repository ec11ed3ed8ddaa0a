//! An outbox file before a client has it: it is locked, read and judged here. Nothing is written.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::{self, Disk, Lock};
use super::error::{Damage, OutboxError};
use super::log::{self, Contents, FORMAT, Owner, Unreadable};
use super::record::{self, Clocks};
use super::settings::OutboxSettings;
use crate::session::Now;
use crate::session::client::Recovery;
use crate::wire::Codec;

/// An outbox in a file, for [`Builder::outbox`](crate::client::Builder::outbox).
///
/// The file, and those beside it (`.lock`, `.new`), belong to the user of the process alone (mode
/// 0600 on Unix): whoever has them, and the credentials, may go on as this client.
#[derive(Debug)]
pub struct OutboxFile {
    path: PathBuf,
    /// The same, by the one name that is written under.
    place: PathBuf,
    settings: OutboxSettings,
    lock: Lock,
    /// What the file says of itself; none if it is new.
    owner: Option<Owner>,
    recovery: Recovery,
    damage: Option<Damage>,
}

impl OutboxFile {
    /// Opens and locks the outbox at `path`, which need not exist. Reads the whole file, and blocks
    /// the thread for that long.
    ///
    /// # Errors
    /// When it is in use, not readable, damaged in its middle, of a later format or of another
    /// account. It is as it was then.
    pub fn open(path: impl Into<PathBuf>, settings: OutboxSettings) -> Result<Self, OutboxError> {
        let path = path.into();
        let place = disk::one_name(&path).map_err(|error| OutboxError::io(&path, &error))?;
        let lock = disk::lock(&place, &path)?;
        let (owner, recovery, damage) = match read(&path)? {
            Some(contents) => {
                let recovery = recover(&path, &contents, &settings)?;
                (Some(contents.owner), recovery, contents.damage)
            }
            None => (None, Recovery::default(), None),
        };
        let file = Self { path, place, settings, lock, owner, recovery, damage };
        let account = |owner: &Owner| owner.account.clone();
        file.is_of("account", account, &file.settings.account)?;
        Ok(file)
    }

    /// What is not as it was written, if anything is: see [`Damage`]. It was also logged.
    #[must_use]
    pub const fn damage(&self) -> Option<Damage> {
        self.damage
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Commands of an earlier process that nobody has let go of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.recovery.calls().len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn is_of(
        &self,
        what: &'static str,
        found: impl Fn(&Owner) -> String,
        expected: &str,
    ) -> Result<(), OutboxError> {
        let path = || self.path.clone();
        match self.owner.as_ref().map(found).filter(|found| found != expected) {
            Some(found) => {
                Err(OutboxError::Other { path: path(), what, found, expected: expected.into() })
            }
            None => Ok(()),
        }
    }

    /// What a client of this protocol takes up, and where it goes on writing.
    pub(in crate::client) fn into_parts(
        self,
        protocol: &str,
        codec: Codec,
    ) -> Result<(Recovery, Opened), OutboxError> {
        let codec = codec.subprotocol();
        self.is_of("protocol", |owner| owner.protocol.clone(), protocol)?;
        self.is_of("encoding", |owner| owner.codec.clone(), codec)?;
        let account = self.settings.account;
        let owner = Owner { protocol: protocol.into(), codec: codec.into(), account };
        let disk = Disk::new(self.place, self.settings.flush, owner, self.lock);
        Ok((self.recovery, Opened(disk)))
    }
}

/// An outbox file that a client is about to write.
#[derive(Debug)]
pub(in crate::client) struct Opened(pub(super) Disk);

fn read(path: &Path) -> Result<Option<Contents>, OutboxError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(OutboxError::io(path, &error)),
    };
    let path = path.to_owned();
    log::read(&bytes).map(Some).map_err(|unreadable| match unreadable {
        Unreadable::Foreign => OutboxError::Foreign { path },
        Unreadable::NewerFormat(found) => OutboxError::NewerFormat { path, found, known: FORMAT },
        Unreadable::Damaged(damage) => OutboxError::Damaged { path, damage },
    })
}

fn recover(
    path: &Path,
    contents: &Contents,
    settings: &OutboxSettings,
) -> Result<Recovery, OutboxError> {
    let clocks = Clocks { now: Now(0), wall_ms: wall_ms() };
    let mut recovery = Recovery::default();
    // A client finds out that a codec it does not know is not its own.
    let codec = Codec::from_subprotocol(&contents.owner.codec).unwrap_or(Codec::Binary);
    for batch in &contents.batches {
        // A sum that fits says that this was written; by whom is not said.
        let records = record::read_all(batch, codec, clocks);
        let foreign = || OutboxError::Foreign { path: path.to_owned() };
        records.ok_or_else(foreign)?.into_iter().for_each(|record| recovery.apply(record));
    }
    match contents.damage {
        None => {}
        Some(damage @ Damage::Tail { .. }) => {
            tracing::warn!(path = %path.display(), %damage, "an outbox has a torn end");
        }
        Some(damage) if !settings.salvage => {
            return Err(OutboxError::Damaged { path: path.to_owned(), damage });
        }
        Some(damage) => {
            let aside = disk::set_aside(path).map_err(|error| OutboxError::io(path, &error))?;
            let aside = aside.display().to_string();
            tracing::error!(path = %path.display(), aside, %damage, "an outbox is salvaged");
            recovery.distrust();
        }
    }
    Ok(recovery)
}

/// Milliseconds since 1970: how old a command is that another process took.
#[expect(clippy::disallowed_types, reason = "no other clock means the same to two processes")]
pub(super) fn wall_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::SystemTime::UNIX_EPOCH);
    // A clock that stands before 1970 makes commands look younger than they are.
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
