//! What was said during a case, for whoever has to find out why it failed. Owns the bound on what
//! is kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// Lines that are kept of a case; the oldest go first.
const LINES: usize = 400;
/// Bytes that are kept of a line.
const LINE_BYTES: usize = 400;

/// The exchange of one case. A handle: clones write to the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange(Arc<Mutex<VecDeque<String>>>);

impl Exchange {
    /// Adds a line, cut at its bound.
    pub(crate) fn note(&self, who: &str, what: &str) {
        let mut end = what.len().min(LINE_BYTES);
        while !what.is_char_boundary(end) {
            end -= 1;
        }
        let cut =
            if end < what.len() { format!("… ({} bytes)", what.len()) } else { String::new() };
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(format!("{who} {}{cut}", &what[..end]));
    }

    /// Everything that is kept, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
