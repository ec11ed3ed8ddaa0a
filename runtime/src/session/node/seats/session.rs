//! Continuity for one client process (PROTOCOL.md 1.2, section 4): sequences, acks, windows, and
//! the answers and direct messages that may have to be sent again.

use std::collections::VecDeque;

use crate::session::Now;
use crate::session::node::answer::{Outbound, Owed};
use crate::session::node::config::NodeConfig;
use crate::session::node::keys::LeaseKey;
use crate::session::node::types::{ConnId, DirectMessage, Principal};
use crate::wire::{
    Codec, CommandNo, Dial, Gen, InstanceId, LeaseId, ResumeToken, Seq, ServerFrame, SessionId,
    Window, body_limit,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) token: ResumeToken,
    /// Good until the first frame after WELCOME (4.8).
    pub(super) previous_token: Option<ResumeToken>,
    pub(super) generation: Gen,
    pub(super) principal: Principal,
    pub(super) instance: InstanceId,
    pub(super) dial: Dial,
    pub(super) conn: Option<ConnId>,
    /// Of its lease, and so of its answers.
    pub(super) codec: Codec,
    /// When the last socket ended.
    pub(super) detached: Now,
    /// Whether a command was ever accepted under its lease, as of then.
    pub(super) used: bool,
    /// When to look whether that is long ago.
    pub(super) timer: Option<Now>,
    pub(super) lease: LeaseKey,
    /// `None` while the client has no lease.
    pub(super) lease_id: Option<LeaseId>,
    /// It got the lease after its WELCOME: a client whose socket broke may not have heard of it.
    pub(super) leased_later: bool,
    pub(super) window: Window,
    /// The longest message that its client takes.
    pub(super) message_bytes: Option<u32>,
    accepted: Accepted,
    sending: Sending,
}

/// What came from the client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Accepted {
    /// Highest sequence accepted.
    recv: Seq,
    /// Highest of those that an ack of ours has told.
    told: Seq,
    untold_bytes: u64,
}

/// What goes to the client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Sending {
    /// Highest sequence given to a frame of ours.
    sent: Seq,
    /// Un-acknowledged frames, the last one is `sent`.
    replay: VecDeque<Outbound>,
    replay_bytes: u64,
    /// How many at the end of `replay` are still to be written on this attachment.
    unwritten: usize,
    /// What has no sequence yet: the window is full.
    pending: VecDeque<Outbound>,
    /// Direct messages among all of these, and the bytes of their bodies.
    directs: u32,
    direct_bytes: u64,
}

/// Why a session does not get a direct message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unsent {
    Full,
    TooLong,
}

/// Who a new session is for.
pub(super) struct Beginning {
    pub(super) id: SessionId,
    pub(super) token: ResumeToken,
    pub(super) principal: Principal,
    pub(super) instance: InstanceId,
    pub(super) dial: Dial,
    pub(super) conn: ConnId,
    pub(super) codec: Codec,
    pub(super) lease: LeaseKey,
    pub(super) lease_id: Option<LeaseId>,
    pub(super) window: Window,
    pub(super) message_bytes: Option<u32>,
}

impl Session {
    pub(super) fn new(now: Now, beginning: Beginning) -> Self {
        let Beginning {
            id,
            token,
            principal,
            instance,
            dial,
            conn,
            codec,
            lease,
            lease_id,
            window,
            message_bytes,
        } = beginning;
        Self {
            id,
            token,
            previous_token: None,
            generation: Gen(1),
            principal,
            instance,
            dial,
            conn: Some(conn),
            codec,
            detached: now,
            used: false,
            timer: None,
            lease,
            lease_id,
            leased_later: false,
            window,
            message_bytes,
            accepted: Accepted::default(),
            sending: Sending::default(),
        }
    }

    // ---- what comes ----

    pub(super) const fn recv(&self) -> Seq {
        self.accepted.recv
    }

    /// Accepts a sequenced frame of so many bytes (PROTOCOL.md 4.2, 4.6). `false` if its sequence
    /// or the window was broken.
    pub(super) fn accept(&mut self, seq: Seq, bytes: usize, window: Window) -> bool {
        let accepted = &mut self.accepted;
        let alone = accepted.told == accepted.recv;
        let frames = accepted.recv.0 - accepted.told.0 + 1;
        let untold = accepted.untold_bytes + bytes as u64;
        let fits = frames <= u64::from(window.frames) && untold <= u64::from(window.bytes);
        if seq != accepted.recv.next() || !(fits || alone) {
            return false;
        }
        accepted.recv = seq;
        accepted.untold_bytes = untold;
        true
    }

    /// Whether so much was accepted that the ack must go out alone (PROTOCOL.md 4.5).
    pub(super) fn owes_ack(&self, frames: u32, window: Window) -> bool {
        let untold = self.accepted.recv.0 - self.accepted.told.0;
        untold >= u64::from(frames.min(window.frames.div_ceil(2)))
            || self.accepted.untold_bytes * 2 >= u64::from(window.bytes)
    }

    /// Whether anything was accepted that no frame of ours has told.
    pub(super) fn is_untold(&self) -> bool {
        self.accepted.told < self.accepted.recv
    }

    /// A frame of ours carries the ack.
    pub(super) const fn told(&mut self) {
        self.accepted.told = self.accepted.recv;
        self.accepted.untold_bytes = 0;
    }

    // ---- what goes ----

    /// Queues an answer; the window decides when it goes.
    pub(super) fn owe(&mut self, owed: Owed) {
        self.sending.pending.push_back(Outbound::Answer(owed));
    }

    /// Queues a direct message behind what there is.
    ///
    /// # Errors
    /// When too many wait or are unacknowledged, or its client takes none so long.
    pub(super) fn send(
        &mut self,
        message: &DirectMessage,
        config: &NodeConfig,
    ) -> Result<(), Unsent> {
        let body = message.bodies.iter().find(|(codec, _)| *codec == self.codec);
        let Some((_, body)) = body else {
            debug_assert!(false, "a message is encoded in every codec that a session may speak");
            return Err(Unsent::Full);
        };
        if self.message_bytes.is_some_and(|most| body.len() > body_limit(most) as usize) {
            return Err(Unsent::TooLong);
        }
        let sending = &mut self.sending;
        let bytes = sending.direct_bytes + body.len() as u64;
        let many = sending.directs >= config.directs_per_session;
        if many || (sending.directs > 0 && bytes > u64::from(config.direct_bytes_per_session)) {
            return Err(Unsent::Full);
        }
        sending.directs += 1;
        sending.direct_bytes = bytes;
        let (name, body) = (message.name.clone(), body.clone());
        sending.pending.push_back(Outbound::Direct { name, body });
        Ok(())
    }

    /// The client does not wait for answers to these; they must not pile up behind its window.
    pub(super) fn forget_below(&mut self, low: CommandNo) {
        self.sending.pending.retain(|next| next.command().is_none_or(|n| n >= low));
    }

    /// Releases what the client has accepted. `false` if it claims more than was written
    /// (PROTOCOL.md 4.4).
    pub(super) fn on_ack(&mut self, ack: Seq) -> bool {
        let sending = &mut self.sending;
        if ack > sending.sent {
            return false;
        }
        let first = sending.sent.0 + 1 - sending.replay.len() as u64;
        for _ in first..=ack.0 {
            let Some(accepted) = sending.replay.pop_front() else { break };
            sending.replay_bytes -= accepted.bytes();
            if let Outbound::Direct { body, .. } = accepted {
                sending.directs -= 1;
                sending.direct_bytes -= body.len() as u64;
            }
        }
        sending.unwritten = sending.unwritten.min(sending.replay.len());
        true
    }

    /// Everything above `recv` is written again. `false` if that is not retained, or was never
    /// sent.
    pub(super) fn rewind(&mut self, recv: Seq) -> bool {
        let sending = &self.sending;
        let acked = sending.sent.0 - sending.replay.len() as u64;
        if recv.0 < acked || recv.0 > sending.sent.0 {
            return false;
        }
        self.on_ack(recv);
        self.sending.unwritten = self.sending.replay.len();
        true
    }

    /// The next sequenced frame, if the client's window has room (PROTOCOL.md 4.6). The number of
    /// the command that it answers comes with an answer that goes out for the first time.
    pub(super) fn next_frame(&mut self) -> Option<(ServerFrame, Option<CommandNo>)> {
        let sending = &mut self.sending;
        let first = sending.unwritten == 0;
        if first {
            let next = sending.pending.front()?;
            let fits = sending.replay.len() < self.window.frames as usize
                && sending.replay_bytes + next.bytes() <= u64::from(self.window.bytes);
            if !fits && !sending.replay.is_empty() {
                return None;
            }
            let next = sending.pending.pop_front()?;
            sending.replay_bytes += next.bytes();
            sending.sent = sending.sent.next();
            sending.replay.push_back(next);
            sending.unwritten = 1;
        }
        let at = sending.replay.len() - sending.unwritten;
        let seq = Seq(sending.sent.0 + 1 - sending.unwritten as u64);
        sending.unwritten -= 1;
        let next = &sending.replay[at];
        let answered = next.command().filter(|_| first);
        let frame = next.frame(seq, self.accepted.recv);
        self.told();
        Some((frame, answered))
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.sending.pending.is_empty()
    }

    pub(super) fn owes_nothing(&self) -> bool {
        self.sending.replay.is_empty() && self.sending.pending.is_empty()
    }

    /// Answers that wait for the window.
    pub(super) fn pending(&self) -> usize {
        self.sending.pending.iter().filter(|next| next.command().is_some()).count()
    }

    /// Direct messages that wait or are un-acknowledged, and their bytes.
    pub(super) const fn directs(&self) -> (u32, u64) {
        (self.sending.directs, self.sending.direct_bytes)
    }

    /// Un-acknowledged frames, and their bytes.
    pub(super) fn unacknowledged(&self) -> (usize, u64) {
        (self.sending.replay.len(), self.sending.replay_bytes)
    }

    /// Gives back what a burst needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.sending.replay.shrink_to_fit();
        self.sending.pending.shrink_to_fit();
    }
}
