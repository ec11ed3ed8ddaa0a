//! Where the head of the response to an upgrade ends, so that the library reads no frame with it.
//! Whether it is a good one is for the library to say.

/// Looks for the end of a response's head: an empty line.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseHead {
    /// Empty lines before it count for nothing.
    #[default]
    Before,
    /// Amid a line.
    Line,
    /// A line has ended, and nothing but a carriage return has come since.
    LineEnd,
    /// The rest is not the head's.
    Over,
}

impl ResponseHead {
    /// How many of these bytes, which come next, belong to it.
    pub(super) fn take(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            *self = match (*self, byte) {
                (Self::Over, _) => return at,
                (Self::Before, b'\r' | b'\n') => Self::Before,
                (Self::LineEnd, b'\r') => Self::LineEnd,
                (Self::LineEnd, b'\n') => Self::Over,
                (_, b'\n') => Self::LineEnd,
                (_, _) => Self::Line,
            };
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_ends_with_an_empty_line_in_whatever_pieces_it_comes() {
        let heads = ["HTTP/1.1 101 a\r\nb: c\r\n\r\n", "\r\n\nHTTP/1.1 101 a\nb: c\n\n"];
        for head in heads {
            let all = format!("{head}\r\n\r\n\u{81}");
            for size in 1..=all.len() {
                let (mut end, mut taken) = (ResponseHead::default(), 0);
                for piece in all.as_bytes().chunks(size) {
                    taken += end.take(piece);
                }
                assert_eq!(&all[..taken], head, "in pieces of {size}");
                assert_eq!(end, ResponseHead::Over);
            }
        }
    }
}
