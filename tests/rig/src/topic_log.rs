//! A naive opinion of a topic: what is at which place of its log, and where an item brings whoever
//! reads it. It answers questions; which rule a wrong answer breaks is for each harness to judge.

use std::collections::BTreeMap;

use steadfast::session::client::Item;
use steadfast::session::store::Appended;
use steadfast::wire::{Epoch, Position, TopicSeq};

/// A log as the store's answers tell of it: every place that was ever taken, in every epoch. What
/// an event contains is a number to it, a digest for one.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct TopicLog {
    head: Option<Position>,
    entries: BTreeMap<(Epoch, TopicSeq), u64>,
}

impl TopicLog {
    /// Where it stands; `None` if there is no such log now.
    #[must_use]
    pub const fn head(&self) -> Option<Position> {
        self.head
    }

    /// The store says where it stands. Whether that fits: without an append it stands elsewhere in
    /// another epoch only.
    pub fn stands_at(&mut self, here: Position) -> bool {
        let before = self.head.replace(here);
        before.is_none_or(|before| before.epoch != here.epoch || before.ts == here.ts)
    }

    /// An event was appended there. Whether that is the next place.
    pub fn is_appended(&mut self, here: Position) -> bool {
        let before = self.head.replace(here);
        let next = before
            .filter(|before| before.epoch == here.epoch)
            .map_or(TopicSeq(1), |before| before.ts.next());
        here.ts == next
    }

    /// Whether a place holds what it has always held. One that nobody has spoken of holds this from
    /// here on.
    pub fn holds(&mut self, place: Position, content: u64) -> bool {
        *self.entries.entry((place.epoch, place.ts)).or_insert(content) == content
    }

    /// What a place holds, if somebody has spoken of it.
    #[must_use]
    pub fn content(&self, place: Position) -> Option<u64> {
        self.entries.get(&(place.epoch, place.ts)).copied()
    }

    /// The store has lost it. Places that were taken are taken for ever.
    pub const fn is_lost(&mut self) {
        self.head = None;
    }

    /// The store went back to where the log stood at `before`, and calls that `after` now: what is
    /// left of it has its numbers and contents in the new epoch, too.
    pub fn goes_back(&mut self, before: Position, after: Position) {
        self.head = Some(after);
        let left = (before.epoch, TopicSeq(0))..=(before.epoch, before.ts);
        let left: Vec<_> = self.entries.range(left).map(|((_, ts), of)| (*ts, *of)).collect();
        self.entries.extend(left.into_iter().map(|(ts, of)| ((after.epoch, ts), of)));
    }
}

/// Where an event was appended.
#[must_use]
pub const fn place_of(appended: Appended) -> Position {
    Position { epoch: appended.epoch, ts: appended.ts }
}

/// Where an item brings its reader; `None` if it does not move it.
#[must_use]
pub const fn reached_by(item: &Item) -> Option<Position> {
    match item {
        Item::Event { position, .. } | Item::Snapshot { position, .. } => Some(*position),
        Item::Gap(gap) => Some(Position { epoch: gap.epoch, ts: gap.resumes_after }),
        Item::Volatile { .. } => None,
    }
}

/// Whether an event at `here` is the one after `last`.
#[must_use]
pub fn is_next(last: Position, here: Position) -> bool {
    last.epoch == here.epoch && last.ts.next() == here.ts
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(epoch: u64, ts: u64) -> Position {
        Position { epoch: Epoch(epoch), ts: TopicSeq(ts) }
    }

    #[test]
    fn a_head_moves_by_appends_or_with_its_epoch() {
        let mut log = TopicLog::default();
        assert!(log.stands_at(at(1, 7)) && log.stands_at(at(1, 7)));
        assert!(log.is_appended(at(1, 8)));
        assert!(!log.stands_at(at(1, 9)), "nobody has appended that");
        assert!(!log.is_appended(at(1, 11)), "one is missing");
        assert!(log.is_appended(at(2, 1)) && log.stands_at(at(3, 40)));
        log.is_lost();
        assert!(log.is_appended(at(4, 1)));
    }

    #[test]
    fn a_place_holds_one_content_for_ever() {
        let mut log = TopicLog::default();
        assert!(log.holds(at(1, 1), 10) && log.holds(at(1, 1), 10));
        assert!(!log.holds(at(1, 1), 11));
        log.is_lost();
        assert!(!log.holds(at(1, 1), 12));
        assert_eq!(log.content(at(1, 2)), None);
    }

    #[test]
    fn what_is_left_after_going_back_has_its_content_in_the_new_epoch() {
        let mut log = TopicLog::default();
        for ts in 1..=3 {
            assert!(log.is_appended(at(1, ts)) && log.holds(at(1, ts), ts * 10));
        }
        log.goes_back(at(1, 2), at(5, 2));
        assert!(log.holds(at(5, 2), 20) && !log.holds(at(5, 1), 11));
        assert_eq!((log.head(), log.content(at(5, 3))), (Some(at(5, 2)), None));
    }
}
