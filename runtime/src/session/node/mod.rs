//! The server's end: attachments, sessions, lease and execution tables, topics and cursors. It
//! makes every decision of a server, and has neither sockets nor clocks, handlers nor storage,
//! which it reaches as data.
//!
//! The node is a router over machines, each with its own state: `seats` (who is there), `leases`
//! (what they have asked for), `topics` (what they follow), `appends` (what is on its way into a
//! log) and `effects` (what they cause).

pub mod admission;
mod answer;
mod appends;
mod config;
mod declared;
mod effects;
pub mod fault;
mod identity;
mod keys;
mod leases;
mod load;
mod route;
mod router;
mod seats;
mod topics;
mod types;

pub use config::{Heartbeat, NodeConfig};
pub use declared::{MessageKind, MessageSpec, TopicSpec};
pub use identity::{IdSpec, ReadId};
pub use load::{NodeLoad, NodePeaks};
pub use router::Node;
pub use types::{
    Attempt, ConnId, Denied, DirectMessage, ExecId, Executed, Execution, Identity, NodeEvent,
    Output, Principal, PublishError, PublishId, Recipient, Sent, StagedPublish, TopicVolatile,
};
