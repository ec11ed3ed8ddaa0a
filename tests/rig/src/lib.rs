//! What every test of the core needs, whatever it is after: names and bodies, the one way to take a
//! core's outputs, the rules by name, random operations on a store, and a naive opinion of a
//! topic's log. It judges nothing: the simulator, the model checker, the fuzz targets and the unit
//! tests keep their own accounts.

pub mod dice;
pub mod fixtures;
pub mod pump;
mod rules;
pub mod topic_log;

pub use rules::Rule;
