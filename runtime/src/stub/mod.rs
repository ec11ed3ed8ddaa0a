//! What generated code implements and calls. Owns the border between a protocol's types and the
//! drivers: traits without state, and helpers that turn a message into bytes and back. Refuses
//! protocol decisions, tasks and sockets.
//!
//! Users read these traits in error messages and bounds; they never implement them by hand.
//! Generated code reaches everything through [`crate::private`].

mod body;
mod check;
#[cfg(feature = "client")]
mod client;
mod error;
mod message;
#[cfg(feature = "server")]
mod server;
mod topic;

pub use body::{
    DecodeError, EncodeError, conflation_key, decode_body, decode_reply, encode_body, encode_reply,
};
pub use check::assert_same_protocol;
#[cfg(feature = "client")]
pub use client::{ClientStub, call, volatile};
pub use error::{Empty, NoError, WsError, error_name};
pub use message::{ClientEnum, Message, Reply, ServerEnum, UnknownMessage, undecoded};
#[cfg(feature = "server")]
pub use server::{
    BoxFuture, CommandHooks, Dispatch, Service, SnapshotOutcome, TopicHooks, Unauthorized,
    authorized, no_snapshot, reply, service, snapshot_key, snapshot_outcome, unknown_message,
    unknown_topic,
};
pub use topic::{
    GapItem, Publish, SnapshotState, TopicKey, decode_snapshot, decode_topic_key, topic_key,
};
