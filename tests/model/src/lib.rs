//! A model checker's look at the production cores: every order of deliveries, store answers,
//! handler ends, timers, cuts and crashes, in configurations small enough to try them all. It says
//! what is explored and what must hold. It does not describe the protocol a second time: clients,
//! nodes and the store are those of production ([`state::State`]).
//!
//! A state is a whole system between two steps. A step makes one thing happen and carries out every
//! output of the cores it touched. [`ledger`] has the rules; each is a property of every state.
//! [`marks`] shows that an exploration was not about nothing. [`state`] says what became of time,
//! [`fingerprint`] when two states are the same one.

pub mod action;
mod configurations;
mod explore;
pub mod fingerprint;
pub mod ledger;
pub mod marks;
pub mod mistake;
pub mod model;
pub mod settings;
pub mod state;
mod world;

pub use configurations::configurations;
pub use explore::{Configuration, Explored, Progress, Size, Violation};
