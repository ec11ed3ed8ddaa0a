//! A case about time: one rule, and how to find out whether a store keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bench::Bench;
use super::case::CaseFuture;

/// A store, and its clock. It goes on only when the case says so.
pub(super) struct TimedBench {
    pub(super) bench: Bench,
    pub(super) time: Arc<AtomicU64>,
}

/// A rule about time.
#[derive(Clone, Copy)]
pub(super) struct TimedCase {
    pub(super) name: &'static str,
    pub(super) rule: &'static str,
    pub(super) run: fn(TimedBench) -> CaseFuture,
}

impl TimedBench {
    pub(super) fn go_on(&self, ms: u64) {
        self.time.fetch_add(ms, Ordering::Relaxed);
    }
}
