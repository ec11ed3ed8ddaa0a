//! The records of one lease, by number. As a rule they are written in order and let go in order, so
//! they are kept in a queue; who may write one is for the leases to say.

use std::collections::VecDeque;

use crate::session::store::Record;
use crate::wire::CommandNo;

/// Sorted by number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Records(pub(super) VecDeque<(CommandNo, Record)>);

impl Records {
    fn find(&self, n: CommandNo) -> Result<usize, usize> {
        match self.0.back() {
            Some((last, _)) if *last >= n => self.0.binary_search_by_key(&n, |(n, _)| *n),
            _ => Err(self.0.len()),
        }
    }

    pub(super) fn get(&self, n: CommandNo) -> Option<&Record> {
        self.find(n).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn get_mut(&mut self, n: CommandNo) -> Option<&mut Record> {
        self.find(n).ok().map(|at| &mut self.0[at].1)
    }

    pub(super) fn insert(&mut self, n: CommandNo, record: Record) {
        match self.find(n) {
            Ok(at) => self.0[at].1 = record,
            Err(at) => self.0.insert(at, (n, record)),
        }
    }

    pub(super) fn remove(&mut self, n: CommandNo) -> Option<Record> {
        let at = self.find(n).ok()?;
        self.0.remove(at).map(|(_, record)| record)
    }

    /// Lets go of the settled records below `low`. Returns those that had publications, because the
    /// keys of these can be forgotten, too.
    pub(super) fn resolve(&mut self, low: CommandNo) -> Vec<(CommandNo, Record)> {
        let mut published = Vec::new();
        let mut owed = Vec::new();
        while self.0.front().is_some_and(|(n, _)| *n < low)
            && let Some((n, record)) = self.0.pop_front()
        {
            match (record.settled, record.publishes.is_empty()) {
                (true, true) => {}
                (true, false) => published.push((n, record)),
                (false, _) => owed.push((n, record)),
            }
        }
        for entry in owed.into_iter().rev() {
            self.0.push_front(entry);
        }
        published
    }

    /// Gives back the room that a burst needed: a lease may be quiet for a day.
    pub(super) fn shrink(&mut self) {
        self.0.shrink_to_fit();
    }
}
