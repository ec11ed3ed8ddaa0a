//! Volatile messages that wait for the socket (PROTOCOL.md 5.16): the latest one per key. Nothing
//! is kept for a later attachment.

use std::collections::BTreeMap;

use crate::wire::{Body, Name};

/// Pending messages in the order of their keys' first arrival.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Volatiles {
    last: u64,
    places: BTreeMap<(Name, String), u64>,
    pending: BTreeMap<u64, (Name, String, Body)>,
}

impl Volatiles {
    /// Keeps a message in its key's place; the oldest one goes when there are more than `limit`.
    pub(super) fn put(&mut self, name: Name, conflation: String, body: Body, limit: u32) {
        let next = self.last + 1;
        let place = *self.places.entry((name.clone(), conflation.clone())).or_insert(next);
        self.last = self.last.max(place);
        self.pending.insert(place, (name, conflation, body));
        while self.pending.len() > limit as usize {
            self.take();
        }
    }

    pub(super) fn take(&mut self) -> Option<(Name, Body)> {
        let (_, (name, conflation, body)) = self.pending.pop_first()?;
        let key = (name, conflation);
        self.places.remove(&key);
        Some((key.0, body))
    }

    pub(super) fn count(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.pending.clear();
    }
}
