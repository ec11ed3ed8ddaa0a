//! For how long a socket may go without progress: of what waits to be written, and of a message
//! that is being read. It counts no bytes itself, and closes nothing.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;

use super::config::TransportConfig;
use crate::host;

/// What a driver waits for on a socket, and how long.
pub(super) struct Patience {
    write: Duration,
    slow_write: Duration,
    message: Duration,
    stall: Option<Stall>,
    /// Until when the message that has begun must be complete.
    complete: Option<Pin<Box<Sleep>>>,
}

/// Something waits to be written, and the peer takes nothing.
struct Stall {
    written: u64,
    received: u64,
    /// For a peer that says nothing either.
    silent: Pin<Box<Sleep>>,
    /// For one that says something.
    slow: Pin<Box<Sleep>>,
}

impl Patience {
    pub(super) const fn new(config: &TransportConfig) -> Self {
        Self {
            write: config.write_timeout,
            slow_write: config.slow_write_timeout,
            message: config.message_timeout,
            stall: None,
            complete: None,
        }
    }

    /// Nothing waits to be written.
    pub(super) fn all_written(&mut self) {
        self.stall = None;
    }

    /// Ready when the peer has taken nothing for too long. `written` and `received` count all bytes
    /// so far.
    pub(super) fn poll_stall(
        &mut self,
        cx: &mut Context<'_>,
        written: u64,
        received: u64,
    ) -> Poll<()> {
        let (write, slow_write) = (self.write, self.slow_write);
        let fresh = || Stall {
            written,
            received,
            silent: host::sleep(write),
            slow: host::sleep(slow_write),
        };
        let stall = self.stall.get_or_insert_with(fresh);
        if stall.written != written {
            *stall = fresh();
        }
        if stall.received != received {
            // What was written may be on its way still: the buffers beneath a socket are large.
            stall.received = received;
            stall.silent = host::sleep(write);
        }
        if stall.slow.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        stall.silent.as_mut().poll(cx)
    }

    /// A message is complete.
    pub(super) fn message_ended(&mut self) {
        self.complete = None;
    }

    /// Ready when a message has taken too long to arrive. `amid`: one has begun.
    pub(super) fn poll_message(&mut self, cx: &mut Context<'_>, amid: bool) -> Poll<()> {
        if !amid {
            self.complete = None;
            return Poll::Pending;
        }
        let limit = self.message;
        self.complete.get_or_insert_with(|| host::sleep(limit)).as_mut().poll(cx)
    }
}
