//! The tail of one topic's log, as this node holds it. It begins empty at the head, grows with what
//! is appended, and backwards as far as somebody asks for; live delivery, replay and catching up
//! all read from here.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::entries::{Earlier, Encoded, Entry, LogLimits};
use super::kept::Kept;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Timer};
use crate::session::node::types::{ConnId, ExecId};
use crate::session::store::{TopicHead, TopicId};
use crate::session::{Now, millis};
use crate::wire::{Body, Codec, Epoch, Name, SubNo, TopicNo, TopicSeq};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    pub(super) id: TopicId,
    pub(super) spec: u16,
    /// `None` until the store has told.
    pub(super) epoch: Option<Epoch>,
    pub(super) reading: Reading,
    /// What lies before the entries here, while it is being read.
    pub(super) earlier: Option<Earlier>,
    /// The oldest entry that the store had when it was asked last.
    pub(super) oldest: TopicSeq,
    pub(super) ahead: Ahead,
    /// One subscription per socket (PROTOCOL.md 7.3).
    pub(super) followers: BTreeMap<ConnId, Follower>,
    pub(super) snapshot: Option<SnapshotRun>,
    /// The state that was read last, for those who come next or have not taken it yet.
    pub(super) kept: Option<Kept>,
    /// Until when it may be given to newcomers. The hook is left alone for as long, whether the
    /// state is still here or not.
    pub(super) fresh_until: Option<Now>,
    /// When to look whether the state is needed, and whether the hook may be called again.
    pub(super) kept_look: Option<Now>,
    pub(super) idle_since: Option<Now>,
    /// When the store was last asked for its head, while somebody follows.
    pub(super) touched: Option<Now>,
    /// The latest entry that is here.
    head: TopicSeq,
    /// Consecutive, the last one is `head`.
    entries: VecDeque<Entry>,
    bytes: u64,
}

/// Reading what comes behind the head that is here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Reading {
    /// A read is under way.
    pub(super) under_way: bool,
    /// Reads that were begun: only one that began after a question came can answer it.
    pub(super) count: u64,
    /// The head when the present read went out: what the store had then, it must still have.
    pub(super) from: TopicSeq,
    /// The store has more than is here.
    pub(super) behind: bool,
}

/// What becomes of an entry that came by itself.
pub(super) enum Arrived {
    /// It is here already.
    Known,
    /// It is the next one.
    Next,
    /// It waits for those before it.
    Early,
    /// So many wait that the log is to be read.
    TooMany,
}

/// Entries that came before earlier ones.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Ahead {
    entries: BTreeMap<TopicSeq, Encoded>,
    bytes: u64,
    /// Until when they wait.
    pub(super) until: Option<Now>,
}

impl Ahead {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }

    /// What comes at `ts`, if it is here; what lies before it is let go.
    fn take(&mut self, ts: TopicSeq) -> Option<Encoded> {
        // Those before it came from elsewhere meanwhile.
        loop {
            let first = self.entries.first_entry().filter(|first| *first.key() <= ts)?;
            let (at, frames) = first.remove_entry();
            self.bytes -= frames.bytes();
            if at == ts {
                return Some(frames);
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Follower {
    pub(super) sub: SubNo,
    /// It knows that there is something new.
    pub(super) told: bool,
}

/// One call of the state hook serves all that wait.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SnapshotRun {
    pub(super) exec: ExecId,
    pub(super) epoch: Epoch,
    pub(super) ts: TopicSeq,
}

impl Topic {
    pub(super) fn new(id: TopicId, spec: u16) -> Self {
        Self {
            id,
            spec,
            epoch: None,
            reading: Reading::default(),
            earlier: None,
            oldest: TopicSeq::ZERO,
            ahead: Ahead::default(),
            followers: BTreeMap::new(),
            snapshot: None,
            kept: None,
            fresh_until: None,
            kept_look: None,
            idle_since: None,
            touched: None,
            head: TopicSeq::ZERO,
            entries: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(super) const fn head(&self) -> TopicSeq {
        self.head
    }

    /// Bytes of all that is here of its log.
    pub(super) const fn weight(&self) -> u64 {
        let earlier = match &self.earlier {
            Some(earlier) => earlier.bytes(),
            None => 0,
        };
        self.bytes + self.ahead.bytes + earlier
    }

    /// Lets go of the oldest entries, until no more than so many bytes are here. Whether what came
    /// early had to go, too, so that it is to be read.
    pub(super) fn lower(&mut self, bytes: u64) -> bool {
        while self.weight() > bytes {
            let earlier = self.earlier.as_mut().is_some_and(Earlier::pop);
            if earlier {
                continue;
            }
            if self.entries.is_empty() {
                self.ahead.clear();
                return true;
            }
            self.pop();
        }
        false
    }

    /// Entries, and the bytes of their frames.
    pub(super) fn held(&self) -> (usize, u64) {
        let (entries, bytes) = self.earlier.as_ref().map_or((0, 0), Earlier::held);
        let here = self.here();
        (here.0 + entries, here.1 + bytes)
    }

    /// The store has told where it stands: what is here begins at its head.
    pub(super) fn begin(&mut self, head: TopicHead) {
        self.epoch = Some(head.epoch);
        self.oldest = head.oldest;
        self.clear(head.head);
    }

    /// Puts entries before those that are here, as many as there is room for.
    pub(super) fn put_before(&mut self, entries: VecDeque<Entry>, limits: LogLimits) {
        for entry in entries.into_iter().rev() {
            self.bytes += entry.frames.bytes();
            self.entries.push_front(entry);
        }
        self.keep_within(limits);
    }

    /// Entries behind the floor, and the bytes of their frames.
    pub(super) fn here(&self) -> (usize, u64) {
        (self.entries.len(), self.bytes)
    }

    /// Everything above this one can be sent.
    pub(super) fn floor(&self) -> TopicSeq {
        TopicSeq(self.head.0 - self.entries.len() as u64)
    }

    /// The frame of an entry for subscribers of a codec.
    pub(super) fn frame(&self, ts: TopicSeq, codec: Codec) -> Option<&Bytes> {
        let at = ts.0.checked_sub(self.floor().0 + 1)?;
        self.entries.get(usize::try_from(at).ok()?)?.frames.get(codec)
    }

    /// Whether the hook has just been called.
    pub(super) fn rests(&self, now: Now) -> bool {
        self.fresh_until.is_some_and(|until| now < until)
    }

    /// Whether a topic of this kind has a hook for its state.
    pub(super) fn has_snapshot(&self, config: &NodeConfig) -> bool {
        config.topic_at(self.spec).is_some_and(|spec| spec.snapshot)
    }

    pub(super) fn follows(&self) -> Vec<(ConnId, SubNo)> {
        self.followers.iter().map(|(conn, follower)| (*conn, follower.sub)).collect()
    }

    /// A follower has nothing more to send: the next entry wakes it again.
    pub(super) fn untell(&mut self, conn: ConnId) {
        if let Some(follower) = self.followers.get_mut(&conn) {
            follower.told = false;
        }
    }

    pub(super) fn push(&mut self, at: Now, frames: Encoded, limits: LogLimits) {
        self.head = self.head.next();
        self.bytes += frames.bytes();
        self.entries.push_back(Entry { at, frames });
        self.keep_within(limits);
    }

    fn keep_within(&mut self, limits: LogLimits) {
        while self.entries.len() > limits.entries
            || (self.bytes > limits.bytes && self.entries.len() > 1)
        {
            self.pop();
        }
        let here = self.here();
        if let Some(earlier) = &mut self.earlier {
            earlier.keep_within(here, limits);
        }
    }

    /// An entry of a log that is here up to its head has come by itself.
    pub(super) fn arrive(
        &mut self,
        at: Now,
        (number, ts): (TopicNo, TopicSeq),
        (name, bodies): (&Name, &[(Codec, Body)]),
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Arrived {
        if ts <= self.head {
            return Arrived::Known;
        }
        let frames = Encoded::of(bodies, |codec, body| codec.event(number, ts, name, body));
        if ts == self.head.next() {
            self.push(at, frames, LogLimits::of(self.spec, config));
            self.catch_up(at, config);
            self.wait_no_more(number, fx);
            return Arrived::Next;
        }
        if self.keep_ahead(ts, frames, config) { Arrived::Early } else { Arrived::TooMany }
    }

    /// Keeps an entry that came before an earlier one. `false` if there is no room for it.
    fn keep_ahead(&mut self, ts: TopicSeq, frames: Encoded, config: &NodeConfig) -> bool {
        let bytes = self.ahead.bytes + frames.bytes();
        let full = self.ahead.entries.len() >= config.reorder_entries as usize;
        if full || bytes > u64::from(config.topic_bytes) {
            return false;
        }
        if self.ahead.entries.insert(ts, frames).is_none() {
            self.ahead.bytes = bytes;
        }
        true
    }

    /// Goes on with what came early.
    pub(super) fn catch_up(&mut self, at: Now, config: &NodeConfig) {
        if self.ahead.is_empty() {
            return;
        }
        let limits = LogLimits::of(self.spec, config);
        while let Some(frames) = self.ahead.take(self.head.next()) {
            self.push(at, frames, limits);
        }
    }

    /// If nothing has come early any more, nothing is waited for.
    pub(super) fn wait_no_more(&mut self, number: TopicNo, fx: &mut Effects) {
        if self.ahead.is_empty()
            && let Some(until) = self.ahead.until.take()
        {
            fx.disarm(Some(until), Timer::Ahead(number));
        }
    }

    fn pop(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.frames.bytes();
        }
    }

    /// Goes on at a head without the entries before it: whoever stands before it has a gap.
    pub(super) fn clear(&mut self, head: TopicSeq) {
        self.entries.clear();
        self.bytes = 0;
        self.head = head;
    }

    /// Lets go of what a new subscriber may not be given any more; those who are live have it
    /// already, or are behind.
    pub(super) fn expire(&mut self, now: Now, config: &NodeConfig) {
        let declared = config.topic_at(self.spec);
        let ttl_ms = declared.map_or(0, |spec| millis(spec.retention.ttl));
        while self.entries.front().is_some_and(|entry| now.since(entry.at) > ttl_ms) {
            self.pop();
        }
    }
}

/// The position before an entry; 0 before the first.
pub(super) const fn before(ts: TopicSeq) -> TopicSeq {
    TopicSeq(ts.0.saturating_sub(1))
}
