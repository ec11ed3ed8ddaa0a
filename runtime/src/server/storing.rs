//! Handing operations to the store: each is answered, by the store or for it. What an answer means
//! is the node's.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::host::{Guarded, Panicked, guarded};
use crate::session::store::{OpId, StoreOp, StoreOutcome, TopicId};
use crate::store::DynStore;

/// Answers of a store.
pub(super) type Stored = Vec<(OpId, StoreOutcome)>;

/// A batch that the store has not answered yet.
pub(super) type Storing = Pin<Box<dyn Future<Output = Stored> + Send>>;

/// Asks a store in memory, under the lock.
///
/// # Errors
/// The operation, for [`store_once`]: this store does not answer at once.
pub(super) fn store_at_once(store: &dyn DynStore, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
    guarded(|| store.execute_at_once_dyn(op)).unwrap_or_else(|Panicked| {
        tracing::error!("the store panicked");
        // It may have done it or not.
        Ok(StoreOutcome::Unknown)
    })
}

/// Tells the store whether the node wants news of a topic, under the lock.
pub(super) fn tell_interest(store: &dyn DynStore, topic: &TopicId, interested: bool) {
    if guarded(|| store.interest_dyn(topic, interested)).is_err() {
        // It may tell no news of the topic; the node looks at its head now and then.
        tracing::error!("the store panicked");
    }
}

/// Hands a batch to the store; a store that answers at once needs no task.
///
/// # Errors
/// The rest, if it would wait.
pub(super) fn store_once(
    store: &Arc<dyn DynStore>,
    batch: Vec<(OpId, StoreOp)>,
) -> Result<Stored, Storing> {
    let ids: Vec<OpId> = batch.iter().map(|(id, _)| *id).collect();
    let store = Arc::clone(store);
    let mut answer: Storing = Box::pin(async move {
        let answer = Guarded(Box::pin(async move { store.execute_boxed(batch).await })).await;
        complete(ids, answer.unwrap_or_default())
    });
    match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(stored) => Ok(stored),
        Poll::Pending => Err(answer),
    }
}

/// A store that panicked or left an answer out may have done it or not.
fn complete(ids: Vec<OpId>, mut stored: Stored) -> Stored {
    if stored.len() != ids.len() {
        let missing: Vec<OpId> = ids
            .into_iter()
            .filter(|id| stored.iter().all(|(answered, _)| answered != id))
            .collect();
        tracing::error!(missing = missing.len(), "the store left operations without an answer");
        stored.extend(missing.into_iter().map(|id| (id, StoreOutcome::Unknown)));
    }
    stored
}
