//! Pages of a keyed topic's log before the part that is here, for subscribers that come from there
//! or have fallen behind (PROTOCOL.md 7.21). All who stand in a page read it; those who don't ask
//! for another one, so that what is here stays small however long the log is.

use std::collections::VecDeque;

use super::entries::{Encoded, Entry};
use super::state::{Notices, Topics};
use super::topic::{Next, Topic};
use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::store::{LogEntry, TopicHead};
use crate::wire::{Codec, TopicNo, TopicSeq};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Pages {
    /// Where the page begins that is being read; one at a time.
    asked: Option<TopicSeq>,
    /// The one that was read first goes first.
    pages: VecDeque<Page>,
    bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Page {
    /// It has everything from above here
    after: TopicSeq,
    /// up to here that was not superseded when it was read.
    through: TopicSeq,
    entries: Vec<Entry>,
    bytes: u64,
}

impl Pages {
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn len(&self) -> usize {
        self.pages.len()
    }

    /// Lets go of the page that was read first.
    fn pop(&mut self) {
        self.bytes -= self.pages.pop_front().map_or(0, |page| page.bytes);
    }

    fn clear(&mut self) {
        self.pages.clear();
        self.bytes = 0;
    }

    /// Nothing is being read any more.
    pub(super) const fn give_up(&mut self) {
        self.asked = None;
    }

    pub(super) const fn asked(&self) -> Option<TopicSeq> {
        self.asked
    }

    /// What comes after a position before what is here.
    pub(super) fn next(&self, at: TopicSeq, codec: Codec) -> Next<'_> {
        let has = |page: &&Page| page.after <= at && at < page.through;
        let Some(page) = self.pages.iter().find(has) else { return Next::Left };
        match page.entries.get(page.entries.partition_point(|entry| entry.ts <= at)) {
            Some(entry) => entry.next(at, codec),
            None => Next::Skip(page.through),
        }
    }

    fn keep(&mut self, page: Page, most: u32) {
        self.bytes += page.bytes;
        self.pages.push_back(page);
        while self.pages.len() > most.max(1) as usize {
            self.pop();
        }
    }
}

impl Topics {
    /// Reads what comes after a position that has left what is here; one page at a time.
    pub(super) fn read_page(&mut self, number: TopicNo, at: TopicSeq, fx: &mut Effects) {
        let Some(topic) = self.topics.get_mut(&number) else { return };
        if let Some(keyed) = &mut topic.keyed
            && keyed.pages.asked.is_none()
        {
            keyed.pages.asked = Some(at);
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
        let Some(after) = keyed.pages.asked.take() else { return };
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
