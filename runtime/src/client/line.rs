//! The line of calls that wait for room in the outbox: in the order of calls, each for its declared
//! time. Owns the order and the times; who may enter the outbox is the core's answer. A step costs
//! O(log n), however many wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::call::{Place, Slot};
use crate::session::Now;
use crate::session::client::Submission;

/// Calls without a place in the outbox.
#[derive(Default)]
pub(super) struct Line {
    /// By ticket: whoever came first is first.
    waiting: BTreeMap<u64, Waiting>,
    /// When each has waited long enough.
    due: BTreeSet<(Now, u64)>,
    last_ticket: u64,
}

/// One of them.
pub(super) struct Waiting {
    due: Now,
    submission: Submission,
    pub(super) slot: Arc<Slot>,
}

impl Waiting {
    /// The submission with what is left of its time.
    pub(super) fn submission(&self, now: Now) -> Submission {
        Submission { timeout_ms: self.due.since(now), ..self.submission.clone() }
    }
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, now: Now, submission: Submission) -> Arc<Slot> {
        self.last_ticket += 1;
        let (ticket, due) = (self.last_ticket, now.after_ms(submission.timeout_ms));
        let slot = Slot::new(Place::Waiting(ticket));
        self.waiting.insert(ticket, Waiting { due, submission, slot: Arc::clone(&slot) });
        self.due.insert((due, ticket));
        slot
    }

    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.first_key_value().map(|(_, first)| first)
    }

    pub(super) fn pop_first(&mut self) -> Option<Waiting> {
        let (ticket, first) = self.waiting.pop_first()?;
        self.due.remove(&(first.due, ticket));
        Some(first)
    }

    pub(super) fn remove(&mut self, ticket: u64) {
        if let Some(gone) = self.waiting.remove(&ticket) {
            self.due.remove(&(gone.due, ticket));
        }
    }

    /// When the next one has waited long enough.
    pub(super) fn next_due(&self) -> Option<Now> {
        self.due.first().map(|(due, _)| *due)
    }

    /// One that has waited long enough.
    pub(super) fn pop_due(&mut self, now: Now) -> Option<Waiting> {
        let &(due, ticket) = self.due.first().filter(|(due, _)| *due <= now)?;
        self.due.remove(&(due, ticket));
        self.waiting.remove(&ticket)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{Body, Name};

    fn submission(timeout_ms: u64) -> Submission {
        let name = Name::from_static("post").expect("a legal name");
        let body = Body(Bytes::new());
        Submission { name, body, timeout_ms, declared_timeout_ms: timeout_ms, max_bytes: 10 }
    }

    fn left(line: &Line, now: u64) -> Option<u64> {
        line.first().map(|first| first.submission(Now(now)).timeout_ms)
    }

    #[test]
    fn whoever_came_first_is_first_and_has_what_is_left_of_its_time() {
        let mut line = Line::default();
        line.push(Now(0), submission(100));
        line.push(Now(5), submission(50));
        assert_eq!((line.len(), left(&line, 10)), (2, Some(90)));
        assert!(line.pop_first().is_some());
        assert_eq!((left(&line, 10), line.next_due()), (Some(45), Some(Now(55))));
    }

    #[test]
    fn those_whose_time_is_over_leave_from_wherever_they_stand() {
        let mut line = Line::default();
        for (at, timeout_ms) in [(0, 100), (1, 10), (2, 50), (3, 8)] {
            line.push(Now(at), submission(timeout_ms));
        }
        assert!(line.pop_due(Now(10)).is_none());
        assert!(line.pop_due(Now(11)).is_some());
        assert!(line.pop_due(Now(11)).is_some());
        assert!(line.pop_due(Now(11)).is_none());
        assert_eq!((line.len(), line.next_due()), (2, Some(Now(52))));
        assert!(line.pop_first().is_some());
        assert_eq!(left(&line, 12), Some(40));
    }

    #[test]
    fn a_withdrawn_one_leaves_nothing_behind() {
        let mut line = Line::default();
        let slot = line.push(Now(0), submission(100));
        let Place::Waiting(ticket) = slot.place() else { panic!("it waits") };
        line.remove(ticket);
        line.remove(ticket);
        assert!(line.is_empty() && line.next_due().is_none() && line.pop_due(Now(1_000)).is_none());
    }
}
