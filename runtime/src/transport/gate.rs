//! Where a peer's frames begin and end (RFC 6455 5.2). Whole messages of the attachment's form are
//! found here, and unmasked where they lie; every other frame is the library's, and what it means
//! is not known here.

use std::ops::Range;

use tokio_tungstenite::tungstenite::protocol::Role;

use crate::wire::Codec;

/// What is kept of a message that is passed over: enough for kind and topic.
const MESSAGE_HEAD: usize = 48;
/// A final frame of text (RFC 6455 5.2).
const TEXT: u8 = 0x81;
/// A final frame of bytes.
const BINARY: u8 = 0x82;
/// The bit of frames that are not messages or parts of them.
const CONTROL: u8 = 0x08;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// What messages consist of on a socket (PROTOCOL.md 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Bytes,
}

impl Form {
    /// The first byte of a frame that is a whole message.
    pub(super) const fn first_byte(self) -> u8 {
        match self {
            Self::Text => TEXT,
            Self::Bytes => BINARY,
        }
    }
}

impl From<Codec> for Form {
    fn from(codec: Codec) -> Self {
        match codec {
            Codec::Json => Self::Text,
            Codec::Binary => Self::Bytes,
        }
    }
}

/// Stands between a socket and the library.
#[derive(Debug)]
pub(super) struct Gate {
    /// Which end this is: the other one is a client, which masks, or is none.
    role: Role,
    form: Form,
    /// The longest message that is taken.
    limit: u64,
    /// A longer message does not wait here until it is whole: the library has a buffer of its
    /// length.
    most: u64,
    inside: Inside,
    /// The library has the beginning of a message in fragments, and not its end.
    fragments: bool,
}

/// Which part of a frame comes next.
#[derive(Debug)]
enum Inside {
    Head,
    /// So many bytes of one that is the library's.
    Library(u64),
    /// So many bytes of one that is passed over, and its first ones.
    TooLong(u64, Vec<u8>),
}

/// What the bytes at the front of a buffer are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// Too few of the next frame to do anything with.
    Partial,
    /// A message: its payload is here, unmasked, and ends where the next frame begins.
    Message(Range<usize>),
    /// So many are the library's.
    Library(usize),
    /// So many are of a message that is passed over; with them comes its beginning, if they are the
    /// last ones.
    TooLong(usize, Option<Vec<u8>>),
}

impl Gate {
    pub(super) const fn new(role: Role, form: Form, limit: u64, most: u64) -> Self {
        Self { role, form, limit, most, inside: Inside::Head, fragments: false }
    }

    /// Of the messages that are handed out.
    pub(super) const fn form(&self) -> Form {
        self.form
    }

    /// Changes how long messages may be from here on.
    pub(super) const fn set_limit(&mut self, limit: u64) {
        self.limit = limit;
    }

    /// Whether a message has begun that is not handed out here.
    pub(super) const fn is_amid_message(&self) -> bool {
        self.fragments || !matches!(self.inside, Inside::Head)
    }

    /// What is at the front of these bytes, which follow those that were handed out.
    pub(super) fn front(&mut self, bytes: &mut [u8]) -> Front {
        match &mut self.inside {
            Inside::Head => self.frame(bytes),
            Inside::Library(left) => {
                let count = count(*left, bytes.len());
                *left -= count as u64;
                if *left == 0 {
                    self.inside = Inside::Head;
                }
                Front::Library(count)
            }
            Inside::TooLong(left, beginning) => {
                let count = count(*left, bytes.len());
                *left -= count as u64;
                let more = count.min(MESSAGE_HEAD - beginning.len());
                beginning.extend_from_slice(&bytes[..more]);
                if *left > 0 {
                    return Front::TooLong(count, None);
                }
                let beginning = std::mem::take(beginning);
                self.inside = Inside::Head;
                Front::TooLong(count, Some(beginning))
            }
        }
    }

    fn frame(&mut self, bytes: &mut [u8]) -> Front {
        let Some(head) = FrameHead::read(bytes) else { return Front::Partial };
        let payload = head.payload;
        let whole = head.first == self.form.first_byte();
        if whole && !self.fragments && self.expects(&head) && payload <= self.limit {
            if payload <= self.most {
                return message(bytes, &head);
            }
        } else if self.is_passed_over(&head) {
            self.inside = Inside::TooLong(payload, Vec::new());
            return Front::TooLong(head.length, None);
        } else if head.first & CONTROL == 0 {
            self.fragments = head.first & FINAL == 0;
        }
        self.inside = Inside::Library(payload.saturating_add(head.length as u64));
        self.front(bytes)
    }

    /// Whether it is masked as this peer's frames have to be.
    fn expects(&self, head: &FrameHead) -> bool {
        head.mask.is_some() == (self.role == Role::Server)
    }

    /// A server refuses what is too long, and closes. A client passes it over: what comes after it
    /// may fit.
    fn is_passed_over(&self, head: &FrameHead) -> bool {
        self.role == Role::Client
            && matches!(head.first, TEXT | BINARY)
            && !self.fragments
            && self.expects(head)
            && head.payload > self.limit
    }
}

fn count(left: u64, here: usize) -> usize {
    usize::try_from(left).map_or(here, |left| left.min(here))
}

/// The head of a frame (RFC 6455 5.2).
struct FrameHead {
    first: u8,
    length: usize,
    mask: Option<[u8; 4]>,
    payload: u64,
}

impl FrameHead {
    /// `None` if it is not complete.
    fn read(bytes: &[u8]) -> Option<Self> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (extended, payload) = match second & !MASKED {
            126 => (2, u64::from(u16::from_be_bytes(*rest.first_chunk()?))),
            127 => (8, u64::from_be_bytes(*rest.first_chunk()?)),
            short => (0, u64::from(short)),
        };
        let (length, mask) = match second & MASKED {
            0 => (2 + extended, None),
            _ => (6 + extended, Some(*rest.get(extended..)?.first_chunk()?)),
        };
        Some(Self { first: *first, length, mask, payload })
    }
}

/// A message, if the whole of it is here.
fn message(bytes: &mut [u8], head: &FrameHead) -> Front {
    let Ok(payload) = usize::try_from(head.payload) else { return Front::Partial };
    let payload = head.length..head.length.saturating_add(payload);
    let Some(masked) = bytes.get_mut(payload.clone()) else { return Front::Partial };
    if let Some(mask) = head.mask {
        unmask(masked, mask);
    }
    Front::Message(payload)
}

/// Takes a mask off, or puts it on: sixteen bytes at a time.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u128::from_ne_bytes([a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d]);
    let (chunks, rest) = bytes.as_chunks_mut::<16>();
    for chunk in chunks {
        *chunk = (u128::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, letter: u8) -> Vec<u8> {
        let mut frame = vec![TEXT];
        match length {
            0..126 => frame.push(length as u8),
            126..65_536 => {
                frame.push(126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(letter, length));
        frame
    }

    /// What comes of bytes in pieces of this size: each message, and of those that are passed over
    /// the beginning.
    fn heard(all: &[u8], size: usize) -> Vec<(bool, Vec<u8>)> {
        let mut gate = Gate::new(Role::Client, Form::Text, 1_000, 4_000);
        let (mut heard, mut ahead) = (Vec::new(), Vec::new());
        for piece in all.chunks(size) {
            ahead.extend_from_slice(piece);
            while !ahead.is_empty() {
                let used = match gate.front(&mut ahead) {
                    Front::Partial => break,
                    Front::Library(_) => unreachable!("nothing here is the library's"),
                    Front::TooLong(count, None) => count,
                    Front::TooLong(count, Some(beginning)) => {
                        heard.push((false, beginning));
                        count
                    }
                    Front::Message(payload) => {
                        heard.push((true, ahead[payload.clone()].to_vec()));
                        payload.end
                    }
                };
                ahead.drain(..used);
            }
        }
        heard
    }

    #[test]
    fn a_client_passes_over_what_is_too_long_whatever_the_pieces_in_which_it_comes() {
        let sent = [(3, b'a'), (1_001, b'b'), (0, b'-'), (900, b'c'), (70_000, b'd'), (5, b'e')];
        let all: Vec<u8> =
            sent.iter().flat_map(|(length, letter)| frame(*length, *letter)).collect();
        let wanted: Vec<_> = sent
            .iter()
            .map(|(length, letter)| match *length <= 1_000 {
                true => (true, vec![*letter; *length]),
                false => (false, vec![*letter; MESSAGE_HEAD]),
            })
            .collect();
        for size in [1, 2, 3, 7, 500, 4_096, all.len()] {
            assert_eq!(heard(&all, size), wanted, "in pieces of {size}");
        }
    }

    #[test]
    fn a_mask_is_taken_off_every_byte() {
        for length in 0..40 {
            let mut bytes: Vec<u8> =
                (0..length).map(|byte| byte ^ [9, 7, 5, 3][byte as usize % 4]).collect();
            unmask(&mut bytes, [9, 7, 5, 3]);
            assert!(bytes.iter().copied().eq(0..length));
        }
    }
}
