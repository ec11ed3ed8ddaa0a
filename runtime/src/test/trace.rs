//! What happened in a net, in order, in lines for people. The same seed gives the same lines, as
//! long as nothing outside of the runtime takes part.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::host::Clock;

/// Lines that are kept; of more, the oldest ones are forgotten.
const LINES: usize = 10_000;

/// Lines that a failed test is shown.
const SHOWN: usize = 40;

#[derive(Debug)]
pub(super) struct Trace {
    clock: Clock,
    lines: Mutex<VecDeque<String>>,
}

impl Trace {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, lines: Mutex::default() }
    }

    pub(super) fn note(&self, line: fmt::Arguments<'_>) {
        let ms = self.clock.now().0;
        let mut lines = self.lines();
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(format!("{:>5}.{:03} s  {line}", ms / 1000, ms % 1000));
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.lines().iter().cloned().collect()
    }

    /// The last lines, for a test that fails.
    pub(super) fn last(&self) -> String {
        let lines = self.lines();
        let from = lines.len().saturating_sub(SHOWN);
        lines.iter().skip(from).map(|line| format!("  {line}\n")).collect()
    }

    fn lines(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
