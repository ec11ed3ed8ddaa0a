//! Keeps messages that are too long from a client's WebSocket library, which could only give up the
//! socket over them: in the place of each it puts a short binary one with its first bytes. It knows
//! where frames of RFC 6455 begin and end, and nothing else of them.

use std::collections::VecDeque;

/// The longest head of a frame: two bytes, a length of eight, a mask of four.
const FRAME_HEAD: usize = 14;
/// What is kept of a message that is left out: enough for kind and topic.
const MESSAGE_HEAD: usize = 48;
/// A binary message without fragments (RFC 6455 5.2).
const BINARY: u8 = 0x82;

/// Stands between a socket and the library.
#[derive(Debug)]
pub(super) struct Sieve {
    /// The longest message that is let through.
    limit: u64,
    /// The head of a frame, of which the rest has not come.
    partial: Vec<u8>,
    inside: Inside,
    /// The messages that it has put in, so that they can be told from the server's.
    heads: VecDeque<Vec<u8>>,
}

/// Which part of a frame comes next.
#[derive(Debug)]
enum Inside {
    Head,
    /// So many bytes of a payload that is let through.
    Kept(u64),
    /// So many bytes of one that is not, and its first ones.
    Dropped(u64, Vec<u8>),
}

impl Sieve {
    pub(super) const fn new(limit: u64) -> Self {
        Self { limit, partial: Vec::new(), inside: Inside::Head, heads: VecDeque::new() }
    }

    /// Whether a binary message is the next one that was put in here.
    pub(super) fn has_put_in(&mut self, message: &[u8]) -> bool {
        let its_own = self.heads.front().is_some_and(|head| head == message);
        if its_own {
            self.heads.pop_front();
        }
        its_own
    }

    /// What of these bytes may pass; `None`: all as they are, which costs a look at each frame's
    /// head.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut at = 0;
        let changes = !self.partial.is_empty() || matches!(self.inside, Inside::Dropped(..));
        let mut kept: Option<Vec<u8>> = changes.then(Vec::new);
        while at < bytes.len() {
            let rest = &bytes[at..];
            match &mut self.inside {
                Inside::Kept(left) => {
                    let count = count(*left, rest.len());
                    *left -= count as u64;
                    if let Some(kept) = &mut kept {
                        kept.extend_from_slice(&rest[..count]);
                    }
                    at += count;
                    if *left == 0 {
                        self.inside = Inside::Head;
                    }
                }
                Inside::Dropped(left, head) => {
                    let count = count(*left, rest.len());
                    *left -= count as u64;
                    let more = count.min(MESSAGE_HEAD - head.len());
                    head.extend_from_slice(&rest[..more]);
                    at += count;
                    if *left == 0 {
                        let head = std::mem::take(head);
                        if let Some(kept) = &mut kept {
                            kept.extend([BINARY, head.len() as u8]);
                            kept.extend_from_slice(&head);
                        }
                        self.heads.push_back(head);
                        self.inside = Inside::Head;
                    }
                }
                Inside::Head => {
                    let had = self.partial.len();
                    let want = rest.len().min(FRAME_HEAD - had);
                    self.partial.extend_from_slice(&rest[..want]);
                    let Some(frame) = FrameHead::read(&self.partial) else {
                        // Whether it passes is known when the rest of it has come.
                        kept.get_or_insert_with(|| bytes[..at].to_vec());
                        return kept;
                    };
                    let head = std::mem::take(&mut self.partial);
                    at += frame.length - had;
                    if frame.is_data && frame.payload > self.limit {
                        kept.get_or_insert_with(|| bytes[..at - (frame.length - had)].to_vec());
                        self.inside = Inside::Dropped(frame.payload, Vec::new());
                    } else {
                        if let Some(kept) = &mut kept {
                            kept.extend_from_slice(&head[..frame.length]);
                        }
                        self.inside = Inside::Kept(frame.payload);
                    }
                }
            }
        }
        kept
    }
}

fn count(left: u64, here: usize) -> usize {
    usize::try_from(left).map_or(here, |left| left.min(here))
}

/// The head of a frame (RFC 6455 5.2).
struct FrameHead {
    length: usize,
    payload: u64,
    /// A whole message of text or bytes; fragments and control frames are none.
    is_data: bool,
}

impl FrameHead {
    /// `None` if it is not complete.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, second) = (*bytes.first()?, *bytes.get(1)?);
        let (begins, payload) = match second & 0x7f {
            126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        let length = begins + if second & 0x80 == 0 { 0 } else { 4 };
        let is_data = matches!(first & 0x8f, 0x81 | 0x82);
        (bytes.len() >= length).then_some(Self { length, payload, is_data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, letter: u8) -> Vec<u8> {
        let mut frame = vec![0x81];
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

    /// Whatever the pieces in which they come.
    #[test]
    fn a_long_message_becomes_a_short_one_in_its_place() {
        let short = [frame(3, b'a'), frame(0, b'-'), frame(900, b'c'), frame(1_000, b'e')];
        let long = [frame(1_001, b'b'), frame(70_000, b'd')];
        let all = [&short[0], &long[0], &short[1], &short[2], &long[1], &short[3]];
        let all: Vec<u8> = all.into_iter().flatten().copied().collect();
        let instead = |letter| {
            let mut frame = frame(MESSAGE_HEAD, letter);
            frame[0] = BINARY;
            frame
        };
        let (b, d) = (instead(b'b'), instead(b'd'));
        let wanted = [&short[0], &b, &short[1], &short[2], &d, &short[3]];
        let wanted: Vec<u8> = wanted.into_iter().flatten().copied().collect();
        for size in [1, 2, 3, 7, 500, 4_096, all.len()] {
            let mut sieve = Sieve::new(1_000);
            let mut passed = Vec::new();
            for piece in all.chunks(size) {
                passed.extend(sieve.pass(piece).unwrap_or_else(|| piece.to_vec()));
            }
            assert_eq!(passed, wanted, "in pieces of {size}");
            assert!(!sieve.has_put_in(&[b'd'; MESSAGE_HEAD]), "they come in their order");
            assert!(sieve.has_put_in(&[b'b'; MESSAGE_HEAD]));
            assert!(sieve.has_put_in(&[b'd'; MESSAGE_HEAD]));
            assert!(!sieve.has_put_in(&[b'd'; MESSAGE_HEAD]));
        }
    }

    #[test]
    fn what_is_short_enough_is_not_copied() {
        let mut sieve = Sieve::new(1_000);
        let bytes = [frame(1_000, b'a'), frame(126, b'b'), frame(2, b'c')].concat();
        assert_eq!(sieve.pass(&bytes), None);
        assert_eq!(sieve.pass(&bytes[..500]), None);
        assert_eq!(sieve.pass(&bytes[500..]), None);
    }
}
