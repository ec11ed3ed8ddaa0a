//! Entries of a log as a node holds them: encoded, once for each codec. Where they come from, and
//! who gets them, is not said here.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::wire::{Body, Codec, TopicSeq};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) at: Now,
    pub(super) frames: Encoded,
}

/// How much of a topic a node holds.
#[derive(Clone, Copy)]
pub(super) struct LogLimits {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

impl LogLimits {
    pub(super) fn of(topic: u16, config: &NodeConfig) -> Self {
        let declared = config.topic_at(topic);
        let entries = declared.map_or(0, |spec| spec.retention.entries);
        Self {
            entries: entries.max(config.live_entries) as usize,
            bytes: u64::from(config.topic_bytes),
        }
    }
}

/// The encoded forms of one message, for subscribers of each codec.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Encoded(Vec<(Codec, Bytes)>);

impl Encoded {
    pub(super) fn of(bodies: &[(Codec, Body)], encode: impl Fn(Codec, &Body) -> Bytes) -> Self {
        Self(bodies.iter().map(|(codec, body)| (*codec, encode(*codec, body))).collect())
    }

    pub(super) fn get(&self, codec: Codec) -> Option<&Bytes> {
        self.0.iter().find(|(have, _)| *have == codec).map(|(_, bytes)| bytes)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }
}

/// What has been read of what lies before the entries that are here.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Earlier {
    /// Everything above was asked for.
    from: TopicSeq,
    /// The last entry that was read, or where the first page begins.
    read: TopicSeq,
    /// Consecutive, the last one is `read`.
    entries: VecDeque<Entry>,
    bytes: u64,
}

impl Earlier {
    /// Nothing of what lies above `from` yet.
    pub(super) const fn above(from: TopicSeq) -> Self {
        Self { from, read: from, entries: VecDeque::new(), bytes: 0 }
    }

    pub(super) const fn read(&self) -> TopicSeq {
        self.read
    }

    pub(super) fn into_parts(self) -> (TopicSeq, TopicSeq, VecDeque<Entry>) {
        (self.from, self.read, self.entries)
    }

    pub(super) fn held(&self) -> (usize, u64) {
        (self.entries.len(), self.bytes)
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Lets go of the first entry, if there is one.
    pub(super) fn pop(&mut self) -> bool {
        let first = self.entries.pop_front();
        self.bytes -= first.as_ref().map_or(0, |first| first.frames.bytes());
        first.is_some()
    }

    /// Takes the next entry.
    pub(super) fn push(&mut self, ts: TopicSeq, entry: Entry) {
        if ts != self.read.next() {
            // The store has let go of what lies between.
            self.entries.clear();
            self.bytes = 0;
        }
        self.read = ts;
        self.bytes += entry.frames.bytes();
        self.entries.push_back(entry);
    }

    /// Lets go of the first entries while there are too many of them together with those that are
    /// `here`: what is nearer to the head is worth more.
    pub(super) fn keep_within(&mut self, here: (usize, u64), limits: LogLimits) {
        while (here.0 + self.entries.len() > limits.entries || here.1 + self.bytes > limits.bytes)
            && self.pop()
        {}
    }
}
