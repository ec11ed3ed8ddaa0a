//! What was said during a case, for whoever has to find out why it failed. What is kept is bounded,
//! and not judged.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How many lines of a case are kept; the oldest go first.
const LINES: usize = 400;
/// How many bytes of a line are kept.
const LINE_BYTES: usize = 400;

/// The exchange of one case. Clones write to the same one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Exchange {
    lines: Arc<Mutex<VecDeque<String>>>,
    formless: Arc<AtomicBool>,
}

impl Exchange {
    /// Adds a line, cut to the longest length.
    pub(crate) fn note(&self, who: &str, what: &str) {
        let mut end = what.len().min(LINE_BYTES);
        while !what.is_char_boundary(end) {
            end -= 1;
        }
        let cut =
            if end < what.len() { format!("… ({} bytes)", what.len()) } else { String::new() };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(format!("{who} {}{cut}", &what[..end]));
    }

    /// A step has no form in the codec of this run: nothing can be said of its case there.
    pub(crate) fn formless(&self, what: &str) {
        self.note("no form in this codec:", what);
        self.formless.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_formless(&self) -> bool {
        self.formless.load(Ordering::Relaxed)
    }

    /// The lines that are kept, oldest first.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
