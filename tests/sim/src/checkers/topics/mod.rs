//! Topics (PROTOCOL.md section 7): what is remembered of logs, of what servers feed, and of what
//! applications see. The rules are in the files beneath.

mod feeds;
mod logs;
mod looks;
mod readers;

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::client::SubId;
use steadfast::session::node::PublishId;
use steadfast::session::store::{AppendKey, Publication, TopicId};
use steadfast::wire::{Epoch, LeaseId, Position, SubNo, TopicSeq, Window};
use steadfast_rig::topic_log::TopicLog;

pub(in crate::checkers) use looks::Looks;

/// The logs as the store's answers show them, and the subscriptions as the applications see them.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    /// An entry's content is a digest.
    logs: BTreeMap<TopicId, TopicLog>,
    places: BTreeMap<AppendKey, (TopicId, Position)>,
    bodies: BTreeSet<u64>,
    /// Publications from outside commands, and those that are said not to have happened.
    published: BTreeMap<(u64, PublishId), Publication>,
    denied: BTreeSet<u64>,
    last_of_lease: BTreeMap<(LeaseId, TopicId, Epoch), (u64, u32)>,
    subs: BTreeMap<(u64, SubId), SubBook>,
    pub(super) looks: Looks,
}

/// A subscription in an application's hands.
#[derive(Debug, Clone)]
struct SubBook {
    topic: TopicId,
    /// Everything up to here was seen.
    cursor: Option<Position>,
    handed: Option<Position>,
    finished: Option<Position>,
    /// Where what the server sends begins: SUBSCRIBED, then SNAPSHOT.
    start: Option<Position>,
    /// Everything up to here has arrived.
    arrived: Option<Position>,
    /// SUBSCRIBED has promised the topic's state, and that has not arrived.
    state_due: bool,
    /// The server had no room for it when it was last asked.
    overload: bool,
}

/// A subscription as a server feeds it.
#[derive(Debug, Clone)]
pub(in crate::checkers) struct Feed {
    sub: SubNo,
    topic: TopicId,
    epoch: Epoch,
    cursor: TopicSeq,
    position: TopicSeq,
    credit: Window,
    sent_bytes: u64,
    reported: u64,
    snapshot_due: bool,
}

/// A topic of a store that went back to its backup: where it stands under its old epoch, and under
/// its new one.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The topic.
    pub topic: TopicId,
    /// As it was in the backup; `None` if there was no such topic.
    pub before: Option<Position>,
    /// As it is now.
    pub after: Option<Position>,
}

impl Topics {
    /// Where a topic's log stands.
    #[must_use]
    pub fn head(&self, topic: &TopicId) -> Option<Position> {
        self.logs.get(topic).and_then(TopicLog::head)
    }

    /// Every topic and where it stands.
    pub fn heads(&self) -> impl Iterator<Item = (&TopicId, Position)> {
        self.logs.iter().filter_map(|(topic, log)| Some((topic, log.head()?)))
    }

    /// Where an application stands.
    #[must_use]
    pub fn cursor(&self, process: u64, sub: SubId) -> Option<Position> {
        self.subs.get(&(process, sub)).and_then(|book| book.cursor)
    }

    fn log(&mut self, topic: &TopicId) -> &mut TopicLog {
        self.logs.entry(topic.clone()).or_default()
    }

    pub(in crate::checkers) fn process_ends(&mut self, process: u64) {
        self.subs.retain(|(of, _), _| *of != process);
    }

    pub(in crate::checkers) fn store_lost(&mut self) {
        self.logs.values_mut().for_each(TopicLog::is_lost);
        self.places.clear();
    }

    /// What a topic still has after the store went back has the same numbers and bytes in its new
    /// incarnation.
    pub(in crate::checkers) fn restored(&mut self, Restored { topic, before, after }: &Restored) {
        let (Some(before), Some(after)) = (before, after) else {
            return self.log(topic).is_lost();
        };
        for (of, place) in self.places.values_mut() {
            if of == topic && place.epoch == before.epoch && place.ts <= before.ts {
                place.epoch = after.epoch;
            }
        }
        self.log(topic).goes_back(*before, *after);
    }
}
