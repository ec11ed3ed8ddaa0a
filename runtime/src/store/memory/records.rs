//! The records of one lease, by number, and the bytes of their replies. As a rule they are written
//! in order and let go in order, so they are kept in a queue; who may write one is for the leases
//! to say.

use std::collections::VecDeque;

use crate::session::store::{Outcome, Record};
use crate::wire::{CommandNo, FailureCode};

/// Sorted by number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Records {
    records: VecDeque<(CommandNo, Record)>,
    /// Bytes of the replies.
    bytes: u64,
    /// Every reply below has shrunk.
    shrunk_below: CommandNo,
}

/// The bytes that are freed.
fn shrink(record: &mut Record) -> u64 {
    let freed = record.outcome.reply_bytes();
    if freed > 0 {
        record.outcome = Outcome::plain_failure(FailureCode::Unknown);
    }
    freed
}

impl Records {
    fn find(&self, n: CommandNo) -> Result<usize, usize> {
        match self.records.back() {
            Some((last, _)) if *last >= n => self.records.binary_search_by_key(&n, |(n, _)| *n),
            _ => Err(self.records.len()),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The highest number; 0 without records.
    pub(super) fn highest(&self) -> CommandNo {
        self.records.back().map_or(CommandNo::ZERO, |(n, _)| *n)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(CommandNo, Record)> {
        self.records.iter()
    }

    pub(super) fn get(&self, n: CommandNo) -> Option<&Record> {
        self.find(n).ok().map(|at| &self.records[at].1)
    }

    pub(super) fn get_mut(&mut self, n: CommandNo) -> Option<&mut Record> {
        self.find(n).ok().map(|at| &mut self.records[at].1)
    }

    pub(super) fn insert(&mut self, n: CommandNo, record: Record) {
        self.bytes += record.outcome.reply_bytes();
        self.shrunk_below = self.shrunk_below.min(n);
        match self.find(n) {
            Ok(at) => {
                let (_, earlier) = std::mem::replace(&mut self.records[at], (n, record));
                self.bytes -= earlier.outcome.reply_bytes();
            }
            Err(at) => self.records.insert(at, (n, record)),
        }
    }

    pub(super) fn remove(&mut self, n: CommandNo) -> Option<Record> {
        let at = self.find(n).ok()?;
        let (_, record) = self.records.remove(at)?;
        self.bytes -= record.outcome.reply_bytes();
        Some(record)
    }

    /// Lets go of the settled records below `low`.
    pub(super) fn resolve(&mut self, low: CommandNo) {
        let mut owed = Vec::new();
        while self.records.front().is_some_and(|(n, _)| *n < low)
            && let Some((n, record)) = self.records.pop_front()
        {
            if record.settled {
                self.bytes -= record.outcome.reply_bytes();
            } else {
                owed.push((n, record));
            }
        }
        for entry in owed.into_iter().rev() {
            self.records.push_front(entry);
        }
    }

    /// Lets go of every settled record.
    pub(super) fn resolve_all(&mut self) {
        self.records.retain(|(_, record)| !record.settled);
        self.bytes = self.records.iter().map(|(_, record)| record.outcome.reply_bytes()).sum();
    }

    /// Shrinks the replies of the lowest numbers until all of them together take no more than
    /// `limit` bytes: they can't be known any more (PROTOCOL.md 5.7). That of `latest` goes last,
    /// and only if it alone is longer than `longest`.
    pub(super) fn shrink_replies(&mut self, limit: u64, latest: CommandNo, longest: u64) {
        if self.bytes <= limit {
            return;
        }
        let mut at = self.find(self.shrunk_below).unwrap_or_else(|at| at);
        while self.bytes > limit
            && let Some((n, record)) = self.records.get_mut(at)
        {
            at += 1;
            if *n != latest || record.outcome.reply_bytes() > longest {
                self.bytes -= shrink(record);
                if *n < latest {
                    self.shrunk_below = n.next();
                }
            }
        }
    }

    /// Gives back the room that a burst needed: a lease may be quiet for a day.
    pub(super) fn shrink(&mut self) {
        self.records.shrink_to_fit();
    }
}
