//! Reading what lies before the part of a log that is here, page by page from the place of whoever
//! comes from there (PROTOCOL.md 7.5). What comes behind the head is read elsewhere.

use super::entries::{Earlier, Encoded, Entry, LogLimits};
use super::state::{Notices, Topics};
use super::topic::Topic;
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::store::{LogEntry, ReadFrom, StoreOp, TopicHead};
use crate::wire::{Codec, TopicNo, TopicSeq};

/// Entries that one read of a log asks for.
pub(super) const READ_ENTRIES: u32 = 256;

impl Topics {
    /// Reads what lies above `from` and before what is here; one page at a time.
    pub(super) fn read_earlier(&mut self, number: TopicNo, from: TopicSeq, fx: &mut Effects) {
        let Some(topic) = self.topics.get_mut(&number) else {
            debug_assert!(false, "whoever waits for a topic follows it");
            return;
        };
        if topic.earlier.is_none() {
            topic.earlier = Some(Earlier::above(from));
            fx.ask(Purpose::ReadEarlier(number));
        }
    }

    pub(crate) fn earlier_op(&self, number: TopicNo, config: &NodeConfig) -> Option<StoreOp> {
        let topic = self.topics.get(&number)?;
        let (epoch, from) = (topic.epoch?, ReadFrom::After(topic.earlier.as_ref()?.read()));
        let (max, max_bytes) = (READ_ENTRIES, u64::from(config.read_bytes));
        Some(StoreOp::ReadLog { topic: topic.id.clone(), epoch, from, max, max_bytes })
    }

    /// A page has come.
    pub(crate) fn earlier(
        &mut self,
        now: Now,
        number: TopicNo,
        (head, entries): (TopicHead, Vec<LogEntry>),
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        let mut notices = Notices::new();
        // It may have been forgotten meanwhile, or made anew under another number.
        let Some(topic) = self.topics.get_mut(&number) else { return notices };
        if topic.epoch != Some(head.epoch) {
            return self.start_over(now, number, head, config, fx);
        }
        topic.oldest = topic.oldest.max(head.oldest);
        let limits = LogLimits::of(topic.spec, config);
        let from = Self::weighing(&mut self.bytes, topic, |topic| {
            topic.take_earlier(now, number, entries, limits)
        });
        self.keep_within_all(number, config, fx);
        let Some(from) = from else {
            fx.ask(Purpose::ReadEarlier(number));
            return notices;
        };
        if !self.open_waiting(now, number, Some(from), config, fx, &mut notices) {
            self.read(number, fx);
        }
        notices
    }
}

impl Topic {
    /// Takes a page. Once it reaches what is here, from where all of it was asked for.
    fn take_earlier(
        &mut self,
        now: Now,
        number: TopicNo,
        entries: Vec<LogEntry>,
        limits: LogLimits,
    ) -> Option<TopicSeq> {
        let (floor, here) = (self.floor(), self.here());
        let earlier = self.earlier.as_mut()?;
        let before = earlier.read();
        for LogEntry { ts, name, bodies } in entries {
            if ts > before && ts <= floor {
                let encode = |codec: Codec, body: &_| codec.event(number, ts, &name, body);
                let entry = Entry { at: now, frames: Encoded::of(&bodies, encode) };
                earlier.push(ts, entry);
                earlier.keep_within(here, limits);
            }
        }
        // A store that has no more of it will not have more later.
        if earlier.read() < floor && earlier.read() > before {
            return None;
        }
        let (from, read, entries) = self.earlier.take()?.into_parts();
        if read >= floor {
            self.put_before(entries, limits);
        }
        Some(from)
    }
}
