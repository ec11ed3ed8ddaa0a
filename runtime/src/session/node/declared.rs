//! The messages and topics that a protocol declares, as a node knows them. How much a node holds
//! besides is not said here.

use std::time::Duration;

use super::identity::IdSpec;
use crate::session::store::Retention;
use crate::wire::Name;

/// A message that clients may send.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct MessageSpec {
    pub(super) name: Name,
    pub(super) index: u16,
    pub(super) kind: MessageKind,
    /// Boxed, because few messages have one.
    pub(super) id: Option<Box<IdSpec>>,
    /// Time for its handler: 10 s.
    pub timeout: Duration,
    /// The longest body, in bytes: 64 KiB.
    pub max_bytes: u32,
}

impl MessageSpec {
    /// A message with a wire name, or an alias, and its index in its enum's description.
    #[must_use]
    pub const fn new(name: Name, index: u16, kind: MessageKind) -> Self {
        let timeout = Duration::from_secs(10);
        Self { name, index, kind, id: None, timeout, max_bytes: 64 * 1024 }
    }

    /// With other limits than the defaults.
    #[must_use]
    pub const fn with_limits(mut self, timeout: Duration, max_bytes: u32) -> Self {
        self.timeout = timeout;
        self.max_bytes = max_bytes;
        self
    }

    /// With ids of the application's own (PROTOCOL.md 5.20).
    #[must_use]
    pub fn with_ids(mut self, ids: IdSpec) -> Self {
        self.id = Some(Box::new(ids));
        self
    }

    /// Its ids, if it declares any.
    #[must_use]
    pub fn ids(&self) -> Option<&IdSpec> {
        self.id.as_deref()
    }

    /// Wire name, or an alias.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Index of the message in its enum's description.
    #[must_use]
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }
}

/// What a client's message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Numbered, answered, recorded; waits for lower ones if `ordered`.
    Command {
        /// Whether it keeps its place.
        ordered: bool,
    },
    /// May be lost.
    Volatile,
}

/// A declared topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct TopicSpec {
    pub(super) name: Name,
    /// How much of it is kept.
    pub retention: Retention,
    pub(super) snapshot: bool,
}

impl TopicSpec {
    /// A topic with its declared name; `snapshot` says whether there is a hook for its state.
    #[must_use]
    pub const fn new(name: Name, retention: Retention, snapshot: bool) -> Self {
        Self { name, retention, snapshot }
    }

    /// Declared name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Whether there is a hook for its state.
    #[must_use]
    pub const fn has_snapshot(&self) -> bool {
        self.snapshot
    }
}
