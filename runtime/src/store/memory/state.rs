//! A memory store without locks: one shard of each kind, and every operation on them. Time comes in
//! from outside.

use std::time::Duration;

use super::bytes::{MemoryBytes, MemoryPeaks, Sums};
use super::limits::MemoryLimits;
use super::people::People;
use super::run::Run;
use super::shards::{Held, Place, Places, Shards};
use super::topics::Topics;
use crate::session::Now;
use crate::session::store::{
    Decided, DecisionId, PrincipalId, StoreOp, StoreOutcome, StoreTime, TopicId,
};
use crate::store::admin::{Erased, StoreFigures};
use crate::store::ended_leases::EndedLeases;
use crate::wire::LeaseId;

/// The state of a memory store that is one shard. It is pure, so that tests and simulators use the
/// same rules as production: [`MemoryStore`](super::MemoryStore) carries the same operations out on
/// many shards. An operation costs O(log n) of what is stored, plus what it returns or lets go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MemoryState {
    limits: MemoryLimits,
    people: People,
    pub(super) topics: Topics,
    pub(super) ended: EndedLeases,
}

impl MemoryState {
    /// An empty store.
    #[must_use]
    pub fn new(limits: MemoryLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Carries an operation out, after letting go of what has expired by `now`. A `now` that goes
    /// back expires nothing.
    pub fn apply(&mut self, now: Now, op: StoreOp) -> StoreOutcome {
        self.apply_deciding(now, op, &mut |_| Decided::internal())
    }

    /// The same, with what decides the outcomes that are for the store to decide: it is called when
    /// the record is written, and only if it is.
    pub fn apply_deciding(
        &mut self,
        now: Now,
        op: StoreOp,
        decide: &mut dyn FnMut(DecisionId) -> Decided,
    ) -> StoreOutcome {
        let Self { limits, people, topics, ended } = self;
        Run::new(&mut Alone { now, people, topics, ended }, limits).carry_out(op, decide)
    }

    /// Becomes another incarnation, as a store does that was restored, promoted, or rolled back to
    /// an earlier moment. Each topic's epoch becomes a mixture of what is stored and `incarnation`,
    /// a random number: numbers may come again with other bytes (PROTOCOL.md 7.1). Each lease is
    /// gone, since records may be missing and commands would run again (5.1); what it owes is still
    /// appended. Ids stay as they are stored: each came with its record, and would go with it.
    pub fn begin_incarnation(&mut self, now: Now, incarnation: u64) {
        let Self { limits, people, topics, ended } = self;
        Run::new(&mut Alone { now, people, topics, ended }, limits).begin_incarnation(incarnation);
    }

    /// Deletes a topic, as [`StoreAdmin::delete_topic`](crate::store::StoreAdmin::delete_topic)
    /// does. Whether there was one.
    pub fn delete_topic(&mut self, now: Now, topic: &TopicId) -> bool {
        let Self { limits, people, topics, ended } = self;
        Run::new(&mut Alone { now, people, topics, ended }, limits).delete_topic(topic)
    }

    /// Erases a principal, as
    /// [`StoreAdmin::erase_principal`](crate::store::StoreAdmin::erase_principal) does.
    pub fn erase_principal(&mut self, now: Now, principal: &PrincipalId) -> Erased {
        let Self { limits, people, topics, ended } = self;
        Run::new(&mut Alone { now, people, topics, ended }, limits).erase_principal(principal)
    }

    /// How much it holds, for metrics and for checks that everything is bounded.
    #[must_use]
    pub fn bytes(&self) -> MemoryBytes {
        sums(&self.people, &self.topics).bytes()
    }

    /// The same, and how many things it holds.
    #[must_use]
    pub fn figures(&self) -> StoreFigures {
        sums(&self.people, &self.topics).figures()
    }

    /// What single principals have of it, the one with most of each kind. Looks at all of them.
    #[must_use]
    pub fn peaks(&self) -> MemoryPeaks {
        let (principal_ids, principal_id_bytes) = self.people.ids.most();
        MemoryPeaks { principal_ids, principal_id_bytes }
    }
}

fn sums(people: &People, topics: &Topics) -> Sums {
    let Sums { topics, logs, entries, .. } = topics.sums();
    Sums { topics, logs, entries, ..people.sums() }
}

/// The one shard of each kind, and what time it is.
struct Alone<'a> {
    now: Now,
    people: &'a mut People,
    topics: &'a mut Topics,
    ended: &'a mut EndedLeases,
}

impl Shards for Alone<'_> {
    type Held<'a>
        = Alone<'a>
    where
        Self: 'a;

    const SHARDS: u8 = 1;

    fn place_of_lease(&self, _: LeaseId) -> Option<Place> {
        Some(Place::FIRST)
    }

    fn place_of_principal(_: &PrincipalId) -> Place {
        Place::FIRST
    }

    fn place_of_topic(_: &TopicId) -> Place {
        Place::FIRST
    }

    fn hold(&mut self, _: Places, _: Places) -> Alone<'_> {
        Alone { now: self.now, people: self.people, topics: self.topics, ended: self.ended }
    }

    fn sums(&self) -> Sums {
        sums(self.people, self.topics)
    }

    fn next_in_turn(&mut self) -> Place {
        Place::FIRST
    }

    fn is_look_due(&mut self) -> bool {
        true
    }
}

impl Held for Alone<'_> {
    fn now(&self) -> Now {
        self.now
    }

    fn people(&mut self, _: Place) -> &mut People {
        self.people
    }

    fn topics(&mut self, _: Place) -> &mut Topics {
        self.topics
    }

    fn sums(&self) -> Sums {
        sums(self.people, self.topics)
    }

    fn bind(&mut self, _: LeaseId, place: Place) -> Place {
        place
    }

    fn unbind(&mut self, _: LeaseId) {}

    fn end(&mut self, lease: LeaseId, memory: (Duration, usize)) {
        self.ended.remember(self.now, lease, memory);
    }

    fn before_open(
        &self,
        lease: LeaseId,
        as_of: StoreTime,
        now: StoreTime,
    ) -> Option<StoreOutcome> {
        self.ended.before_open(lease, as_of, now)
    }
}
