//! The task that waits for the node's time: one per server, which ends with it. Decides nothing:
//! the node says when, and what happens then is a turn like any other.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::engine::Engine;
use crate::host::{self, Panicked};

/// Calls the node when its time has come, for as long as there is one.
pub(super) async fn run(engine: Weak<Engine>, alarm: Arc<Notify>) {
    loop {
        let Some(due) = engine.upgrade().map(|engine| engine.due()) else { return };
        match due {
            Some(at) => {
                // What became due sooner is looked at in the next round.
                let _ = tokio::time::timeout_at(at, alarm.notified()).await;
            }
            None => alarm.notified().await,
        }
        if let Some(engine) = engine.upgrade()
            && let Err(Panicked) = host::guarded(|| engine.turn(|now, state| state.tick(now)))
        {
            tracing::error!("a timer's turn panicked");
        }
    }
}
