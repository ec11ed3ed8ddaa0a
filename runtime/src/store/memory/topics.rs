//! Topics, each with one bounded log (PROTOCOL.md 7.1): epochs, numbers, retention, and the keys
//! that make an append repeatable. A topic that was forgotten comes back with another epoch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use xxhash_rust::xxh3::xxh3_64;

use super::idle::Idle;
use super::limits::MemoryLimits;
use crate::session::Now;
use crate::session::store::{
    AppendKey, Appended, LogEntry, Publication, ReadFrom, Retention, StoreOutcome, TopicHead,
    TopicId,
};
use crate::wire::{CommandNo, Epoch, LeaseId, Position, TopicSeq};

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Topics {
    topics: BTreeMap<TopicId, Topic>,
    idle: Idle,
    /// One entry per topic, at or before the time at which some of its log, or all of it, is to go.
    due: BTreeSet<(Now, TopicId)>,
    /// Bytes of the entries of all logs.
    pub(super) bytes: u64,
    /// Keys that are remembered until a time, in the order of that.
    fading: VecDeque<(Now, TopicId, AppendKey)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Topic {
    epoch: Epoch,
    head: TopicSeq,
    /// Numbered without a gap; the last one has the number `head`.
    entries: VecDeque<(Now, LogEntry)>,
    /// Bytes of the entries.
    bytes: u64,
    used: Now,
    /// Its entry in `Topics::due`.
    due: Now,
    retention: Retention,
    /// The number that each remembered append got.
    keys: BTreeMap<AppendKey, TopicSeq>,
    /// The keys of appends from outside of commands, oldest first.
    direct: VecDeque<AppendKey>,
}

impl Topic {
    /// Lets go of what is kept no longer; the bytes that this frees.
    fn trim(&mut self, now: Now) -> u64 {
        let Retention { entries, bytes, ttl } = self.retention;
        let mut freed = self.shorten(self.bytes.saturating_sub(bytes));
        while let Some((at, _)) = self.entries.front()
            && (self.entries.len() > entries as usize || at.after(ttl) <= now)
        {
            freed += self.pop();
        }
        freed
    }

    /// Lets go of so many bytes of entries or a few more, the latest entry excepted; the bytes that
    /// this frees.
    fn shorten(&mut self, bytes: u64) -> u64 {
        let mut freed = 0;
        while freed < bytes && self.entries.len() > 1 {
            freed += self.pop();
        }
        freed
    }

    fn pop(&mut self) -> u64 {
        let bytes = self.entries.pop_front().map_or(0, |(_, entry)| entry.bytes());
        self.bytes -= bytes;
        bytes
    }

    /// Lets go of every entry; the bytes that this frees.
    fn clear(&mut self) -> u64 {
        self.entries.clear();
        std::mem::take(&mut self.bytes)
    }

    fn standing(&self) -> TopicHead {
        TopicHead { epoch: self.epoch, head: self.head, oldest: self.oldest() }
    }

    fn oldest(&self) -> TopicSeq {
        self.entries.front().map_or(self.head.next(), |(_, entry)| entry.ts)
    }

    /// Whether it never had an entry.
    fn is_empty(&self) -> bool {
        self.head == TopicSeq::ZERO
    }

    /// When the whole topic is forgotten, if nobody uses it again.
    fn until(&self, limits: &MemoryLimits) -> Now {
        let until = self.used.after(self.retention.ttl).after(limits.topic_memory);
        if self.is_empty() {
            return until.min(self.used.after(limits.empty_topic_memory));
        }
        until
    }

    /// When there is something to let go.
    fn next_due(&self, limits: &MemoryLimits) -> Now {
        let entry = self.entries.front().map(|(at, _)| at.after(self.retention.ttl));
        entry.map_or(self.until(limits), |entry| entry.min(self.until(limits)))
    }

    fn remember(&mut self, key: AppendKey, ts: TopicSeq, limits: &MemoryLimits) {
        self.keys.insert(key, ts);
        if matches!(key, AppendKey::Direct { .. }) {
            self.direct.push_back(key);
            if self.direct.len() > limits.direct_keys
                && let Some(oldest) = self.direct.pop_front()
            {
                self.keys.remove(&oldest);
            }
        }
    }
}

impl Topics {
    /// Finds a topic, or makes it. Counts as use.
    fn touch(
        &mut self,
        now: Now,
        id: &TopicId,
        fresh_epoch: Epoch,
        retention: Retention,
        limits: &MemoryLimits,
    ) -> &mut Topic {
        if !self.topics.contains_key(id) {
            while self.topics.len() >= limits.topics.max(1)
                && let Some(oldest) = self.idle.first().cloned()
            {
                self.forget(&oldest);
            }
            self.idle.add(now, id.clone());
            self.due.insert((now, id.clone()));
        }
        let topic = self.topics.entry(id.clone()).or_insert_with(|| Topic {
            epoch: fresh_epoch,
            head: TopicSeq::ZERO,
            entries: VecDeque::new(),
            bytes: 0,
            used: now,
            due: now,
            retention,
            keys: BTreeMap::new(),
            direct: VecDeque::new(),
        });
        if topic.used < now {
            self.idle.used(topic.is_empty(), topic.used, now, id);
            topic.used = now;
        }
        topic.retention = retention;
        topic
    }

    fn forget(&mut self, id: &TopicId) {
        if let Some(topic) = self.topics.remove(id) {
            self.bytes -= topic.bytes;
            self.idle.remove(topic.is_empty(), topic.used, id.clone());
            self.due.remove(&(topic.due, id.clone()));
        }
    }

    fn reschedule(&mut self, id: &TopicId, limits: &MemoryLimits) {
        if let Some(topic) = self.topics.get_mut(id) {
            self.due.remove(&(topic.due, id.clone()));
            topic.due = topic.next_due(limits);
            self.due.insert((topic.due, id.clone()));
        }
    }

    pub(super) fn open(
        &mut self,
        now: Now,
        id: &TopicId,
        fresh_epoch: Epoch,
        retention: Retention,
        limits: &MemoryLimits,
    ) -> TopicHead {
        let topic = self.touch(now, id, fresh_epoch, retention, limits);
        let freed = topic.trim(now);
        let standing = topic.standing();
        self.bytes -= freed;
        standing
    }

    /// Where a topic stands, if there is one. Counts as use.
    pub(super) fn look(&mut self, now: Now, id: &TopicId) -> Option<TopicHead> {
        let topic = self.topics.get_mut(id)?;
        if topic.used < now {
            self.idle.used(topic.is_empty(), topic.used, now, id);
            topic.used = now;
        }
        let freed = topic.trim(now);
        self.bytes -= freed;
        Some(topic.standing())
    }

    /// Where a topic stands, with its latest entries, at most `max`.
    pub(super) fn tail(&self, id: &TopicId, max: usize) -> Option<(Position, Vec<LogEntry>)> {
        let topic = self.topics.get(id)?;
        let skip = topic.entries.len().saturating_sub(max);
        let entries = topic.entries.range(skip..).map(|(_, entry)| entry.clone()).collect();
        Some((Position { epoch: topic.epoch, ts: topic.head }, entries))
    }

    /// Where an append landed, if its key is remembered.
    pub(super) fn landed(&self, key: AppendKey, id: &TopicId) -> Option<Appended> {
        let topic = self.topics.get(id)?;
        topic.keys.get(&key).map(|ts| Appended { epoch: topic.epoch, ts: *ts })
    }

    /// Appends; the caller knows that `key` is a new one. Without a key it will not be repeated.
    pub(super) fn append(
        &mut self,
        now: Now,
        key: Option<AppendKey>,
        publication: Publication,
        retention: Retention,
        fresh_epoch: Epoch,
        limits: &MemoryLimits,
    ) -> Appended {
        let Publication { topic: id, name, bodies } = publication;
        let topic = self.touch(now, &id, fresh_epoch, retention, limits);
        let first = topic.entries.is_empty();
        let unfilled = topic.is_empty().then_some(topic.used);
        topic.head = topic.head.next();
        let appended = Appended { epoch: topic.epoch, ts: topic.head };
        if let Some(key) = key {
            topic.remember(key, appended.ts, limits);
        }
        let entry = LogEntry { ts: appended.ts, name, bodies };
        let added = entry.bytes();
        topic.bytes += added;
        topic.entries.push_back((now, entry));
        let freed = topic.trim(now);
        self.bytes = self.bytes + added - freed;
        if let Some(used) = unfilled {
            self.idle.filled(used, &id);
        }
        if first {
            self.reschedule(&id, limits);
        }
        if self.bytes > limits.log_bytes {
            self.empty_the_idle(&id, limits);
        }
        appended
    }

    /// Takes the entries of the topics that were idle longest while there are too many bytes of
    /// them in all; those of `present` go last. A topic without entries is looked at once for each
    /// time that this happens, so an eighth more than must go goes.
    fn empty_the_idle(&mut self, present: &TopicId, limits: &MemoryLimits) {
        let enough = limits.log_bytes - limits.log_bytes / 8;
        for id in self.idle.with_entries().filter(|id| *id != present) {
            if self.bytes <= enough {
                return;
            }
            if let Some(topic) = self.topics.get_mut(id) {
                self.bytes -= topic.clear();
            }
        }
        if let Some(topic) = self.topics.get_mut(present) {
            self.bytes -= topic.shorten(self.bytes.saturating_sub(limits.log_bytes));
        }
    }

    pub(super) fn read(
        &mut self,
        now: Now,
        id: &TopicId,
        epoch: Epoch,
        from: ReadFrom,
        (max, max_bytes): (u32, u64),
    ) -> StoreOutcome {
        let Some(topic) = self.topics.get_mut(id) else { return StoreOutcome::TopicGone };
        self.bytes -= topic.trim(now);
        let head = topic.standing();
        if topic.epoch != epoch {
            return StoreOutcome::Log { head, entries: Vec::new() };
        }
        let kept = topic.entries.len();
        let skip = match from {
            // Numbers have no gaps, so the place of the first wanted entry follows from its number.
            ReadFrom::After(ts) => {
                let skip = ts.0.saturating_add(1).saturating_sub(head.oldest.0);
                usize::try_from(skip).unwrap_or(usize::MAX).min(kept)
            }
            ReadFrom::Last(last) => kept.saturating_sub(last as usize),
        };
        let mut bytes = 0;
        let fits = |entry: &&LogEntry| {
            let first = bytes == 0;
            bytes += entry.bytes();
            first || bytes <= max_bytes
        };
        let wanted = topic.entries.range(skip..).take(max as usize).map(|(_, entry)| entry);
        StoreOutcome::Log { head, entries: wanted.take_while(fits).cloned().collect() }
    }

    /// The store is another incarnation: so is each topic.
    pub(super) fn begin_incarnation(&mut self, incarnation: u64) {
        for topic in self.topics.values_mut() {
            let mut both = [0; 16];
            both[..8].copy_from_slice(&topic.epoch.0.to_le_bytes());
            both[8..].copy_from_slice(&incarnation.to_le_bytes());
            topic.epoch = Epoch(xxh3_64(&both));
        }
    }

    /// Forgets the keys of a record that is settled or gone: nobody need repeat its appends.
    pub(super) fn forget_keys(&mut self, lease: LeaseId, n: CommandNo, publishes: &[Publication]) {
        for (index, publication) in (0..).zip(publishes) {
            if let Some(topic) = self.topics.get_mut(&publication.topic) {
                topic.keys.remove(&AppendKey::Command { lease, n, index });
            }
        }
    }

    /// The same, once it is later than `until`.
    pub(super) fn forget_keys_later(
        &mut self,
        until: Now,
        lease: LeaseId,
        n: CommandNo,
        publishes: Vec<Publication>,
    ) {
        // Clocks of clones may differ by a little, and a key that stays longer does no harm.
        let until = self.fading.back().map_or(until, |(last, ..)| until.max(*last));
        let keys = (0..).zip(publishes).map(|(index, publication)| {
            (until, publication.topic, AppendKey::Command { lease, n, index })
        });
        self.fading.extend(keys);
    }

    /// Lets go of what has expired. Looks only at topics whose time may have come.
    pub(super) fn expire(&mut self, now: Now, limits: &MemoryLimits) {
        while self.fading.front().is_some_and(|(until, ..)| *until < now)
            && let Some((_, id, key)) = self.fading.pop_front()
        {
            if let Some(topic) = self.topics.get_mut(&id) {
                topic.keys.remove(&key);
            }
        }
        while let Some((at, id)) = self.due.first().cloned()
            && at <= now
        {
            let Some(topic) = self.topics.get_mut(&id) else {
                self.due.pop_first();
                continue;
            };
            self.bytes -= topic.trim(now);
            if topic.until(limits) <= now {
                self.forget(&id);
            } else {
                self.reschedule(&id, limits);
            }
        }
    }
}

#[cfg(test)]
impl Topics {
    pub(super) fn count(&self) -> usize {
        self.topics.len()
    }

    pub(super) fn keys_of(&self, id: &TopicId) -> usize {
        self.topics.get(id).map_or(0, |topic| topic.keys.len())
    }

    pub(super) fn entries_of(&self, id: &TopicId) -> usize {
        self.topics.get(id).map_or(0, |topic| topic.entries.len())
    }
}
