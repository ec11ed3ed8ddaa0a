//! What both drivers and the memory store need of the outside world: a clock, a seed, tasks, a
//! guard around foreign code and a wake flag. Knows nothing of sockets, and decides nothing.

mod clock;
mod guard;
mod seed;
mod tasks;
mod wake;

pub(crate) use clock::Clock;
#[cfg(feature = "server")]
pub(crate) use clock::instant;
pub(crate) use guard::Guarded;
#[cfg(feature = "server")]
pub(crate) use guard::{Panicked, guarded};
pub(crate) use seed::seed;
#[cfg(feature = "client")]
pub(crate) use tasks::{BoxFuture, sleep_until};
pub(crate) use tasks::{sleep, spawn};
pub(crate) use wake::WakeFlag;
