//! Topics as a store keeps them: names, entries of logs and their numbers, and the news of them.
//! What may be asked about them is said elsewhere.

use std::time::Duration;

use crate::wire::{Body, Codec, CommandNo, Epoch, LeaseId, Name, Position, TopicSeq};

/// The durable name of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId {
    /// Its declared name.
    pub name: Name,
    /// Which of these topics.
    pub key: std::sync::Arc<str>,
}

/// An event on its way into a topic's log; encoded once per codec, never transcoded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Publication {
    /// The topic.
    pub topic: TopicId,
    /// Wire name of the event.
    pub name: Name,
    /// The body in each enabled codec, in the order of the node's codecs.
    pub bodies: Vec<(Codec, Body)>,
}

impl Publication {
    /// Bytes of its bodies.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bodies.iter().map(|(_, body)| body.len()).sum()
    }

    /// What publications count for while they are not in their logs: bytes of keys, names and
    /// bodies.
    #[must_use]
    pub fn owed_bytes(all: &[Self]) -> u64 {
        let each = |it: &Self| it.topic.key.len() + it.name.as_bytes().len() + it.bytes();
        all.iter().map(each).sum::<usize>() as u64
    }
}

/// A store's time, by which it judges how old a look at a record is. Only the store that gave it
/// can compare it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct StoreTime {
    /// The store's incarnation; what was seen in another one says nothing.
    pub incarnation: u64,
    /// Milliseconds, from any beginning.
    pub ms: u64,
}

/// Makes an append repeatable. The log remembers the key of a command's publication until its
/// record is settled or gone, and for longer than the store's window after that; see
/// [`StoreOp::Append`](super::StoreOp::Append). It remembers keys from outside of commands for
/// longer than a node repeats an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AppendKey {
    /// The `index`-th publication of a command.
    Command {
        /// Its lease.
        lease: LeaseId,
        /// Its number.
        n: CommandNo,
        /// Its place among the command's publications.
        index: u32,
    },
    /// A publication from outside any command.
    Direct {
        /// The publishing node, random per process.
        node: u128,
        /// Its count.
        count: u64,
    },
}

/// One publication of an append.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Append {
    /// Remembered, so that a repetition changes nothing.
    pub key: AppendKey,
    /// When the store last showed that the command's record is not settled; `None` for a
    /// publication from outside any command.
    pub as_of: Option<StoreTime>,
    /// Wire name of the event.
    pub name: Name,
    /// The body in each enabled codec, in the order of the node's codecs.
    pub bodies: Vec<(Codec, Body)>,
}

/// What came of one [`Append`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppendOutcome {
    /// It is in the log, since now or since an earlier try.
    Landed(Appended),
    /// The command's record is settled or gone: this is a repetition, and nothing is appended any
    /// more.
    Settled,
    /// Its `as_of` is older than the store's window, or of another incarnation, so the store can't
    /// tell whether this is a repetition. Nothing of it happened, nor of what comes behind it:
    /// whoever asked looks at the record again.
    Stale,
}

/// An entry of a topic's log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LogEntry {
    /// Its number.
    pub ts: TopicSeq,
    /// Wire name.
    pub name: Name,
    /// The body in each codec that was enabled when it was published.
    pub bodies: Vec<(Codec, Body)>,
}

impl LogEntry {
    /// Bytes that an entry takes beside its name and bodies, as the bounds of stores count it. In
    /// memory that is about what it takes; a file takes less.
    pub const BYTES_BESIDE: u64 = 200;

    /// What so many entries take, whose names and bodies have so many bytes.
    #[must_use]
    pub const fn cost(entries: u64, bytes: u64) -> u64 {
        bytes.saturating_add(entries.saturating_mul(Self::BYTES_BESIDE))
    }

    /// Bytes of its name and of its bodies in every codec.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let bodies: usize = self.bodies.iter().map(|(_, body)| body.len()).sum();
        (self.name.as_bytes().len() + bodies) as u64
    }
}

/// Where a topic's log stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopicHead {
    /// Its epoch.
    pub epoch: Epoch,
    /// Its latest entry's number, 0 if there never was one.
    pub head: TopicSeq,
    /// The oldest entry that can still be read; `head + 1` if none can.
    pub oldest: TopicSeq,
}

/// What a store says of its own accord, for
/// [`Node::handle_news`](super::super::node::Node::handle_news). All of it is a hint: what is lost
/// or late costs seconds and no correctness, since the node looks at the heads of what it follows
/// anyway.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum News {
    /// Others have appended to topics.
    Advanced(Vec<Advanced>),
    /// News may have been lost: a connection to the store was made anew, a count had a gap, too
    /// much was waiting. The node looks at the heads of everything that it holds.
    Missed,
    /// The store may have lost what it acknowledged, and is another incarnation: it was restored,
    /// promoted, or rolled back. Topics have other epochs, and leases of before are gone. What was
    /// answered with [`StoreOutcome::Unknown`](super::StoreOutcome::Unknown) before never happens
    /// in the new incarnation. The node looks at every topic and renews every lease.
    Rolled,
}

/// Somebody else has appended to a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Advanced {
    /// Which topic.
    pub topic: TopicId,
    /// Its epoch and its head, as far as the store has heard.
    pub head: Position,
    /// Consecutive entries up to `head`, or none. Those that go on where the node stands save it a
    /// read of the log.
    pub entries: Vec<LogEntry>,
}

/// Where an append landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Appended {
    /// The topic's epoch.
    pub epoch: Epoch,
    /// The entry's number.
    pub ts: TopicSeq,
}

/// How long things are kept. Constant per topic declaration and node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Retention {
    /// Entries kept per topic.
    pub entries: u32,
    /// Bytes of entries kept per topic, names and bodies in every codec counted: 16 MiB. The latest
    /// entry is kept even if it is longer.
    pub bytes: u64,
    /// For how long an entry is kept.
    pub ttl: Duration,
}

impl Retention {
    /// So many entries, each for so long, and no more than 16 MiB of them.
    #[must_use]
    pub const fn new(entries: u32, ttl: Duration) -> Self {
        Self { entries, bytes: 16 * 1024 * 1024, ttl }
    }

    /// The same, with another limit in bytes.
    #[must_use]
    pub const fn with_bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }
}

/// Where a page of a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReadFrom {
    /// Right above an entry, or at the oldest retained one if that is above.
    After(TopicSeq),
    /// So many entries before the end.
    Last(u32),
}
