//! The test kit tested: each fault really happens, each wait is bounded and says what it waited
//! for, and a seed repeats a run.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::panic)]

mod board;
mod contexts;
mod lines;
mod servers;
mod stores;
mod waits;
