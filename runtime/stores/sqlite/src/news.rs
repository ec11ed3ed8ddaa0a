//! What the servers of this process are told unasked: that a topic which they may hold was deleted.
//! Of each other's events they hear when they look at heads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use steadfast::session::store::News;
use tokio::sync::watch;

/// Counts deletions, for all clones of a store.
#[derive(Debug, Default)]
pub(crate) struct Deletions(watch::Sender<u64>);

/// What one clone has heard of them.
#[derive(Debug)]
pub(crate) struct Heard(Mutex<watch::Receiver<u64>>);

impl Deletions {
    /// Tells every clone.
    pub(crate) fn tell(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// For a clone that has heard of all so far.
    pub(crate) fn listen(&self) -> Heard {
        Heard(Mutex::new(self.0.subscribe()))
    }
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, watch::Receiver<u64>> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one that was not heard of. A future that is dropped has heard of none.
    pub(crate) async fn news(&self) -> News {
        let mut heard = self.lock().clone();
        if heard.changed().await.is_err() {
            // The store is closed, so nothing is deleted any more.
            return std::future::pending().await;
        }
        *self.lock() = heard;
        News::Missed
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn has_news(heard: &Heard) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        matches!(pin!(heard.news()).poll(&mut context), Poll::Ready(News::Missed))
    }

    #[test]
    fn each_clone_hears_once_of_what_was_deleted_since_it_last_heard() {
        let deletions = Deletions::default();
        deletions.tell();
        let (one, other) = (deletions.listen(), deletions.listen());
        assert!(!has_news(&one), "it was before its time");
        deletions.tell();
        deletions.tell();
        assert!(has_news(&one) && !has_news(&one));
        assert!(has_news(&other), "nobody hears for another");
    }

    #[test]
    fn a_wait_that_is_dropped_loses_nothing() {
        let deletions = Deletions::default();
        let heard = deletions.listen();
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = Box::pin(heard.news());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        deletions.tell();
        drop(waiting);
        assert!(has_news(&heard));
    }
}
