//! What a node remembers: attachments, sessions, leases with their execution tables, and what is
//! under way. Owns the shapes and the small rules that concern one of them alone.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::lease::Lease;
use super::types::{ConnId, ExecId, Principal};
use crate::session::Now;
use crate::session::store::Outcome;
use crate::session::table::Key;
use crate::wire::{
    Body, Codec, CommandNo, Dial, Gen, Hello, InstanceId, LeaseId, Name, Outgoing, Position,
    RefusalCode, ResumeToken, Seq, ServerFrame, SessionId, SubNo, TopicNo, TopicSeq, Window,
};

pub(super) type SessionKey = Key<Session>;
pub(super) type LeaseKey = Key<Lease>;

/// One socket (PROTOCOL.md 1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Conn {
    pub(super) codec: Codec,
    pub(super) phase: Phase,
    /// Frames that wait for nothing but the socket.
    pub(super) control: VecDeque<ServerFrame>,
    pub(super) heard: Now,
    pub(super) missed: u32,
    pub(super) pings: u64,
    pub(super) ack_due: bool,
    pub(super) timers: ConnTimers,
    pub(super) woken: bool,
    pub(super) volatiles_running: u32,
    /// Exchanges may be repeated: a sequence that was accepted already is dropped, not an error.
    pub(super) rewindable: bool,
    pub(super) subs: BTreeMap<SubNo, Sub>,
    /// Subscriptions with something to send, each at most once.
    pub(super) ready: VecDeque<SubNo>,
}

/// What is armed for a socket, so that it ends with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct ConnTimers {
    pub(super) handshake: Option<Now>,
    pub(super) heartbeat: Option<Now>,
    pub(super) ack: Option<Now>,
    pub(super) credentials: Option<Now>,
}

/// How far an attachment has got.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// No HELLO yet.
    Silent,
    /// The authentication hook runs.
    Authenticating { hello: Box<Hello>, exec: ExecId },
    /// The store is asked for the lease.
    Leasing(Box<Leasing>),
    /// WELCOME was sent.
    Attached { session: SessionKey, lease: LeaseKey },
}

/// An attachment that waits for its lease.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Leasing {
    pub(super) hello: Hello,
    pub(super) principal: Principal,
    /// The id that the store is asked to issue; `None` while the client's own is being claimed.
    pub(super) fresh: Option<LeaseId>,
}

impl Conn {
    pub(super) fn new(now: Now, codec: Codec) -> Self {
        Self {
            codec,
            phase: Phase::Silent,
            control: VecDeque::new(),
            heard: now,
            missed: 0,
            pings: 0,
            ack_due: false,
            timers: ConnTimers::default(),
            woken: false,
            volatiles_running: 0,
            rewindable: false,
            subs: BTreeMap::new(),
            ready: VecDeque::new(),
        }
    }

    pub(super) fn attached(&self) -> Option<(SessionKey, LeaseKey)> {
        match self.phase {
            Phase::Attached { session, lease } => Some((session, lease)),
            _ => None,
        }
    }

    pub(super) fn ready(&mut self, sub: SubNo) {
        if !self.ready.contains(&sub) {
            self.ready.push_back(sub);
        }
    }
}

/// Continuity for one client process (PROTOCOL.md 1.2, section 4).
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
    /// When the last socket ended.
    pub(super) detached: Now,
    /// When to look whether that is long ago.
    pub(super) timer: Option<Now>,
    pub(super) lease: LeaseKey,
    /// Highest sequence accepted from the client.
    pub(super) recv: Seq,
    /// Highest of those that an ack of ours has told.
    pub(super) told: Seq,
    pub(super) untold_bytes: u64,
    /// Highest sequence given to a frame of ours.
    pub(super) sent: Seq,
    /// Un-acknowledged frames, the last one is `sent`.
    pub(super) replay: VecDeque<Owed>,
    pub(super) replay_bytes: u64,
    /// How many at the end of `replay` are still to be written on this attachment.
    pub(super) unwritten: usize,
    /// Answers without a sequence yet: the window is full.
    pub(super) pending: VecDeque<Owed>,
    pub(super) window: Window,
}

/// An answer to a command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Owed {
    pub(super) n: CommandNo,
    pub(super) dup: bool,
    pub(super) answer: Answer,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Answer {
    Outcome(Outcome),
    Refused { code: RefusalCode, retry_ms: u64 },
}

impl Owed {
    pub(super) fn bytes(&self) -> u64 {
        match &self.answer {
            Answer::Outcome(Outcome::Ok(body) | Outcome::Failed { body, .. }) => body.len() as u64,
            Answer::Outcome(Outcome::Expired) | Answer::Refused { .. } => 0,
        }
    }

    fn frame(&self, seq: Seq, ack: Seq) -> ServerFrame {
        let (n, dup) = (self.n, self.dup);
        match &self.answer {
            Answer::Outcome(Outcome::Ok(body)) => {
                ServerFrame::Result { seq, ack, n, dup, body: body.clone() }
            }
            Answer::Outcome(Outcome::Failed { code, name, body }) => ServerFrame::Failed {
                seq,
                ack,
                n,
                dup,
                code: *code,
                name: name.clone(),
                body: body.clone(),
            },
            Answer::Outcome(Outcome::Expired) => {
                ServerFrame::Refused { seq, ack, n, code: RefusalCode::Expired, retry_ms: 0 }
            }
            Answer::Refused { code, retry_ms } => {
                ServerFrame::Refused { seq, ack, n, code: *code, retry_ms: *retry_ms }
            }
        }
    }
}

impl Session {
    /// Releases what the client has accepted. `false` if it claims more than was written
    /// (PROTOCOL.md 4.4).
    pub(super) fn on_ack(&mut self, ack: Seq) -> bool {
        if ack > self.sent {
            return false;
        }
        let first = self.sent.0 + 1 - self.replay.len() as u64;
        for _ in first..=ack.0 {
            if let Some(owed) = self.replay.pop_front() {
                self.replay_bytes -= owed.bytes();
            }
        }
        self.unwritten = self.unwritten.min(self.replay.len());
        true
    }

    /// Everything above `recv` is written again. `false` if that is not retained, or was never
    /// sent.
    pub(super) fn rewind(&mut self, recv: Seq) -> bool {
        let acked = self.sent.0 - self.replay.len() as u64;
        if recv.0 < acked || recv.0 > self.sent.0 {
            return false;
        }
        self.on_ack(recv);
        self.unwritten = self.replay.len();
        true
    }

    /// The next sequenced frame, if the client's window has room (PROTOCOL.md 4.6).
    /// Whether it goes out for the first time comes with it.
    pub(super) fn next_frame(&mut self) -> Option<(ServerFrame, bool)> {
        let first = self.unwritten == 0;
        if first {
            let owed = self.pending.front()?;
            let fits = self.replay.len() < self.window.frames as usize
                && self.replay_bytes + owed.bytes() <= u64::from(self.window.bytes);
            if !fits && !self.replay.is_empty() {
                return None;
            }
            let owed = self.pending.pop_front()?;
            self.replay_bytes += owed.bytes();
            self.sent = self.sent.next();
            self.replay.push_back(owed);
            self.unwritten = 1;
        }
        let at = self.replay.len() - self.unwritten;
        let seq = Seq(self.sent.0 + 1 - self.unwritten as u64);
        self.unwritten -= 1;
        self.told();
        Some((self.replay[at].frame(seq, self.recv), first))
    }

    /// A frame of ours carries the ack.
    pub(super) fn told(&mut self) {
        self.told = self.recv;
        self.untold_bytes = 0;
    }

    pub(super) fn owes_nothing(&self) -> bool {
        self.replay.is_empty() && self.pending.is_empty()
    }
}

impl Session {
    /// Gives back what a burst needed.
    pub(super) fn shrink_to_fit(&mut self) {
        self.replay.shrink_to_fit();
        self.pending.shrink_to_fit();
    }
}

/// A subscription: a cursor into its topic's log (PROTOCOL.md section 7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Sub {
    pub(super) state: SubState,
    /// Known once authorized.
    pub(super) topic: TopicNo,
    pub(super) from: Option<Position>,
    pub(super) credit: Window,
    /// Everything up to here was sent, or is not for this subscriber.
    pub(super) cursor: TopicSeq,
    /// What the application has finished with.
    pub(super) position: TopicSeq,
    /// Bytes of EVENTs and SNAPSHOTs, and how many of them the application has finished with, since
    /// the first SUBSCRIBED.
    pub(super) sent_bytes: u64,
    pub(super) finished_bytes: u64,
    pub(super) volatiles: VecDeque<Volatile>,
    pub(super) snapshot_tries: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Volatile {
    pub(super) name: Name,
    pub(super) conflation: String,
    pub(super) frame: Bytes,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum SubState {
    /// The hook is asked.
    Authorizing { exec: ExecId, spec: u16, key: std::sync::Arc<str> },
    /// The topic is being read from the store. `reads` had begun when this one came; `anew` says
    /// that it was live in an earlier incarnation of the topic.
    Opening { reads: u64, anew: bool },
    /// SUBSCRIBED promised a snapshot; the hook runs.
    AwaitingSnapshot,
    /// The snapshot is to be written.
    Snapshot { ts: TopicSeq, frame: Bytes },
    /// Follows the log.
    Live,
}

impl Sub {
    /// The topic has another incarnation: what was under way belongs to the earlier one.
    pub(super) fn begin_anew(&mut self, topic: TopicNo) {
        self.topic = topic;
        self.volatiles.clear();
        self.state = match self.state {
            SubState::Opening { anew, .. } => SubState::Opening { reads: 0, anew },
            _ => SubState::Opening { reads: 0, anew: true },
        };
    }

    /// Whether credit lets one more message of the log go (PROTOCOL.md 7.8).
    pub(super) fn has_credit(&self) -> bool {
        self.cursor.0 < self.position.0 + u64::from(self.credit.frames) && self.has_byte_credit()
    }

    pub(super) fn has_byte_credit(&self) -> bool {
        self.sent_bytes - self.finished_bytes < u64::from(self.credit.bytes)
    }
}

/// An execution under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Run {
    pub(super) what: Running,
    /// When a hook is late; commands have their lease's timer.
    pub(super) until: Option<Now>,
}

/// What an execution is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Running {
    Authenticate(ConnId),
    Command(LeaseKey, CommandNo),
    Volatile(ConnId),
    Authorize(ConnId, SubNo),
    Snapshot(TopicNo),
}

/// The encoded forms of one message, for subscribers of each codec.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Encoded(pub(super) Vec<(Codec, Bytes)>);

impl Encoded {
    pub(super) fn of(bodies: &[(Codec, Body)], encode: impl Fn(Codec, &Body) -> Bytes) -> Self {
        Self(bodies.iter().map(|(codec, body)| (*codec, encode(*codec, body))).collect())
    }

    pub(super) fn bytes(&self) -> u64 {
        self.0.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    pub(super) fn get(&self, codec: Codec) -> Option<&Bytes> {
        self.0.iter().find(|(have, _)| *have == codec).map(|(_, bytes)| bytes)
    }
}

pub(super) const fn shared(bytes: Bytes) -> Outgoing {
    Outgoing::Shared(bytes)
}
