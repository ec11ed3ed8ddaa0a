//! What is published and not yet in its log: publications of settled records and from outside any
//! command. One append per topic is under way at a time and carries all that waits, so that order
//! holds under retries (PROTOCOL.md 5.6). Where an event lands, and who is told, is not looked into
//! here.

mod answers;
mod settling;
mod shares;
mod state;
mod sweep;

pub(super) use state::Appends;
