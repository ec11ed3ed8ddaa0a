//! A table whose keys are never used twice: an index and a generation. Lookup costs an array
//! access, and unlike a hash map it iterates in one order only.

use std::marker::PhantomData;

use super::held::held;

/// A key of a [`Table`] of kind `K`. It says nothing of what the table holds.
pub(crate) struct Key<K> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> K>,
}

impl<K> Key<K> {
    /// The key as one number, unique for the table's life.
    pub(crate) fn raw(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key that [`Key::raw`] gave.
    pub(crate) fn from_raw(raw: u64) -> Self {
        // The two halves that `raw` joined.
        Self { index: raw as u32, generation: (raw >> 32) as u32, of: PhantomData }
    }
}

impl<K> std::fmt::Debug for Key<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({}.{})", self.index, self.generation)
    }
}
impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Key<T> {}
impl<T> PartialEq for Key<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw() == other.raw()
    }
}
impl<T> Eq for Key<T> {}
impl<T> PartialOrd for Key<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Key<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.raw().cmp(&other.raw())
    }
}
impl<T> std::hash::Hash for Key<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.raw().hash(state);
    }
}

/// See the module.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Table<K, T> {
    rows: Vec<Row<T>>,
    free: Vec<u32>,
    len: usize,
    of: PhantomData<fn() -> K>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Row<T> {
    generation: u32,
    value: Option<T>,
}

/// What a table holds, and under which keys. How many keys it has given out before says nothing
/// about that, and would keep a model checker from recognising a state that it has come back to.
impl<K, T: std::hash::Hash> std::hash::Hash for Table<K, T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.len.hash(state);
        for (index, row) in self.rows.iter().enumerate().filter(|(_, row)| row.value.is_some()) {
            (index, row.generation, &row.value).hash(state);
        }
    }
}

impl<K, T: std::fmt::Debug> std::fmt::Debug for Table<K, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}

impl<K, T> Default for Table<K, T> {
    fn default() -> Self {
        Self { rows: Vec::new(), free: Vec::new(), len: 0, of: PhantomData }
    }
}

impl<K, T> Table<K, T> {
    pub(crate) fn insert(&mut self, value: T) -> Key<K> {
        self.len += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.rows.push(Row { generation: 0, value: None });
            // A table of 2^32 live rows does not fit any memory that its limits allow.
            (self.rows.len() - 1) as u32
        });
        let row = &mut self.rows[index as usize];
        row.value = Some(value);
        Key { index, generation: row.generation, of: PhantomData }
    }

    pub(crate) fn get(&self, key: Key<K>) -> Option<&T> {
        self.rows
            .get(key.index as usize)
            .filter(|row| row.generation == key.generation)?
            .value
            .as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: Key<K>) -> Option<&mut T> {
        self.rows
            .get_mut(key.index as usize)
            .filter(|row| row.generation == key.generation)?
            .value
            .as_mut()
    }

    /// What a key in use names: whoever has one keeps the row alive. `None` would be a mistake of
    /// the core, which a debug build says at once.
    pub(crate) fn held(&self, key: Key<K>) -> Option<&T> {
        held(self.get(key), "a key in use names a row")
    }

    /// Like [`Table::held`].
    pub(crate) fn held_mut(&mut self, key: Key<K>) -> Option<&mut T> {
        held(self.get_mut(key), "a key in use names a row")
    }

    pub(crate) fn remove(&mut self, key: Key<K>) -> Option<T> {
        let row =
            self.rows.get_mut(key.index as usize).filter(|row| row.generation == key.generation)?;
        let value = row.value.take()?;
        self.len -= 1;
        // A row whose generations are used up is never filled again.
        if let Some(next) = row.generation.checked_add(1) {
            row.generation = next;
            self.free.push(key.index);
        }
        Some(value)
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.rows.iter().filter_map(|row| row.value.as_ref())
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.rows.iter_mut().filter_map(|row| row.value.as_mut())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_never_used_twice() {
        let mut table = Table::<(), _>::default();
        let first = table.insert("first");
        assert_eq!(table.remove(first), Some("first"));
        let second = table.insert("second");
        assert_ne!(first, second);
        assert_eq!(table.get(first), None);
        assert_eq!(table.get(Key::from_raw(second.raw())), Some(&"second"));
        assert_eq!(table.len(), 1);
    }
    #[test]
    fn hashes_know_what_is_held_and_not_what_was() {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = |table: &Table<(), &str>| {
            BuildHasherDefault::<DefaultHasher>::default().hash_one(table)
        };
        let mut table = Table::<(), _>::default();
        let fresh = hash(&table);
        let key = table.insert("first");
        let held = hash(&table);
        assert_ne!(held, fresh);
        table.remove(key);
        assert_eq!(hash(&table), fresh);
        table.insert("first");
        assert_ne!(hash(&table), held, "it has another key");
    }
}
