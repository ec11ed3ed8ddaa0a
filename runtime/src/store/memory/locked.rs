//! Shards that threads share, each behind a lock of its own, and the guards of those that an
//! operation holds. Which ones it needs, and what it does in them, is not said here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bytes::Sums;
use super::news::Listener;
use super::people::People;
use super::shards::{Place, Places};
use super::topics::Topics;
use crate::session::store::TopicId;

/// A shard of topics, and who wants to hear of each.
#[derive(Default)]
pub(super) struct Shelf {
    pub(super) topics: Topics,
    pub(super) wanted: BTreeMap<TopicId, Vec<Arc<Listener>>>,
}

/// What has sums.
pub(super) trait Summed {
    fn sums(&self) -> Sums;
}

impl Summed for People {
    fn sums(&self) -> Sums {
        Self::sums(self)
    }
}

impl Summed for Shelf {
    fn sums(&self) -> Sums {
        self.topics.sums()
    }
}

/// Takes a lock. A panic under one leaves a whole shard behind: of what is somebody else's only the
/// clock runs there, which is asked before anything is changed, and what decides, which is guarded.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sums over all shards, as of when each was held last.
#[derive(Default)]
pub(super) struct AllSums([AtomicU64; Sums::COUNT]);

impl AllSums {
    pub(super) fn load(&self) -> Sums {
        Sums::from_list(self.0.each_ref().map(|sum| sum.load(Ordering::Relaxed)))
    }

    fn change(&self, before: &Sums, after: &Sums) {
        for (sum, (before, after)) in self.0.iter().zip(before.list().into_iter().zip(after.list()))
        {
            if before != after {
                // Modulo 2^64 a sum may shrink by adding.
                sum.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
            }
        }
    }
}

/// One shard that is held.
pub(super) struct Guard<'a, T: Summed> {
    place: Place,
    held: MutexGuard<'a, T>,
    before: Sums,
    all: &'a AllSums,
}

impl<'a, T: Summed> Guard<'a, T> {
    fn lock(shards: &'a [Mutex<T>], place: Place, all: &'a AllSums) -> Self {
        let held = lock(&shards[place.index()]);
        let before = held.sums();
        Self { place, held, before, all }
    }
}

/// The lock is let go of after that.
impl<T: Summed> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        self.all.change(&self.before, &self.held.sums());
    }
}

/// Shards of one kind that are held: one, as a rule.
pub(super) struct Guards<'a, T: Summed> {
    first: Option<Guard<'a, T>>,
    more: Vec<Guard<'a, T>>,
}

impl<'a, T: Summed> Guards<'a, T> {
    /// Takes the locks in the order of their places.
    pub(super) fn lock(shards: &'a [Mutex<T>], places: Places, all: &'a AllSums) -> Self {
        let mut guards = places.iter().map(|place| Guard::lock(shards, place, all));
        Self { first: guards.next(), more: guards.collect() }
    }

    fn iter(&self) -> impl Iterator<Item = &Guard<'a, T>> {
        self.first.iter().chain(&self.more)
    }

    pub(super) fn get(&mut self, place: Place) -> &mut T {
        let mut guards = self.first.iter_mut().chain(&mut self.more);
        let guard = guards.find(|guard| guard.place == place);
        &mut guard.expect("an operation asks for what it needs before it begins").held
    }

    /// `all`, with what has changed in these.
    pub(super) fn changed(&self, all: Sums) -> Sums {
        self.iter().fold(all, |all, guard| all.changed(&guard.before, &guard.held.sums()))
    }
}
