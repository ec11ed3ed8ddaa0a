//! Everything that generated code may name, and nothing else. No stability is promised: the derive
//! and this module are released together.

#[cfg(feature = "schema")]
pub use schemars;
pub use serde;
pub use steadfast_schema as schema;

pub use crate::session::client::Gap;
#[cfg(feature = "server")]
pub use crate::session::node::{Denied, Principal};
#[cfg(feature = "server")]
pub use crate::session::store::Outcome;
pub use crate::stub::*;
pub use crate::wire::{Codec, Name};
pub use crate::{__if_client as if_client, __if_server as if_server};
pub use bytes::Bytes;

#[cfg(feature = "client")]
pub use crate::client::{
    Builder as ClientBuilder, Call, Client, ConnectionState, Status, Subscribe,
};
#[cfg(feature = "server")]
pub use crate::server::{Builder as ServerBuilder, Cx, TopicCx};
#[cfg(feature = "client")]
pub use tokio::sync::watch;

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
