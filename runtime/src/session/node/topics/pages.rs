//! The pages that are here of a keyed topic's log, before its tail (PROTOCOL.md 7.21). When one is
//! read, and how many there may be at a node, is decided elsewhere.

use std::collections::VecDeque;

use super::entries::{Entry, Next};
use crate::wire::{Codec, TopicSeq};

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
pub(super) struct Page {
    /// It has everything from above here
    pub(super) after: TopicSeq,
    /// up to here that was not superseded when it was read.
    pub(super) through: TopicSeq,
    pub(super) entries: Vec<Entry>,
    pub(super) bytes: u64,
}

impl Pages {
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.pages.len()
    }

    /// Lets go of the page that was read first.
    pub(super) fn pop(&mut self) {
        self.bytes -= self.pages.pop_front().map_or(0, |page| page.bytes);
    }

    pub(super) fn clear(&mut self) {
        self.pages.clear();
        self.bytes = 0;
    }

    /// A page is to be read from here on, unless one is being read.
    pub(super) const fn ask(&mut self, at: TopicSeq) -> bool {
        let free = self.asked.is_none();
        if free {
            self.asked = Some(at);
        }
        free
    }

    /// The page that was read has come: from where it was asked for, if it still is.
    pub(super) const fn come(&mut self) -> Option<TopicSeq> {
        self.asked.take()
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

    pub(super) fn keep(&mut self, page: Page, most: u32) {
        self.bytes += page.bytes;
        self.pages.push_back(page);
        while self.pages.len() > most.max(1) as usize {
            self.pop();
        }
    }
}
