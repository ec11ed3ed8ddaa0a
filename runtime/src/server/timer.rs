//! The task that waits for the node's time: one per server, which ends with it. Decides nothing:
//! when is the node's answer, and what happens then is a turn like any other.

use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::shared::Shared;
use crate::host::{self, Panicked};

/// How long the timer rests after a turn that panicked, in milliseconds: one that always does must
/// not keep a core busy.
const REST_MS: u64 = 1_000;

/// Calls the node when its time has come, for as long as there is one.
pub(super) async fn run(shared: Weak<Shared>, changed: Arc<Notify>) {
    loop {
        let Some(next) = shared.upgrade().map(|shared| {
            let inner = shared.lock();
            inner.armed.map(|at| shared.clock.at(at))
        }) else {
            return;
        };
        match next {
            Some(at) => {
                // What became due sooner is looked at in the next round.
                let _ = tokio::time::timeout_at(at, changed.notified()).await;
            }
            None => changed.notified().await,
        }
        if let Some(shared) = shared.upgrade() {
            let ticked = host::guarded(|| shared.tick());
            if ticked == Err(Panicked) {
                tracing::error!("a timer's turn panicked");
                shared.tick_later();
            }
        }
    }
}

impl Shared {
    fn tick(self: &Arc<Self>) {
        self.turn(|now, inner| {
            if inner.armed.is_some_and(|at| at <= now) {
                inner.armed = None;
                inner.node.handle_timeout(now);
            }
        });
    }

    /// The turn that panicked did not come to arm the timer.
    fn tick_later(&self) {
        let later = self.clock.now().after_ms(REST_MS);
        let mut inner = self.lock();
        inner.armed = Some(inner.armed.map_or(later, |armed| armed.max(later)));
    }
}
