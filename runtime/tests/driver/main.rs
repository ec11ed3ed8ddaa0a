//! Both drivers against each other and against hostile peers, over real sockets.
#![allow(missing_docs, unreachable_pub)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, clippy::panic)]

mod calls;
mod cancels;
mod chat;
mod decisions;
mod drains;
mod faults;
mod limits;
mod lives;
mod outages;
#[cfg(feature = "outbox")]
mod outbox;
mod proxy;
mod slow_lines;
mod topics;
mod transports;
