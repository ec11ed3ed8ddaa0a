//! The shards of a memory store, and how an operation gets hold of those that it needs. What it
//! does with them is not said here, nor whether there are locks.

use std::time::Duration;

use super::bytes::Sums;
use super::limits::MemoryLimits;
use super::people::People;
use super::topics::{NewEntry, Topics};
use crate::session::Now;
use crate::session::store::{Appended, PrincipalId, StoreOutcome, StoreTime, TopicId};
use crate::wire::LeaseId;

/// One shard of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u8);

/// Shards of one kind, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Places(u32);

impl Place {
    pub(super) const FIRST: Self = Self(0);

    /// Where something with this hash lies among so many shards.
    pub(super) const fn of(hash: u64, shards: u8) -> Self {
        Self((hash % shards as u64) as u8)
    }

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Places {
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn one(place: Place) -> Self {
        Self(1 << place.0)
    }

    /// All of so many: 1 to 32.
    pub(super) const fn all(shards: u8) -> Self {
        Self(u32::MAX >> (u32::BITS - shards as u32))
    }

    pub(super) fn add(&mut self, place: Place) {
        self.0 |= 1 << place.0;
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Place> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| Place(left.trailing_zeros() as u8));
            left &= left.wrapping_sub(1);
            next
        })
    }
}

/// The shards of a store. Leases and ids lie where their principals do, topics by themselves.
///
/// Whoever holds some asks for no more, and they are taken in one order: those of people before
/// those of topics, each kind by its places. So no two operations wait for each other.
pub(super) trait Shards {
    /// What is held, until it is dropped.
    type Held<'a>: Held
    where
        Self: 'a;

    /// How many there are of each kind.
    const SHARDS: u8;

    /// Where a lease lies, if there is one.
    fn place_of_lease(&self, lease: LeaseId) -> Option<Place>;

    fn place_of_principal(principal: &PrincipalId) -> Place;

    fn place_of_topic(topic: &TopicId) -> Place;

    /// Waits for shards, and holds them.
    fn hold(&mut self, people: Places, topics: Places) -> Self::Held<'_>;

    /// What all shards hold in sum. What others do right now may be in it or not.
    fn sums(&self) -> Sums;

    /// The next shard of people, round and round.
    fn next_in_turn(&mut self) -> Place;

    /// Whether it is time to look through all shards for what has expired.
    fn is_look_due(&mut self) -> bool;
}

/// Shards that are held.
pub(super) trait Held {
    /// The time. It does not go back for whoever holds the same shard later.
    fn now(&self) -> Now;

    /// A shard that was asked for.
    fn people(&mut self, place: Place) -> &mut People;

    /// The same, of topics.
    fn topics(&mut self, place: Place) -> &mut Topics;

    /// What all shards hold in sum, with what has changed in these.
    fn sums(&self) -> Sums;

    /// A lease is to lie in a shard. Where it lies: elsewhere if there is one of this id already.
    fn bind(&mut self, lease: LeaseId, place: Place) -> Place;

    /// A lease is not there after all.
    fn unbind(&mut self, lease: LeaseId);

    /// A lease has ended, and is remembered for so long, among so many of each shard.
    fn end(&mut self, lease: LeaseId, memory: (Duration, usize));

    /// What is answered to somebody who asks for a lease, as of then; `None` if it may be opened.
    fn before_open(&self, lease: LeaseId, as_of: StoreTime, now: StoreTime)
    -> Option<StoreOutcome>;

    /// A topic of a shard was deleted: whoever wants to hear of it is told.
    fn deleted(&mut self, _: Place, _: &TopicId) {}

    /// Appends to a log, and tells whoever wants to hear of it.
    fn append(&mut self, place: Place, new: NewEntry, limits: &MemoryLimits) -> Appended {
        let now = self.now();
        self.topics(place).append(now, new, limits)
    }
}
