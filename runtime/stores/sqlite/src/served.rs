//! The store's time: for how long it has been open in all. Leases, entries and keys age by it, so a
//! weekend on which nothing runs ends nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast::session::Now;
use steadfast::store::Clock;

/// A clock that goes on where the file's time has stopped.
#[derive(Clone)]
pub(crate) struct Served {
    clock: Clock,
    opened: Now,
    before: Arc<AtomicU64>,
}

impl Served {
    /// Goes on from `before`.
    pub(crate) fn new(clock: Clock, before: Now) -> Self {
        let opened = clock();
        Self { clock, opened, before: Arc::new(AtomicU64::new(before.0)) }
    }

    pub(crate) fn now(&self) -> Now {
        Now(self.before.load(Ordering::Relaxed)).after_ms((self.clock)().since(self.opened))
    }

    /// The time goes forward.
    pub(crate) fn go_forward(&self, ms: u64) {
        self.before.fetch_add(ms, Ordering::Relaxed);
    }
}

/// Milliseconds since this call, on a clock that does not go back.
#[expect(clippy::disallowed_types, reason = "a store is a driver: it may read a clock")]
pub(crate) fn system_clock() -> Clock {
    let begun = std::time::Instant::now();
    std::sync::Arc::new(move || Now(begun.elapsed().as_millis() as u64))
}
