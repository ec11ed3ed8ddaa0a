//! Who comes in and who has left: counts the sockets, says that the server is leaving, and wakes
//! those who wait for its end. What a full or leaving server answers is the core's
//! ([`crate::session::node::admission`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

use crate::session::node::admission::has_room;

/// The sockets of a server, from their upgrade on.
#[derive(Debug)]
pub(super) struct Gate {
    sockets: AtomicUsize,
    /// Set once, by a drain.
    leaving: watch::Sender<bool>,
    /// Something left that somebody may wait for.
    left: Notify,
}

/// A socket that was let in, and counts for as long as this lives.
#[derive(Debug)]
pub(super) struct Admitted(Arc<Gate>);

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            sockets: AtomicUsize::new(0),
            leaving: watch::Sender::new(false),
            left: Notify::new(),
        }
    }

    /// One socket more, if there may be.
    pub(super) fn admit(self: &Arc<Self>, limit: u32) -> Option<Admitted> {
        let one_more = |sockets| has_room(sockets, limit).then(|| sockets + 1);
        let admitted = self.sockets.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        admitted.ok().map(|_| Admitted(Arc::clone(self)))
    }

    pub(super) fn sockets(&self) -> usize {
        self.sockets.load(Ordering::Acquire)
    }

    /// From here on nobody is let in.
    pub(super) fn leave(&self) {
        self.leaving.send_replace(true);
    }

    pub(super) fn is_leaving(&self) -> bool {
        *self.leaving.borrow()
    }

    /// Tells of the beginning of a drain, and of the end of the server.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.leaving.subscribe()
    }

    /// Whoever waits for something to be gone looks again.
    pub(super) fn look_again(&self) {
        self.left.notify_waiters();
    }

    /// Waits until `gone` holds; looks again each time that something has left.
    pub(super) async fn until(&self, gone: impl Fn() -> bool) {
        loop {
            let waiting = self.left.notified();
            tokio::pin!(waiting);
            // Before looking, so that what leaves in between is not missed.
            waiting.as_mut().enable();
            if gone() {
                return;
            }
            waiting.await;
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::AcqRel);
        self.0.look_again();
    }
}
