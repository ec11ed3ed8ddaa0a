//! The cases for servers, one file for each section of PROTOCOL.md.

mod cancels;
mod closing;
mod codecs;
mod commands;
mod directs;
mod frames;
mod handshake;
mod ids;
mod leases;
mod order;
mod records;
mod resume;
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
    handshake::CASES,
    session::CASES,
    resume::CASES,
    directs::CASES,
    commands::CASES,
    leases::CASES,
    order::CASES,
    cancels::CASES,
    records::CASES,
    ids::CASES,
    topics::CASES,
    topics_flow::CASES,
    closing::CASES,
];
