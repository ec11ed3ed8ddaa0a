//! What goes out on a socket, and in which order: control frames, answers, topics in turn, then
//! acks of their own. Answers and control frames never wait for a subscription's credit
//! (PROTOCOL.md 7.9).

use bytes::Bytes;

use super::Node;
use super::state::{SubState, shared};
use super::types::ConnId;
use crate::session::Now;
use crate::wire::{Outgoing, ServerFrame, SubNo};

/// What a subscription has to send.
enum Step {
    Send(Bytes),
    Nothing,
    FellBehind,
}

impl Node {
    /// The next message for a connection.
    pub fn poll_transmit(&mut self, now: Now, conn: ConnId) -> Option<Outgoing> {
        let state = self.conns.get_mut(&conn)?;
        if let Some(frame) = state.control.pop_front() {
            return Some(Outgoing::Frame(frame));
        }
        let Some((session, lease)) = state.attached() else {
            state.woken = false;
            return None;
        };
        if let Some(session) = self.sessions.get_mut(session) {
            if let Some((frame, first)) = session.next_frame() {
                state.ack_due = false;
                if first {
                    self.answered(lease, &frame);
                }
                return Some(Outgoing::Frame(frame));
            }
            if state.ack_due {
                state.ack_due = false;
                session.told();
                return Some(Outgoing::Frame(ServerFrame::Ack { ack: session.recv }));
            }
        }
        if let Some(frame) = self.poll_topics(now, conn) {
            return Some(frame);
        }
        let state = self.conns.get_mut(&conn)?;
        if let Some(frame) = state.control.pop_front() {
            return Some(Outgoing::Frame(frame));
        }
        state.woken = false;
        self.drain_if_quiet(now, conn);
        None
    }

    /// The answer to `n` has its sequence: the next duplicate gets another one. A frame that is
    /// sent again changes nothing.
    fn answered(&mut self, lease: super::LeaseKey, frame: &ServerFrame) {
        let n = match frame {
            ServerFrame::Result { n, .. }
            | ServerFrame::Failed { n, .. }
            | ServerFrame::Refused { n, .. } => *n,
            _ => return,
        };
        if let Some(slot) = self.leases.get_mut(lease).and_then(|lease| lease.slot_mut(n)) {
            slot.owed = false;
        }
    }

    /// Subscriptions take turns, one message each.
    fn poll_topics(&mut self, now: Now, conn: ConnId) -> Option<Outgoing> {
        while let Some(state) = self.conns.get_mut(&conn)
            && let Some(no) = state.ready.pop_front()
        {
            match self.poll_sub(conn, no) {
                Step::Send(bytes) => {
                    if let Some(state) = self.conns.get_mut(&conn) {
                        state.ready.push_back(no);
                    }
                    return Some(shared(bytes));
                }
                Step::Nothing => {}
                Step::FellBehind => {
                    let number = self
                        .conns
                        .get(&conn)
                        .and_then(|state| state.subs.get(&no))
                        .map(|sub| sub.topic);
                    if let Some(number) = number {
                        self.on_fallen_behind(now, conn, no, number);
                    }
                }
            }
        }
        None
    }

    fn poll_sub(&mut self, conn: ConnId, no: SubNo) -> Step {
        let Some(state) = self.conns.get_mut(&conn) else { return Step::Nothing };
        let codec = state.codec;
        let Some(sub) = state.subs.get_mut(&no) else { return Step::Nothing };
        let Some(topic) = self.topics.get_mut(&sub.topic) else { return Step::Nothing };
        match &sub.state {
            SubState::Snapshot { frame, .. } if sub.has_byte_credit() => {
                let frame = frame.clone();
                sub.state = SubState::Live;
                sub.sent_bytes += frame.len() as u64;
                return Step::Send(frame);
            }
            SubState::Live => {}
            _ => {
                topic.untell(conn);
                return Step::Nothing;
            }
        }
        if let Some(volatile) = sub.volatiles.pop_front() {
            return Step::Send(volatile.frame);
        }
        if sub.cursor < topic.floor() {
            return Step::FellBehind;
        }
        if sub.has_credit()
            && let Some(entry) = topic.entry(sub.cursor.next())
            && let Some(frame) = entry.frames.get(codec)
        {
            sub.cursor = sub.cursor.next();
            sub.sent_bytes += frame.len() as u64;
            return Step::Send(frame.clone());
        }
        topic.untell(conn);
        Step::Nothing
    }
}
