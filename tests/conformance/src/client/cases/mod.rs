//! The cases for clients, one file for each section of PROTOCOL.md.

mod cancels;
mod closing;
mod codecs;
mod commands;
mod frames;
mod inbox;
mod leases;
mod outbox;
mod processes;
mod reactions;
mod session;
mod topics;
mod topics_flow;
mod transport;

use super::trial::Trial;
use crate::case::Case;

/// All cases, by file.
pub(super) const ALL: &[&[Case<Trial>]] = &[
    transport::CASES,
    frames::CASES,
    codecs::CASES,
    session::CASES,
    inbox::CASES,
    commands::CASES,
    cancels::CASES,
    leases::CASES,
    outbox::CASES,
    processes::CASES,
    topics::CASES,
    topics_flow::CASES,
    closing::CASES,
    reactions::CASES,
];
