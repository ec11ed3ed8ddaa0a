//! What each node of a memory store has not been told yet: which topics it wants to hear of, and what
//! others have appended to them. It is bounded; what it lets go of it says to be missed.

use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};

use super::limits::MemoryLimits;
use crate::session::store::{Advanced, LogEntry, News, TopicId};
use crate::wire::Position;

/// The news for one node.
#[derive(Default)]
pub(super) struct Listener {
    wanted: BTreeSet<TopicId>,
    topics: BTreeMap<TopicId, Pending>,
    /// Bytes of entries that wait.
    bytes: u64,
    missed: bool,
    rolled: bool,
    waker: Option<Waker>,
}

struct Pending {
    head: Position,
    entries: Vec<LogEntry>,
}

impl Listener {
    pub(super) fn wants(&self, topic: &TopicId) -> bool {
        self.wanted.contains(topic)
    }

    pub(super) fn interest(&mut self, topic: &TopicId, interested: bool) {
        if interested {
            self.wanted.insert(topic.clone());
        } else {
            self.wanted.remove(topic);
            if let Some(pending) = self.topics.remove(topic) {
                self.bytes -= bytes(&pending.entries);
            }
        }
    }

    /// Somebody else has appended `entries`, up to `head`. Whom to wake.
    pub(super) fn appended(
        &mut self,
        topic: &TopicId,
        head: Position,
        entries: &[LogEntry],
        limits: &MemoryLimits,
    ) -> Option<Waker> {
        let pending = self
            .topics
            .entry(topic.clone())
            .or_insert_with(|| Pending { head, entries: Vec::new() });
        let before = bytes(&pending.entries);
        if pending.head.epoch != head.epoch {
            pending.entries.clear();
        }
        pending.head = head;
        let last = pending.entries.last().map(|entry| entry.ts);
        pending.entries.extend(
            entries.iter().filter(|entry| last.is_none_or(|last| entry.ts > last)).cloned(),
        );
        self.bytes = self.bytes - before + bytes(&pending.entries);
        if self.bytes > limits.news_bytes || self.topics.len() > limits.topics {
            // Nobody has asked for long: looking costs less than remembering.
            self.topics.clear();
            self.bytes = 0;
            self.missed = true;
        }
        self.waker.take()
    }

    /// The store is another incarnation. Whom to wake.
    pub(super) fn rolled(&mut self) -> Option<Waker> {
        self.topics.clear();
        self.bytes = 0;
        self.rolled = true;
        self.waker.take()
    }

    /// The news, the heaviest first.
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<News> {
        if std::mem::take(&mut self.rolled) {
            self.missed = false;
            return Poll::Ready(News::Rolled);
        }
        if std::mem::take(&mut self.missed) {
            return Poll::Ready(News::Missed);
        }
        if self.topics.is_empty() {
            self.waker = Some(waker.clone());
            return Poll::Pending;
        }
        self.bytes = 0;
        let topics = std::mem::take(&mut self.topics).into_iter();
        let advanced = |(topic, Pending { head, entries })| Advanced { topic, head, entries };
        Poll::Ready(News::Advanced(topics.map(advanced).collect()))
    }
}

fn bytes(entries: &[LogEntry]) -> u64 {
    entries.iter().flat_map(|entry| &entry.bodies).map(|(_, body)| body.len() as u64).sum()
}
