//! What the machines of a node cause: outputs in the order of their causes, timers, and what is
//! under way outside. It decides nothing about any of them.

mod executions;
mod failing;
mod operations;
mod state;
mod timers;

pub(super) use executions::Running;
pub(super) use operations::{Operation, Purpose};
pub(super) use state::{Effect, Effects, key_of, op_id};
pub(super) use timers::Timer;
