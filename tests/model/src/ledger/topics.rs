//! The topic: what is in its log, what applications see (PROTOCOL.md section 7).

use std::collections::BTreeMap;

use steadfast::session::client::{Gap, Item};
use steadfast::session::store::{AppendKey, Appended, Publication, TopicHead};
use steadfast::wire::{Epoch, Position, ResetReason, Subscribed, TopicSeq};

use super::{Ledger, Rule, number_in};
use crate::marks::{Mark, Marks};
use crate::state::Process;

/// Events of commands are numbered from here by command; those from outside commands have lower
/// numbers.
pub(crate) const OF_COMMANDS: u64 = 100;

/// The topic's history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Topic {
    /// Where the log stands now.
    head: Option<Position>,
    /// Which event is where, for ever.
    entries: BTreeMap<(Epoch, TopicSeq), u64>,
    /// Where each event is in the present log.
    places: BTreeMap<u64, TopicSeq>,
}

impl Ledger {
    // ---- the log ----

    pub(crate) fn store_is_lost(&mut self) {
        self.topic.head = None;
        self.topic.places.clear();
    }

    pub(super) fn topic_is_at(&mut self, head: &TopicHead) {
        let here = Position { epoch: head.epoch, ts: head.head };
        let before = self.topic.head.replace(here).filter(|before| before.epoch == here.epoch);
        self.require(before.is_none_or(|before| before.ts == here.ts), Rule::OnePlace, || {
            format!("the head moves from {before:?} to {here:?} without an append")
        });
    }

    pub(super) fn append_happens(
        &mut self,
        key: AppendKey,
        publication: &Publication,
        place: Appended,
    ) {
        let event = number_in(&publication.bodies[0].1);
        if let AppendKey::Command { .. } = key {
            let command = event / OF_COMMANDS;
            let committed =
                self.commands.get(&command).is_some_and(|book| book.committed.is_some());
            self.require(committed, Rule::OnlyCommitsPublish, || {
                format!("{event} of command {command}")
            });
        }
        self.event_lands(publication, place);
    }

    /// Equal epoch and number mean equal bytes, for ever; an append that is repeated changes
    /// nothing.
    pub(super) fn event_lands(&mut self, publication: &Publication, place: Appended) {
        let event = number_in(&publication.bodies[0].1);
        if let Some(before) = self.topic.places.get(&event).copied() {
            return self.require(before == place.ts, Rule::OnePlace, || {
                format!("{event}: {before}, then {place:?}")
            });
        }
        self.topic.places.insert(event, place.ts);
        let there = *self.topic.entries.entry((place.epoch, place.ts)).or_insert(event);
        self.require(there == event, Rule::EqualBytes, || {
            format!("{place:?}: {there}, then {event}")
        });
        let next = self
            .topic
            .head
            .filter(|head| head.epoch == place.epoch)
            .map_or(1, |head| head.ts.0 + 1);
        self.topic.head = Some(Position { epoch: place.epoch, ts: place.ts });
        self.require(place.ts.0 == next, Rule::OnePlace, || {
            format!("{place:?} where {next} was due")
        });
    }

    // ---- applications ----

    /// Somebody who has seen nothing begins where the server says.
    pub(super) fn subscription_begins(&mut self, process: Process, subscribed: &Subscribed) {
        let first = subscribed.reset == Some(ResetReason::Initial) && !subscribed.snapshot;
        if let Some(book) = self.clients.get_mut(&process)
            && first
        {
            book.seen.get_or_insert(Position { epoch: subscribed.epoch, ts: subscribed.ts });
        }
    }

    /// An application is handed an item.
    pub(crate) fn item(
        &mut self,
        process: Process,
        item: &Item,
        may_have_gaps: bool,
        marks: &Marks,
    ) {
        let Some(book) = self.clients.get_mut(&process) else { return };
        let seen = book.seen;
        let here = match item {
            Item::Event { position, .. } | Item::Snapshot { position, .. } => *position,
            Item::Gap(gap) => Position { epoch: gap.epoch, ts: gap.resumes_after },
            Item::Volatile { .. } => return,
        };
        book.seen = Some(here);
        match item {
            Item::Event { body, .. } => {
                let next =
                    seen.is_some_and(|seen| seen.epoch == here.epoch && seen.ts.next() == here.ts);
                self.require(next, Rule::NoHiddenGap, || format!("{here:?} follows {seen:?}"));
                let (event, there) =
                    (number_in(body), self.topic.entries.get(&(here.epoch, here.ts)).copied());
                self.require(there == Some(event), Rule::EqualBytes, || {
                    format!("{here:?}: {there:?}, told {event}")
                });
            }
            Item::Snapshot { gap, .. } => {
                marks.set(Mark::Snapshot);
                self.require(gap.is_some() || seen.is_none(), Rule::NoHiddenGap, || {
                    format!("{item:?} after {seen:?}")
                });
                self.gap(seen, gap.as_ref(), may_have_gaps, marks);
            }
            Item::Gap(gap) => self.gap(seen, Some(gap), may_have_gaps, marks),
            Item::Volatile { .. } => {}
        }
    }

    fn gap(
        &mut self,
        seen: Option<Position>,
        gap: Option<&Gap>,
        may_have_gaps: bool,
        marks: &Marks,
    ) {
        let Some(gap) = gap else { return };
        marks.set(Mark::Gap);
        self.require(may_have_gaps, Rule::NoInventedGap, || format!("{gap:?} after {seen:?}"));
        self.require(gap.last == seen, Rule::NoHiddenGap, || format!("{gap:?} after {seen:?}"));
    }

    /// Whether the log has something after this place.
    pub(crate) fn goes_on_after(&self, place: Position) -> bool {
        self.topic.head.is_some_and(|head| head.epoch == place.epoch && head.ts > place.ts)
    }

    /// Whether an application has seen all that there is.
    pub(crate) fn has_read_everything(&self, process: Process) -> bool {
        let Some(head) = self.topic.head.filter(|head| head.ts.0 > 0) else { return true };
        self.clients.get(&process).is_none_or(|book| book.seen == Some(head))
    }
}
