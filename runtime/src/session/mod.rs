//! The pure core: every decision of both session ends and of the node, without clock, socket, task
//! or global randomness.
//!
//! Input goes in by `handle_*` with `now`; output is taken by `poll_*` until there is none. Store
//! and handlers are data: [`node::Node::poll_output`] says what is
//! to be done, `handle_store` and `handle_executed` what came of it. The same code runs under the
//! tokio drivers, in the simulator and under a model checker.

pub mod client;
mod close;
mod contracts;
mod held;
pub mod node;
mod now;
mod random;
pub mod store;
mod table;

pub use crate::wire::CloseCode;
pub use close::{Close, Reaction};
pub use contracts::{Build, Contracts, Fit};
pub use now::Now;
pub(crate) use now::millis;
pub use random::Random;
