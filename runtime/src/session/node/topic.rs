//! One bounded log per topic, as this process holds it: what the store has retained, kept up to
//! date by what this process appends and by reading. Live delivery, replay and catching up all read
//! from here.

use std::collections::{BTreeMap, VecDeque};

use super::state::{Encoded, SubState};
use super::types::{ConnId, ExecId};
use super::{Node, OpKind};
use crate::session::Now;
use crate::session::store::{
    Appended, LogEntry, Publication, StoreOp, StoreOutcome, TopicHead, TopicId,
};
use crate::wire::{Epoch, SubNo, TopicNo, TopicSeq, UnsubscribeCode};

/// Entries that one read of the log asks for.
const READ_ENTRIES: u32 = 256;

/// A topic that this process holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    pub(super) id: TopicId,
    pub(super) spec: u16,
    /// `None` until the store has told.
    pub(super) epoch: Option<Epoch>,
    /// The latest entry that is here.
    pub(super) head: TopicSeq,
    /// Consecutive, the last one is `head`.
    pub(super) entries: VecDeque<Entry>,
    bytes: u64,
    /// All that the store retains is here.
    pub(super) loaded: bool,
    /// A read is under way.
    pub(super) reading: bool,
    /// Reads that were begun: only one that began after a question came can answer it.
    pub(super) reads: u64,
    /// The head when the present read went out: what the store had then, it must still have.
    read_from: TopicSeq,
    /// The store has more than is here.
    pub(super) behind: bool,
    /// One subscription per socket (PROTOCOL.md 7.3).
    pub(super) followers: BTreeMap<ConnId, Follower>,
    pub(super) snapshot: Option<SnapshotRun>,
    pub(super) idle_since: Option<Now>,
    /// When the store heard of it last, while somebody follows.
    pub(super) touched: Option<Now>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) at: Now,
    pub(super) frames: Encoded,
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
    fn new(id: TopicId, spec: u16) -> Self {
        Self {
            id,
            spec,
            epoch: None,
            head: TopicSeq::ZERO,
            entries: VecDeque::new(),
            bytes: 0,
            loaded: false,
            reading: false,
            reads: 0,
            read_from: TopicSeq::ZERO,
            behind: false,
            followers: BTreeMap::new(),
            snapshot: None,
            idle_since: None,
            touched: None,
        }
    }

    /// Entries, and the bytes of their frames.
    pub(super) fn held(&self) -> (usize, u64) {
        (self.entries.len(), self.bytes)
    }

    /// Everything above this one can be sent.
    pub(super) fn floor(&self) -> TopicSeq {
        TopicSeq(self.head.0 - self.entries.len() as u64)
    }

    pub(super) fn entry(&self, ts: TopicSeq) -> Option<&Entry> {
        let at = ts.0.checked_sub(self.floor().0 + 1)?;
        self.entries.get(usize::try_from(at).ok()?)
    }

    /// A follower has nothing more to send: the next entry wakes it again.
    pub(super) fn untell(&mut self, conn: ConnId) {
        if let Some(follower) = self.followers.get_mut(&conn) {
            follower.told = false;
        }
    }

    fn push(&mut self, entry: Entry, limits: Limits) {
        self.head = self.head.next();
        self.bytes += entry.frames.bytes();
        self.entries.push_back(entry);
        while self.entries.len() > limits.entries
            || (self.bytes > limits.bytes && self.entries.len() > 1)
        {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= entry.frames.bytes();
        }
    }

    fn clear(&mut self, head: TopicSeq) {
        self.entries.clear();
        self.bytes = 0;
        self.head = head;
    }

    /// Lets go of what a new subscriber may not be given any more; those who are live have it
    /// already, or are behind.
    pub(super) fn expire(&mut self, now: Now, ttl_ms: u64) {
        while self.entries.front().is_some_and(|entry| now.since(entry.at) > ttl_ms) {
            self.pop();
        }
    }
}

/// How much of a topic a process holds.
#[derive(Clone, Copy)]
struct Limits {
    entries: usize,
    bytes: u64,
}

impl Node {
    /// The number of a topic, held from now on. `None` if as many are held as may, and all are
    /// followed.
    pub(super) fn hold_topic(&mut self, id: TopicId, spec: u16) -> Option<TopicNo> {
        if let Some(number) = self.topic_numbers.get(&id) {
            return Some(*number);
        }
        if self.topics.len() >= self.config.topics_held as usize {
            let (_, idle) = self.idle_topics.pop_first()?;
            self.forget_topic(idle);
        }
        self.last_topic = self.last_topic.next();
        let number = self.last_topic;
        self.topic_numbers.insert(id.clone(), number);
        self.topics.insert(number, Topic::new(id, spec));
        self.submit(OpKind::OpenTopic(number));
        Some(number)
    }

    fn forget_topic(&mut self, number: TopicNo) {
        if let Some(topic) = self.topics.remove(&number) {
            self.topic_numbers.remove(&topic.id);
            if let Some(touched) = topic.touched {
                self.followed_topics.remove(&(touched, number));
            }
            if let Some(run) = topic.snapshot {
                self.abort(run.exec);
            }
        }
    }

    pub(super) fn forget_idle_topics(&mut self, now: Now) {
        while let Some(&(since, number)) = self.idle_topics.first()
            && since.after_ms(self.config.topic_idle_ms) <= now
        {
            self.idle_topics.pop_first();
            self.forget_topic(number);
        }
    }

    /// A store forgets what nobody has asked for in a long time; a quiet topic with followers must
    /// not get another epoch for that.
    pub(super) fn touch_followed_topics(&mut self, now: Now) {
        while let Some(&(touched, number)) = self.followed_topics.first()
            && touched.after_ms(self.config.topic_touch_ms) <= now
        {
            self.followed_topics.pop_first();
            if let Some(topic) = self.topics.get_mut(&number) {
                topic.touched = Some(now);
                self.followed_topics.insert((now, number));
                self.submit(OpKind::OpenTopic(number));
            }
        }
    }

    pub(super) fn open_topic_op(&mut self, number: TopicNo) -> Option<StoreOp> {
        let fresh_epoch = Epoch(self.random.u64());
        let topic = self.topics.get(&number)?;
        let retention = self.config.retention(&topic.id.name);
        Some(StoreOp::OpenTopic { topic: topic.id.clone(), fresh_epoch, retention })
    }

    pub(super) fn read_log_op(&mut self, number: TopicNo) -> Option<StoreOp> {
        let topic = self.topics.get_mut(&number)?;
        let epoch = topic.epoch?;
        topic.read_from = topic.head;
        Some(StoreOp::ReadLog {
            topic: topic.id.clone(),
            epoch,
            after: topic.head,
            max: READ_ENTRIES,
        })
    }

    pub(super) fn on_topic_opened(&mut self, number: TopicNo, outcome: &StoreOutcome) {
        let StoreOutcome::Topic(head) = outcome else { return };
        let Some(topic) = self.topics.get_mut(&number) else { return };
        match topic.epoch {
            None => {
                topic.epoch = Some(head.epoch);
                topic.head = before(head.oldest);
            }
            Some(epoch) if epoch != head.epoch => return self.start_over(number, *head),
            Some(_) => {}
        }
        self.read_log(number);
    }

    /// Reads what the store has and this process has not; one read at a time.
    pub(super) fn read_log(&mut self, number: TopicNo) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        topic.behind = true;
        if topic.epoch.is_some() && !topic.reading {
            topic.reading = true;
            topic.reads += 1;
            topic.behind = false;
            self.submit(OpKind::ReadLog(number));
        }
    }

    pub(super) fn on_log(&mut self, now: Now, number: TopicNo, outcome: StoreOutcome) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        topic.reading = false;
        // The store has forgotten the topic: it is made anew, with another epoch.
        let StoreOutcome::Log { head, entries } = outcome else {
            return self.submit(OpKind::OpenTopic(number));
        };
        // Lower than `topic.head` is old news if an append was heard of in the meantime.
        if topic.epoch != Some(head.epoch) || head.head < topic.read_from {
            return self.start_over(number, head);
        }
        self.take_entries(now, number, entries);
        let Some(topic) = self.topics.get_mut(&number) else { return };
        if topic.head < before(head.oldest) {
            // The store has let go of what comes next: whoever stands before it has a gap.
            topic.clear(before(head.oldest));
        }
        let complete = topic.head >= head.head;
        topic.loaded |= complete;
        let more = topic.behind || !complete;
        // Who came while the log was being read may know more than this read shows.
        if (complete && !self.open_waiting(now, number)) || more {
            self.read_log(number);
        }
        self.tell_followers(number);
    }

    fn take_entries(&mut self, now: Now, number: TopicNo, entries: Vec<LogEntry>) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        let limits = self.config.limits(topic.spec);
        for entry in entries {
            if entry.ts <= topic.head {
                continue;
            }
            if entry.ts != topic.head.next() {
                topic.clear(before(entry.ts));
            }
            let frames = Encoded::of(&entry.bodies, |codec, body| {
                codec.event(number, entry.ts, &entry.name, body)
            });
            topic.push(Entry { at: now, frames }, limits);
        }
    }

    /// Continuity with what is here can't be proven: the log's incarnation is another one
    /// (PROTOCOL.md 7.1). It gets a number of its own, so that frames and positions of the two are
    /// never taken for each other (7.6).
    fn start_over(&mut self, number: TopicNo, head: TopicHead) {
        let Some(mut earlier) = self.topics.remove(&number) else { return };
        if let Some(run) = earlier.snapshot.take() {
            self.abort(run.exec);
        }
        self.last_topic = self.last_topic.next();
        let anew = self.last_topic;
        let mut topic = Topic::new(earlier.id, earlier.spec);
        topic.epoch = Some(head.epoch);
        topic.head = before(head.oldest);
        topic.followers = earlier.followers;
        topic.idle_since = earlier.idle_since;
        if let Some(since) = topic.idle_since {
            self.idle_topics.remove(&(since, number));
            self.idle_topics.insert((since, anew));
        }
        topic.touched = earlier.touched;
        if let Some(touched) = topic.touched {
            self.followed_topics.remove(&(touched, number));
            self.followed_topics.insert((touched, anew));
        }
        for (conn, follower) in &mut topic.followers {
            follower.told = false;
            if let Some(sub) =
                self.conns.get_mut(conn).and_then(|state| state.subs.get_mut(&follower.sub))
            {
                sub.begin_anew(anew);
            }
        }
        self.topic_numbers.insert(topic.id.clone(), anew);
        self.topics.insert(anew, topic);
        self.read_log(anew);
    }

    /// An event is in the log.
    pub(super) fn on_published(&mut self, now: Now, publication: &Publication, at: Appended) {
        let Some(&number) = self.topic_numbers.get(&publication.topic) else { return };
        let Some(topic) = self.topics.get_mut(&number) else { return };
        let next = topic.loaded && topic.epoch == Some(at.epoch) && at.ts == topic.head.next();
        if !next {
            let known = topic.epoch == Some(at.epoch) && at.ts <= topic.head;
            if !known {
                self.read_log(number);
            }
            return;
        }
        let limits = self.config.limits(topic.spec);
        let frames = Encoded::of(&publication.bodies, |codec, body| {
            codec.event(number, at.ts, &publication.name, body)
        });
        topic.push(Entry { at: now, frames }, limits);
        self.tell_followers(number);
    }

    /// Wakes those who follow and have not been told yet: O(subscribers), nothing more.
    fn tell_followers(&mut self, number: TopicNo) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        for (conn, follower) in &mut topic.followers {
            if follower.told {
                continue;
            }
            let Some(state) = self.conns.get_mut(conn) else { continue };
            follower.told = true;
            state.ready(follower.sub);
            if !state.woken {
                state.woken = true;
                self.outputs.push_back(super::Output::Event(super::NodeEvent::Wake(*conn)));
            }
        }
    }

    /// The store does not give the topic: whoever waits for it is told, the rest goes on with what
    /// is here.
    pub(super) fn give_up_topic(&mut self, now: Now, number: TopicNo) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        topic.reading = false;
        let waiting: Vec<_> =
            topic.followers.iter().map(|(conn, follower)| (*conn, follower.sub)).collect();
        let loaded = topic.loaded;
        for (conn, sub) in waiting {
            let opening = self
                .conns
                .get(&conn)
                .and_then(|state| state.subs.get(&sub))
                .is_some_and(|sub| matches!(sub.state, SubState::Opening { .. }));
            if opening || !loaded {
                self.end_sub(now, conn, sub, UnsubscribeCode::Internal);
            }
        }
        if !loaded {
            self.idle_topics.retain(|(_, idle)| *idle != number);
            self.forget_topic(number);
        } else {
            // What the store has more must not be missed for ever.
            self.read_log_later(now, number);
        }
    }
}

impl super::NodeConfig {
    fn limits(&self, topic: u16) -> Limits {
        let entries = self.topics.get(usize::from(topic)).map_or(0, |spec| spec.retention.entries);
        Limits {
            entries: entries.max(self.live_entries) as usize,
            bytes: u64::from(self.topic_bytes),
        }
    }
}

/// The position before an entry; 0 before the first.
pub(super) const fn before(ts: TopicSeq) -> TopicSeq {
    TopicSeq(ts.0.saturating_sub(1))
}
