//! The memory store as nodes have it: one state behind a lock, and for each node the news of what
//! others have appended. What an operation means is the state's to say.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::bytes::MemoryBytes;
use super::limits::MemoryLimits;
use super::news::Listener;
use super::state::MemoryState;
use crate::session::store::{News, OpId, StoreOp, StoreOutcome, TopicId};
use crate::store::interface::{Clock, Store};

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

    /// How much it holds, for metrics.
    #[must_use]
    pub fn bytes(&self) -> MemoryBytes {
        self.lock().state.bytes()
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
        let topics = if held.is_heard(self.handle) { appends_to(&op) } else { BTreeMap::new() };
        let outcome = held.state.apply((self.clock)(), op);
        for (topic, count) in topics {
            held.tell_others(self.handle, &topic, count, wake);
        }
        outcome
    }

    fn poll_news(&self, cx: &Context<'_>) -> Poll<News> {
        self.lock().listeners.entry(self.handle).or_default().poll(cx.waker())
    }

    /// Makes the store another incarnation, as one does that was restored or rolled back: every
    /// topic has another epoch, every lease is gone, and every node is told. What leases that are
    /// gone still owe is appended all the same. `incarnation` is a random number.
    pub fn begin_incarnation(&self, incarnation: u64) {
        self.changing(|held, wake| {
            held.state.begin_incarnation((self.clock)(), incarnation);
            wake.extend(held.listeners.values_mut().filter_map(Listener::rolled));
        });
    }
}

/// The topics whose logs an operation may lengthen, and by how much.
fn appends_to(op: &StoreOp) -> BTreeMap<TopicId, usize> {
    let mut topics = BTreeMap::new();
    match op {
        StoreOp::Append { topic, appends, .. } => {
            topics.insert(topic.clone(), appends.len());
        }
        StoreOp::Commit { commits, .. } => {
            for publication in commits.iter().flat_map(|commit| &commit.record.publishes) {
                *topics.entry(publication.topic.clone()).or_default() += 1;
            }
        }
        _ => {}
    }
    topics
}

#[cfg(test)]
impl MemoryStore {
    pub(super) fn listeners(&self) -> usize {
        self.lock().listeners.len()
    }
}

impl Held {
    fn is_heard(&self, teller: u64) -> bool {
        self.listeners.keys().any(|listener| *listener != teller)
    }

    fn tell_others(&mut self, teller: u64, topic: &TopicId, count: usize, wake: &mut Vec<Waker>) {
        let others = self.listeners.iter_mut().filter(|(handle, _)| **handle != teller);
        let mut others = others.filter(|(_, listener)| listener.wants(topic)).peekable();
        if others.peek().is_none() {
            return;
        }
        let Some((head, entries)) = self.state.tail(topic, count) else { return };
        for (_, listener) in others {
            wake.extend(listener.appended(topic, head, &entries, &self.state.limits));
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

    async fn news(&self) -> News {
        poll_fn(|cx| self.poll_news(cx)).await
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.lock().listeners.entry(self.handle).or_default().interest(topic, interested);
    }
}
