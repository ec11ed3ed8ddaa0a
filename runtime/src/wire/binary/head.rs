//! A frame as bytes, element by element: numbers as varints, names and words behind their length,
//! bodies as they are. Which elements a frame has is not said here.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::value::EMPTY_MAP;
use crate::wire::write::{Elements, RARE_BYTES};
use crate::wire::{Body, MAX_SEQUENCE, Name};

/// No head is longer than a kind, six numbers of 8 bytes, and a word of 15 behind its length; names
/// come on top.
const HEAD_BYTES: usize = 1 + 6 * 8 + 16 + 1;

/// A frame in the making.
pub(in crate::wire) struct Head<'a> {
    out: &'a mut BytesMut,
}

impl Head<'_> {
    /// Seven bits a byte, the lowest first (PROTOCOL.md 3.8).
    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.out.put_u8(number as u8 | 0x80);
            number >>= 7;
        }
        self.out.put_u8(number as u8);
    }

    fn string(mut self, text: &[u8]) -> Self {
        self.varint(text.len() as u64);
        self.out.put_slice(text);
        self
    }
}

impl<'a> Elements<'a> for Head<'a> {
    fn begin(out: &'a mut BytesMut, kind: u64, rest: usize) -> Self {
        debug_assert!(kind <= u8::MAX.into(), "kinds are bytes");
        out.reserve(HEAD_BYTES + rest);
        out.put_u8(kind as u8);
        Self { out }
    }

    fn number(mut self, number: u64) -> Self {
        self.varint(number.min(MAX_SEQUENCE));
        self
    }

    fn name(self, name: &Name) -> Self {
        self.string(name.as_bytes())
    }

    fn word(self, word: &'static str) -> Self {
        self.string(word.as_bytes())
    }

    fn body(self, body: &Body) {
        self.out.put_slice(if body.is_empty() { EMPTY_MAP } else { body.as_bytes() });
    }

    fn object(self, object: &impl Serialize) {
        self.out.reserve(RARE_BYTES);
        rmp_serde::encode::write_named(&mut self.out.writer(), object)
            .expect("structs of integers and strings, into memory");
    }

    fn end(self) {}
}
