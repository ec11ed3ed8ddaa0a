//! What may be wrong with an outbox file, in words for whoever has to do something about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why an outbox file can't be used. Nothing in it was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OutboxError {
    /// Another client has it open, in this process or another one.
    #[error("the outbox `{}` is in use by another client", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is not an outbox.
    #[error("`{}` is not an outbox", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this library wrote it.
    #[error("the outbox `{}` has format {found}, this build reads up to {known}", path.display())]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest one that is known here.
        known: u32,
    },
    /// It is of another protocol, encoding or account.
    #[error("the outbox `{}` is of {what} `{found}`, not `{expected}`", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// Which of them.
        what: &'static str,
        /// What the file says.
        found: String,
        /// What this client is.
        expected: String,
    },
    /// Bytes in its middle are not what was written. Commands were lost, and which of the others
    /// were sent is not certain. [`OutboxSettings::salvage`](super::OutboxSettings::salvage) is the
    /// way out.
    #[error("the outbox `{}` is damaged: {damage}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        damage: Damage,
    },
    /// The operating system refused something.
    #[error("the outbox `{}` can't be used: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The kind of error.
        kind: io::ErrorKind,
        /// What it said.
        reason: String,
    },
}

impl OutboxError {
    pub(in crate::client) fn io(path: &Path, error: &io::Error) -> Self {
        Self::Io { path: path.to_owned(), kind: error.kind(), reason: error.to_string() }
    }
}

/// Bytes of an outbox file that are not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Damage {
    /// The last write is not whole: what a crash in the middle of it leaves. Its commands had not
    /// been accepted. A disk that has changed bytes of the last write looks the same, so this is
    /// told.
    Tail {
        /// Where it begins.
        offset: u64,
        /// Bytes from there to the end, which are left out.
        bytes: u64,
    },
    /// Something before the last write is not whole: commands that were accepted are lost.
    Middle {
        /// Where the first one begins.
        offset: u64,
        /// Bytes that could not be read.
        bytes: u64,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tail { offset, bytes } => {
                write!(f, "the last write, {bytes} bytes from byte {offset} on, is not whole")
            }
            Self::Middle { offset, bytes } => {
                write!(f, "{bytes} bytes from byte {offset} on can't be read, others follow them")
            }
        }
    }
}
