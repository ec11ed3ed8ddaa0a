//! The tokio client and server on turmoil's simulated hosts: real drivers, real tasks, virtual
//! network and time. A seed decides what clients do and what befalls them, and repeats it.
//!
//! [`stage`] is the hosts, [`plan`] what goes wrong when, [`ledger`] what every side noted and what
//! may be concluded from that. The ledger looks at outcomes and items only: it knows nothing of the
//! protocol, so that a fault of the protocol can't hide in it.
//!
//! What still differs between two runs of a seed, and changes nothing that is noted: WebSocket keys
//! and masks, which tungstenite draws from the operating system; HTTP's `Date`; the order in which
//! tokio wakes several waiters of one `watch`; and the order in which it drops the tasks of a
//! process that dies, for which the stage makes up. The drivers keep no hash map, and their
//! `select!`s on the way are `biased`: tokio draws the order of others without a seed.
#![allow(clippy::disallowed_methods, reason = "the hosts are simulated, and so is their clock")]

pub mod client;
pub mod ledger;
pub mod network;
pub mod plan;
pub mod protocol;
pub mod server;
pub mod stage;
