//! A steadfast protocol as plain data: what `#[derive(WsProtocol)]` found, for servers, clients and
//! tools to read. It contains the description, its JSON Schema, and the contract that follows from
//! both; it parses no Rust and writes no files.

mod contract;
#[cfg(feature = "schema")]
mod json_schema;
mod model;

pub use contract::{Contract, ContractError};
#[cfg(feature = "schema")]
pub use json_schema::json_schemas;
#[cfg(feature = "schema")]
pub use model::Describe;
pub use model::{
    ClientEnum, DEFAULT_MAX_BYTES, DEFAULT_REPLAY, DEFAULT_TIMEOUT_MS, DEFAULT_TTL_MS, ErrorEnum,
    Field, Kind, Message, MessageId, ServerEnum, Topic,
};
