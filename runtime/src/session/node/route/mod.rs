//! From one machine to the next: what an input of the node means for each of them, in order. The
//! rules are the machines'.

mod commands;
mod direct;
mod drain;
mod executions;
mod handshake;
mod issue;
mod storage;
mod timeouts;
