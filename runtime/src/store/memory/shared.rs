//! A memory store that threads share: many shards of each kind, and sums over all of them. It finds
//! and holds what an operation needs, and tells other nodes what was appended; what else is done
//! there is not said here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::Waker;
use std::time::Duration;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::bytes::Sums;
use super::limits::MemoryLimits;
use super::locked::{AllSums, Guards, Shelf, lock};
use super::news::Listener;
use super::people::People;
use super::shards::{Held, Place, Places, Shards};
use super::topics::{NewEntry, Topics};
use crate::session::Now;
use crate::session::store::{Appended, PrincipalId, StoreOutcome, StoreTime, TopicId};
use crate::store::ended_leases::EndedLeases;
use crate::store::interface::Clock;
use crate::wire::{LeaseId, Position};

/// Shards of each kind: so many that even with a thread on every core of a large machine two rarely
/// want the same one.
pub(super) const SHARDS: u8 = 32;

/// How old an entry may be that is imported: ten years.
const OLDEST_MS: u64 = 10 * 366 * 24 * 3_600_000;

/// How often all shards are looked through for what has expired.
const LOOK_MS: u64 = 1_000;

/// Leases by their ids: they are named without their principals.
#[derive(Default)]
struct Directory {
    /// In which shard of people each lies.
    places: BTreeMap<LeaseId, Place>,
    ended: EndedLeases,
}

/// What the clones of a store share.
///
/// Locks are taken in the order of the fields, and of places where there are many. An operation
/// takes those of `people` and `topics` together, before it begins; under them it takes one lock of
/// `leases`, or of a listener, at a time.
pub(super) struct Shared {
    pub(super) limits: MemoryLimits,
    people: Box<[Mutex<People>]>,
    topics: Box<[Mutex<Shelf>]>,
    leases: Box<[Mutex<Directory>]>,
    /// The news of each clone.
    listeners: Mutex<Vec<Weak<Listener>>>,
    /// How many of them have wanted to hear of a topic.
    following: AtomicUsize,
    sums: AllSums,
    turn: AtomicU8,
    /// How far its time has gone forward, for entries that are older than it.
    ahead: AtomicU64,
    /// When all shards were looked through last.
    looked: AtomicU64,
}

/// The shards of a kind. They are made where they stay: together they are too large for the stack
/// of a small thread.
fn shards<T: Default>() -> Box<[Mutex<T>]> {
    (0..SHARDS).map(|_| Mutex::default()).collect()
}

impl Shared {
    pub(super) fn new(limits: MemoryLimits) -> Self {
        Self {
            limits,
            people: shards(),
            topics: shards(),
            leases: shards(),
            listeners: Mutex::default(),
            following: AtomicUsize::new(0),
            sums: AllSums::default(),
            turn: AtomicU8::new(0),
            ahead: AtomicU64::new(0),
            looked: AtomicU64::new(0),
        }
    }

    /// One more clone.
    pub(super) fn listen(&self) -> Arc<Listener> {
        let listener = Arc::new(Listener::default());
        let mut listeners = lock(&self.listeners);
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&listener));
        listener
    }

    /// A clone has gone.
    pub(super) fn listen_no_more(&self, listener: &Arc<Listener>) {
        if !listener.follows.load(Ordering::Relaxed) {
            return;
        }
        self.following.fetch_sub(1, Ordering::Relaxed);
        for shelf in &self.topics {
            lock(shelf).wanted.retain(|_, wanting| {
                wanting.retain(|other| !Arc::ptr_eq(other, listener));
                !wanting.is_empty()
            });
        }
    }

    pub(super) fn interest(&self, listener: &Arc<Listener>, topic: &TopicId, interested: bool) {
        if interested && listener.begin_to_follow() {
            self.following.fetch_add(1, Ordering::Relaxed);
        }
        let place = Asker::place_of_topic(topic);
        let mut shelf = lock(&self.topics[place.index()]);
        let wanting = shelf.wanted.entry(topic.clone()).or_default();
        wanting.retain(|other| !Arc::ptr_eq(other, listener));
        if interested {
            wanting.push(Arc::clone(listener));
            return;
        }
        if wanting.is_empty() {
            shelf.wanted.remove(topic);
        }
        // Whoever tells it of the topic holds the shard, too.
        listener.forget(topic);
    }

    /// Every clone is to hear that the store is another incarnation. Whom to wake.
    pub(super) fn rolled(&self) -> Vec<Waker> {
        let listeners = lock(&self.listeners);
        listeners.iter().filter_map(|listener| listener.upgrade()?.rolled()).collect()
    }

    pub(super) fn sums(&self) -> Sums {
        self.sums.load()
    }

    /// The time of a store that is empty goes forward, once: what is imported may be older.
    pub(super) fn make_time_for_ages(&self) {
        let Sums { leases, ids, topics, .. } = self.sums();
        if (leases, ids, topics) == (0, 0, 0) {
            self.ahead.store(OLDEST_MS, Ordering::Relaxed);
        }
    }

    fn directory(&self, lease: LeaseId) -> MutexGuard<'_, Directory> {
        lock(&self.leases[Place::of(xxh3_64(&lease.0.to_le_bytes()), SHARDS).index()])
    }
}

#[cfg(test)]
impl Shared {
    /// How many clones want to hear of topics, counted per topic.
    pub(super) fn wanting(&self) -> usize {
        let wanted =
            |shelf: &Mutex<Shelf>| lock(shelf).wanted.values().map(Vec::len).sum::<usize>();
        self.topics.iter().map(wanted).sum()
    }
}

/// A clone that has something to do, and whom to wake once it has let go of all locks.
pub(super) struct Asker<'a> {
    shared: &'a Shared,
    clock: &'a Clock,
    me: &'a Arc<Listener>,
    wake: Vec<Waker>,
    /// When it held something last.
    now: Now,
}

impl<'a> Asker<'a> {
    pub(super) fn new(shared: &'a Shared, clock: &'a Clock, me: &'a Arc<Listener>) -> Self {
        Self { shared, clock, me, wake: Vec::new(), now: Now(0) }
    }
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        self.wake.drain(..).for_each(Waker::wake);
    }
}

impl Shards for Asker<'_> {
    type Held<'a>
        = Locked<'a>
    where
        Self: 'a;

    const SHARDS: u8 = SHARDS;

    fn place_of_lease(&self, lease: LeaseId) -> Option<Place> {
        self.shared.directory(lease).places.get(&lease).copied()
    }

    fn place_of_principal(principal: &PrincipalId) -> Place {
        Place::of(xxh3_64(principal.as_bytes()), SHARDS)
    }

    fn place_of_topic(topic: &TopicId) -> Place {
        let name = xxh3_64(topic.name.as_bytes());
        Place::of(xxh3_64_with_seed(topic.key.as_bytes(), name), SHARDS)
    }

    fn hold(&mut self, people: Places, topics: Places) -> Locked<'_> {
        let Self { shared, me, .. } = *self;
        let people = Guards::lock(&shared.people, people, &shared.sums);
        let topics = Guards::lock(&shared.topics, topics, &shared.sums);
        // Whoever holds one of these later is told no earlier time.
        self.now = (self.clock)().after_ms(shared.ahead.load(Ordering::Relaxed));
        let mine = usize::from(me.follows.load(Ordering::Relaxed));
        let me = (shared.following.load(Ordering::Relaxed) > mine).then_some(me);
        Locked { shared, people, topics, now: self.now, me, wake: &mut self.wake }
    }

    fn sums(&self) -> Sums {
        self.shared.sums()
    }

    fn next_in_turn(&mut self) -> Place {
        let turn = self.shared.turn.fetch_add(1, Ordering::Relaxed);
        Place::of(u64::from(turn), SHARDS)
    }

    fn is_look_due(&mut self) -> bool {
        let looked = self.shared.looked.load(Ordering::Relaxed);
        // One of those who see it does it.
        self.now.since(Now(looked)) >= LOOK_MS
            && self
                .shared
                .looked
                .compare_exchange(looked, self.now.0, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

/// Shards that an [`Asker`] holds.
pub(super) struct Locked<'a> {
    shared: &'a Shared,
    people: Guards<'a, People>,
    topics: Guards<'a, Shelf>,
    now: Now,
    /// Who asks, if others want to hear what is appended.
    me: Option<&'a Arc<Listener>>,
    wake: &'a mut Vec<Waker>,
}

impl Held for Locked<'_> {
    fn now(&self) -> Now {
        self.now
    }

    fn people(&mut self, place: Place) -> &mut People {
        self.people.get(place)
    }

    fn topics(&mut self, place: Place) -> &mut Topics {
        &mut self.topics.get(place).topics
    }

    fn sums(&self) -> Sums {
        self.topics.changed(self.people.changed(self.shared.sums()))
    }

    fn bind(&mut self, lease: LeaseId, place: Place) -> Place {
        *self.shared.directory(lease).places.entry(lease).or_insert(place)
    }

    fn unbind(&mut self, lease: LeaseId) {
        self.shared.directory(lease).places.remove(&lease);
    }

    fn end(&mut self, lease: LeaseId, memory: (Duration, usize)) {
        let mut directory = self.shared.directory(lease);
        directory.places.remove(&lease);
        directory.ended.remember(self.now, lease, memory);
    }

    fn before_open(
        &self,
        lease: LeaseId,
        as_of: StoreTime,
        now: StoreTime,
    ) -> Option<StoreOutcome> {
        self.shared.directory(lease).ended.before_open(lease, as_of, now)
    }

    /// Everybody may hold it, who asks, too.
    fn deleted(&mut self, place: Place, topic: &TopicId) {
        if let Some(wanting) = self.topics.get(place).wanted.get(topic) {
            self.wake.extend(wanting.iter().filter_map(|listener| listener.missed()));
        }
    }

    fn append(&mut self, place: Place, new: NewEntry, limits: &MemoryLimits) -> Appended {
        let now = self.now;
        let Shelf { topics, wanted } = self.topics.get(place);
        let Some(me) = self.me else { return topics.append(now, new, limits) };
        let topic = new.publication.topic.clone();
        let appended = topics.append(now, new, limits);
        if let Some(wanting) = wanted.get(&topic) {
            let head = Position { epoch: appended.epoch, ts: appended.ts };
            let latest = topics.latest(&topic);
            for listener in wanting.iter().filter(|listener| !Arc::ptr_eq(listener, me)) {
                self.wake.extend(listener.appended(&topic, head, latest, limits));
            }
        }
        appended
    }
}
