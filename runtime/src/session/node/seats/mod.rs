//! Who is there: attachments with their handshakes and signs of life, and the sessions that outlive
//! them. It knows leases and topics by key only, and ends nothing that is theirs.

mod attachment;
mod crowd;
mod frames;
mod handshake;
mod life;
mod session;
mod state;

pub(super) use attachment::{Leasing, Phase};
pub(super) use crowd::Vacancy;
pub(super) use frames::{Accept, Sequenced, WRONG_ACK, Written};
pub(super) use handshake::{Found, Opening, Replaced};
pub(super) use life::Beat;
pub(super) use session::Unsent;
pub(super) use state::Seats;
