//! One subscription's items, checked against its own past and against what everybody else saw. What
//! callers were told does not matter here.

use std::collections::BTreeSet;

use steadfast::wire::Position;

use super::{Notes, number};
use crate::protocol::Tag;

/// A topic of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// With a snapshot.
    Board,
    /// Without.
    Feed,
}

/// An item and its position.
#[derive(Debug, Clone)]
pub enum Followed {
    /// An event.
    Event {
        /// Its place.
        at: Position,
        /// What it says.
        tag: Tag,
    },
    /// The topic's state.
    Snapshot {
        /// It contains at least everything up to here.
        at: Position,
        /// What it says.
        tags: Vec<Tag>,
        /// If it follows a gap: the last position seen before, if any.
        gap: Option<Option<Position>>,
    },
    /// Events are missing.
    Gap {
        /// The last position seen before, if any.
        last: Option<Position>,
        /// The position after which events continue.
        at: Position,
    },
}

/// What one subscription knows.
#[derive(Debug, Default)]
pub(super) struct Follower {
    pub(super) at: Option<(u64, u64)>,
    pub(super) known: BTreeSet<Tag>,
}

fn place(position: Position) -> (u64, u64) {
    (number(position.epoch), position.ts.0)
}

impl Notes {
    pub(super) fn saw(&mut self, who: u32, topic: Topic, followed: &Followed) {
        let before = self.followers.entry((who, topic)).or_default().at;
        match followed {
            Followed::Event { at, tag } => {
                let at = place(*at);
                self.line(format_args!("client {who} sees {tag} at {topic:?} {:x}/{}", at.0, at.1));
                self.event(topic, at, *tag);
                match before {
                    Some((epoch, ts)) if (epoch, ts + 1) != at => {
                        self.wrong(format_args!(
                            "client {who} at {topic:?} {epoch:x}/{ts} goes on with {:x}/{}",
                            at.0, at.1
                        ));
                    }
                    _ => {}
                }
                let follower = self.followers.entry((who, topic)).or_default();
                follower.at = Some(at);
                follower.known.insert(*tag);
            }
            Followed::Snapshot { at, tags, gap } => {
                let at = place(*at);
                let gapped = gap.is_some();
                self.line(format_args!(
                    "client {who} gets the state of {topic:?} at {:x}/{} with {} notes{}",
                    at.0,
                    at.1,
                    tags.len(),
                    if gapped { " after a gap" } else { "" }
                ));
                match gap {
                    Some(last) => self.gap(who, topic, before, *last, at),
                    None if before.is_some() => {
                        self.wrong(format_args!("client {who} begins {topic:?} anew without a gap"))
                    }
                    None => {}
                }
                let known: BTreeSet<Tag> = tags.iter().copied().collect();
                if known.len() != tags.len() {
                    self.wrong(format_args!("the state of {topic:?} at {at:?} repeats a note"));
                }
                self.covered(topic, at, &known);
                self.followers.insert((who, topic), Follower { at: Some(at), known });
            }
            Followed::Gap { last, at } => {
                let at = place(*at);
                self.line(format_args!(
                    "client {who} is told of a gap of {topic:?} up to {:x}/{}",
                    at.0, at.1
                ));
                self.gap(who, topic, before, *last, at);
                self.followers.entry((who, topic)).or_default().at = Some(at);
            }
        }
    }

    /// Checks that equal positions mean equal events for everybody.
    fn event(&mut self, topic: Topic, at: (u64, u64), tag: Tag) {
        let known = *self.logs.entry((topic, at.0)).or_default().entry(at.1).or_insert(tag);
        if known != tag {
            self.wrong(format_args!("{topic:?} {at:x?} is {known} and {tag}"));
        }
        let first = *self.places.entry((topic, tag)).or_insert(at);
        if first != at {
            self.wrong(format_args!("{tag} is at {first:x?} and at {at:x?} of {topic:?}"));
        }
    }

    fn gap(
        &mut self,
        who: u32,
        topic: Topic,
        before: Option<(u64, u64)>,
        last: Option<Position>,
        at: (u64, u64),
    ) {
        self.once(match before {
            Some((epoch, _)) if epoch == at.0 => "a gap within an epoch",
            _ => "a gap by a new epoch",
        });
        // The epoch is known from here on, even if nobody sees an event of it.
        self.logs.entry((topic, at.0)).or_default();
        let last = last.map(place);
        // A subscriber that has seen nothing yet is at the position where its subscription began.
        if before.is_some() && last != before {
            self.wrong(format_args!(
                "client {who} was at {before:x?} of {topic:?}, and the gap says {last:x?}"
            ));
        }
        if before.is_some_and(|(epoch, ts)| epoch == at.0 && ts >= at.1) {
            self.wrong(format_args!(
                "client {who} at {before:x?} of {topic:?} was told of a gap up to {at:x?}"
            ));
        }
    }

    /// Checks that a snapshot contains at least everything up to its position.
    fn covered(&mut self, topic: Topic, at: (u64, u64), known: &BTreeSet<Tag>) {
        let log = self.logs.entry((topic, at.0)).or_default();
        let missing: Vec<Tag> =
            log.range(..=at.1).map(|(_, tag)| *tag).filter(|tag| !known.contains(tag)).collect();
        if !missing.is_empty() {
            self.wrong(format_args!("the state of {topic:?} at {at:x?} lacks {missing:?}"));
        }
    }
}
