//! One socket of a session (PROTOCOL.md 1.1): how far its handshake has got, its signs of life,
//! and the frames that wait for nothing but the socket.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::session::node::effects::{Effects, Timer};
use crate::session::node::keys::Seat;
use crate::session::node::types::{ConnId, ExecId, Principal};
use crate::session::{Build, Close, CloseCode, Now};
use crate::wire::{Codec, Hello, LeaseId, ServerFrame};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Attachment {
    pub(super) codec: Codec,
    pub(super) phase: Phase,
    pub(super) life: Life,
    pub(super) timers: Deadlines,
    pub(super) ack_due: bool,
    /// Its driver knows that there is something to transmit.
    pub(super) woken: bool,
    /// Its driver is taking what there is to transmit.
    pub(super) asked: bool,
    /// Exchanges may be repeated: a sequence that was accepted already is dropped, not an error.
    pub(super) rewindable: bool,
    pub(super) volatiles_running: u32,
    /// What the client was built from, as its HELLO says.
    pub(super) client: Arc<Build>,
    /// The longest message that the client takes, as its HELLO says.
    pub(super) message_bytes: Option<u32>,
    /// Frames that wait for nothing but the socket.
    control: VecDeque<ServerFrame>,
}

/// How far an attachment has got.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// No HELLO yet.
    Silent,
    /// The authentication hook runs.
    Authenticating { hello: Box<Hello>, exec: ExecId },
    /// The store is asked for the lease.
    Leasing(Box<Leasing>),
    /// WELCOME was sent.
    Attached(Seat),
}

/// An attachment that waits for its lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Leasing {
    pub(crate) hello: Hello,
    pub(crate) principal: Principal,
    /// The id that the store is asked to issue; `None` while the client's own is being claimed.
    pub(crate) fresh: Option<LeaseId>,
}

impl Leasing {
    /// The lease that is being claimed.
    pub(crate) fn claimed(&self) -> Option<LeaseId> {
        self.hello.lease.as_ref().map(|claim| claim.id)
    }
}

/// When the peer was heard last, when it was told something, and how many pings it owes
/// (PROTOCOL.md 9.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Life {
    pub(super) heard: Now,
    pub(super) said: Now,
    pub(super) missed: u32,
    pub(super) pings: u64,
}

/// What is armed for a socket, so that it ends with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Deadlines {
    pub(super) handshake: Option<Now>,
    pub(super) heartbeat: Option<Now>,
    pub(super) ack: Option<Now>,
    pub(super) credentials: Option<Now>,
}

impl Deadlines {
    pub(super) fn disarm(&self, conn: ConnId, fx: &mut Effects) {
        fx.disarm(self.handshake, Timer::Handshake(conn));
        fx.disarm(self.heartbeat, Timer::Heartbeat(conn));
        fx.disarm(self.ack, Timer::Ack(conn));
        fx.disarm(self.credentials, Timer::Credentials(conn));
    }
}

impl Attachment {
    pub(super) fn new(now: Now, codec: Codec) -> Self {
        Self {
            codec,
            phase: Phase::Silent,
            life: Life { heard: now, said: now, missed: 0, pings: 0 },
            timers: Deadlines::default(),
            ack_due: false,
            woken: false,
            asked: false,
            rewindable: false,
            volatiles_running: 0,
            client: Arc::default(),
            message_bytes: None,
            control: VecDeque::new(),
        }
    }

    pub(super) const fn seat(&self) -> Option<Seat> {
        match self.phase {
            Phase::Attached(seat) => Some(seat),
            _ => None,
        }
    }

    pub(super) const fn hears(&mut self, now: Now) {
        self.life.heard = now;
        self.life.missed = 0;
    }

    /// Queues a frame.
    ///
    /// # Errors
    /// A peer that makes us owe it more than its subscriptions can explain does not read.
    pub(super) fn control(&mut self, frame: ServerFrame, limit: usize) -> Result<(), Close> {
        if self.control.len() >= limit {
            return Err(Close::new(CloseCode::SLOW, "answers pile up unread"));
        }
        self.control.push_back(frame);
        Ok(())
    }

    /// A pong is answered before anything else that waits (PROTOCOL.md 9.2).
    pub(super) fn control_first(&mut self, frame: ServerFrame, limit: usize) -> Result<(), Close> {
        self.control(frame, limit)?;
        self.control.rotate_right(1);
        Ok(())
    }

    pub(super) fn next_control(&mut self) -> Option<ServerFrame> {
        self.control.pop_front()
    }

    pub(super) fn controls(&self) -> usize {
        self.control.len()
    }
}
