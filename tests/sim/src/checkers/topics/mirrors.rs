//! Keyed topics (PROTOCOL.md 7.20 to 7.24): a naive opinion of their state, and what applications
//! keep of them.

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::client::{Item, Mirror, MirrorLimits, Standing, SubId};
use steadfast::session::store::{ItemKey, Publication, TopicHead, TopicId};
use steadfast::wire::{Epoch, Position, TopicSeq};
use steadfast_rig::Rule;
use steadfast_rig::fixtures::{board_item, number_in};

use crate::checkers::Checkers;

/// Every event that a keyed topic ever had, and from where on the store has told that it has some.
#[derive(Debug, Clone, Default)]
pub(super) struct Board {
    events: BTreeMap<(Epoch, TopicSeq), u64>,
    oldest: BTreeMap<Epoch, TopicSeq>,
}

/// What an application keeps of one.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    mirror: Mirror<u64>,
    floor: TopicSeq,
    items: u32,
    begins: Begins,
}

/// From where on it has what came.
#[derive(Debug, Clone, Copy)]
enum Begins {
    WithAll,
    /// It asked for the latest events, and was not told yet where they begin.
    WithTheLast,
    After(TopicSeq),
}

impl Kept {
    pub(super) fn new(with_the_last: bool) -> Self {
        let mirror = Mirror::new(MirrorLimits::default());
        let begins = if with_the_last { Begins::WithTheLast } else { Begins::WithAll };
        Self { mirror, floor: TopicSeq::ZERO, items: 0, begins }
    }

    /// What an application takes first tells where its subscription begins.
    fn begins_at(&mut self, standing: &Standing) {
        let (Standing::Behind { position, .. } | Standing::Complete { position, .. }) = standing;
        if matches!(self.begins, Begins::WithTheLast) {
            self.begins = Begins::After(position.ts);
        }
    }

    /// What lies at or below it is not there: the store has let go of it, or it came before.
    fn above(&self) -> TopicSeq {
        match self.begins {
            Begins::WithAll => self.floor,
            Begins::WithTheLast => TopicSeq(u64::MAX),
            Begins::After(ts) => self.floor.max(ts),
        }
    }
}

impl Board {
    /// The store has gone back: what is left has its numbers in the new epoch, too.
    pub(super) fn goes_back(&mut self, before: Position, after: Position) {
        let left = (before.epoch, TopicSeq(0))..=(before.epoch, before.ts);
        let left: Vec<_> = self.events.range(left).map(|((_, ts), of)| (*ts, *of)).collect();
        self.events.extend(left.into_iter().map(|(ts, of)| ((after.epoch, ts), of)));
    }

    /// The state at a place, above a floor: the latest event of each item, of so many items.
    fn state(&self, at: Position, floor: TopicSeq, items: u32) -> BTreeSet<u64> {
        let mut latest: BTreeMap<ItemKey, (TopicSeq, u64)> = BTreeMap::new();
        let all = (at.epoch, TopicSeq::ZERO)..=(at.epoch, at.ts);
        for ((_, ts), number) in self.events.range(all) {
            latest.insert(board_item(*number).0, (*ts, *number));
        }
        let mut latest: Vec<(TopicSeq, u64)> = latest.into_values().collect();
        latest.sort_unstable_by(|one, other| other.cmp(one));
        latest.truncate(items as usize);
        let above = latest.into_iter().filter(|(ts, _)| *ts > floor);
        above.map(|(_, number)| number).filter(|number| !board_item(*number).1).collect()
    }
}

impl Checkers {
    pub(super) fn board_has(&mut self, publication: &Publication, place: Position) {
        if publication.item.is_some() {
            let number = number_in(&publication.bodies[0].1);
            let board = self.topics.boards.entry(publication.topic.clone()).or_default();
            board.events.insert((place.epoch, place.ts), number);
        }
    }

    /// The store says from where on it has something.
    pub(in crate::checkers) fn board_stands(&mut self, topic: &TopicId, head: &TopicHead) {
        if let Some(board) = self.topics.boards.get_mut(topic) {
            let oldest = board.oldest.entry(head.epoch).or_default();
            *oldest = (*oldest).max(head.oldest);
        }
    }

    /// An application takes what comes of a keyed topic into its mirror.
    pub(super) fn mirror_takes(&mut self, process: u64, sub: SubId, item: &Item) {
        let Some(book) = self.topics.subs.get_mut(&(process, sub)) else { return };
        let Some(kept) = &mut book.mirror else { return };
        let topic = book.topic.clone();
        match item {
            Item::Event { position, body, .. } => {
                let number = number_in(body);
                let (item, removes) = board_item(number);
                let value = (!removes).then_some(number);
                let full = kept.mirror.event(*position, item, value, body.len() as u64);
                debug_assert!(full.is_ok(), "a run has few items");
            }
            Item::Gap(gap) => {
                kept.mirror.reset(gap.clone());
                (kept.floor, kept.begins) = (TopicSeq::ZERO, Begins::WithAll);
            }
            Item::Standing(standing) => {
                kept.begins_at(standing);
                kept.mirror.standing(*standing);
                if let Standing::Complete { position, floor, items } = standing {
                    // A node that has not looked at the log for longer tells a lower one.
                    (kept.floor, kept.items) = (kept.floor.max(*floor), *items);
                    let all = matches!(kept.begins, Begins::WithAll);
                    self.floor_is_of_the_log(&topic, *position, *floor);
                    let whole = if all { "" } else { ", from the last events on" };
                    self.sometimes.count(&format!("keyed topic complete{whole}"));
                } else {
                    self.sometimes.count("keyed topic behind");
                }
            }
            Item::Snapshot { .. } | Item::Volatile { .. } => {}
        }
        self.mirror_is_the_state(process, sub);
    }

    fn floor_is_of_the_log(&mut self, topic: &TopicId, at: Position, floor: TopicSeq) {
        let board = self.topics.boards.get(topic);
        let oldest = board.and_then(|board| board.oldest.get(&at.epoch)).copied();
        let below = floor < oldest.unwrap_or(TopicSeq(1));
        self.require(below, Rule::FloorIsOfTheLog, || {
            format!("{topic:?} at {at:?}: {floor}, and the store has told of {oldest:?}")
        });
    }

    fn mirror_is_the_state(&mut self, process: u64, sub: SubId) {
        let Some(book) = self.topics.subs.get_mut(&(process, sub)) else { return };
        let Some(kept) = &mut book.mirror else { return };
        while kept.mirror.poll_change().is_some() {}
        let Some(live) = kept.mirror.live() else { return };
        let (kept, topic) = (kept.clone(), book.topic.clone());
        let shown: BTreeSet<u64> = kept.mirror.iter().map(|(_, number)| **number).collect();
        let items = kept.items;
        let board = self.topics.boards.get(&topic);
        let state = board.map(|board| board.state(live, kept.above(), items)).unwrap_or_default();
        self.require(shown == state, Rule::MirrorIsTheState, || {
            format!("{topic:?} at {live:?} above {}: {shown:?}, not {state:?}", kept.above())
        });
    }

    /// Why a mirror is not live at its topic's head; `None` if it is.
    pub(super) fn not_live(&self, book: &super::SubBook) -> Option<String> {
        let kept = book.mirror.as_ref()?;
        let live = kept.mirror.live();
        (live.is_none() || live != book.arrived).then(|| {
            format!("{:?} is live at {live:?}, {:?} has arrived", book.topic, book.arrived)
        })
    }
}
