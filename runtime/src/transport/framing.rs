//! A server's messages (RFC 6455 5.2), written past the library: they are not masked, so nothing
//! has to be copied for it. Other frames, and everything that is read, are the library's.

use bytes::BytesMut;

use super::gate::Form;

/// Appends one unmasked message (RFC 6455 5.2) whose payload `encode` appends.
pub(super) fn unmasked(out: &mut BytesMut, form: Form, encode: impl FnOnce(&mut BytesMut)) {
    // Room for the middle one of the three lengths of a head. The payload moves if it needs
    // another.
    let start = out.len();
    out.extend_from_slice(&[form.first_byte(), 126, 0, 0]);
    encode(out);
    let payload = start + 4..out.len();
    if let Ok(short) = u8::try_from(payload.len())
        && short < 126
    {
        out[start + 1] = short;
        out.copy_within(payload.clone(), start + 2);
        out.truncate(start + 2 + payload.len());
    } else if let Ok(middle) = u16::try_from(payload.len()) {
        out[start + 2..start + 4].copy_from_slice(&middle.to_be_bytes());
    } else {
        let length = payload.len() as u64;
        out.extend_from_slice(&[0; 6]);
        out.copy_within(payload, start + 10);
        out[start + 1] = 127;
        out[start + 2..start + 10].copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends the head of an unmasked message with a payload of `length` bytes, which follows.
pub(super) fn head(out: &mut BytesMut, form: Form, length: usize) {
    out.extend_from_slice(&[form.first_byte()]);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => out.extend_from_slice(&[short]),
        (_, Ok(middle)) => {
            out.extend_from_slice(&[126]);
            out.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            out.extend_from_slice(&[127]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(length: usize) -> BytesMut {
        let mut out = BytesMut::from(&b"before"[..]);
        unmasked(&mut out, Form::Text, |out| out.extend_from_slice(&vec![b'x'; length]));
        out
    }

    #[test]
    fn each_head_length_is_followed_by_the_whole_payload() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            let out = framed(length);
            let head = &out["before".len()..];
            let (skip, told) = match head[1] {
                127 => {
                    (10, u64::from_be_bytes(head[2..10].try_into().expect("eight bytes")) as usize)
                }
                126 => (4, usize::from(u16::from_be_bytes([head[2], head[3]]))),
                short => (2, usize::from(short)),
            };
            assert_eq!((head[0], told, head.len() - skip), (0x81, length, length));
            assert!(head[skip..].iter().all(|b| *b == b'x'));
        }
    }

    #[test]
    fn a_head_alone_is_the_same_as_before_a_payload() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            let mut head = BytesMut::from(&b"before"[..]);
            super::head(&mut head, Form::Text, length);
            assert_eq!(head[..], framed(length)[..head.len()], "{length}");
            assert_eq!(framed(length).len(), head.len() + length);
        }
    }
}
