//! What generated messages and errors call to be read and named. The enums' own traits are
//! [`crate::protocol`]'s.

use bytes::Bytes;

use crate::protocol::{DecodeError, EncodeError, Message, UnknownMessage, decode_body};
use crate::wire::{Codec, Name};

/// The fields of a unit variant: none, and room for later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Empty {}

/// A wire name, checked.
///
/// # Errors
/// When it breaks PROTOCOL.md 3.4: only for an error that came in as unknown and goes out again.
pub fn error_name(name: impl Into<Bytes>) -> Result<Name, EncodeError> {
    let name = Name::from_bytes(name.into()).filter(|name| !name.is_empty());
    name.ok_or_else(|| EncodeError::new("the error's name is not a wire name"))
}

/// The unknown variant's content.
#[must_use]
pub fn undecoded(name: &str, body: &[u8], error: DecodeError) -> UnknownMessage {
    let error = (error != DecodeError::UNKNOWN_NAME).then(|| error.to_string());
    UnknownMessage { name: name.to_owned(), body: Bytes::copy_from_slice(body), error }
}

/// Reads a snapshot under one of its names.
///
/// # Errors
/// When the name is another one's, or the body does not fit.
pub fn decode_snapshot<M: Message>(
    names: &[&str],
    name: &str,
    body: &[u8],
    codec: Codec,
) -> Result<M, DecodeError> {
    if !names.contains(&name) {
        return Err(DecodeError::UNKNOWN_NAME);
    }
    decode_body(body, codec)
}
