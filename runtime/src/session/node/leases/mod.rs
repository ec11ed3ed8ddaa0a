//! Producer leases and their execution tables: which command is accepted, which one runs, what
//! its outcome is (PROTOCOL.md section 5). It knows sessions by key only, and reaches neither
//! handlers nor topics.

mod asking;
mod cancels;
mod commands;
mod commits;
mod decisions;
mod fence;
mod holders;
mod issue;
mod lease;
mod message_ids;
mod order;
mod places;
mod queue;
mod slot;
mod state;

pub(super) use asking::Found;
pub(super) use commands::{Arrival, Offer, Room};
pub(super) use commits::Committed;
pub(super) use fence::Fenced;
pub(super) use holders::Grant;
pub(super) use state::Leases;
