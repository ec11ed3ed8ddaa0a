//! What a caller asked for, and until when it waits for it. Knows nothing of numbers, sessions and
//! answers, which are the outbox's.

use std::sync::Arc;

use super::submission::Submission;
use crate::session::Now;
use crate::wire::{Body, MAX_SEQUENCE, Name};

/// A command as it was submitted. Its time counts from then, wherever it waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Command {
    name: Name,
    body: Body,
    submitted: Now,
    /// Milliseconds that had passed before, in earlier processes.
    waited_ms: u64,
    timeout_ms: u64,
    declared_ms: u64,
    /// The protocol's version that the body is of, if it is of another process.
    version: Option<Arc<str>>,
}

impl Command {
    /// A command that is submitted now.
    #[must_use]
    pub fn new(now: Now, submission: Submission) -> Self {
        Self {
            name: submission.name,
            body: submission.body,
            submitted: now,
            waited_ms: 0,
            timeout_ms: submission.timeout_ms,
            declared_ms: submission.declared_timeout_ms,
            version: None,
        }
    }

    /// A command of an earlier process, in which, and after which, so much time has passed.
    #[must_use]
    pub fn of_before(now: Now, said: Submission, waited_ms: u64, version: Arc<str>) -> Self {
        Self { waited_ms, version: Some(version), ..Self::new(now, said) }
    }

    /// Its message's wire name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its encoded fields.
    #[must_use]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// When it was submitted, and the milliseconds that had passed for it before that.
    #[must_use]
    pub const fn since(&self) -> (Now, u64) {
        (self.submitted, self.waited_ms)
    }

    /// Milliseconds of patience in all, and those that its message declares.
    #[must_use]
    pub const fn timeouts_ms(&self) -> (u64, u64) {
        (self.timeout_ms, self.declared_ms)
    }

    /// The protocol's version that the body is of; `None` if it is this client's.
    #[must_use]
    pub const fn version(&self) -> Option<&Arc<str>> {
        self.version.as_ref()
    }

    /// Its caller waits so long in all, whatever it said before.
    pub(super) const fn set_timeout(&mut self, timeout_ms: u64) {
        self.timeout_ms = timeout_ms;
    }

    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    /// When its caller has waited long enough.
    pub(super) const fn patience_ends(&self) -> Now {
        self.submitted.after_ms(self.timeout_ms.saturating_sub(self.waited_ms))
    }

    /// When it is given up if it was not sent by then.
    pub(super) fn given_up(&self, age_ms: u64) -> Now {
        self.submitted.after_ms(self.timeout_ms.min(age_ms).saturating_sub(self.waited_ms))
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
