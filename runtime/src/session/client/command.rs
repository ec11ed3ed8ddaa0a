//! What a caller asked for, and until when it waits for it. Knows nothing of numbers, sessions and
//! answers, which are the outbox's.

use super::types::Submission;
use crate::session::Now;
use crate::wire::{Body, MAX_SEQUENCE, Name};

/// A command as it was submitted. Its time counts from then, wherever it waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Command {
    name: Name,
    body: Body,
    submitted: Now,
    timeout_ms: u64,
    declared_ms: u64,
}

impl Command {
    pub(super) fn new(now: Now, submission: Submission) -> Self {
        Self {
            name: submission.name,
            body: submission.body,
            submitted: now,
            timeout_ms: submission.timeout_ms,
            declared_ms: submission.declared_timeout_ms,
        }
    }

    pub(super) const fn name(&self) -> &Name {
        &self.name
    }

    pub(super) const fn body(&self) -> &Body {
        &self.body
    }

    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// When its caller has waited long enough.
    pub(super) const fn patience_ends(&self) -> Now {
        self.submitted.after_ms(self.timeout_ms)
    }

    /// When it is given up if it was not sent by then.
    pub(super) fn given_up(&self, age_ms: u64) -> Now {
        self.submitted.after_ms(self.timeout_ms.min(age_ms))
    }

    /// What travels as `deadline_ms` (PROTOCOL.md 5.13): nothing at the first transmission while
    /// the declared timeout is near enough.
    pub(super) fn deadline_ms(&self, now: Now, again: bool) -> Option<u64> {
        let left = self.patience_ends().since(now);
        let differs = left.abs_diff(self.declared_ms) > self.declared_ms / 10;
        // The range of a wire number (PROTOCOL.md 1.6); nobody waits that long.
        (again || differs).then_some(left.min(MAX_SEQUENCE))
    }
}
