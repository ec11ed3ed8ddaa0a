//! The client's end of a session: dialling, handshake, outbox, subscriptions. Every decision of a
//! client is made here; sockets, clocks and application types are not known here.

mod attachment;
mod backlog;
mod command;
mod config;
mod dialling;
mod exchange;
mod heartbeat;
mod link;
mod load;
mod outbox;
mod refusal;
mod router;
mod sequence;
mod status;
mod subscription;
mod subscriptions;
mod timer;
mod types;
mod volatiles;

pub use config::{Backoff, ClientConfig};
pub use load::ClientLoad;
pub use refusal::HttpRefusal;
pub use router::Client;
pub use types::{
    CallId, CallOutcome, ConnectionState, DialReason, Event, Fate, Gap, Item, Status, SubId,
    Submission, SubmitError, SubscribeError, SubscriptionEnd, SubscriptionRequest,
};
