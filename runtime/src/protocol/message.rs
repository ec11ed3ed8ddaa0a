//! Messages and the enums that list them, and the message that this build does not know. Nothing
//! here delivers any.

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use steadfast_schema as schema;

use super::error::WsError;
use crate::wire::Codec;

/// A message's struct: what travels as a body under a wire name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a message of a steadfast protocol",
    note = "message structs are made by `#[derive(WsProtocol)]`, one per variant: `ChatCommand::Post` has `ChatCommandPost`"
)]
pub trait Message: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its wire name (PROTOCOL.md 3.4).
    const NAME: &'static str;
}

/// What a request may reply with: anything that serde can write and read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the reply of a request",
    label = "can't travel",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`; a reply owns its data and is `Send`"
)]
pub trait Reply: Serialize + DeserializeOwned + Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned + Send + 'static> Reply for T {}

/// An enum of the messages that clients send: `#[ws(client, ..)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the client enum of a steadfast protocol",
    note = "add `#[derive(WsProtocol)]` and `#[ws(client, protocol = \"..\", version = \"..\", server = ..)]` to it"
)]
pub trait ClientEnum: Sized + Send + 'static {
    /// What the derive found.
    const DESCRIPTION: &'static schema::ClientEnum;
    /// What the server of the same protocol sends.
    type ServerEnum: ServerEnum;
    /// What commands fail with.
    type Error: WsError;
}

/// An enum of the messages that a server sends: `#[ws(server, ..)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not the server enum of a steadfast protocol",
    label = "not a server enum",
    note = "add `#[derive(WsProtocol)]` and `#[ws(server, protocol = \"..\")]` to it"
)]
pub trait ServerEnum: Sized + Send + 'static {
    /// What the derive found.
    const DESCRIPTION: &'static schema::ServerEnum;
    /// Reads a message. Never fails: an unknown name, or a body that does not fit, becomes the
    /// `#[ws(unknown)]` variant.
    fn decode(name: &str, body: &[u8], codec: Codec) -> Self;
}

/// A message that this build can't read, as it came: a newer peer knows more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownMessage {
    /// Its wire name.
    pub name: String,
    /// Its fields, not looked into, in the client's codec.
    pub body: Bytes,
    /// Why a message of a known name could not be read; `None` when the name itself is unknown.
    pub error: Option<String>,
}
