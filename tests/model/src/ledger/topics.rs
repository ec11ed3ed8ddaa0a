//! The topic: what is in its log, what applications see (PROTOCOL.md section 7).

use std::collections::BTreeMap;

use steadfast::session::client::{Gap, Item};
use steadfast::session::store::{AppendKey, Appended, Publication, TopicHead};
use steadfast::wire::{Position, ResetReason, Subscribed};
use steadfast_rig::Rule;
use steadfast_rig::fixtures::number_in;
use steadfast_rig::topic_log::{TopicLog, is_next, place_of, reached_by};

use super::Ledger;
use crate::marks::{Mark, Marks};
use crate::state::Process;

/// Events of commands are numbered from here by command; those from outside commands have lower
/// numbers.
pub(crate) const OF_COMMANDS: u64 = 100;

/// The topic's history.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Topic {
    /// An entry's content is its event's number.
    log: TopicLog,
    /// Where each event is in the present log.
    places: BTreeMap<u64, Position>,
}

impl Ledger {
    // ---- the log ----

    pub(crate) fn store_is_lost(&mut self) {
        self.topic.log.is_lost();
        self.topic.places.clear();
    }

    /// What it has of the topic is called otherwise from here on.
    pub(crate) fn store_rolls(&mut self, before: Option<Position>, after: Option<Position>) {
        match (before, after) {
            (Some(before), Some(after)) => self.topic.log.goes_back(before, after),
            _ => self.store_is_lost(),
        }
    }

    pub(super) fn topic_is_at(&mut self, head: &TopicHead) {
        let here = Position { epoch: head.epoch, ts: head.head };
        let before = self.topic.log.head();
        let fits = self.topic.log.stands_at(here);
        self.require(fits, Rule::HeadMovesByAppends, || format!("from {before:?} to {here:?}"));
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
        let (event, place) = (number_in(&publication.bodies[0].1), place_of(place));
        if let Some(before) = self.topic.places.get(&event).copied() {
            return self.require(before.ts == place.ts, Rule::EventInOnePlace, || {
                format!("{event}: {before:?}, then {place:?}")
            });
        }
        self.topic.places.insert(event, place);
        let log = &mut self.topic.log;
        let (before, same) = (log.head(), log.holds(place, event));
        let (there, next) = (log.content(place), log.is_appended(place));
        self.require(same, Rule::EqualPlacesEqualBytes, || {
            format!("{place:?}: {there:?}, then {event}")
        });
        self.require(next, Rule::LogHasNoGap, || format!("{place:?} after {before:?}"));
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
        let Some(here) = reached_by(item) else { return };
        let seen = book.seen.replace(here);
        match item {
            Item::Event { body, .. } => {
                let next = seen.is_some_and(|seen| is_next(seen, here));
                self.require(next, Rule::NoHiddenGap, || format!("{here:?} follows {seen:?}"));
                let (event, there) = (number_in(body), self.topic.log.content(here));
                self.require(there == Some(event), Rule::EqualPlacesEqualBytes, || {
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
        self.topic.log.head().is_some_and(|head| head.epoch == place.epoch && head.ts > place.ts)
    }

    /// Whether an application has seen all that there is.
    pub(crate) fn has_read_everything(&self, process: Process) -> bool {
        let Some(head) = self.topic.log.head().filter(|head| head.ts.0 > 0) else { return true };
        self.clients.get(&process).is_none_or(|book| book.seen == Some(head))
    }
}
