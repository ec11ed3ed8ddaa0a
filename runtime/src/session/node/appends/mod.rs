//! What is published and not yet in its log: publications of settled records and from outside any
//! command, one append per topic at a time, so that order holds under retries (PROTOCOL.md 5.6).
//! Where an event lands, and who is told, is not looked into here.

mod state;
mod sweep;

pub(super) use state::Appends;
