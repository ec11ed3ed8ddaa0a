//! Everything that generated code may name, and nothing else. No stability is promised: the derive
//! and this module are released together.

#[cfg(feature = "client")]
mod call;
mod check;
#[cfg(feature = "server")]
mod hooks;
mod kept;
mod messages;

pub use bytes::Bytes;
#[cfg(feature = "schema")]
pub use schemars;
pub use serde;
pub use steadfast_schema as schema;

pub use crate::protocol::{
    ClientEnum, DecodeError, Direct, EncodeError, Expanded, Message, NoError, Publish, ServerEnum,
    SnapshotState, TopicKey, UnknownMessage, WsError, conflation_key, decode_body,
    decode_topic_key, encode_body, topic_key,
};
pub use crate::wire::{Body, Codec, Gap, Name, Position, ResumeFailure};
pub use crate::{__if_client as if_client, __if_server as if_server};
pub use check::assert_same_protocol;
pub use kept::assert_contract;
pub use messages::{Empty, decode_snapshot, error_name, undecoded};

#[cfg(feature = "client")]
pub use crate::client::{
    Builder as ClientBuilder, Call, Client, ClientStub, ConnectionState, Handling, Inbox,
    SnapshotReason, Status, Subscribe, TopicView,
};
#[cfg(feature = "client")]
pub use call::{call, volatile};
#[cfg(feature = "client")]
pub use tokio::sync::watch;

#[cfg(feature = "server")]
pub use crate::server::{
    BoxFuture, Builder as ServerBuilder, CommandHooks, Cx, Denied, Principal, SnapshotOutcome,
    TopicCx, TopicHooks, Transacts, Unauthorized,
};
#[cfg(feature = "server")]
pub use crate::session::store::Outcome;
#[cfg(feature = "server")]
pub use hooks::{
    Dispatch, authorized, message_id, no_snapshot, reply, service, snapshot_key, snapshot_outcome,
    unknown_message, unknown_topic,
};

/// Keeps generated client code where there is a client, drops it elsewhere: the derive can't see
/// this crate's features.
#[cfg(feature = "client")]
#[doc(hidden)]
#[macro_export]
macro_rules! __if_client {
    ($($item:tt)*) => { $($item)* };
}

/// Drops generated client code.
#[cfg(not(feature = "client"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __if_client {
    ($($item:tt)*) => {};
}

/// Keeps generated server code where there is a server, drops it elsewhere.
#[cfg(feature = "server")]
#[doc(hidden)]
#[macro_export]
macro_rules! __if_server {
    ($($item:tt)*) => { $($item)* };
}

/// Drops generated server code.
#[cfg(not(feature = "server"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __if_server {
    ($($item:tt)*) => {};
}
