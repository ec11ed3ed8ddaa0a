//! The store's time: for how long it has been open in all. Leases, entries and keys age by it, so a
//! weekend on which nothing runs ends nothing.

use steadfast::session::Now;
use steadfast::store::Clock;

/// A clock that goes on where the file's time has stopped.
#[derive(Clone)]
pub(crate) struct Served {
    clock: Clock,
    opened: Now,
    before: Now,
}

impl Served {
    /// Goes on from `before`.
    pub(crate) fn new(clock: Clock, before: Now) -> Self {
        let opened = clock();
        Self { clock, opened, before }
    }

    pub(crate) fn now(&self) -> Now {
        self.before.after_ms((self.clock)().since(self.opened))
    }
}

/// Milliseconds since this call, on a clock that does not go back.
#[expect(clippy::disallowed_types, reason = "a store is a driver: it may read a clock")]
pub(crate) fn system_clock() -> Clock {
    let begun = std::time::Instant::now();
    std::sync::Arc::new(move || Now(begun.elapsed().as_millis() as u64))
}
