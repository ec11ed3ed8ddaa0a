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

#[cfg(not(steadfast_loom))]
#[expect(clippy::disallowed_methods, reason = "the one place where the drivers read a clock")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Time stands still: loom takes one path again and again, and it has to be the same one.
#[cfg(steadfast_loom)]
#[expect(clippy::disallowed_methods, reason = "the one place where the drivers read a clock")]
pub(crate) fn instant() -> Instant {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *START.get_or_init(Instant::now)
}
