//! One pass over the bytes of a frame: varints, names and strings behind their length, and the body
//! as whatever is left. Each length is held against what is there before anything is done with it,
//! and nothing is allocated.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use super::value::read_value;
use crate::wire::read::Elements;
use crate::wire::{FrameError, MAX_NAME_BYTES, MAX_SEQUENCE};

/// The most bytes that a number within range can have: 53 bits, seven in each.
const MAX_VARINT: usize = 8;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// A message, after its kind.
    pub(super) fn begin(message: &'a [u8]) -> Result<(u64, Self), FrameError> {
        match message {
            [kind, ..] => Ok(((*kind).into(), Self { bytes: message, at: 1 })),
            [] => Err(FrameError::Malformed { at: 0, what: "expected a kind" }),
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// So many bytes.
    fn take(&mut self, length: u64, what: &'static str) -> Result<&'a [u8], FrameError> {
        let taken = usize::try_from(length).ok().and_then(|length| self.rest().get(..length));
        let Some(taken) = taken else { return self.malformed(what) };
        self.at += taken.len();
        Ok(taken)
    }
}

impl<'a> Elements<'a> for Reader<'a> {
    fn at(&self) -> usize {
        self.at
    }

    fn next_number(&mut self) -> Result<u64, FrameError> {
        let mut value = 0_u64;
        for (count, byte) in self.rest().iter().take(MAX_VARINT).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * count);
            if byte & 0x80 == 0 {
                if *byte == 0 && count > 0 {
                    return self.malformed("a number is as short as it can be");
                }
                if value > MAX_SEQUENCE {
                    return self.malformed("number out of range");
                }
                self.at += count + 1;
                return Ok(value);
            }
        }
        self.malformed("expected a number within range")
    }

    fn next_name(&mut self, may_be_empty: bool) -> Result<&'a [u8], FrameError> {
        match self.next_number()? {
            0 if !may_be_empty => self.malformed("expected a name, not nothing"),
            length if length <= MAX_NAME_BYTES as u64 => self.take(length, "expected a name"),
            _ => self.malformed("a name is 1 to 64 of a-z A-Z 0-9 _ . -"),
        }
    }

    fn next_string(&mut self) -> Result<Cow<'a, str>, FrameError> {
        let length = self.next_number()?;
        let text = self.take(length, "expected a string")?;
        let text = std::str::from_utf8(text).map(Cow::Borrowed);
        text.or_else(|_| self.malformed("a string is UTF-8"))
    }

    fn next_rest(&mut self) -> Result<&'a [u8], FrameError> {
        match self.rest() {
            [] => self.malformed("expected a body"),
            rest => Ok(rest),
        }
    }

    fn next_object<T: DeserializeOwned>(&mut self) -> Result<T, FrameError> {
        read_value(self.rest()).or_else(|_| self.malformed("the map does not fit its kind"))
    }

    fn close(&mut self) -> Result<(), FrameError> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            self.malformed("expected the end of the message")
        }
    }

    /// Whatever it is.
    fn ignore_rest(&mut self) -> Result<(), FrameError> {
        Ok(())
    }
}
