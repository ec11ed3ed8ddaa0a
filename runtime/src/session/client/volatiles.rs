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
    /// Bytes of their bodies.
    bytes: u64,
}

impl Volatiles {
    /// Keeps a message in its key's place; the oldest ones go while there are more than `most`, or
    /// several with more than `most_bytes`.
    pub(super) fn put(
        &mut self,
        (name, conflation): (Name, String),
        body: Body,
        most: u32,
        most_bytes: u32,
    ) {
        let next = self.last + 1;
        let place = *self.places.entry((name.clone(), conflation.clone())).or_insert(next);
        self.last = self.last.max(place);
        self.bytes += body.len() as u64;
        if let Some((.., old)) = self.pending.insert(place, (name, conflation, body)) {
            self.bytes -= old.len() as u64;
        }
        while self.pending.len() > most as usize
            || (self.pending.len() > 1 && self.bytes > u64::from(most_bytes))
        {
            self.take();
        }
    }

    pub(super) fn take(&mut self) -> Option<(Name, Body)> {
        let (_, (name, conflation, body)) = self.pending.pop_first()?;
        self.bytes -= body.len() as u64;
        let key = (name, conflation);
        self.places.remove(&key);
        Some((key.0, body))
    }

    /// How many, and the bytes of their bodies.
    pub(super) fn held(&self) -> (usize, u64) {
        (self.pending.len(), self.bytes)
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.pending.clear();
        self.bytes = 0;
    }
}
