//! What is in the logs, as the store's answers show it.

use steadfast::session::node::{PublishError, PublishId};
use steadfast::session::store::{
    Append, AppendKey, AppendOutcome, Appended, LogEntry, Publication, TopicHead, TopicId,
};
use steadfast::wire::{Epoch, Position};
use steadfast_rig::Rule;
use steadfast_rig::fixtures::number_in;
use steadfast_rig::topic_log::place_of;

use crate::checkers::{Checkers, digest};

fn entry_digest(publication: &Publication) -> u64 {
    digest(&(&publication.name, &publication.bodies[0].1))
}

impl Checkers {
    pub(in crate::checkers) fn topic_is_at(&mut self, topic: &TopicId, head: &TopicHead) {
        let here = Position { epoch: head.epoch, ts: head.head };
        let log = self.topics.log(topic);
        let before = log.head();
        let fits = log.stands_at(here);
        self.require(fits, Rule::HeadMovesByAppends, || format!("{topic:?}: {before:?}, {here:?}"));
    }

    /// What came of an append, publication by publication.
    pub(in crate::checkers) fn appends_happen(
        &mut self,
        topic: &TopicId,
        appends: &[Append],
        outcomes: &[AppendOutcome],
    ) {
        for (append, outcome) in appends.iter().zip(outcomes) {
            let Append { key, name, bodies, .. } = append;
            match outcome {
                AppendOutcome::Landed(place) => {
                    let (topic, name, bodies) = (topic.clone(), name.clone(), bodies.clone());
                    let publication = Publication { topic, name, bodies };
                    self.largest.weigh(std::slice::from_ref(&publication));
                    self.append_happens(*key, &publication, *place);
                }
                AppendOutcome::Settled => self.sometimes.count("append of a settled record"),
                AppendOutcome::Stale => self.sometimes.count("stale append"),
            }
        }
        if outcomes.len() > 1 {
            self.sometimes.count("several publications in one append");
        }
    }

    /// Equal topic, epoch and number mean equal bytes, for ever; an append that is repeated changes
    /// nothing.
    pub(in crate::checkers) fn append_happens(
        &mut self,
        key: AppendKey,
        publication: &Publication,
        place: Appended,
    ) {
        let place = place_of(place);
        let before = self.topics.places.insert(key, (publication.topic.clone(), place));
        let before = before.map(|(_, place)| place);
        // A topic that was forgotten has forgotten its keys too; the epoch says so.
        let remembered = before.filter(|before| before.epoch == place.epoch);
        if let Some(before) = remembered {
            return self.require(before == place, Rule::AppendIsRepeatable, || {
                format!("{key:?}: {before:?}, then {place:?}")
            });
        }
        self.only_commits_publish(key, publication);
        // A topic that was forgotten before its publisher knew that it had the event gets it again,
        // after whatever came first.
        if before.is_none() {
            self.publications_keep_their_order(key, publication, place.epoch);
        }
        let topic = &publication.topic;
        let denied = self.topics.denied.contains(&number_in(&publication.bodies[0].1));
        self.require(!denied, Rule::FailedIsInNoLog, || {
            format!("{publication:?} is appended at {place:?}")
        });
        let fresh =
            self.topics.bodies.insert(number_in(&publication.bodies[0].1)) || before.is_some();
        self.require(fresh, Rule::EventInOnePlace, || {
            format!("{publication:?} is appended again at {place:?}")
        });
        self.equal_places_have_equal_bytes(topic, place, entry_digest(publication));
        let log = self.topics.log(topic);
        let before = log.head();
        let next = log.is_appended(place);
        self.require(next, Rule::LogHasNoGap, || format!("{topic:?}: {place:?} after {before:?}"));
    }

    pub(super) fn equal_places_have_equal_bytes(
        &mut self,
        topic: &TopicId,
        place: Position,
        bytes: u64,
    ) {
        let same = self.topics.log(topic).holds(place, bytes);
        self.require(same, Rule::EqualPlacesEqualBytes, || format!("{topic:?} {place:?}"));
    }

    pub(in crate::checkers) fn log_keeps_its_bytes(
        &mut self,
        topic: &TopicId,
        epoch: Epoch,
        entries: &[LogEntry],
    ) {
        for entry in entries {
            let place = Position { epoch, ts: entry.ts };
            let bytes = digest(&(&entry.name, &entry.bodies[0].1));
            self.equal_places_have_equal_bytes(topic, place, bytes);
        }
    }

    /// What a handler published gets into a log only with its commit.
    fn only_commits_publish(&mut self, key: AppendKey, publication: &Publication) {
        let AppendKey::Command { lease, n, index } = key else {
            let staged = self.is_published_by_a_handler(number_in(&publication.bodies[0].1));
            return self.require(!staged, Rule::OnlyCommitsPublish, || {
                format!("{key:?}: {publication:?} of a handler")
            });
        };
        let committed =
            self.commits.get(&(lease, n.0)).and_then(|commit| commit.publishes.get(index as usize));
        let same = committed == Some(publication);
        self.require(same, Rule::OnlyCommitsPublish, || {
            format!("{key:?}: {publication:?} is not in a record")
        });
    }

    /// What ordered commands published is in each log in the order of the commands, as long as no
    /// append was given up.
    fn publications_keep_their_order(
        &mut self,
        key: AppendKey,
        publication: &Publication,
        epoch: Epoch,
    ) {
        let AppendKey::Command { lease, n, index } = key else { return };
        if !self.is_ordered((lease, n.0)) || self.outages.has_given_up() {
            return;
        }
        let here = (n.0, index);
        let last =
            self.topics.last_of_lease.insert((lease, publication.topic.clone(), epoch), here);
        self.require(last.is_none_or(|last| last <= here), Rule::PublicationsInOrder, || {
            format!("{lease:?} {:?}: {here:?} after {last:?}", publication.topic)
        });
    }

    /// Somebody publishes from outside a command.
    pub fn publishes(&mut self, process: u64, id: PublishId, publication: &Publication) {
        self.sometimes.count("published from outside");
        self.topics.published.insert((process, id), publication.clone());
    }

    /// What came of it.
    pub fn published(
        &mut self,
        process: u64,
        id: PublishId,
        result: &Result<Appended, PublishError>,
    ) {
        let Some(publication) = self.topics.published.remove(&(process, id)) else {
            return self.require(false, Rule::PublicationHasOneOutcome, || {
                format!("process {process}: {id:?}")
            });
        };
        let number = number_in(&publication.bodies[0].1);
        match result {
            Ok(place) => {
                let (topic, bytes) = (&publication.topic, entry_digest(&publication));
                self.equal_places_have_equal_bytes(topic, place_of(*place), bytes);
            }
            Err(error) => {
                self.sometimes.count(&format!("publish failed: {error}"));
                if *error != (PublishError::Store { maybe: true }) {
                    self.topics.denied.insert(number);
                    let there = self.topics.bodies.contains(&number);
                    self.require(!there, Rule::FailedIsInNoLog, || {
                        format!("{publication:?} failed: {error:?}")
                    });
                }
            }
        }
    }
}
