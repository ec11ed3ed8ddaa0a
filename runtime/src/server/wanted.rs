//! Whether the caller of a command still wants it (PROTOCOL.md 5.27), as its handler may ask and the
//! driver says. What a handler makes of it is the handler's.

use std::task::{Poll, Waker};

/// What a handler's side and the driver's side share of it.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    cancelled: bool,
    /// Whoever waits in the handler; a waker for each task.
    waiting: Vec<Waker>,
}

impl Wanted {
    /// The caller does not want the command any more. Whoever waits for that is to be woken once no
    /// lock is held.
    pub(super) fn cancel(&mut self) -> Vec<Waker> {
        self.cancelled = true;
        std::mem::take(&mut self.waiting)
    }

    pub(super) const fn is_cancelled(&self) -> bool {
        self.cancelled
    }

    /// Ready once the caller has cancelled; else whoever looks is woken then.
    pub(super) fn poll_cancelled(&mut self, waker: &Waker) -> Poll<()> {
        if self.cancelled {
            return Poll::Ready(());
        }
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push(waker.clone());
        }
        Poll::Pending
    }
}
