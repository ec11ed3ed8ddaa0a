//! The client's end of a session: dialling, handshake, outbox, subscriptions. Every decision of a
//! client is made here; sockets, clocks and application types are not known here.

mod attachment;
mod backlog;
mod changes;
mod command;
mod config;
mod dialling;
mod entry;
mod exchange;
mod heartbeat;
mod inbox;
mod journal;
mod link;
mod load;
mod outbox;
mod recovery;
mod refusal;
mod router;
mod saving;
mod sequence;
mod status;
mod submission;
mod subscription;
mod subscriptions;
mod timer;
mod topic_volatiles;
mod types;
mod volatiles;

pub use command::Command;
pub use config::{Backoff, ClientConfig, JournalConfig};
pub use inbox::{Direct, Missed};
pub use load::ClientLoad;
pub use recovery::{Record, Recovered, Recovery};
pub use refusal::HttpRefusal;
pub use router::Client;
pub use types::{
    CallId, CallOutcome, ConnectionState, DialReason, Event, Fate, Gap, Item, Resumed, SaveNo,
    Saving, Status, SubId, Submission, SubmitError, SubscribeError, SubscriptionEnd,
    SubscriptionRequest,
};
