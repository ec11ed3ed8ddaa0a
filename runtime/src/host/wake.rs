//! How others make a task look again. Keeps the order of flag and waker, on which hangs that no
//! wake-up is lost; does not know what there is to look at.

use std::sync::atomic::Ordering;
use std::task::Context;

use crate::sync::{AtomicBool, AtomicWaker};

/// A flag that any thread raises, and one task looks at. Whoever changes state raises it
/// afterwards; the task looks at the state after it has taken the flag.
#[derive(Debug, Default)]
pub(crate) struct WakeFlag {
    waker: AtomicWaker,
    raised: AtomicBool,
}

impl WakeFlag {
    /// Makes the task look again.
    pub(crate) fn raise(&self) {
        // Before the waker, which the task registers before it looks. Whoever raised it first
        // wakes.
        if !self.raised.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }

    /// Whether it was raised since it was taken last; if not, the task is woken when it is.
    pub(crate) fn poll(&self, cx: &Context<'_>) -> bool {
        self.waker.register(cx.waker());
        self.take()
    }

    /// Takes the flag down; whether it was up.
    pub(crate) fn take(&self) -> bool {
        self.raised.swap(false, Ordering::AcqRel)
    }

    /// The task runs, and will poll again before it waits: until then raising the flag need not
    /// wake it.
    #[cfg(feature = "server")]
    pub(crate) fn rest(&self) {
        drop(self.waker.take());
    }
}
