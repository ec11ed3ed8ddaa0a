//! The memory store under threads: it is the pure state, only with many shards and locks.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod crowd;
mod history;
mod pages;
mod same;
