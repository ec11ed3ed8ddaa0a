//! A subscription's place in its topic's log (PROTOCOL.md section 7), with what it may still send,
//! and the cursors of one connection together.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::session::node::config::NodeConfig;
use crate::session::node::types::ExecId;
use crate::wire::{Codec, Name, Position, SubNo, TopicNo, TopicSeq, Window};

/// The cursors of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Feed {
    pub(super) codec: Codec,
    /// Whose it is.
    pub(super) name: Arc<str>,
    /// The longest message that the client takes.
    pub(super) message_bytes: Option<u32>,
    pub(super) cursors: BTreeMap<SubNo, Cursor>,
    /// Those with something to send, each at most once.
    ready: VecDeque<SubNo>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Cursor {
    pub(super) state: CursorState,
    /// Known once authorized.
    pub(super) topic: TopicNo,
    pub(super) from: Option<Position>,
    /// Without a position: it begins this many events before the head, without a state.
    pub(super) last: Option<u32>,
    volatiles: VecDeque<Volatile>,
    pub(super) snapshot_tries: u32,
    credit: Window,
    /// Everything up to here was sent, or is not for this subscriber.
    at: TopicSeq,
    /// The credit position: what the application has finished with.
    position: TopicSeq,
    /// Bytes of EVENTs and SNAPSHOTs, and how many of them the application has finished with, since
    /// the first SUBSCRIBED.
    sent_bytes: u64,
    finished_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum CursorState {
    /// The hook is asked.
    Authorizing { exec: ExecId, spec: u16, key: Arc<str> },
    /// The topic is being read from the store. `reads` had begun when this one came; `anew` says
    /// that it was live in an earlier incarnation of the topic.
    Opening { reads: u64, anew: bool },
    /// SUBSCRIBED promised a snapshot; the hook runs.
    AwaitingSnapshot,
    /// The topic's state is to be written, as it is when the socket has room.
    Snapshot,
    /// Follows the log.
    Live,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Volatile {
    pub(super) name: Name,
    pub(super) conflation: String,
    pub(super) frame: Bytes,
}

impl Feed {
    pub(super) const fn new(codec: Codec, message_bytes: Option<u32>, name: Arc<str>) -> Self {
        Self { codec, message_bytes, name, cursors: BTreeMap::new(), ready: VecDeque::new() }
    }

    /// Whether the client takes a message of this length.
    pub(super) fn takes(&self, bytes: usize) -> bool {
        self.message_bytes.is_none_or(|most| bytes <= most as usize)
    }

    pub(super) fn ready(&mut self, sub: SubNo) {
        if !self.ready.contains(&sub) {
            self.ready.push_back(sub);
        }
    }

    pub(super) fn next_ready(&mut self) -> Option<SubNo> {
        self.ready.pop_front()
    }

    pub(super) fn remove(&mut self, sub: SubNo) -> Option<Cursor> {
        let cursor = self.cursors.remove(&sub)?;
        self.ready.retain(|ready| *ready != sub);
        Some(cursor)
    }
}

impl Cursor {
    pub(super) fn new(
        state: CursorState,
        from: Option<Position>,
        last: Option<u32>,
        credit: Window,
    ) -> Self {
        Self {
            state,
            topic: TopicNo::ZERO,
            from,
            last,
            volatiles: VecDeque::new(),
            snapshot_tries: 0,
            credit,
            at: TopicSeq::ZERO,
            position: TopicSeq::ZERO,
            sent_bytes: 0,
            finished_bytes: 0,
        }
    }

    /// Keeps a volatile in the place of an earlier one of its key. The oldest ones go while there are
    /// too many; the new one stays.
    pub(super) fn keep(&mut self, new: Volatile, config: &NodeConfig) {
        let is_other = |old: &Volatile| old.name != new.name || old.conflation != new.conflation;
        self.volatiles.retain(is_other);
        self.volatiles.push_back(new);
        let (mut count, mut bytes) = self.volatiles();
        let most = (config.volatiles as usize, u64::from(config.volatile_bytes));
        while count > 1 && (count > most.0 || bytes > most.1) {
            let Some(oldest) = self.volatiles.pop_front() else { break };
            count -= 1;
            bytes -= oldest.frame.len() as u64;
        }
    }

    pub(super) fn next_volatile(&mut self) -> Option<Volatile> {
        self.volatiles.pop_front()
    }

    /// How many wait, and the bytes of their messages.
    pub(super) fn volatiles(&self) -> (usize, u64) {
        let bytes = self.volatiles.iter().map(|volatile| volatile.frame.len() as u64);
        (self.volatiles.len(), bytes.sum())
    }

    /// The topic has another incarnation: what was under way belongs to the earlier one.
    pub(super) fn begin_anew(&mut self, topic: TopicNo) {
        self.topic = topic;
        self.volatiles.clear();
        self.state = match self.state {
            CursorState::Opening { anew, .. } => CursorState::Opening { reads: 0, anew },
            _ => CursorState::Opening { reads: 0, anew: true },
        };
    }

    /// Stands at a place that the client is told.
    pub(super) fn stand(&mut self, at: TopicSeq, state: CursorState) {
        self.state = state;
        self.at = at;
        self.position = at;
    }

    pub(super) const fn credit(&self) -> Window {
        self.credit
    }

    pub(super) const fn at(&self) -> TopicSeq {
        self.at
    }

    /// One more entry, or the snapshot, goes out.
    pub(super) const fn sends(&mut self, bytes: usize) {
        self.sent_bytes += bytes as u64;
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at = self.at.next();
        self.sends(bytes);
    }

    /// The application has finished with so much. Each of the two counts alone: after a reset an
    /// earlier position is too low, and its bytes are as good as ever.
    pub(super) fn finished(&mut self, ts: TopicSeq, bytes: u64) {
        self.position = self.position.max(ts.min(self.at));
        self.finished_bytes = self.finished_bytes.max(bytes.min(self.sent_bytes));
    }

    /// Whether credit lets one more message of the log go (PROTOCOL.md 7.8).
    pub(super) fn has_credit(&self) -> bool {
        self.at.0 < self.position.0 + u64::from(self.credit.frames) && self.has_byte_credit()
    }

    pub(super) fn has_byte_credit(&self) -> bool {
        self.sent_bytes - self.finished_bytes < u64::from(self.credit.bytes)
    }
}
