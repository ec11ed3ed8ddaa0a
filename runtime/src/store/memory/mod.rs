//! The memory store: everything in one process, and gone with it. Each operation is carried out at
//! once, and a commit appends its publications in the same step. Time comes in from outside;
//! nothing else does.

mod admin;
mod append;
mod bounds;
mod bytes;
mod commit;
mod decisions;
mod handle;
mod idle;
mod ids;
mod imported;
mod leases;
mod limits;
mod locked;
mod news;
mod operation;
mod people;
mod records;
mod run;
mod shards;
mod shared;
mod shares;
mod state;
#[cfg(test)]
mod tests;
mod topics;

pub use bytes::{MemoryBytes, MemoryPeaks};
pub use handle::MemoryStore;
pub use limits::MemoryLimits;
pub use state::MemoryState;
