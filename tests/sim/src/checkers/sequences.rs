//! Sessions: sequences, acks and windows of both directions (PROTOCOL.md section 4).

use std::collections::VecDeque;

use steadfast::wire::{Dial, InstanceId, LeaseId, SessionId, Window};
use steadfast_rig::Rule;

use super::Checkers;
use crate::network::{SocketId, Way};

/// One direction of a session, as the border shows it.
#[derive(Debug, Clone, Default)]
pub(super) struct Direction {
    /// Highest sequence sent.
    pub(super) sent: u64,
    /// Highest one that reached the peer's core on an attachment that counts.
    pub(super) delivered: u64,
    /// Highest ack that reached the sender.
    pub(super) acked: u64,
    /// What the peer is ready to hold.
    pub(super) window: Option<Window>,
    /// Digest and body bytes of `acked + 1 ..= sent`.
    content: VecDeque<(u64, usize)>,
}

/// A session, as the border shows it.
#[derive(Debug, Clone)]
pub(super) struct SessionBook {
    pub(super) user: String,
    /// The process that attached last, and its dial.
    pub(super) last_dial: (InstanceId, Dial),
    pub(super) generation: u64,
    pub(super) attached: Option<SocketId>,
    /// Once it has one.
    pub(super) lease: Option<LeaseId>,
    pub(super) up: Direction,
    pub(super) down: Direction,
}

impl SessionBook {
    pub(super) const fn way(&mut self, way: Way) -> &mut Direction {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

impl Direction {
    fn release(&mut self, ack: u64) {
        while self.acked < ack && self.content.pop_front().is_some() {
            self.acked += 1;
        }
    }

    fn unacked_bytes(&self) -> usize {
        self.content.iter().map(|(_, bytes)| bytes).sum()
    }
}

impl Checkers {
    /// Per session and direction sequences go out as 1, 2, 3 …; one that goes out again is the same
    /// again.
    pub(super) fn sequences_have_no_gap_and_no_repeat(
        &mut self,
        id: SessionId,
        way: Way,
        seq: u64,
        content: u64,
        bytes: usize,
    ) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let direction = session.way(way);
        let rule = Rule::SequencesAreWhole;
        if seq == direction.sent + 1 {
            direction.sent = seq;
            direction.content.push_back((content, bytes));
            let direction = direction.clone();
            return self.unacked_fits_the_window(id, way, &direction);
        }
        let (sent, acked) = (direction.sent, direction.acked);
        let known =
            seq.checked_sub(acked + 1).and_then(|at| direction.content.get(at as usize)).copied();
        self.require(seq <= sent, rule, || format!("{id:?} {way:?}: {seq} follows {sent}"));
        if let Some((before, _)) = known {
            self.require(before == content, rule, || {
                format!("{id:?} {way:?}: {seq} was something else before")
            });
        }
    }

    fn unacked_fits_the_window(&mut self, id: SessionId, way: Way, direction: &Direction) {
        let Some(window) = direction.window else { return };
        let frames = direction.content.len();
        let bytes = direction.unacked_bytes();
        let fits =
            frames == 1 || (frames <= window.frames as usize && bytes <= window.bytes as usize);
        self.require(fits, Rule::WindowIsKept, || {
            format!("{id:?} {way:?}: {frames} frames, {bytes} bytes, {window:?}")
        });
    }

    /// On one attachment each sequenced frame is the last one plus 1.
    pub(super) fn attachment_goes_on_where_it_should(
        &mut self,
        socket: SocketId,
        way: Way,
        seq: u64,
    ) {
        let Some(book) = self.sockets.get_mut(&socket) else { return };
        let next = book.next(way);
        let expected = std::mem::replace(next, seq + 1);
        self.require(seq == expected, Rule::AttachmentGoesOn, || {
            format!("{socket:?} {way:?}: {seq} where {expected} was due")
        });
    }

    /// acked ≤ delivered ≤ sent.
    pub(super) fn acks_cover_only_what_arrived(&mut self, id: SessionId, of: Way, ack: u64) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let direction = session.way(of);
        let (delivered, sent) = (direction.delivered, direction.sent);
        self.require(ack <= delivered && delivered <= sent, Rule::AcksCoverAccepted, || {
            format!("{id:?} {of:?}: ack {ack}, delivered {delivered}, sent {sent}")
        });
    }

    pub(super) fn sequence_arrives(&mut self, id: SessionId, way: Way, seq: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            let direction = session.way(way);
            direction.delivered = direction.delivered.max(seq);
        }
    }

    pub(super) fn ack_arrives(&mut self, id: SessionId, of: Way, ack: u64) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.way(of).release(ack);
        }
    }
}
