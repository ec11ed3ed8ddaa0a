//! Rows that the writer remembers, so that a commit need not read them: what is in the tables, what
//! is still to be written, and what to go back to if a group fails. It runs no statement.

use std::collections::{BTreeMap, BTreeSet};

/// Rows by their names.
pub(super) struct Cache<K, V> {
    rows: BTreeMap<K, V>,
    /// What rows were before this group.
    before: BTreeMap<K, Option<V>>,
    /// Rows that this group has to write.
    dirty: BTreeSet<K>,
    /// Rows that need not be durable yet: their times of contact and use, and low-water marks.
    waiting: BTreeSet<K>,
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
            before: BTreeMap::new(),
            dirty: BTreeSet::new(),
            waiting: BTreeSet::new(),
        }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key)
    }

    /// A row as it is in the tables.
    pub(super) fn loaded(&mut self, key: K, row: V) {
        self.rows.insert(key, row);
    }

    /// A row that this group has put into the tables.
    pub(super) fn made(&mut self, key: K, row: V) {
        let before = self.rows.insert(key.clone(), row);
        self.before.entry(key).or_insert(before);
    }

    /// A row that this group has taken out of the tables.
    pub(super) fn gone(&mut self, key: &K) {
        let before = self.rows.remove(key);
        self.dirty.remove(key);
        self.waiting.remove(key);
        self.before.entry(key.clone()).or_insert(before);
    }

    /// A row that is about to change.
    pub(super) fn change(&mut self, key: &K, durable: Durable) -> Option<&mut V> {
        let row = self.rows.get_mut(key)?;
        if !self.before.contains_key(key) {
            self.before.insert(key.clone(), Some(row.clone()));
        }
        let marked = match durable {
            Durable::Now => &mut self.dirty,
            Durable::Later => &mut self.waiting,
        };
        if !marked.contains(key) {
            marked.insert(key.clone());
        }
        Some(row)
    }

    /// The rows that this group has to write. They are marked as written.
    pub(super) fn take_dirty(&mut self) -> BTreeSet<K> {
        let dirty = std::mem::take(&mut self.dirty);
        for key in &dirty {
            self.waiting.remove(key);
        }
        dirty
    }

    /// The rows of which something is to be written that could wait. They are marked as written.
    pub(super) fn take_waiting(&mut self) -> BTreeSet<K> {
        std::mem::take(&mut self.waiting)
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The group is committed: there is no way back.
    pub(super) fn committed(&mut self) {
        debug_assert!(self.dirty.is_empty(), "a group is written before it is committed");
        self.before.clear();
    }

    /// The group is undone: rows are what they were before it. What of them could wait has to be
    /// written again.
    pub(super) fn undone(&mut self) {
        self.dirty.clear();
        for (key, before) in std::mem::take(&mut self.before) {
            match before {
                Some(row) => {
                    self.waiting.insert(key.clone());
                    self.rows.insert(key, row);
                }
                None => {
                    self.waiting.remove(&key);
                    self.rows.remove(&key);
                }
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
    fn a_row_is_written_once() {
        let mut cache = cache();
        cache.change(&1, Durable::Later).unwrap();
        cache.change(&1, Durable::Now).unwrap();
        assert_eq!(cache.take_dirty(), [1].into());
        assert!(!cache.has_waiting());
        assert!(cache.take_waiting().is_empty());
    }
}
