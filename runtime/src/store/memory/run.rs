//! A run of one operation over the shards of a memory store: it holds some, does something there,
//! and cleans up behind it. What operations do is not said here, nor whether there are locks.

use std::time::Duration;

use super::leases::DoneWith;
use super::limits::MemoryLimits;
use super::shards::{Held, Place, Places, Shards};
use crate::session::store::AppendKey;

pub(super) struct Run<'s, S> {
    pub(super) shards: &'s mut S,
    pub(super) limits: &'s MemoryLimits,
    /// Records that were settled or have gone in this run.
    done_with: Vec<DoneWith>,
}

/// Notes what has gone from a shard of people.
fn part_from_gone(
    held: &mut dyn Held,
    place: Place,
    memory: (Duration, usize),
    done_with: &mut Vec<DoneWith>,
) {
    let leases = &mut held.people(place).leases;
    done_with.extend(leases.take_done_with());
    for id in leases.take_gone() {
        if !held.people(place).leases.knows(id) {
            held.end(id, memory);
        }
    }
}

impl<'s, S: Shards> Run<'s, S> {
    pub(super) const fn new(shards: &'s mut S, limits: &'s MemoryLimits) -> Self {
        Self { shards, limits, done_with: Vec::new() }
    }

    /// Does something while shards are held, after what has expired in them was let go.
    pub(super) fn with<R>(
        &mut self,
        people: Places,
        topics: Places,
        act: impl FnOnce(&mut dyn Held) -> R,
    ) -> R {
        let mut held = self.shards.hold(people, topics);
        let now = held.now();
        let memory = (self.limits.ended_memory, self.limits.ended_leases / usize::from(S::SHARDS));
        topics.iter().for_each(|place| held.topics(place).expire(now, self.limits, S::SHARDS));
        for place in people.iter() {
            held.people(place).expire(now, self.limits);
            part_from_gone(&mut held, place, memory, &mut self.done_with);
        }
        let value = act(&mut held);
        for place in people.iter() {
            part_from_gone(&mut held, place, memory, &mut self.done_with);
        }
        value
    }

    /// Lets go of what has expired, in all shards.
    pub(super) fn look_through(&mut self) {
        for place in Places::all(S::SHARDS).iter() {
            self.with(Places::one(place), Places::NONE, |_| {});
            self.with(Places::NONE, Places::one(place), |_| {});
        }
    }

    /// Ends the run: looks through all shards now and then, and takes the keys of appends with the
    /// records that are settled or gone. That comes late, but a key that stays longer does no harm.
    pub(super) fn end(mut self) {
        if self.shards.is_look_due() {
            self.look_through();
        }
        for (lease, n, publishes) in std::mem::take(&mut self.done_with) {
            for (index, publication) in (0..).zip(publishes) {
                let key = AppendKey::Command { lease, n, index };
                let (topic, window) = (publication.topic, self.limits.append_window);
                let place = S::place_of_topic(&topic);
                self.with(Places::NONE, Places::one(place), |held| {
                    let now = held.now();
                    match window {
                        None => held.topics(place).forget_key(&topic, key),
                        Some(window) => {
                            held.topics(place).forget_key_later(now.after(window), topic, key);
                        }
                    }
                });
            }
        }
    }
}
