//! The memory store under threads: it is the pure state, only with many shards and locks.
#![allow(clippy::panic, reason = "a test fails by panicking")]

mod crowd;
mod history;
mod same;
