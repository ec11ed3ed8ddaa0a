//! A frame as JSON text, element by element: integers straight into the buffer, names and words
//! between quotes, bodies as they are. Which elements a frame has is not said here.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use crate::wire::write::{Elements, RARE_BYTES};
use crate::wire::{Body, MAX_SEQUENCE, Name};

/// No head is longer than a kind, six numbers of 16 digits, two quoted words, and the commas
/// between.
const HEAD_BYTES: usize = 3 + 6 * 17 + 2 * 16 + 1;

/// A frame in the making: one element after the other, each with a comma before it.
pub(in crate::wire) struct Head<'a> {
    out: &'a mut BytesMut,
}

impl<'a> Head<'a> {
    /// Neither names nor words contain anything that JSON would escape.
    fn quoted(self, text: &[u8]) -> Self {
        self.out.put_slice(b",\"");
        self.out.put_slice(text);
        self.out.put_u8(b'"');
        self
    }
}

impl<'a> Elements<'a> for Head<'a> {
    fn begin(out: &'a mut BytesMut, kind: u64, rest: usize) -> Self {
        out.reserve(HEAD_BYTES + rest);
        out.put_u8(b'[');
        let this = Self { out };
        this.out.put_slice(itoa::Buffer::new().format(kind).as_bytes());
        this
    }

    fn number(self, number: u64) -> Self {
        self.out.put_u8(b',');
        self.out.put_slice(itoa::Buffer::new().format(number.min(MAX_SEQUENCE)).as_bytes());
        self
    }

    fn name(self, name: &Name) -> Self {
        self.quoted(name.as_bytes())
    }

    fn word(self, word: &'static str) -> Self {
        self.quoted(word.as_bytes())
    }

    fn body(self, body: &Body) {
        self.out.put_u8(b',');
        self.out.put_slice(if body.is_empty() { b"{}" } else { body.as_bytes() });
        self.end();
    }

    fn object(self, object: &impl Serialize) {
        self.out.reserve(RARE_BYTES);
        self.out.put_u8(b',');
        serde_json::to_writer((&mut *self.out).writer(), object)
            .expect("structs of integers and strings, into memory");
        self.end();
    }

    fn end(self) {
        self.out.put_u8(b']');
    }
}
