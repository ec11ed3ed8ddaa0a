//! The tokio client and server on turmoil's simulated hosts: real drivers and real tasks, but a
//! virtual network and virtual time. A seed decides what clients do and what happens to them, and
//! repeats it.
//!
//! [`stage`] has the hosts, [`plan`] says what goes wrong and when, [`ledger`] has what every side
//! noted, and what follows from it. The ledger looks at outcomes and items only. It knows nothing
//! of the protocol, so that a fault of the protocol can't hide in it.
//!
//! Some things still differ between two runs of a seed, but change nothing that is noted: WebSocket
//! keys and masks, which tungstenite draws from the operating system; HTTP's `Date`; the order in
//! which tokio wakes several waiters of one `watch`; and the order in which it drops the tasks of a
//! process that dies, for which the stage makes up. The drivers keep no hash map, and their
//! `select!`s are `biased`, since tokio would draw the order without a seed.
#![allow(clippy::disallowed_methods, reason = "the hosts are simulated, and so is their clock")]

pub mod client;
pub mod ledger;
pub mod network;
pub mod plan;
pub mod protocol;
pub mod server;
pub mod stage;
