//! What waits to be written on a socket, in order: short frames copied one behind the other, long
//! bodies as they are, which others may write too. Writes nothing itself.

use std::cell::Cell;
use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

thread_local! {
    /// The last buffer that was emptied, for the next connection with something to write.
    static SPARE: Cell<BytesMut> = Cell::new(BytesMut::new());
}

#[derive(Debug, Default)]
pub(super) struct Unwritten {
    /// What stands before `tail`, if anything long waits.
    parts: VecDeque<Part>,
    /// Of `parts`, in bytes.
    copied: usize,
    /// Of `parts`, in bytes.
    shared: usize,
    tail: BytesMut,
}

#[derive(Debug)]
enum Part {
    Copied(Bytes),
    #[cfg_attr(not(feature = "server"), expect(dead_code, reason = "a client masks, and copies"))]
    Shared(Bytes),
}

impl Unwritten {
    /// Where the next bytes go.
    pub(super) fn tail(&mut self) -> &mut BytesMut {
        if self.tail.is_empty() {
            self.tail = SPARE.take();
        }
        &mut self.tail
    }

    /// Adds bytes without a copy.
    #[cfg(feature = "server")]
    pub(super) fn share(&mut self, bytes: Bytes) {
        if !self.tail.is_empty() {
            self.copied += self.tail.len();
            self.parts.push_back(Part::Copied(std::mem::take(&mut self.tail).freeze()));
        }
        self.shared += bytes.len();
        self.parts.push_back(Part::Shared(bytes));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tail.is_empty() && self.parts.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.copied + self.shared + self.tail.len()
    }

    /// Bytes of copies, and bytes that are shared.
    #[cfg(feature = "server")]
    pub(super) fn split(&self) -> (usize, usize) {
        (self.copied + self.tail.len(), self.shared)
    }

    /// What is to be written first; as much as stands in one piece.
    pub(super) fn first(&self) -> &[u8] {
        match self.parts.front() {
            Some(Part::Copied(bytes) | Part::Shared(bytes)) => bytes,
            None => &self.tail,
        }
    }

    /// So many of the first bytes were written: no more than [`Unwritten::first`] has.
    pub(super) fn advance(&mut self, count: usize) {
        let (bytes, counted) = match self.parts.front_mut() {
            None => return self.tail.advance(count),
            Some(Part::Copied(bytes)) => (bytes, &mut self.copied),
            Some(Part::Shared(bytes)) => (bytes, &mut self.shared),
        };
        bytes.advance(count);
        *counted -= count;
        if bytes.is_empty() {
            self.parts.pop_front();
        }
    }

    /// Gives the room back once nothing waits.
    pub(super) fn give_back(&mut self) {
        debug_assert!(self.is_empty(), "what waits is kept");
        if self.parts.capacity() > 0 {
            self.parts = VecDeque::new();
        }
        // Given away whatever its capacity is, so that a burst leaves nothing behind. (The capacity
        // counts only from where it was read to, and would mislead.)
        let spare = std::mem::take(&mut self.tail);
        if spare.capacity() > 0 {
            SPARE.set(spare);
        }
    }
}

#[cfg(all(test, feature = "server"))]
mod tests {
    use super::*;

    fn take(unwritten: &mut Unwritten, at_a_time: usize) -> Vec<u8> {
        let mut written = Vec::new();
        while !unwritten.is_empty() {
            let first = unwritten.first();
            let count = first.len().min(at_a_time);
            written.extend_from_slice(&first[..count]);
            unwritten.advance(count);
            let (copied, shared) = unwritten.split();
            assert_eq!(copied + shared, unwritten.len());
        }
        written
    }

    #[test]
    fn what_is_shared_is_written_in_its_place_and_never_copied() {
        for at_a_time in [1, 2, 3, 100] {
            let (mut unwritten, long) = (Unwritten::default(), Bytes::from(vec![b'x'; 9]));
            unwritten.tail().extend_from_slice(b"one ");
            unwritten.share(long.clone());
            unwritten.share(long.slice(..3));
            unwritten.tail().extend_from_slice(b" two");
            assert_eq!((unwritten.split(), unwritten.len()), ((8, 12), 20));
            assert!(!long.is_unique(), "it is held as it is");
            assert_eq!(take(&mut unwritten, at_a_time), b"one xxxxxxxxxxxx two");
            assert!(long.is_unique(), "and let go when it is written");
            unwritten.give_back();
        }
    }
}
