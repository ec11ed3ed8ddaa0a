//! The client's half of a session: sequences, acks, and the replay buffer (PROTOCOL.md section 4).
//! It keeps what was sent and not acknowledged; what a command means it does not know.

use std::collections::VecDeque;

use super::config::ClientConfig;
use super::types::CallId;
use crate::wire::{Body, CommandNo, Name, Resume, ResumeToken, Seq, SessionId, Window};

/// A command that the server has not acknowledged. Its entry in the outbox may be gone: a result
/// can overtake the acknowledgement of a second transmission, but a sequence once given must be
/// sent again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) seq: Seq,
    pub(super) call: CallId,
    pub(super) n: CommandNo,
    pub(super) name: Name,
    pub(super) body: Body,
}

/// A session, as far as this end knows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClientSession {
    id: SessionId,
    token: ResumeToken,
    /// Highest sequence sent.
    sent: Seq,
    /// Highest sequence that the server has accepted.
    acked: Seq,
    /// Highest sequence accepted here.
    recv: Seq,
    flights: VecDeque<Flight>,
    flight_bytes: usize,
    /// Index of the first flight that the current attachment has not carried.
    replay: usize,
    told_recv: Seq,
    told_low: CommandNo,
    owed_bytes: usize,
    overdue: bool,
}

impl ClientSession {
    pub(super) const fn new(id: SessionId, token: ResumeToken) -> Self {
        Self {
            id,
            token,
            sent: Seq::ZERO,
            acked: Seq::ZERO,
            recv: Seq::ZERO,
            flights: VecDeque::new(),
            flight_bytes: 0,
            replay: 0,
            told_recv: Seq::ZERO,
            told_low: CommandNo::ZERO,
            owed_bytes: 0,
            overdue: false,
        }
    }

    pub(super) const fn id(&self) -> SessionId {
        self.id
    }

    /// Highest sequence accepted here.
    pub(super) const fn recv(&self) -> Seq {
        self.recv
    }

    /// What HELLO says to go on with this session (PROTOCOL.md 4.7).
    pub(super) const fn claim(&self) -> Resume {
        Resume { session: self.id, token: self.token, recv: self.recv }
    }

    /// Goes on with a new attachment. `false` if the server claims what can't be: less than it
    /// acknowledged, or more than was sent.
    pub(super) fn resume(&mut self, token: ResumeToken, recv: Seq) -> bool {
        if recv < self.acked || recv > self.sent {
            return false;
        }
        self.token = token;
        self.replay = 0;
        true
    }

    /// Commands that are not acknowledged, and the bytes of their bodies.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.flights.len(), self.flight_bytes)
    }

    /// Whether the server may acknowledge this.
    pub(super) fn admits(&self, ack: Seq) -> bool {
        ack <= self.sent
    }

    /// Takes the next command that `ack` covers.
    pub(super) fn release(&mut self, ack: Seq) -> Option<Flight> {
        if self.flights.front()?.seq > ack {
            return None;
        }
        let flight = self.flights.pop_front()?;
        self.acked = flight.seq;
        self.flight_bytes -= flight.body.len();
        self.replay = self.replay.saturating_sub(1);
        Some(flight)
    }

    /// Accepts a sequenced frame of the server; `false` if it is not the next one.
    pub(super) fn accept(&mut self, seq: Seq, bytes: usize) -> bool {
        if seq != self.recv.next() {
            return false;
        }
        self.recv = seq;
        self.owed_bytes = self.owed_bytes.saturating_add(bytes);
        true
    }

    /// Whether one more command of this size fits into the server's window (PROTOCOL.md 4.6).
    pub(super) fn has_room(&self, window: Window, bytes: usize) -> bool {
        self.flights.is_empty()
            || (self.flights.len() < window.frames as usize
                && self.flight_bytes.saturating_add(bytes) <= window.bytes as usize)
    }

    /// Gives a command its sequence and keeps it until it is acknowledged.
    pub(super) fn send(&mut self, call: CallId, n: CommandNo, name: Name, body: Body) -> Seq {
        self.sent = self.sent.next();
        self.flight_bytes += body.len();
        self.flights.push_back(Flight { seq: self.sent, call, n, name, body });
        self.replay = self.flights.len();
        self.sent
    }

    /// The next command that this attachment must carry again, before anything newer.
    pub(super) fn next_replay(&mut self) -> Option<Flight> {
        let flight = self.flights.get(self.replay)?.clone();
        self.replay += 1;
        Some(flight)
    }

    /// Whether the server has to be told something.
    pub(super) fn owes_ack(&self, low: CommandNo) -> bool {
        self.recv > self.told_recv || low > self.told_low
    }

    /// Whether it has to be told at once (PROTOCOL.md 4.5).
    pub(super) fn ack_due(&self, config: &ClientConfig, low: CommandNo) -> bool {
        let frames = self.recv.0.saturating_sub(self.told_recv.0);
        let most = config.ack_frames.min(config.window.frames / 2).max(1);
        let half = (config.window.bytes / 2).max(1) as usize;
        frames >= u64::from(most) || self.owed_bytes >= half || (self.overdue && self.owes_ack(low))
    }

    /// The delay of an ack has passed.
    pub(super) const fn ack_overdue(&mut self) {
        self.overdue = true;
    }

    /// A frame with the ack, and this `low`, was written.
    pub(super) fn told(&mut self, low: CommandNo) {
        self.told_recv = self.recv;
        self.told_low = self.told_low.max(low);
        self.owed_bytes = 0;
        self.overdue = false;
    }
}
