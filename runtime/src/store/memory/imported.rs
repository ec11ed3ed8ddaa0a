//! Topics and entries that another store had. A topic comes without its entries, then these from
//! the latest one down.

use std::collections::{BTreeMap, VecDeque};

use super::bytes::{Sums, Weight};
use super::limits::MemoryLimits;
use super::topics::{Topic, Topics, anew};
use crate::session::Now;
use crate::session::store::{Retention, TopicHead, TopicId};
use crate::store::admin::AgedEntry;
use crate::store::imported_log::ImportedLog;

impl Topics {
    /// Makes a topic as another store had it, under another epoch; why not, if it can't.
    pub(super) fn import(
        &mut self,
        now: Now,
        id: TopicId,
        (head, retention): (TopicHead, Retention),
        incarnation: u64,
        all: &Sums,
        limits: &MemoryLimits,
    ) -> Result<(), String> {
        if self.topics.contains_key(&id) {
            return Err(format!("there is a topic {id:?}"));
        }
        if all.topics >= limits.topics as u64 {
            return Err("there is no room for more topics".to_owned());
        }
        let topic = Topic {
            epoch: anew(head.epoch, incarnation),
            head: head.head,
            entries: VecDeque::new(),
            bytes: 0,
            used: now,
            due: now,
            retention,
            keys: BTreeMap::new(),
        };
        self.idle.insert(topic.idle(&id));
        self.due.insert((topic.due, id.clone()));
        self.topics.insert(id, topic);
        Ok(())
    }

    /// Puts entries below the oldest one of a topic; why not, if they don't belong there.
    pub(super) fn import_entries(
        &mut self,
        now: Now,
        id: &TopicId,
        entries: Vec<AgedEntry>,
        all: &Sums,
        limits: &MemoryLimits,
    ) -> Result<(), String> {
        let Some(topic) = self.topics.get_mut(id) else {
            return Err(format!("there is no topic {id:?} for its entries"));
        };
        let (head, oldest) = (topic.head, topic.oldest());
        let (before, retention) = (topic.weight(), topic.retention);
        let mut log = ImportedLog { head, oldest, bytes: before.bytes, retention };
        for aged in entries {
            if !log.take(id, &aged)? {
                continue;
            }
            let AgedEntry { age_ms, entry } = aged;
            let more = Weight { entries: head.0 + 1 - log.oldest.0, bytes: log.bytes } - before;
            if all.cost_of_logs() + more.cost() > limits.log_bytes {
                return Err("there is no room for more entries".to_owned());
            }
            let at = Now(now.0.saturating_sub(age_ms));
            let at = topic.entries.front().map_or(at, |(next, _)| at.min(*next));
            self.weight += Weight { entries: 1, bytes: entry.bytes() };
            topic.bytes += entry.bytes();
            topic.entries.push_front((at, entry));
        }
        self.reschedule(id, limits);
        Ok(())
    }
}
