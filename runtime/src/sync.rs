//! The locks, flags and wakers that a driver's tasks share: std's and futures', or loom's when
//! `tests/loom` compiles this crate. Whatever two tasks lock or wake comes from here, so that loom
//! sees it; tokio's own primitives do not.

#[cfg(not(steadfast_loom))]
pub(crate) use futures_util::task::AtomicWaker;
#[cfg(not(steadfast_loom))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic::AtomicBool};

#[cfg(steadfast_loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::AtomicBool};
#[cfg(steadfast_loom)]
pub(crate) use model::AtomicWaker;

/// loom's waker under the names that futures gives its own.
#[cfg(steadfast_loom)]
mod model {
    use std::task::Waker;

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
}
