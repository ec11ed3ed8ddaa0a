//! Where a text stands in a source file, wherever rustfmt breaks its lines. Compares characters,
//! and knows no Rust beyond what a word is.

use std::ops::Range;

/// A text without its white space, but for a space between two words; and where each of its bytes
/// stood.
struct Squeezed {
    bytes: Vec<u8>,
    at: Vec<usize>,
}

impl Squeezed {
    fn new(text: &str) -> Self {
        let (mut bytes, mut at) = (Vec::new(), Vec::new());
        let mut parted = false;
        for (index, byte) in text.bytes().enumerate() {
            if byte.is_ascii_whitespace() {
                parted = true;
                continue;
            }
            if std::mem::take(&mut parted) && bytes.last().is_some_and(is_word) && is_word(&byte) {
                bytes.push(b' ');
                at.push(index);
            }
            bytes.push(byte);
            at.push(index);
        }
        Self { bytes, at }
    }
}

fn is_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii()
}

/// Every place of a text in a source, as bytes of the source. It begins and ends with whole words.
pub(crate) fn find(source: &str, wanted: &str) -> Vec<Range<usize>> {
    let (source, wanted) = (Squeezed::new(source), Squeezed::new(wanted).bytes);
    let (Some(first), Some(last)) = (wanted.first(), wanted.last()) else { return Vec::new() };
    let goes_on = |edge: &u8, beyond: Option<&u8>| is_word(edge) && beyond.is_some_and(is_word);
    let is_whole = |start: usize, end: usize| {
        let before = start.checked_sub(1).and_then(|before| source.bytes.get(before));
        !(goes_on(first, before) || goes_on(last, source.bytes.get(end)))
    };
    let windows = source.bytes.windows(wanted.len()).enumerate();
    windows
        .filter(|(start, window)| *window == wanted && is_whole(*start, start + wanted.len()))
        .map(|(start, _)| source.at[start]..source.at[start + wanted.len() - 1] + 1)
        .collect()
}
