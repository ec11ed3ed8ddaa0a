//! Reading what a keyed topic's log has before its tail, for subscribers that come from there or
//! have fallen behind (PROTOCOL.md 7.21). All who stand in a page read it; those who don't ask for
//! another one, so that what is here stays small however long the log is.

use super::entries::{Encoded, Entry};
use super::pages::Page;
use super::state::{Notices, Topics};
use super::topic::Topic;
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::store::{LogEntry, TopicHead};
use crate::wire::{Codec, TopicNo, TopicSeq};

impl Topics {
    /// Reads what comes after a position that has left what is here; one page at a time.
    pub(super) fn read_page(&mut self, number: TopicNo, at: TopicSeq, fx: &mut Effects) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        if let Some(keyed) = &mut topic.keyed
            && keyed.pages.ask(at)
        {
            fx.ask(Purpose::ReadEarlier(number));
        }
    }

    /// A page has come, of the epoch that is here.
    pub(super) fn page(
        &mut self,
        now: Now,
        number: TopicNo,
        (head, entries): (TopicHead, Vec<LogEntry>),
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Notices {
        let Some(topic) = self.topics.get_mut(&number) else { return Notices::new() };
        topic.look(head);
        let behind = topic.head() < head.head;
        self.drop_pages(number);
        if let Some(topic) = self.topics.get_mut(&number) {
            topic.take_page(now, number, entries, config);
        }
        self.count_pages(number);
        self.keep_pages_within(number, config);
        // What it has superseded is to come, too.
        if behind {
            self.read(number, fx);
        }
        self.tell_followers(number, fx);
        Notices::new()
    }

    /// What there is of a topic's pages counts from here on.
    fn count_pages(&mut self, number: TopicNo) {
        let keyed = self.topics.get(&number).and_then(|topic| topic.keyed.as_ref());
        if let Some(keyed) = keyed.filter(|keyed| keyed.pages.len() > 0) {
            self.paged.insert(number, (keyed.pages.len(), keyed.pages.bytes()));
            self.pages_bytes += keyed.pages.bytes();
        }
    }

    /// They count no more.
    pub(super) fn drop_pages(&mut self, number: TopicNo) {
        if let Some((_, bytes)) = self.paged.remove(&number) {
            self.pages_bytes -= bytes;
        }
    }

    /// Nobody stands in a topic's pages.
    pub(super) fn forget_pages(&mut self, number: TopicNo) {
        self.drop_pages(number);
        if let Some(keyed) = self.topics.get_mut(&number).and_then(|topic| topic.keyed.as_mut()) {
            keyed.pages.clear();
        }
    }

    /// Pages of other topics give way to the one that was just read, and then earlier ones of its
    /// own topic.
    fn keep_pages_within(&mut self, present: TopicNo, config: &NodeConfig) {
        while self.pages_bytes > config.pages_bytes
            && let Some(other) = self.paged.keys().copied().find(|other| *other != present)
        {
            self.forget_pages(other);
        }
        self.drop_pages(present);
        if let Some(keyed) = self.topics.get_mut(&present).and_then(|topic| topic.keyed.as_mut()) {
            while keyed.pages.bytes() > config.pages_bytes && keyed.pages.len() > 1 {
                keyed.pages.pop();
            }
        }
        self.count_pages(present);
    }
}

impl Topic {
    fn take_page(
        &mut self,
        now: Now,
        number: TopicNo,
        entries: Vec<LogEntry>,
        config: &NodeConfig,
    ) {
        let floor = self.floor();
        let Some(keyed) = &mut self.keyed else { return };
        // It was given up meanwhile.
        let Some(after) = keyed.pages.come() else { return };
        let last = entries.last().map_or(floor, |entry| entry.ts.min(floor));
        let wanted = entries.into_iter().take_while(|entry| entry.ts <= floor);
        let entries: Vec<Entry> = wanted
            .map(|LogEntry { ts, name, bodies, .. }| {
                let encode = |codec: Codec, body: &_| codec.event(number, ts, &name, body);
                Entry { ts, at: now, frames: Encoded::of(&bodies, encode) }
            })
            .collect();
        let bytes = entries.iter().map(|entry| entry.frames.bytes()).sum();
        if after < last {
            keyed.pages.keep(Page { after, through: last, entries, bytes }, config.pages_per_topic);
        }
    }
}
