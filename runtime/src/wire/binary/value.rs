//! MessagePack as it travels (PROTOCOL.md 3.9): one value, whole and with nothing after it, of
//! bounded depth. It knows nothing of messages.

use rmp_serde::Deserializer;
use serde::de::DeserializeOwned;

/// The map without members.
pub(super) const EMPTY_MAP: &[u8] = &[0x80];

/// As deep as JSON bodies may be, which are bounded by serde_json.
const MAX_DEPTH: usize = 128;

/// Whether a value is a map, if it is one at all.
pub(crate) fn is_map(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(0x80..=0x8f | 0xde | 0xdf))
}

/// Reads a value.
///
/// # Errors
/// Why it does not fit, for people.
pub(crate) fn read_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    // Before anything is allocated for it: a length that is a lie would be believed.
    if extent(bytes) != Some(bytes.len()) {
        return Err("it is not one whole MessagePack value".to_owned());
    }
    let mut reader = Deserializer::from_read_ref(bytes).with_human_readable();
    reader.set_max_depth(MAX_DEPTH);
    T::deserialize(&mut reader).map_err(|error| error.to_string())
}

/// Where the first value ends; `None` if it is cut short, or is none. Every step takes a byte at
/// least, so this takes no longer than the message is long.
fn extent(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut open) = (0_usize, 1_u64);
    while open > 0 {
        let marker = *bytes.get(at)?;
        let wide = |width: usize| -> Option<u64> {
            let length = bytes.get(at + 1..at + 1 + width)?;
            Some(length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
        };
        // How long the marker is with its length or number, the bytes that follow, and the values.
        let (head, follow, inside) = match marker {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (1, 0, 0),
            0x80..=0x8f => (1, 0, 2 * u64::from(marker & 0x0f)),
            0x90..=0x9f => (1, 0, u64::from(marker & 0x0f)),
            0xa0..=0xbf => (1, u64::from(marker & 0x1f), 0),
            0xc4 | 0xd9 => (2, wide(1)?, 0),
            0xc5 | 0xda => (3, wide(2)?, 0),
            0xc6 | 0xdb => (5, wide(4)?, 0),
            0xc7 => (2, wide(1)? + 1, 0),
            0xc8 => (3, wide(2)? + 1, 0),
            0xc9 => (5, wide(4)? + 1, 0),
            0xcc | 0xd0 => (2, 0, 0),
            0xcd | 0xd1 => (3, 0, 0),
            0xca | 0xce | 0xd2 => (5, 0, 0),
            0xcb | 0xcf | 0xd3 => (9, 0, 0),
            0xd4..=0xd8 => (2, 1 << (marker - 0xd4), 0),
            0xdc => (3, 0, wide(2)?),
            0xdd => (5, 0, wide(4)?),
            0xde => (3, 0, 2 * wide(2)?),
            0xdf => (5, 0, 2 * wide(4)?),
            0xc1 => return None,
        };
        at = at.checked_add(head)?.checked_add(usize::try_from(follow).ok()?)?;
        open = open - 1 + inside;
        // Each value that is still to come has a byte.
        if at as u64 + open > bytes.len() as u64 {
            return None;
        }
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_ends_where_it_says() {
        let whole: [&[u8]; 12] = [
            &[0x07],
            &[0xc0],
            &[0x80],
            &[0x81, 0xa1, b'a', 0x92, 0x01, 0xcb, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xa3, b'a', b'b', b'c'],
            &[0xd9, 1, b'a'],
            &[0xc4, 2, 0, 0],
            &[0xc7, 1, 5, 9],
            &[0xd8, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xdc, 0, 1, 0xc2],
            &[0xdf, 0, 0, 0, 1, 0x01, 0x02],
            &[0xd3, 0, 0, 0, 0, 0, 0, 0, 1],
        ];
        for value in whole {
            assert_eq!(extent(value), Some(value.len()), "{value:x?}");
            for cut in 0..value.len() {
                assert_eq!(extent(&value[..cut]), None, "{value:x?} up to {cut}");
            }
            assert_eq!(extent(&[value, &[0xff]].concat()), Some(value.len()), "{value:x?}");
        }
        assert_eq!(extent(&[0xc1]), None);
    }

    #[test]
    fn what_follows_a_value_is_an_error_and_so_is_a_length_that_is_a_lie() {
        assert_eq!(read_value::<Vec<u8>>(&[0x92, 1, 2]), Ok(vec![1, 2]));
        assert!(read_value::<Vec<u8>>(&[0x92, 1, 2, 3]).is_err());
        assert!(read_value::<Vec<u64>>(&[0xdd, 0xff, 0xff, 0xff, 0xff, 1]).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        #[derive(Debug, serde::Deserialize)]
        struct Nested(#[expect(dead_code, reason = "it is only read")] Vec<Self>);
        let nested = |depth| [vec![0x91; depth], vec![0x90]].concat();
        assert!(read_value::<Nested>(&nested(100)).is_ok());
        assert!(read_value::<Nested>(&nested(100_000)).is_err());
    }
}
