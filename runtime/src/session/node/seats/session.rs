//! Continuity for one client process (PROTOCOL.md 1.2, section 4): sequences, acks, windows, and
//! the answers that may have to be sent again.

use std::collections::VecDeque;

use crate::session::Now;
use crate::session::node::answer::Owed;
use crate::session::node::keys::LeaseKey;
use crate::session::node::types::{ConnId, Principal};
use crate::wire::{
    Codec, CommandNo, Dial, Gen, InstanceId, LeaseId, ResumeToken, Seq, ServerFrame, SessionId,
    Window,
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
    accepted: Accepted,
    answers: Answers,
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
struct Answers {
    /// Highest sequence given to a frame of ours.
    sent: Seq,
    /// Un-acknowledged frames, the last one is `sent`.
    replay: VecDeque<Owed>,
    replay_bytes: u64,
    /// How many at the end of `replay` are still to be written on this attachment.
    unwritten: usize,
    /// Answers without a sequence yet: the window is full.
    pending: VecDeque<Owed>,
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
            accepted: Accepted::default(),
            answers: Answers::default(),
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
        self.answers.pending.push_back(owed);
    }

    /// The client does not wait for answers to these; they must not pile up behind its window.
    pub(super) fn forget_below(&mut self, low: CommandNo) {
        self.answers.pending.retain(|owed| owed.n >= low);
    }

    /// Releases what the client has accepted. `false` if it claims more than was written
    /// (PROTOCOL.md 4.4).
    pub(super) fn on_ack(&mut self, ack: Seq) -> bool {
        let answers = &mut self.answers;
        if ack > answers.sent {
            return false;
        }
        let first = answers.sent.0 + 1 - answers.replay.len() as u64;
        for _ in first..=ack.0 {
            if let Some(owed) = answers.replay.pop_front() {
                answers.replay_bytes -= owed.bytes();
            }
        }
        answers.unwritten = answers.unwritten.min(answers.replay.len());
        true
    }

    /// Everything above `recv` is written again. `false` if that is not retained, or was never
    /// sent.
    pub(super) fn rewind(&mut self, recv: Seq) -> bool {
        let answers = &self.answers;
        let acked = answers.sent.0 - answers.replay.len() as u64;
        if recv.0 < acked || recv.0 > answers.sent.0 {
            return false;
        }
        self.on_ack(recv);
        self.answers.unwritten = self.answers.replay.len();
        true
    }

    /// The next sequenced frame, if the client's window has room (PROTOCOL.md 4.6). The number of
    /// the command that it answers comes with one that goes out for the first time.
    pub(super) fn next_frame(&mut self) -> Option<(ServerFrame, Option<CommandNo>)> {
        let answers = &mut self.answers;
        let first = answers.unwritten == 0;
        if first {
            let owed = answers.pending.front()?;
            let fits = answers.replay.len() < self.window.frames as usize
                && answers.replay_bytes + owed.bytes() <= u64::from(self.window.bytes);
            if !fits && !answers.replay.is_empty() {
                return None;
            }
            let owed = answers.pending.pop_front()?;
            answers.replay_bytes += owed.bytes();
            answers.sent = answers.sent.next();
            answers.replay.push_back(owed);
            answers.unwritten = 1;
        }
        let at = answers.replay.len() - answers.unwritten;
        let seq = Seq(answers.sent.0 + 1 - answers.unwritten as u64);
        answers.unwritten -= 1;
        let owed = &answers.replay[at];
        let answered = first.then_some(owed.n);
        let frame = owed.frame(seq, self.accepted.recv);
        self.told();
        Some((frame, answered))
    }

    pub(super) fn has_pending(&self) -> bool {
        !self.answers.pending.is_empty()
    }

    pub(super) fn owes_nothing(&self) -> bool {
        self.answers.replay.is_empty() && self.answers.pending.is_empty()
    }

    /// Answers that wait for the window.
    pub(super) fn pending(&self) -> usize {
        self.answers.pending.len()
    }

    /// Un-acknowledged answers, and their bytes.
    pub(super) fn unacknowledged(&self) -> (usize, u64) {
        (self.answers.replay.len(), self.answers.replay_bytes)
    }

    /// Gives back what a burst needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.answers.replay.shrink_to_fit();
        self.answers.pending.shrink_to_fit();
    }
}
