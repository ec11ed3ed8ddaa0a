//! How a message declares the application's own ids, and how one is read from a body (PROTOCOL.md
//! 5.20). What an id stands for is not known here.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use crate::wire::{Codec, Name};

/// Reads the id of a message: its index in its enum's description, its body, and how the body is
/// encoded. The same body always has the same id, and equal values of the field have equal texts.
/// `None` if the body does not fit.
pub type ReadId = fn(u16, &[u8], Codec) -> Option<String>;

/// A message has ids of the application's own.
#[derive(Clone)]
pub struct IdSpec {
    message: Name,
    keep: Duration,
    read: ReadId,
}

impl IdSpec {
    /// Ids of the message with this wire name (also where it goes by an alias), each of which is
    /// kept for `keep` after its first outcome.
    #[must_use]
    pub const fn new(message: Name, keep: Duration, read: ReadId) -> Self {
        Self { message, keep, read }
    }

    /// Wire name of the message.
    #[must_use]
    pub const fn message(&self) -> &Name {
        &self.message
    }

    /// For how long an id is kept.
    #[must_use]
    pub const fn keep(&self) -> Duration {
        self.keep
    }

    /// The id of a body; `None` if the body does not fit.
    pub(super) fn read(&self, index: u16, body: &[u8], codec: Codec) -> Option<String> {
        (self.read)(index, body, codec)
    }
}

// A message is read in one way, so the function adds nothing; and its address differs from build
// to build.

impl PartialEq for IdSpec {
    fn eq(&self, other: &Self) -> bool {
        (&self.message, self.keep) == (&other.message, other.keep)
    }
}

impl Eq for IdSpec {}

impl Hash for IdSpec {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.message, self.keep).hash(state);
    }
}

impl std::fmt::Debug for IdSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdSpec")
            .field("message", &self.message)
            .field("keep", &self.keep)
            .finish_non_exhaustive()
    }
}
