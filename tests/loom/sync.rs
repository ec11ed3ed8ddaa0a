//! loom's primitives under the names of those in `runtime/src/sync.rs`, whose place this file takes
//! in the copy that is compiled here.

use std::task::Waker;

pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::AtomicBool};

/// loom's, with the methods of futures'.
#[derive(Debug, Default)]
pub(crate) struct AtomicWaker(loom::future::AtomicWaker);

impl AtomicWaker {
    pub(crate) fn register(&self, waker: &Waker) {
        self.0.register_by_ref(waker);
    }

    pub(crate) fn take(&self) -> Option<Waker> {
        self.0.take_waker()
    }

    pub(crate) fn wake(&self) {
        self.0.wake();
    }
}
