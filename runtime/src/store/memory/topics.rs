//! Topics, each with one bounded log (PROTOCOL.md 7.1): epochs, numbers, retention, and the keys
//! that make an append repeatable. A topic that was forgotten comes back with another epoch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::bytes::{Sums, Weight};
use super::idle::Idle;
use super::limits::MemoryLimits;
use crate::session::Now;
use crate::session::store::{
    AppendKey, Appended, LogEntry, Publication, ReadFrom, Retention, StoreOutcome, StoreTime,
    TopicHead, TopicId,
};
use crate::store::admin::{AgedEntry, BackPage, ListedTopic, TopicPage};
use crate::wire::{Epoch, TopicSeq};

/// Something that is to be appended.
pub(super) struct NewEntry {
    /// A new one; without a key it will not be repeated.
    pub(super) key: Option<AppendKey>,
    pub(super) publication: Publication,
    pub(super) retention: Retention,
    /// The topic's epoch, should it not exist.
    pub(super) fresh_epoch: Epoch,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Topics {
    /// Of the store: what was seen in another one says nothing.
    incarnation: u64,
    pub(super) topics: BTreeMap<TopicId, Topic>,
    /// In the order in which they give way when there are too many.
    pub(super) idle: BTreeSet<Idle>,
    /// One entry per topic, at or before the time at which some of its log, or all of it, is to go.
    pub(super) due: BTreeSet<(Now, TopicId)>,
    /// The entries of all logs.
    pub(super) weight: Weight,
    /// Keys that are remembered until a time, in the order of that.
    fading: VecDeque<(Now, TopicId, AppendKey)>,
    /// The keys of appends from outside of commands, oldest first.
    direct: VecDeque<(TopicId, AppendKey)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Topic {
    pub(super) epoch: Epoch,
    pub(super) head: TopicSeq,
    /// Numbered without a gap; the last one has the number `head`.
    pub(super) entries: VecDeque<(Now, LogEntry)>,
    /// Bytes of the entries.
    pub(super) bytes: u64,
    pub(super) used: Now,
    /// Its entry in `Topics::due`.
    pub(super) due: Now,
    pub(super) retention: Retention,
    /// The number that each remembered append got.
    pub(super) keys: BTreeMap<AppendKey, TopicSeq>,
}

impl Topic {
    /// Lets go of what is kept no longer; what this frees.
    fn trim(&mut self, now: Now) -> Weight {
        let Retention { entries, bytes, ttl } = self.retention;
        let before = self.weight();
        self.shorten(self.bytes.saturating_sub(bytes), |freed| freed.bytes);
        while let Some((at, _)) = self.entries.front()
            && (self.entries.len() > entries as usize || at.after(ttl) <= now)
        {
            self.pop();
        }
        before - self.weight()
    }

    /// Lets go of entries until so much is freed, as `weigh` counts it, the latest entry excepted;
    /// what this frees.
    fn shorten(&mut self, excess: u64, weigh: impl Fn(&Weight) -> u64) -> Weight {
        let before = self.weight();
        while weigh(&(before - self.weight())) < excess && self.entries.len() > 1 {
            self.pop();
        }
        before - self.weight()
    }

    fn pop(&mut self) {
        self.bytes -= self.entries.pop_front().map_or(0, |(_, entry)| entry.bytes());
    }

    /// Lets go of every entry; what this frees.
    fn clear(&mut self) -> Weight {
        let before = self.weight();
        self.entries.clear();
        self.bytes = 0;
        before
    }

    pub(super) fn weight(&self) -> Weight {
        Weight { entries: self.entries.len() as u64, bytes: self.bytes }
    }

    fn standing(&self) -> TopicHead {
        TopicHead { epoch: self.epoch, head: self.head, oldest: self.oldest() }
    }

    pub(super) fn oldest(&self) -> TopicSeq {
        self.entries.front().map_or(self.head.next(), |(_, entry)| entry.ts)
    }

    pub(super) fn idle(&self, id: &TopicId) -> Idle {
        let had_entries = self.head > TopicSeq::ZERO;
        Idle { had_entries, used: self.used, topic: id.clone() }
    }

    /// When the whole topic is forgotten, if nobody uses it again.
    fn until(&self, limits: &MemoryLimits) -> Now {
        let until = self.used.after(self.retention.ttl).after(limits.topic_memory);
        if self.head == TopicSeq::ZERO {
            return until.min(self.used.after(limits.empty_topic_memory));
        }
        until
    }

    /// When there is something to let go.
    fn next_due(&self, limits: &MemoryLimits) -> Now {
        let entry = self.entries.front().map(|(at, _)| at.after(self.retention.ttl));
        entry.map_or(self.until(limits), |entry| entry.min(self.until(limits)))
    }
}

/// The epoch of a topic in another incarnation.
pub(super) fn anew(epoch: Epoch, incarnation: u64) -> Epoch {
    let mut both = [0; 16];
    both[..8].copy_from_slice(&epoch.0.to_le_bytes());
    both[8..].copy_from_slice(&incarnation.to_le_bytes());
    Epoch(xxh3_64(&both))
}

impl Topics {
    /// Finds a topic, or makes it. Counts as use.
    fn touch(
        &mut self,
        now: Now,
        id: &TopicId,
        fresh_epoch: Epoch,
        retention: Retention,
    ) -> &mut Topic {
        if !self.topics.contains_key(id) {
            let topic = id.clone();
            self.idle.insert(Idle { had_entries: false, used: now, topic });
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
        });
        if topic.used < now {
            self.idle.remove(&topic.idle(id));
            topic.used = now;
            self.idle.insert(topic.idle(id));
        }
        topic.retention = retention;
        topic
    }

    fn forget(&mut self, id: &TopicId) {
        if let Some(topic) = self.topics.remove(id) {
            self.weight -= topic.weight();
            self.idle.remove(&topic.idle(id));
            self.due.remove(&(topic.due, id.clone()));
        }
    }

    pub(super) fn reschedule(&mut self, id: &TopicId, limits: &MemoryLimits) {
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
    ) -> TopicHead {
        let topic = self.touch(now, id, fresh_epoch, retention);
        let freed = topic.trim(now);
        let standing = topic.standing();
        self.weight -= freed;
        standing
    }

    /// Where a topic stands, if there is one. Counts as use.
    pub(super) fn look(&mut self, now: Now, id: &TopicId) -> Option<TopicHead> {
        let topic = self.topics.get_mut(id)?;
        if topic.used < now {
            self.idle.remove(&topic.idle(id));
            topic.used = now;
            self.idle.insert(topic.idle(id));
        }
        let freed = topic.trim(now);
        self.weight -= freed;
        Some(topic.standing())
    }

    /// The latest entry of a log, if it is still there.
    pub(super) fn latest(&self, id: &TopicId) -> Option<&LogEntry> {
        self.topics.get(id)?.entries.back().map(|(_, entry)| entry)
    }

    pub(super) fn sums(&self) -> Sums {
        let topics = self.topics.len() as u64;
        Sums { topics, logs: self.weight.bytes, entries: self.weight.entries, ..Sums::default() }
    }

    /// Whether what was seen then was seen in this incarnation, and less than so long ago.
    pub(super) fn is_recent(&self, now: Now, seen: StoreTime, window: Duration) -> bool {
        seen.incarnation == self.incarnation && Now(seen.ms).after(window) >= now
    }

    /// Where an append landed, if its key is remembered.
    pub(super) fn landed(&self, key: AppendKey, id: &TopicId) -> Option<Appended> {
        let topic = self.topics.get(id)?;
        topic.keys.get(&key).map(|ts| Appended { epoch: topic.epoch, ts: *ts })
    }

    pub(super) fn append(&mut self, now: Now, new: NewEntry, limits: &MemoryLimits) -> Appended {
        let NewEntry { key, publication, retention, fresh_epoch } = new;
        let Publication { topic: id, name, bodies } = publication;
        let topic = self.touch(now, &id, fresh_epoch, retention);
        let first = topic.entries.is_empty();
        let unfilled = (topic.head == TopicSeq::ZERO).then(|| topic.idle(&id));
        topic.head = topic.head.next();
        let appended = Appended { epoch: topic.epoch, ts: topic.head };
        if let Some(key) = key {
            topic.keys.insert(key, appended.ts);
        }
        let entry = LogEntry { ts: appended.ts, name, bodies };
        let bytes = entry.bytes();
        topic.bytes += bytes;
        topic.entries.push_back((now, entry));
        let freed = topic.trim(now);
        self.weight += Weight { entries: 1, bytes };
        self.weight -= freed;
        if let Some(key @ AppendKey::Direct { .. }) = key {
            self.direct.push_back((id.clone(), key));
        }
        if let Some(idle) = unfilled {
            self.idle.remove(&idle);
            self.idle.insert(Idle { had_entries: true, ..idle });
        }
        if first {
            self.reschedule(&id, limits);
        }
        appended
    }

    /// The topic that is forgotten first, another one than `present`.
    pub(super) fn first_idle(&self, present: &TopicId) -> Option<Idle> {
        self.idle.iter().find(|idle| idle.topic != *present).cloned()
    }

    /// Of those that have entries, the one that loses them first, or next after another one that
    /// was not used since; another one than `present`.
    pub(super) fn next_long(&self, after: Option<Idle>, present: &TopicId) -> Option<Idle> {
        let after = Bound::Excluded(after.unwrap_or_else(Idle::before_entries));
        let is_long = |id| self.topics.get(id).is_some_and(|topic| topic.bytes > 0);
        let mut idle = self.idle.range((after, Bound::Unbounded));
        idle.find(|idle| idle.topic != *present && is_long(&idle.topic)).cloned()
    }

    /// Forgets a topic, if it was not used since.
    pub(super) fn forget_idle(&mut self, idle: &Idle) {
        let id = &idle.topic;
        if self.topics.get(id).is_some_and(|topic| topic.idle(id) == *idle) {
            self.forget(id);
        }
    }

    /// Takes the entries of a topic, if it was not used since.
    pub(super) fn clear_idle(&mut self, idle: &Idle) {
        let topic = self.topics.get_mut(&idle.topic).filter(|topic| topic.used == idle.used);
        if let Some(topic) = topic {
            self.weight -= topic.clear();
        }
    }

    /// Takes entries of a topic until they have made so much room or a little more, the latest
    /// entry excepted.
    pub(super) fn shorten(&mut self, id: &TopicId, excess: u64) {
        if let Some(topic) = self.topics.get_mut(id) {
            self.weight -= topic.shorten(excess, Weight::cost);
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
        self.weight -= topic.trim(now);
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

    /// A page of the topics that are here. Counts as use of none.
    pub(super) fn list(&self, page: &TopicPage) -> Vec<ListedTopic> {
        let from = page.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.topics.range((from, Bound::Unbounded));
        let listed = behind.filter(|(id, _)| page.has(id)).map(|(id, topic)| ListedTopic {
            topic: id.clone(),
            head: topic.standing(),
            bytes: topic.bytes,
            retention: topic.retention,
        });
        listed.take(page.max as usize).collect()
    }

    /// A page of a log from its end. Counts as no use.
    pub(super) fn read_back(
        &mut self,
        now: Now,
        id: &TopicId,
        before: Option<TopicSeq>,
        (max, max_bytes): (u32, u64),
    ) -> Option<BackPage> {
        let topic = self.topics.get_mut(id)?;
        self.weight -= topic.trim(now);
        let head = topic.standing();
        let mut bytes = 0;
        let fits = |aged: &AgedEntry| {
            let first = bytes == 0;
            bytes += aged.entry.bytes();
            first || bytes <= max_bytes
        };
        let back = topic.entries.iter().rev();
        let wanted = back.skip_while(|(_, entry)| before.is_some_and(|before| entry.ts >= before));
        let aged =
            wanted.map(|(at, entry)| AgedEntry { age_ms: now.since(*at), entry: entry.clone() });
        let entries = aged.take(max as usize).take_while(fits).collect();
        Some(BackPage { head, retention: topic.retention, entries })
    }

    /// Whether there was such a topic.
    pub(super) fn delete(&mut self, id: &TopicId) -> bool {
        let there = self.topics.contains_key(id);
        self.forget(id);
        there
    }

    /// The store is another incarnation: so is each topic.
    pub(super) fn begin_incarnation(&mut self, incarnation: u64) {
        self.incarnation = incarnation;
        for topic in self.topics.values_mut() {
            topic.epoch = anew(topic.epoch, incarnation);
        }
    }

    /// Forgets the key of a record that is settled or gone: nobody need repeat its appends.
    pub(super) fn forget_key(&mut self, id: &TopicId, key: AppendKey) {
        if let Some(topic) = self.topics.get_mut(id) {
            topic.keys.remove(&key);
        }
    }

    /// The same, once it is later than `until`.
    pub(super) fn forget_key_later(&mut self, until: Now, id: TopicId, key: AppendKey) {
        // A key that stays longer does no harm.
        let until = self.fading.back().map_or(until, |(last, ..)| until.max(*last));
        self.fading.push_back((until, id, key));
    }

    /// Forgets the oldest keys of appends from outside of commands while there are too many for one
    /// of so many parts. Their age does not count: a clock may jump before one is repeated.
    fn forget_direct(&mut self, limits: &MemoryLimits, parts: u8) {
        let max = limits.direct_keys / usize::from(parts);
        while self.direct.len() > max
            && let Some((id, key)) = self.direct.pop_front()
        {
            self.forget_key(&id, key);
        }
    }

    /// Lets go of what has expired. Looks only at topics whose time may have come. The store has so
    /// many parts like this one.
    pub(super) fn expire(&mut self, now: Now, limits: &MemoryLimits, parts: u8) {
        self.forget_direct(limits, parts);
        while self.fading.front().is_some_and(|(until, ..)| *until < now)
            && let Some((_, id, key)) = self.fading.pop_front()
        {
            self.forget_key(&id, key);
        }
        while let Some((at, id)) = self.due.first().cloned()
            && at <= now
        {
            let Some(topic) = self.topics.get_mut(&id) else {
                self.due.pop_first();
                continue;
            };
            self.weight -= topic.trim(now);
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
    pub(super) fn keys_of(&self, id: &TopicId) -> usize {
        self.topics.get(id).map_or(0, |topic| topic.keys.len())
    }

    pub(super) fn entries_of(&self, id: &TopicId) -> usize {
        self.topics.get(id).map_or(0, |topic| topic.entries.len())
    }
}
