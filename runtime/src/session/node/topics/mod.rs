//! Topics that this node holds: the tails of their logs, the cursors of their subscribers, their
//! snapshots (PROTOCOL.md section 7). It knows connections by name only: what it has for one it
//! returns, or keeps until that connection asks.

mod cursor;
mod deliver;
mod earlier;
mod entries;
mod follow;
mod heads;
mod kept;
mod read;
mod room;
mod shares;
mod snapshots;
mod state;
mod topic;

pub(super) use follow::{Following, Subscriber};
pub(super) use state::{Notices, Topics};
