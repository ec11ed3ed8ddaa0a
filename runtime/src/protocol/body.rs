//! Bodies: a message's fields as bytes, in the codec of an attachment (PROTOCOL.md 3.5). Says what
//! counts as an empty body; knows nothing of the frames around it.

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _, IgnoredAny, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::finite;
use crate::wire::{self, Body, Codec};

/// A value that its own `Serialize` could not write, or that is not a message: the sender's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("can't be encoded: {reason}")]
pub struct EncodeError {
    reason: String,
}

impl EncodeError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<serde_json::Error> for EncodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Bytes that do not fit the type that they are read as: the peer's fault, or a version that this
/// build does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(transparent)]
pub struct DecodeError(Reason);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("no message has that name")]
    UnknownName,
    #[error("can't be decoded: {0}")]
    Body(String),
}

impl DecodeError {
    /// The name itself is unknown: the peer is of another version.
    pub const UNKNOWN_NAME: Self = Self(Reason::UnknownName);

    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(Reason::Body(reason.into()))
    }

    /// The client enum has no message of this index that could be asked like this.
    #[cfg(feature = "server")]
    pub(crate) fn unknown_message(message: u16) -> Self {
        Self::new(format!("the protocol has no message {message} of this kind"))
    }
}

impl From<serde_json::Error> for DecodeError {
    fn from(error: serde_json::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Encodes a message's fields.
///
/// # Errors
/// When `Serialize` fails, a number is not finite and the codec is JSON, or it makes something else
/// than an object (PROTOCOL.md 3.5), such as a newtype around a number.
pub fn encode_body<M: Serialize>(message: &M, codec: Codec) -> Result<Body, EncodeError> {
    let body = encode_reply(message, codec)?;
    let object = match codec {
        Codec::Json => body.as_bytes().first() == Some(&b'{'),
        Codec::Binary => wire::is_map(body.as_bytes()),
    };
    if object {
        return Ok(body);
    }
    Err(EncodeError::new(
        "the body of a message is a map of fields; wrap the value in a struct with a named field",
    ))
}

/// Encodes a reply, which may be any value.
///
/// # Errors
/// When `Serialize` fails, or a number is not finite and the codec is JSON.
pub fn encode_reply<R: Serialize>(reply: &R, codec: Codec) -> Result<Body, EncodeError> {
    let mut text = TEXT.take();
    text.clear();
    match codec {
        Codec::Json => finite::to_writer(&mut text, reply)?,
        Codec::Binary => finite::to_message_pack(&mut text, reply)?,
    }
    Ok(retained(text))
}

/// The longest text whose room a thread keeps for the next one. A longer text keeps its own: were
/// its room kept here instead, it would stand at the end of the heap after a burst, and the heap
/// could not shrink.
const TEXT_BYTES: usize = 512;

thread_local! {
    /// Where the bodies of a thread are written, one after another.
    static TEXT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bodies are kept until they are acknowledged, and shared meanwhile: the shortest need no
/// allocation, a short one a single one with its count, and a longer one has no more room than
/// bytes.
fn retained(text: Vec<u8>) -> Body {
    if text.capacity() > TEXT_BYTES {
        return Bytes::from(text.into_boxed_slice()).into();
    }
    let mut bytes = [0; SHORT_BYTES];
    let body = match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
        (Some(room), Ok(len)) if text.len() > Body::SHORT_BYTES => {
            room.copy_from_slice(&text);
            Bytes::from_owner(Short { len, bytes }).into()
        }
        _ => Body::copy_from(&text),
    };
    TEXT.set(text);
    body
}

struct Short {
    len: u8,
    bytes: [u8; SHORT_BYTES],
}

/// Most replies are an id or a few fields.
const SHORT_BYTES: usize = 63;

impl AsRef<[u8]> for Short {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

/// Decodes a message's fields. An absent body and `null` count as `{}`, so that a message may get
/// its first optional field.
///
/// # Errors
/// When the bytes don't fit, or are not an object (PROTOCOL.md 3.5): serde would read a struct from
/// an array too.
pub fn decode_body<M: DeserializeOwned>(body: &[u8], codec: Codec) -> Result<M, DecodeError> {
    let object = match codec {
        Codec::Json => body.trim_ascii_start().first() == Some(&b'{'),
        Codec::Binary => wire::is_map(body),
    };
    if object {
        return decode(body, codec);
    }
    if is_nothing(body, codec) {
        return decode(codec.unit().as_bytes(), codec);
    }
    Err(DecodeError::new("the body of a message is an object"))
}

/// Decodes a reply. `{}`, `null` and an absent body all read as `()` (PROTOCOL.md 5.7).
///
/// # Errors
/// When the bytes don't fit; why they don't as they came.
pub fn decode_reply<R: DeserializeOwned>(body: &[u8], codec: Codec) -> Result<R, DecodeError> {
    let (unit, null) = (codec.unit(), null(codec));
    if is_nothing(body, codec) {
        return decode(null, codec).or_else(|why| decode(unit.as_bytes(), codec).map_err(|_| why));
    }
    match decode(body, codec) {
        Err(why) if decode::<NoMembers>(body, codec).is_ok() => {
            decode(null, codec).map_err(|_: DecodeError| why)
        }
        result => result,
    }
}

/// A map without members, however it is written: with spaces in it, or in MessagePack with its length
/// in one byte, three or five.
struct NoMembers;

impl<'de> Deserialize<'de> for NoMembers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = NoMembers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an empty map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NoMembers, A::Error> {
                match map.next_key::<IgnoredAny>()? {
                    None => Ok(NoMembers),
                    Some(_) => Err(A::Error::invalid_type(Unexpected::Map, &self)),
                }
            }
        }
        deserializer.deserialize_map(Members)
    }
}

fn is_nothing(body: &[u8], codec: Codec) -> bool {
    match codec {
        Codec::Json => matches!(body.trim_ascii(), b"" | b"null"),
        Codec::Binary => body.is_empty() || body == null(codec),
    }
}

/// What stands for nothing.
const fn null(codec: Codec) -> &'static [u8] {
    match codec {
        Codec::Json => b"null",
        Codec::Binary => &[0xc0],
    }
}

fn decode<T: DeserializeOwned>(body: &[u8], codec: Codec) -> Result<T, DecodeError> {
    match codec {
        // Checked once as a whole: a slice would have each string in it checked.
        Codec::Json => match std::str::from_utf8(body) {
            Ok(text) => Ok(serde_json::from_str(text)?),
            Err(error) => Err(DecodeError::new(error.to_string())),
        },
        Codec::Binary => wire::read_value(body).map_err(DecodeError::new),
    }
}

/// What a volatile is conflated by: a tuple of references to its `latest_by` fields, as text.
///
/// # Errors
/// When `Serialize` fails, or a number is not finite.
pub fn conflation_key<T: Serialize>(fields: &T) -> Result<String, EncodeError> {
    finite::to_string(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Ping {}

    #[test]
    fn absent_null_and_empty_bodies_decode_as_a_message_without_fields() {
        for body in ["", "null", "{}", " { } ", r#"{"later": 1}"#] {
            assert_eq!(decode_body::<Ping>(body.as_bytes(), Codec::Json), Ok(Ping {}), "{body:?}");
        }
    }

    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Post {
        room: u64,
    }

    #[test]
    fn an_array_of_a_messages_fields_is_not_that_message() {
        assert_eq!(decode_body(b" {\"room\":7}", Codec::Json), Ok(Post { room: 7 }));
        assert!(decode_body::<Post>(b"[7]", Codec::Json).is_err());
        assert!(decode_body::<Ping>(b"[]", Codec::Json).is_err());
    }

    #[test]
    fn a_message_that_is_not_a_map_is_refused() {
        assert!(encode_body(&7, Codec::Json).is_err());
        assert_eq!(encode_body(&Ping {}, Codec::Json), Ok(Body::UNIT));
    }

    #[test]
    fn a_reply_without_value_is_unit() {
        for body in ["", "null", "{}", " { \n} "] {
            assert_eq!(decode_reply::<()>(body.as_bytes(), Codec::Json), Ok(()), "{body:?}");
        }
        // `{}` with its length in one byte, in two more, and in four more.
        let maps: [&[u8]; 3] = [&[0x80], &[0xde, 0, 0], &[0xdf, 0, 0, 0, 0]];
        for body in [&[][..], &[0xc0]].into_iter().chain(maps) {
            assert_eq!(decode_reply::<()>(body, Codec::Binary), Ok(()), "{body:?}");
        }
        assert!(decode_reply::<()>(&[0x81, 0x01, 0x02], Codec::Binary).is_err());
        assert_eq!(decode_reply::<u64>(b"7", Codec::Json), Ok(7));
        assert_eq!(decode_reply::<Option<u64>>(b"null", Codec::Json), Ok(None));
        assert!(decode_reply::<u64>(b"{}", Codec::Json).is_err());
    }

    #[test]
    fn the_reason_is_about_what_came() {
        for (body, told) in [("null", "invalid type: null"), ("{}", "invalid type: map")] {
            let error = decode_reply::<f64>(body.as_bytes(), Codec::Json).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_number_that_json_does_not_have_is_refused_with_its_fields_name() {
        #[derive(serde::Serialize)]
        struct Moved {
            by: (f64, f64),
        }
        let moved = Moved { by: (0.0, f64::NAN) };
        let told = "can't be encoded: `by[]` is NaN, and JSON has no such number";
        assert_eq!(encode_body(&moved, Codec::Json).unwrap_err().to_string(), told);
        assert_eq!(conflation_key(&(&moved,)).unwrap_err().to_string().matches("NaN").count(), 1);
        // What failed leaves nothing behind.
        assert_eq!(encode_body(&Ping {}, Codec::Json), Ok(Body::UNIT));
    }
}
