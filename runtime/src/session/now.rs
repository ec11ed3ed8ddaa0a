//! Time as the core sees it: a number that its driver hands in.

use std::time::Duration;

/// Milliseconds since the driver began; monotonic, never a wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Now(pub u64);

impl Now {
    /// This much later, in whole milliseconds, rounded up so that no wait becomes none; saturates.
    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        self.after_ms(millis(wait))
    }

    /// This many milliseconds later; saturates.
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

/// A time as the core counts it: whole milliseconds, rounded up, so that nothing becomes 0 by
/// rounding; saturates.
pub(crate) const fn millis(time: Duration) -> u64 {
    let part = time.subsec_nanos().div_ceil(1_000_000) as u64;
    time.as_secs().saturating_mul(1_000).saturating_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_millisecond_counts_as_a_whole_one() {
        let later = |wait| Now(5).after(wait).since(Now(5));
        assert_eq!(later(Duration::ZERO), 0);
        assert_eq!(later(Duration::from_nanos(1)), 1);
        assert_eq!(later(Duration::from_millis(1)), 1);
        assert_eq!(later(Duration::from_micros(1_001)), 2);
        assert_eq!(later(Duration::from_nanos(1_999_999_999)), 2_000);
    }

    #[test]
    fn a_time_beyond_the_clock_is_its_end() {
        assert_eq!(Now(5).after(Duration::MAX), Now(u64::MAX));
        assert_eq!(millis(Duration::from_millis(u64::MAX)), u64::MAX);
    }
}
