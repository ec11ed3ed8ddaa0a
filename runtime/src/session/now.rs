//! Time as the core sees it: a number that its driver hands in.

use std::time::Duration;

/// Milliseconds since the driver began; monotonic, never a wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Now(pub u64);

impl Now {
    /// This much later; saturates.
    #[must_use]
    pub const fn after_ms(self, ms: u64) -> Self {
        Self(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to here; 0 if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// How long to wait from here until `later`.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.since(self))
    }
}
