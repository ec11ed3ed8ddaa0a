//! What the servers of this process are told unasked: where topics stand to which others of them
//! have appended, and that topics were deleted. It tells no entries; they are read from the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use steadfast::session::store::{Advanced, News, TopicId};
use steadfast::wire::Position;

/// One of the clones of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HandleId(u64);

/// All clones of a store.
#[derive(Debug, Default)]
pub(crate) struct Listeners {
    all: Mutex<Vec<Weak<Listener>>>,
    made: AtomicU64,
}

/// What one clone has not been told yet. It has one position for each topic that its node wants
/// news of, so the bounds of what nodes hold are its own.
#[derive(Debug)]
pub(crate) struct Listener {
    pub(crate) id: HandleId,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    wanted: BTreeSet<TopicId>,
    /// Of these, those to which others have appended.
    advanced: BTreeMap<TopicId, Position>,
    missed: bool,
    waker: Option<Waker>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Listeners {
    /// For one more clone.
    pub(crate) fn listen(&self) -> Arc<Listener> {
        let id = HandleId(self.made.fetch_add(1, Ordering::Relaxed));
        let listener = Arc::new(Listener { id, waiting: Mutex::default() });
        let mut all = lock(&self.all);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&listener));
        listener
    }

    /// Those that want news of a topic.
    pub(crate) fn wanting(&self) -> Vec<Arc<Listener>> {
        let all = lock(&self.all);
        let wants = |listener: &Arc<Listener>| !lock(&listener.waiting).wanted.is_empty();
        all.iter().filter_map(Weak::upgrade).filter(wants).collect()
    }

    /// Tells every clone to look at everything that it holds.
    pub(crate) fn missed(&self) {
        let all: Vec<_> = lock(&self.all).iter().filter_map(Weak::upgrade).collect();
        all.iter().for_each(|listener| listener.missed());
    }
}

impl Listener {
    /// Its node wants news of a topic, or none any more.
    pub(crate) fn interest(&self, topic: &TopicId, interested: bool) {
        let mut waiting = lock(&self.waiting);
        if interested {
            waiting.wanted.insert(topic.clone());
        } else {
            waiting.wanted.remove(topic);
            waiting.advanced.remove(topic);
        }
    }

    /// Somebody else has appended to a topic.
    pub(crate) fn appended(&self, topic: &TopicId, head: Position) {
        let mut waiting = lock(&self.waiting);
        if !waiting.wanted.contains(topic) {
            return;
        }
        match waiting.advanced.get_mut(topic) {
            // A repetition is answered with where it landed long ago.
            Some(last) if last.epoch == head.epoch => last.ts = last.ts.max(head.ts),
            Some(last) => *last = head,
            None => drop(waiting.advanced.insert(topic.clone(), head)),
        }
        wake(waiting);
    }

    fn missed(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.advanced.clear();
        waiting.missed = true;
        wake(waiting);
    }

    /// The news, if there are any. What is not polled for stays.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<News> {
        let mut waiting = lock(&self.waiting);
        if std::mem::take(&mut waiting.missed) {
            waiting.advanced.clear();
            return Poll::Ready(News::Missed);
        }
        if waiting.advanced.is_empty() {
            waiting.waker = Some(waker.clone());
            return Poll::Pending;
        }
        let advanced = std::mem::take(&mut waiting.advanced).into_iter();
        let told = advanced.map(|(topic, head)| Advanced { topic, head, entries: Vec::new() });
        Poll::Ready(News::Advanced(told.collect()))
    }
}

/// Wakes whoever waits for news, outside of the lock.
fn wake(mut waiting: MutexGuard<'_, Waiting>) {
    let waker = waiting.waker.take();
    drop(waiting);
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use steadfast::wire::{Epoch, Name, TopicSeq};

    use super::*;

    fn topic(key: &str) -> TopicId {
        TopicId { name: Name::from_static("room").unwrap(), key: key.into() }
    }

    fn head(ts: u64) -> Position {
        Position { epoch: Epoch(7), ts: TopicSeq(ts) }
    }

    fn heard(listener: &Listener) -> Option<News> {
        match listener.poll(Waker::noop()) {
            Poll::Ready(news) => Some(news),
            Poll::Pending => None,
        }
    }

    fn advanced(key: &str, ts: u64) -> Option<News> {
        let (topic, head, entries) = (topic(key), head(ts), Vec::new());
        Some(News::Advanced(vec![Advanced { topic, head, entries }]))
    }

    #[test]
    fn each_clone_hears_once_of_what_was_deleted_since_it_last_heard() {
        let listeners = Listeners::default();
        listeners.missed();
        let (one, other) = (listeners.listen(), listeners.listen());
        assert_eq!(heard(&one), None, "it was before its time");
        listeners.missed();
        listeners.missed();
        assert_eq!(heard(&one), Some(News::Missed));
        assert_eq!(heard(&one), None);
        assert_eq!(heard(&other), Some(News::Missed), "nobody hears for another");
    }

    #[test]
    fn a_topic_is_told_once_with_its_latest_head() {
        let listener = Listeners::default().listen();
        listener.interest(&topic("den"), true);
        listener.appended(&topic("den"), head(1));
        listener.appended(&topic("den"), head(2));
        assert_eq!(heard(&listener), advanced("den", 2));
        assert_eq!(heard(&listener), None);
    }

    #[test]
    fn a_repetition_takes_no_head_back() {
        let listener = Listeners::default().listen();
        listener.interest(&topic("den"), true);
        listener.appended(&topic("den"), head(2));
        listener.appended(&topic("den"), head(1));
        assert_eq!(heard(&listener), advanced("den", 2));
    }

    #[test]
    fn nothing_is_kept_of_topics_that_nobody_wants() {
        let listener = Listeners::default().listen();
        listener.appended(&topic("den"), head(1));
        listener.interest(&topic("den"), true);
        assert_eq!(heard(&listener), None, "it was before it wanted to know");
        listener.appended(&topic("den"), head(2));
        listener.interest(&topic("den"), false);
        assert_eq!(heard(&listener), None, "it does not want to know any more");
        listener.appended(&topic("den"), head(3));
        assert_eq!(heard(&listener), None);
    }

    #[test]
    fn a_clone_that_is_gone_or_follows_nothing_costs_nothing() {
        let listeners = Listeners::default();
        let (gone, idle, other) = (listeners.listen(), listeners.listen(), listeners.listen());
        gone.interest(&topic("den"), true);
        other.interest(&topic("den"), true);
        drop(gone);
        let wanting: Vec<HandleId> = listeners.wanting().iter().map(|other| other.id).collect();
        assert_eq!(wanting, [other.id]);
        assert!(idle.id != other.id);
    }
}
