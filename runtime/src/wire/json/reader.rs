//! One pass over the bytes of a frame: brackets, commas, integers, names, and the body as whatever
//! is left. It knows where it stands, for error messages, and allocates only for a string with
//! escapes.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::wire::read::Elements;
use crate::wire::{FrameError, MAX_SEQUENCE};

/// The most digits that a number within range can have.
const MAX_DIGITS: usize = 16;

pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl<'a> Reader<'a> {
    /// A message, after its kind.
    pub(super) fn begin(message: &'a [u8]) -> Result<(u64, Self), FrameError> {
        let mut this = Self { bytes: message, at: 0 };
        this.take(b'[', "expected an opening bracket")?;
        let kind = this.number()?;
        Ok((kind, this))
    }

    fn skip_space(&mut self) {
        while self.bytes.get(self.at).copied().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// Steps over white space and then `byte`.
    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), FrameError> {
        self.skip_space();
        if self.bytes.get(self.at) != Some(&byte) {
            return self.malformed(what);
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn comma(&mut self) -> Result<(), FrameError> {
        self.take(b',', "expected a comma")
    }

    /// A plain integer in the range of sequences (PROTOCOL.md 1.6).
    fn number(&mut self) -> Result<u64, FrameError> {
        self.skip_space();
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let (mut count, mut value) = (0, 0_u64);
        while let Some(digit) =
            rest.get(count).map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit <= 9)
        {
            if count == MAX_DIGITS {
                return self.malformed("number out of range");
            }
            // 16 digits stay below 2^64.
            value = value * 10 + u64::from(digit);
            count += 1;
        }
        match count {
            0 => return self.malformed("expected a plain integer"),
            2.. if rest.first() == Some(&b'0') => {
                return self.malformed("a number has no leading zeros");
            }
            _ if value > MAX_SEQUENCE => return self.malformed("number out of range"),
            _ => self.at += count,
        }
        Ok(value)
    }
}

// Each element has a comma before it.
impl<'a> Elements<'a> for Reader<'a> {
    fn at(&self) -> usize {
        self.at
    }

    fn next_number(&mut self) -> Result<u64, FrameError> {
        self.comma()?;
        self.number()
    }

    /// As it stands between its quotes.
    fn next_name(&mut self, may_be_empty: bool) -> Result<&'a [u8], FrameError> {
        self.comma()?;
        self.take(b'"', "expected a name")?;
        let rest = &self.bytes[self.at..];
        let Some(len) = rest.iter().position(|byte| *byte == b'"') else {
            return self.malformed("expected the end of a name");
        };
        if len == 0 && !may_be_empty {
            return self.malformed("expected a name, not nothing");
        }
        let name = &rest[..len];
        self.at += len + 1;
        Ok(name)
    }

    /// Borrowed unless it has escapes.
    fn next_string(&mut self) -> Result<Cow<'a, str>, FrameError> {
        self.comma()?;
        self.take(b'"', "expected a string")?;
        let rest = &self.bytes[self.at..];
        let mut len = 0;
        let mut escapes = false;
        loop {
            match rest.get(len) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escapes = true;
                    len += 2;
                }
                Some(_) => len += 1,
                None => return self.malformed("expected the end of a string"),
            }
        }
        let quoted = &self.bytes[self.at - 1..=self.at + len];
        let text = if escapes {
            serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned)
        } else {
            serde_json::from_slice::<&str>(quoted).ok().map(Cow::Borrowed)
        };
        let Some(text) = text else { return self.malformed("expected a string") };
        self.at += len + 1;
        Ok(text)
    }

    /// Everything up to the frame's closing bracket, without the white space around it.
    fn next_rest(&mut self) -> Result<&'a [u8], FrameError> {
        self.comma()?;
        self.skip_space();
        let rest = trim_end(&self.bytes[self.at..]);
        let Some((b']', rest)) = rest.split_last() else {
            self.at = self.bytes.len();
            return self.malformed("expected the closing bracket");
        };
        let rest = trim_end(rest);
        if rest.is_empty() { self.malformed("expected a last element") } else { Ok(rest) }
    }

    fn next_object<T: DeserializeOwned>(&mut self) -> Result<T, FrameError> {
        let object = self.next_rest()?;
        serde_json::from_slice(object)
            .or_else(|_| self.malformed("the object does not fit its kind"))
    }

    fn close(&mut self) -> Result<(), FrameError> {
        self.take(b']', "expected the closing bracket")?;
        self.skip_space();
        if self.at == self.bytes.len() {
            Ok(())
        } else {
            self.malformed("expected the end of the message")
        }
    }

    /// It must end as a frame does.
    fn ignore_rest(&mut self) -> Result<(), FrameError> {
        self.skip_space();
        if self.bytes.get(self.at) == Some(&b',') {
            self.next_rest().map(drop)
        } else {
            self.close()
        }
    }
}

fn trim_end(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|byte| !is_space(*byte)).map_or(0, |last| last + 1);
    &bytes[..len]
}
