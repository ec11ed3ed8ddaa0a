//! Volatile messages of a topic that wait for the application: the latest ones. Whose turn it is is
//! the subscription's to say.

use std::collections::VecDeque;

use crate::wire::{Body, Name};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct TopicVolatiles {
    waiting: VecDeque<(Name, Body)>,
    /// Bytes of their bodies.
    bytes: u64,
}

impl TopicVolatiles {
    /// Keeps a message; the oldest ones go while there are more than `most`, or several with more
    /// than `most_bytes`.
    pub(super) fn put(&mut self, name: Name, body: Body, most: u32, most_bytes: u32) {
        self.bytes += body.len() as u64;
        self.waiting.push_back((name, body));
        while self.waiting.len() > most as usize
            || (self.waiting.len() > 1 && self.bytes > u64::from(most_bytes))
        {
            self.take();
        }
    }

    pub(super) fn take(&mut self) -> Option<(Name, Body)> {
        let (name, body) = self.waiting.pop_front()?;
        self.bytes -= body.len() as u64;
        Some((name, body))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many, and the bytes of their bodies.
    pub(super) fn held(&self) -> (usize, u64) {
        (self.waiting.len(), self.bytes)
    }
}
