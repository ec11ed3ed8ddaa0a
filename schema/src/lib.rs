//! A steadfast protocol as plain data: what `#[derive(WsProtocol)]` found, for servers, clients and
//! tools to read. It contains the description and its JSON Schema; it parses no Rust and writes no
//! files.

#[cfg(feature = "schema")]
mod json_schema;
mod model;

#[cfg(feature = "schema")]
pub use json_schema::{BodySchema, bodies};
pub use model::{
    ClientEnum, DEFAULT_MAX_BYTES, DEFAULT_REPLAY, DEFAULT_TIMEOUT_MS, DEFAULT_TTL_MS, ErrorEnum,
    Field, Kind, Message, MessageId, ServerEnum, Topic,
};
