//! The task that listens to the store: one per server, which ends with it. What other nodes have
//! appended reaches this node's followers without waiting for a timer. Decides nothing: a hint is
//! an input of the node like any other.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;

use super::shared::Shared;
use crate::host::{self, Guarded, Panicked};
use crate::store::{Advanced, DynStore};

/// Rest after a panic or an answer without content: a store that always gives one must not keep a
/// core busy.
const REST: Duration = Duration::from_secs(1);

/// Hints that one turn takes: the lock is shared with every connection.
const HINTS_PER_TURN: usize = 256;

/// Passes the store's hints on, until the server is gone.
pub(super) async fn run(
    shared: Weak<Shared>,
    store: Arc<dyn DynStore>,
    mut leaving: watch::Receiver<bool>,
) {
    let mut rested = true;
    loop {
        let hints = tokio::select! {
            biased;
            // The sender belongs to the server; a drain is not its end.
            _ = leaving.wait_for(|_| false) => return,
            hints = next(&store, rested) => hints,
        };
        rested = hints.as_ref().is_some_and(|hints| !hints.is_empty());
        for hints in hints.unwrap_or_default().chunks(HINTS_PER_TURN) {
            let Some(shared) = shared.upgrade() else { return };
            rested &= pass(&shared, hints);
            drop(shared);
            // A store that is always ready does not starve those who share this thread.
            tokio::task::yield_now().await;
        }
    }
}

/// `None` if the store panicked.
async fn next(store: &Arc<dyn DynStore>, rested: bool) -> Option<Vec<Advanced>> {
    if !rested {
        host::sleep(REST).await;
    }
    let store = Arc::clone(store);
    let hints = Guarded(Box::pin(async move { store.advanced_boxed().await })).await;
    hints
        .inspect_err(|Panicked| tracing::error!("the store panicked when it was asked for news"))
        .ok()
}

/// `false` if the turn panicked.
fn pass(shared: &Arc<Shared>, hints: &[Advanced]) -> bool {
    let turn = host::guarded(|| {
        shared.turn(|now, inner| {
            for Advanced { topic, head } in hints {
                inner.node.handle_advanced(now, topic, *head);
            }
        });
    });
    turn.inspect_err(|Panicked| tracing::error!("a turn for the store's news panicked")).is_ok()
}
