//! The clock of the drivers: milliseconds since it began, as the cores count them. Nothing waits
//! here; see [`super::sleep`].

use std::time::Duration;

use tokio::time::Instant;

use crate::session::Now;

/// Milliseconds since the driver began. Follows tokio's clock, so that tests may pause it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self { start: instant() }
    }

    pub(crate) fn now(self) -> Now {
        Now(u64::try_from(instant().duration_since(self.start).as_millis()).unwrap_or(u64::MAX))
    }

    /// The moment at which `now` will have been reached.
    pub(crate) fn at(self, now: Now) -> Instant {
        self.start + Duration::from_millis(now.0)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the drivers read a clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}
