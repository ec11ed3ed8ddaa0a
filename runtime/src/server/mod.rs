//! A server for a protocol: handlers behind a router for axum, or alone on a port. Keeps sockets,
//! tasks and timers around the node; every decision of the protocol is
//! [`crate::session::node`]'s.

#[cfg(feature = "test")]
mod alone;
mod answer;
mod auth;
mod builder;
mod connection;
mod cx;
mod declared;
mod engine;
mod env;
mod execute;
mod gate;
mod handle;
mod message_id;
mod news;
mod publication;
mod registry;
mod serve;
mod service;
mod settings;
mod start;
mod state;
mod storing;
mod timer;
mod transact;
mod transacts;
#[cfg(test)]
mod turns;
mod upgrade;
mod wanted;
mod work;

#[cfg(feature = "test")]
pub(crate) use alone::{Alone, AloneParts, topic_cx};
pub(crate) use answer::answer;
pub use auth::{Credentials, bearer};
pub use builder::{AccessDecided, Builder, Decided, Undecided};
pub use cx::{Cx, IdempotencyKey, TopicCx};
pub use handle::{PublishError, Server};
pub(crate) use message_id::message_id;
pub use publication::EncodeFailure;
pub use registry::Unwritten;
pub(crate) use service::no_snapshot;
pub use service::{BoxFuture, CommandHooks, Service, SnapshotOutcome, TopicHooks, Unauthorized};
pub use settings::Limits;
pub use transact::{HandlerResult, Publishing};
pub use transacts::Transacts;

/// What [`Server::serve_listener`] accepts connections from; axum's.
pub use axum::serve::Listener;

pub use crate::session::Build;
pub use crate::session::node::{
    Attempt, Denied, Heartbeat, Identity, NodeConfig, NodeLoad, Principal, Recipient, Sent,
};
pub use crate::transport::TransportConfig;
pub use crate::wire::{ResumeFailure, Verdict};
