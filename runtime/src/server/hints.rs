//! The task that listens to the store: one per server, which ends with it. What other nodes have
//! appended reaches this node's followers without waiting for a timer. Decides nothing: a hint is
//! an input of the node like any other.

use std::sync::{Arc, Weak};

use tokio::sync::watch;

use super::engine::Engine;
use super::settings::REST;
use crate::host::{self, Guarded, Panicked};
use crate::store::{Advanced, DynStore};

/// Hints that one turn takes: the lock is shared with every connection.
const HINTS_PER_TURN: usize = 256;

/// Passes the store's hints on, until the server is gone.
pub(super) async fn run(
    engine: Weak<Engine>,
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
            let Some(engine) = engine.upgrade() else { return };
            rested &= pass(&engine, hints);
            drop(engine);
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
fn pass(engine: &Arc<Engine>, hints: &[Advanced]) -> bool {
    let turn = host::guarded(|| {
        engine.turn(|now, state| {
            for Advanced { topic, head } in hints {
                state.node.handle_advanced(now, topic, *head);
            }
        });
    });
    turn.inspect_err(|Panicked| tracing::error!("a turn for the store's news panicked")).is_ok()
}
