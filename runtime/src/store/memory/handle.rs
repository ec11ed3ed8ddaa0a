//! The memory store as nodes have it: one state behind a lock, and for each node the news of what
//! others have appended. What an operation means is the state's to say.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::{MemoryLimits, MemoryState};
use crate::session::store::{OpId, StoreOp, StoreOutcome, TopicId};
use crate::store::{Advanced, Clock, Store};
use crate::wire::Position;

/// The memory store is the default. It is for tests, and for applications whose history may die
/// with the process: after a restart, clients get unknown outcomes for what was under way, and a
/// reported gap in each topic.
///
/// Clones share what they store. Servers of one process that share a store have a clone each, and
/// what one publishes reaches the subscribers of the others at once.
pub struct MemoryStore {
    held: Arc<Mutex<Held>>,
    clock: Clock,
    /// Which of the clones this is.
    handle: u64,
}

/// What the clones share.
struct Held {
    state: MemoryState,
    last_handle: u64,
    listeners: BTreeMap<u64, Listener>,
}

/// What a node has not been told yet.
#[derive(Default)]
struct Listener {
    news: BTreeMap<TopicId, Position>,
    waker: Option<Waker>,
}

impl MemoryStore {
    /// An empty store. Its clones share what they store.
    #[must_use]
    pub fn new(limits: MemoryLimits, clock: Clock) -> Self {
        let held =
            Held { state: MemoryState::new(limits), last_handle: 1, listeners: BTreeMap::new() };
        Self { held: Arc::new(Mutex::new(held)), clock, handle: 1 }
    }

    /// Carries out a batch at once.
    #[must_use]
    pub fn execute_now(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.changing(|held, wake| {
            batch.into_iter().map(|(id, op)| (id, self.apply(held, op, wake))).collect()
        })
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // A panic leaves no half-done operation behind that matters: each is complete before the
        // next one begins.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a change under the lock, and calls wakers outside of it.
    fn changing<T>(&self, change: impl FnOnce(&mut Held, &mut Vec<Waker>) -> T) -> T {
        let mut wake = Vec::new();
        let value = change(&mut self.lock(), &mut wake);
        wake.into_iter().for_each(Waker::wake);
        value
    }

    fn apply(&self, held: &mut Held, op: StoreOp, wake: &mut Vec<Waker>) -> StoreOutcome {
        if matches!(op, StoreOp::OpenTopic { .. }) {
            // From the first topic that it opens, a node is listened for, so that it misses nothing
            // before it first asks.
            held.listeners.entry(self.handle).or_default();
        }
        let heard = held.listeners.keys().any(|listener| *listener != self.handle);
        let topics = if heard { appends_to(&op) } else { Vec::new() };
        let outcome = held.state.apply((self.clock)(), op);
        for topic in topics {
            held.tell_others(self.handle, topic, wake);
        }
        outcome
    }

    fn poll_advanced(&self, cx: &Context<'_>) -> Poll<Vec<Advanced>> {
        let mut held = self.lock();
        let listener = held.listeners.entry(self.handle).or_default();
        if listener.news.is_empty() {
            listener.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let news = std::mem::take(&mut listener.news);
        Poll::Ready(news.into_iter().map(|(topic, head)| Advanced { topic, head }).collect())
    }
}

/// The topics whose logs an operation may lengthen.
fn appends_to(op: &StoreOp) -> Vec<TopicId> {
    match op {
        StoreOp::Append { publication, .. } => vec![publication.topic.clone()],
        StoreOp::Commit { commits, .. } => {
            let publications = commits.iter().flat_map(|commit| &commit.record.publishes);
            publications.map(|publication| publication.topic.clone()).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
impl MemoryStore {
    pub(super) fn listeners(&self) -> usize {
        self.lock().listeners.len()
    }
}

impl Held {
    fn tell_others(&mut self, teller: u64, topic: TopicId, wake: &mut Vec<Waker>) {
        let Some(head) = self.state.head(&topic) else { return };
        let most = self.state.limits.topics;
        for (_, listener) in self.listeners.iter_mut().filter(|(handle, _)| **handle != teller) {
            listener.news.insert(topic.clone(), head);
            if listener.news.len() > most {
                // Nobody has asked for very long, and topics came and went. Hints may be lost.
                listener.news.pop_first();
            }
            wake.extend(listener.waker.take());
        }
    }
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        let mut held = self.lock();
        held.last_handle += 1;
        Self {
            held: Arc::clone(&self.held),
            clock: Arc::clone(&self.clock),
            handle: held.last_handle,
        }
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        let listener = self.lock().listeners.remove(&self.handle);
        drop(listener);
    }
}

#[cfg(feature = "tokio")]
impl Default for MemoryStore {
    /// An empty store with the default limits and tokio's clock.
    fn default() -> Self {
        let clock = crate::host::Clock::new();
        Self::new(MemoryLimits::default(), Arc::new(move || clock.now()))
    }
}

impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Store for MemoryStore {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.execute_now(batch)
    }

    fn execute_at_once(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        Ok(self.changing(|held, wake| self.apply(held, op, wake)))
    }

    async fn advanced(&self) -> Vec<Advanced> {
        poll_fn(|cx| self.poll_advanced(cx)).await
    }
}
