//! Application errors: named on the wire like messages, so that a new one does not break old
//! clients (PROTOCOL.md 5.7). The protocol's own failures are not here, but in `CallError`.

use std::fmt;

use steadfast_schema as schema;

use super::body::{DecodeError, EncodeError};
use crate::wire::{Body, Codec, Name};

/// An enum of application errors: `#[ws(error)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an error enum of a steadfast protocol",
    label = "not an error enum",
    note = "add `#[derive(Debug, WsProtocol)]` and `#[ws(error)]` to it, or leave `error = ..` out if nothing fails"
)]
pub trait WsError: Sized + Send + Sync + fmt::Debug + 'static {
    /// What the derive found.
    const DESCRIPTION: &'static schema::ErrorEnum;

    /// The error's wire name and fields.
    ///
    /// # Errors
    /// When a field can't be serialized.
    fn encode(self, codec: Codec) -> Result<(Name, Body), EncodeError>;

    /// Reads an error. An unknown name becomes the `#[ws(unknown)]` variant.
    ///
    /// # Errors
    /// When the name is known and the body does not fit.
    fn decode(name: &str, body: &[u8], codec: Codec) -> Result<Self, DecodeError>;
}

/// The error of a protocol whose commands don't fail: there is no value of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoError {}

impl fmt::Display for NoError {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl std::error::Error for NoError {}

impl WsError for NoError {
    const DESCRIPTION: &'static schema::ErrorEnum =
        &schema::ErrorEnum { rust_name: "NoError", docs: "Nothing fails.", messages: &[] };

    fn encode(self, _: Codec) -> Result<(Name, Body), EncodeError> {
        match self {}
    }

    fn decode(name: &str, _: &[u8], _: Codec) -> Result<Self, DecodeError> {
        Err(DecodeError::new(format!(
            "the protocol declares no errors, and the server answered with `{name}`"
        )))
    }
}
