//! What the end-to-end tests share: a tiny protocol, an application that counts what it does, and a
//! stage with a server and a proxy in front of it. Sockets are real, on free ports, and nothing
//! sleeps to wait.

#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

mod application;
mod protocol;
mod stage;
mod tail;

pub use application::App;
pub use protocol::*;
pub use stage::{Decidedly, Stage, Watch, eventually, quick, within};
pub use tail::{follow_tail, hears};
