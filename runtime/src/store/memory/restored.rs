//! Topics and entries that another store had. A topic comes without its entries, then these from
//! the latest one down.

use std::collections::{BTreeMap, VecDeque};

use super::bytes::Sums;
use super::limits::MemoryLimits;
use super::topics::{Topic, Topics, anew};
use crate::session::Now;
use crate::session::store::{Retention, TopicHead, TopicId};
use crate::store::admin::AgedEntry;
use crate::wire::TopicSeq;

impl Topics {
    /// Makes a topic as another store had it, under another epoch; why not, if it can't.
    pub(super) fn restore(
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
            direct: VecDeque::new(),
        };
        self.idle.insert(topic.idle(&id));
        self.due.insert((topic.due, id.clone()));
        self.topics.insert(id, topic);
        Ok(())
    }

    /// Puts entries below the oldest one of a topic; why not, if they don't belong there.
    pub(super) fn restore_entries(
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
        let more: u64 = entries.iter().map(|aged| aged.entry.bytes()).sum();
        if all.logs + more > limits.log_bytes {
            return Err("there is no room for more entries".to_owned());
        }
        for AgedEntry { age_ms, entry } in entries {
            let oldest = topic.oldest();
            if entry.ts == TopicSeq::ZERO || entry.ts.next() != oldest {
                let (ts, oldest) = (entry.ts.0, oldest.0);
                return Err(format!("{id:?}: entry {ts} does not come right before {oldest}"));
            }
            let at = Now(now.0.saturating_sub(age_ms));
            let at = topic.entries.front().map_or(at, |(next, _)| at.min(*next));
            topic.bytes += entry.bytes();
            self.bytes += entry.bytes();
            topic.entries.push_front((at, entry));
        }
        self.reschedule(id, limits);
        Ok(())
    }
}
