//! Appends to a log, each once per key (PROTOCOL.md 5.6). Records that appends belong to are held
//! with the log, where they are looked at.

use super::run::Run;
use super::shards::{Held, Place, Places, Shards};
use super::topics::NewEntry;
use crate::session::store::{
    Append, AppendKey, AppendOutcome, Publication, Retention, StoreOutcome, StoreTime, TopicId,
};
use crate::wire::Epoch;

impl<S: Shards> Run<'_, S> {
    pub(super) fn append(
        &mut self,
        topic: &TopicId,
        appends: Vec<Append>,
        (retention, fresh_epoch): (Retention, Epoch),
    ) -> StoreOutcome {
        let limits = self.limits;
        let place = S::place_of_topic(topic);
        let people = match limits.append_window {
            None => self.places_of_records(&appends),
            Some(_) => Places::NONE,
        };
        let outcomes = self.with(people, Places::one(place), |held| {
            let mut outcomes = Vec::with_capacity(appends.len());
            for Append { key, as_of, name, bodies } in appends {
                let before = match limits.append_window {
                    None => obstacle(held, (place, people), topic, key),
                    Some(window) => obstacle_apart(held, place, topic, (key, as_of), window),
                };
                let outcome = before.unwrap_or_else(|| {
                    let publication = Publication { topic: topic.clone(), name, bodies };
                    let key = Some(key);
                    let new = NewEntry { key, publication, retention, fresh_epoch };
                    AppendOutcome::Landed(held.append(place, new, limits))
                });
                outcomes.push(outcome);
                if outcome == AppendOutcome::Stale {
                    break;
                }
            }
            outcomes
        });
        self.keep_topics_within(topic);
        StoreOutcome::Appended(outcomes)
    }

    fn places_of_records(&self, appends: &[Append]) -> Places {
        let mut places = Places::NONE;
        for append in appends {
            if let AppendKey::Command { lease, .. } = append.key
                && let Some(place) = self.shards.place_of_lease(lease)
            {
                places.add(place);
            }
        }
        places
    }
}

/// What came of an append before this one, or keeps it from happening: its record is settled or
/// gone.
fn obstacle(
    held: &mut dyn Held,
    (place, people): (Place, Places),
    topic: &TopicId,
    key: AppendKey,
) -> Option<AppendOutcome> {
    if let Some(appended) = held.topics(place).landed(key, topic) {
        return Some(AppendOutcome::Landed(appended));
    }
    let AppendKey::Command { lease, n, .. } = key else { return None };
    let owed = people.iter().any(|place| held.people(place).leases.owes(lease, n));
    (!owed).then_some(AppendOutcome::Settled)
}

/// The same of a store whose records and logs lie apart: its record was seen unsettled too long
/// ago.
fn obstacle_apart(
    held: &mut dyn Held,
    place: Place,
    topic: &TopicId,
    (key, as_of): (AppendKey, Option<StoreTime>),
    window: std::time::Duration,
) -> Option<AppendOutcome> {
    let now = held.now();
    let topics = held.topics(place);
    if let Some(appended) = topics.landed(key, topic) {
        return Some(AppendOutcome::Landed(appended));
    }
    let AppendKey::Command { .. } = key else { return None };
    let recent = as_of.is_some_and(|seen| topics.is_recent(now, seen, window));
    (!recent).then_some(AppendOutcome::Stale)
}
