//! Rows that the writer remembers, so that a commit need not read them: what is in the tables, what
//! is still to be written, and what to go back to if a group fails. It runs no statement.

use std::collections::{BTreeMap, BTreeSet};

/// Rows by their names.
pub(super) struct Cache<K, V> {
    rows: BTreeMap<K, Row<V>>,
    /// What rows were before this group. Of a row that came or went in it there may be several, the
    /// earliest first.
    before: Vec<(K, Option<V>)>,
    /// Rows that this group has to write.
    dirty: BTreeSet<K>,
    /// Rows that need not be durable yet: their times of contact and use, and low-water marks.
    waiting: BTreeSet<K>,
    /// Rows of which this group has written what could wait.
    written: Vec<K>,
}

/// A row, and which of the lists above it is in, so that a change looks it up once.
struct Row<V> {
    value: V,
    is_saved: bool,
    is_dirty: bool,
    is_waiting: bool,
}

impl<V> Row<V> {
    const fn new(value: V, is_saved: bool) -> Self {
        Self { value, is_saved, is_dirty: false, is_waiting: false }
    }
}

/// Whether a change has to be durable before it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    Now,
    Later,
}

impl<K: Ord + Clone, V: Clone> Cache<K, V> {
    pub(super) const fn new() -> Self {
        Self {
            rows: BTreeMap::new(),
            before: Vec::new(),
            dirty: BTreeSet::new(),
            waiting: BTreeSet::new(),
            written: Vec::new(),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|row| &row.value)
    }

    /// A row as it is in the tables.
    pub(super) fn loaded(&mut self, key: K, value: V) {
        self.rows.insert(key, Row::new(value, false));
    }

    /// A row that this group has put into the tables.
    pub(super) fn made(&mut self, key: K, value: V) {
        let before = self.rows.insert(key.clone(), Row::new(value, true));
        debug_assert!(before.is_none(), "what is made was not there");
        self.before.push((key, None));
    }

    /// A row that this group has taken out of the tables.
    pub(super) fn gone(&mut self, key: &K) {
        self.dirty.remove(key);
        self.waiting.remove(key);
        if let Some(row) = self.rows.remove(key)
            && !row.is_saved
        {
            self.before.push((key.clone(), Some(row.value)));
        }
    }

    /// A row that is about to change.
    pub(super) fn change(&mut self, key: &K, durable: Durable) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        if !std::mem::replace(&mut row.is_saved, true) {
            self.before.push((key.clone(), Some(row.value.clone())));
        }
        let (is_marked, marked) = match durable {
            Durable::Now => (&mut row.is_dirty, &mut self.dirty),
            Durable::Later => (&mut row.is_waiting, &mut self.waiting),
        };
        if !std::mem::replace(is_marked, true) {
            marked.insert(key.clone());
        }
        Some(&mut row.value)
    }

    /// The rows that this group has to write.
    pub(super) fn dirty(&self) -> Vec<K> {
        self.dirty.iter().cloned().collect()
    }

    /// The rows that this group has to write. They are marked as written, but for what can wait.
    pub(super) fn take_dirty(&mut self) -> BTreeSet<K> {
        let dirty = std::mem::take(&mut self.dirty);
        for key in &dirty {
            if let Some(row) = self.rows.get_mut(key) {
                row.is_dirty = false;
            }
        }
        dirty
    }

    /// What of a row can wait is written, too.
    pub(super) fn wrote_all_of(&mut self, key: &K) {
        if self.waiting.remove(key) {
            if let Some(row) = self.rows.get_mut(key) {
                row.is_waiting = false;
            }
            self.written.push(key.clone());
        }
    }

    /// The rows of which something is to be written that could wait. They are marked as written.
    pub(super) fn take_waiting(&mut self) -> BTreeSet<K> {
        let waiting = std::mem::take(&mut self.waiting);
        for key in &waiting {
            if let Some(row) = self.rows.get_mut(key) {
                row.is_waiting = false;
            }
            self.written.push(key.clone());
        }
        waiting
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The group is committed: there is no way back.
    pub(super) fn committed(&mut self) {
        debug_assert!(self.dirty.is_empty(), "a group is written before it is committed");
        self.written.clear();
        for (key, _) in std::mem::take(&mut self.before) {
            if let Some(row) = self.rows.get_mut(&key) {
                row.is_saved = false;
            }
        }
    }

    /// The group is undone: rows are what they were before it. What of them could wait has to be
    /// written again.
    pub(super) fn undone(&mut self) {
        for key in self.take_dirty() {
            debug_assert!(self.rows.get(&key).is_none_or(|row| row.is_saved), "it has changed");
        }
        let mut wait = std::mem::take(&mut self.written);
        while let Some((key, before)) = self.before.pop() {
            self.waiting.remove(&key);
            match before {
                Some(value) => {
                    self.rows.insert(key.clone(), Row::new(value, false));
                    wait.push(key);
                }
                None => drop(self.rows.remove(&key)),
            }
        }
        for key in wait {
            if let Some(row) = self.rows.get_mut(&key) {
                row.is_waiting = true;
                self.waiting.insert(key);
            }
        }
    }

    /// Forgets everything if there are more than `max` rows; nothing of it may be unwritten.
    pub(super) fn shorten(&mut self, max: usize) {
        if self.rows.len() > max {
            self.forget();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Forgets everything, written or not.
    pub(super) fn forget(&mut self) {
        *self = Self::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Cache<u8, &'static str> {
        let mut cache = Cache::new();
        cache.loaded(1, "one");
        cache
    }

    #[test]
    fn an_undone_group_leaves_rows_as_they_were() {
        let mut cache = cache();
        *cache.change(&1, Durable::Now).unwrap() = "changed";
        cache.made(2, "made");
        cache.gone(&1);
        cache.undone();
        assert_eq!(cache.get(&1), Some(&"one"));
        assert_eq!(cache.get(&2), None);
        assert!(cache.take_dirty().is_empty());
    }

    #[test]
    fn what_can_wait_outlives_an_undone_group() {
        let mut cache = cache();
        *cache.change(&1, Durable::Later).unwrap() = "touched";
        cache.committed();
        *cache.change(&1, Durable::Now).unwrap() = "changed";
        cache.undone();
        assert_eq!(cache.get(&1), Some(&"touched"));
        assert!(cache.take_dirty().is_empty());
        assert_eq!(cache.take_waiting(), [1].into());
    }

    #[test]
    fn what_could_wait_and_was_written_in_an_undone_group_waits_again() {
        let mut cache = cache();
        *cache.change(&1, Durable::Later).unwrap() = "touched";
        cache.committed();
        assert_eq!(cache.take_waiting(), [1].into());
        cache.undone();
        assert_eq!(cache.take_waiting(), [1].into());
        cache.committed();
        assert!(cache.take_waiting().is_empty());
    }

    #[test]
    fn a_row_that_goes_and_comes_again_in_an_undone_group_is_what_it_was() {
        let mut cache = cache();
        *cache.change(&1, Durable::Now).unwrap() = "changed";
        cache.gone(&1);
        cache.made(1, "made");
        *cache.change(&1, Durable::Now).unwrap() = "changed again";
        cache.gone(&1);
        cache.made(1, "made again");
        cache.undone();
        assert_eq!(cache.get(&1), Some(&"one"));
        assert!(cache.take_dirty().is_empty());
    }

    #[test]
    fn a_row_is_written_once() {
        let mut cache = cache();
        cache.change(&1, Durable::Later).unwrap();
        cache.change(&1, Durable::Now).unwrap();
        assert_eq!(cache.take_dirty(), [1].into());
        assert!(cache.has_waiting(), "what can wait was not written");
        cache.wrote_all_of(&1);
        assert!(!cache.has_waiting());
        assert!(cache.take_waiting().is_empty() && cache.take_dirty().is_empty());
        cache.change(&1, Durable::Later).unwrap();
        assert_eq!(cache.take_waiting(), [1].into());
    }
}
