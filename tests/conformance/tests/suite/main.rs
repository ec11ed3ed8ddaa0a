//! Our server and our client before the suite, as they are and with mistakes.

#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod client;
mod ours;
mod program;
mod server;
mod wrong_clients;
mod wrong_servers;
