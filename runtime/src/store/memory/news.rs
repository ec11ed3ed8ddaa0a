//! What each node of a memory store has not been told yet: what others have appended to the topics
//! that it wants to hear of. It is bounded; what it lets go of it says to be missed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::limits::MemoryLimits;
use crate::session::store::{Advanced, LogEntry, News, TopicId};
use crate::wire::Position;

/// Where the news for one node waits.
#[derive(Default)]
pub(super) struct Listener {
    waiting: Mutex<Waiting>,
    /// It has wanted to hear of a topic.
    pub(super) follows: AtomicBool,
}

#[derive(Default)]
struct Waiting {
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
    /// Bytes of the entries.
    bytes: u64,
}

impl Waiting {
    /// Nothing that waits is told any more.
    fn let_go(&mut self) {
        self.topics.clear();
        self.bytes = 0;
    }
}

impl Listener {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing that can panic runs under the lock.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It follows from here on. Whether that is new.
    pub(super) fn begin_to_follow(&self) -> bool {
        !self.follows.load(Ordering::Relaxed) && !self.follows.swap(true, Ordering::Relaxed)
    }

    /// It does not want to hear of a topic any more.
    pub(super) fn forget(&self, topic: &TopicId) {
        let mut waiting = self.lock();
        if let Some(pending) = waiting.topics.remove(topic) {
            waiting.bytes -= pending.bytes;
        }
    }

    /// Somebody else has appended: `latest`, if it was kept. Whom to wake.
    pub(super) fn appended(
        &self,
        topic: &TopicId,
        head: Position,
        latest: Option<&LogEntry>,
        limits: &MemoryLimits,
    ) -> Option<Waker> {
        let waiting = &mut *self.lock();
        let pending = waiting.topics.entry(topic.clone()).or_insert_with(|| Pending {
            head,
            entries: Vec::new(),
            bytes: 0,
        });
        if pending.head.epoch != head.epoch {
            pending.entries.clear();
            waiting.bytes -= std::mem::take(&mut pending.bytes);
        }
        pending.head = head;
        if let Some(entry) = latest {
            let bytes = bytes(entry);
            pending.entries.push(entry.clone());
            pending.bytes += bytes;
            waiting.bytes += bytes;
        }
        if waiting.bytes > limits.news_bytes || waiting.topics.len() > limits.topics {
            // Nobody has asked for long: looking costs less than remembering.
            waiting.let_go();
            waiting.missed = true;
        }
        waiting.waker.take()
    }

    /// It has to look at everything that it holds. Whom to wake.
    pub(super) fn missed(&self) -> Option<Waker> {
        let mut waiting = self.lock();
        waiting.let_go();
        waiting.missed = true;
        waiting.waker.take()
    }

    /// The store is another incarnation. Whom to wake.
    pub(super) fn rolled(&self) -> Option<Waker> {
        let mut waiting = self.lock();
        waiting.let_go();
        waiting.rolled = true;
        waiting.waker.take()
    }

    /// The news, the heaviest first.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<News> {
        let mut waiting = self.lock();
        if std::mem::take(&mut waiting.rolled) {
            waiting.missed = false;
            return Poll::Ready(News::Rolled);
        }
        if std::mem::take(&mut waiting.missed) {
            return Poll::Ready(News::Missed);
        }
        if waiting.topics.is_empty() {
            waiting.waker = Some(waker.clone());
            return Poll::Pending;
        }
        waiting.bytes = 0;
        let topics = std::mem::take(&mut waiting.topics).into_iter();
        let advanced = |(topic, pending): (TopicId, Pending)| {
            let Pending { head, entries, .. } = pending;
            Advanced { topic, head, entries }
        };
        Poll::Ready(News::Advanced(topics.map(advanced).collect()))
    }
}

fn bytes(entry: &LogEntry) -> u64 {
    entry.bodies.iter().map(|(_, body)| body.len() as u64).sum()
}
