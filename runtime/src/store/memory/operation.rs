//! Each operation of a node on a memory store, and which shards it needs. Commits and appends have
//! files of their own.

use super::bytes::fitting;
use super::leases::Lease;
use super::limits::MemoryLimits;
use super::run::Run;
use super::shards::{Held, Place, Places, Shards};
use crate::session::store::{
    Decided, DecisionId, Holder, MessageId, PrincipalId, Retention, StoreOp, StoreOutcome,
    StoreTime, TopicHead, TopicId,
};
use crate::wire::{Codec, CommandNo, Epoch, LeaseId};

/// What came of asking for a lease.
enum Opened {
    Answered(StoreOutcome),
    /// There are as many in the whole store as there may be.
    Full,
    /// There may be one of this id in another shard.
    Elsewhere(Place),
}

/// Issues a lease, or says why not.
fn open(held: &mut dyn Held, place: Place, wanted: &Wanted, limits: &MemoryLimits) -> Opened {
    let Wanted { id, as_of, holder, ref principal, codec, ttl_ms, max } = *wanted;
    let now = held.now();
    let lease = Lease::new(now, holder, principal.clone(), codec, ttl_ms);
    if let Some(known) = held.people(place).leases.as_known(now, id, &lease) {
        return Opened::Answered(known);
    }
    let time = held.people(place).leases.time(now);
    if let Some(too_late) = held.before_open(id, as_of, time) {
        return Opened::Answered(too_late);
    }
    let full = held.people(place).leases.before_open(now, &lease, max, limits);
    if let Some(full) = full {
        return Opened::Answered(full);
    }
    if held.sums().leases >= limits.leases as u64 {
        return Opened::Full;
    }
    Opened::Answered(held.people(place).leases.open(now, id, lease, limits))
}

/// A lease that is asked for.
struct Wanted {
    id: LeaseId,
    as_of: StoreTime,
    holder: Holder,
    principal: PrincipalId,
    codec: Codec,
    /// Milliseconds to live with a command and without one.
    ttl_ms: (u64, u64),
    /// Leases of a principal, and after how many milliseconds nobody can hold one.
    max: (u32, u64),
}

impl<S: Shards> Run<'_, S> {
    /// Carries an operation out.
    pub(super) fn carry_out(
        mut self,
        op: StoreOp,
        decide: &mut dyn FnMut(DecisionId) -> Decided,
    ) -> StoreOutcome {
        let outcome = self.apply(op, decide);
        self.end();
        outcome
    }

    fn apply(
        &mut self,
        op: StoreOp,
        decide: &mut dyn FnMut(DecisionId) -> Decided,
    ) -> StoreOutcome {
        let limits = self.limits;
        match op {
            StoreOp::OpenLease {
                id,
                as_of,
                holder,
                principal,
                codec,
                ttl_ms,
                unused_ttl_ms,
                max_per_principal,
                held_ms,
            } => {
                let (ttl_ms, max) = ((ttl_ms, unused_ttl_ms), (max_per_principal, held_ms));
                self.open_lease(&Wanted { id, as_of, holder, principal, codec, ttl_ms, max })
            }
            StoreOp::ClaimLease { id, holder, principal, codec, low } => {
                self.on_lease(id, StoreOutcome::LeaseGone, |held, place| {
                    let now = held.now();
                    let leases = &mut held.people(place).leases;
                    leases.claim(now, id, holder, (&principal, codec), low)
                })
            }
            StoreOp::RenewLease { id, generation, held: by_somebody, low } => {
                self.on_lease(id, StoreOutcome::LeaseGone, |held, place| {
                    let now = held.now();
                    held.people(place).leases.renew(now, id, generation, by_somebody, low)
                })
            }
            StoreOp::EndLease { id } => self.on_lease(id, StoreOutcome::Done, |held, place| {
                let now = held.now();
                held.people(place).leases.end(now, id, limits);
                StoreOutcome::Done
            }),
            StoreOp::Commit { lease, low, commits } => self.commit((lease, low), commits, decide),
            StoreOp::FindId { id, max_per_principal, max_bytes_per_principal } => {
                self.find_id(&id, (max_per_principal, max_bytes_per_principal))
            }
            StoreOp::Settle { records } => {
                for (lease, n) in records {
                    self.on_lease(lease, (), |held, place| {
                        held.people(place).leases.settle(lease, n);
                    });
                }
                StoreOutcome::Done
            }
            StoreOp::ListUnsettled { max, max_bytes, after, older_than_ms } => {
                self.list_unsettled((max, max_bytes), after, older_than_ms)
            }
            StoreOp::Append { topic, appends, retention, fresh_epoch } => {
                self.append(&topic, appends, (retention, fresh_epoch))
            }
            StoreOp::OpenTopic { topic, fresh_epoch, retention } => {
                StoreOutcome::Topic(self.open_topic(&topic, fresh_epoch, retention))
            }
            StoreOp::Heads { topics } => self.heads(&topics),
            StoreOp::ReadLog { topic, epoch, from, max, max_bytes } => {
                self.on_topic(&topic, |held, place| {
                    let now = held.now();
                    held.topics(place).read(now, &topic, epoch, from, (max, max_bytes))
                })
            }
        }
    }

    fn find_id(&mut self, id: &MessageId, max: (u32, u64)) -> StoreOutcome {
        match self.find_id_now(id, max) {
            StoreOutcome::TooManyIds => {
                // Some of those in other shards may have expired.
                self.look_through();
                self.find_id_now(id, max)
            }
            found => found,
        }
    }

    fn find_id_now(&mut self, id: &MessageId, max: (u32, u64)) -> StoreOutcome {
        let (place, limits) = (S::place_of_principal(&id.principal), self.limits);
        self.with(Places::one(place), Places::NONE, |held| {
            let all = held.sums();
            held.people(place).ids.find(id, max, &all, limits)
        })
    }

    fn heads(&mut self, topics: &[TopicId]) -> StoreOutcome {
        let heads = topics.iter().map(|topic| {
            self.on_topic(topic, |held, place| {
                let now = held.now();
                held.topics(place).look(now, topic)
            })
        });
        StoreOutcome::Heads(heads.collect())
    }

    /// Does something where a lease lies; `gone` if there is none.
    fn on_lease<R>(
        &mut self,
        id: LeaseId,
        gone: R,
        act: impl FnOnce(&mut dyn Held, Place) -> R,
    ) -> R {
        match self.shards.place_of_lease(id) {
            Some(place) => self.with(Places::one(place), Places::NONE, |held| act(held, place)),
            None => gone,
        }
    }

    fn on_topic<R>(&mut self, topic: &TopicId, act: impl FnOnce(&mut dyn Held, Place) -> R) -> R {
        let place = S::place_of_topic(topic);
        self.with(Places::NONE, Places::one(place), |held| act(held, place))
    }

    fn open_lease(&mut self, wanted: &Wanted) -> StoreOutcome {
        let place = S::place_of_principal(&wanted.principal);
        let limits = self.limits;
        loop {
            let opened = self.with(Places::one(place), Places::NONE, |held| {
                let bound = held.bind(wanted.id, place);
                if bound != place {
                    return Opened::Elsewhere(bound);
                }
                let opened = open(held, place, wanted, limits);
                if !held.people(place).leases.knows(wanted.id) {
                    held.unbind(wanted.id);
                }
                opened
            });
            match opened {
                Opened::Answered(outcome) => return outcome,
                Opened::Full if self.end_first_loose() => {}
                Opened::Full => return StoreOutcome::TooManyLeases,
                // Another principal has asked for it at the same time: it may not have got it.
                Opened::Elsewhere(other) => {
                    let knows = |held: &mut dyn Held| held.people(other).leases.knows(wanted.id);
                    if self.with(Places::one(other), Places::NONE, knows) {
                        return StoreOutcome::LeaseGone;
                    }
                }
            }
        }
    }

    /// Ends the lease that was let go first in the whole store. `false` if that makes no room.
    fn end_first_loose(&mut self) -> bool {
        self.look_through();
        let limits = self.limits;
        if self.shards.sums().leases < limits.leases as u64 {
            return true;
        }
        let first = |place: Place| {
            let loose = self.with(Places::one(place), Places::NONE, |held| {
                held.people(place).leases.first_loose()
            });
            loose.map(|loose| (loose, place))
        };
        let first = Places::all(S::SHARDS).iter().filter_map(first).min();
        first.is_some_and(|(loose, place)| {
            self.with(Places::one(place), Places::NONE, |held| {
                let now = held.now();
                held.people(place).leases.end_loose(now, loose, limits)
            })
        })
    }

    fn open_topic(
        &mut self,
        topic: &TopicId,
        fresh_epoch: Epoch,
        retention: Retention,
    ) -> TopicHead {
        let head = self.on_topic(topic, |held, place| {
            let now = held.now();
            held.topics(place).open(now, topic, fresh_epoch, retention)
        });
        self.keep_topics_within(topic);
        head
    }

    /// Looks at one shard after the other: a page shows no single moment of all of them, but one of
    /// each lease.
    fn list_unsettled(
        &mut self,
        (max, max_bytes): (u32, u64),
        after: Option<(LeaseId, CommandNo)>,
        older_than_ms: u64,
    ) -> StoreOutcome {
        let (mut at, mut records) = (None::<StoreTime>, Vec::new());
        for place in Places::all(S::SHARDS).iter() {
            self.with(Places::one(place), Places::NONE, |held| {
                let now = held.now();
                let leases = &held.people(place).leases;
                // All that follows was seen then or later.
                at.get_or_insert_with(|| leases.time(now));
                records.extend(leases.unsettled(now, (max, max_bytes), after, older_than_ms));
            });
        }
        records.sort_unstable_by_key(|(id, n, _)| (*id, *n));
        let bytes = records.iter().map(|(.., record)| record.publish_bytes());
        records.truncate(fitting(bytes, max, max_bytes));
        StoreOutcome::Unsettled { at: at.unwrap_or_default(), records }
    }

    /// Makes the store another incarnation, in one step.
    pub(super) fn begin_incarnation(mut self, incarnation: u64) {
        let (all, limits) = (Places::all(S::SHARDS), self.limits);
        self.with(all, all, |held| {
            let now = held.now();
            for place in all.iter() {
                let leases = &mut held.people(place).leases;
                leases.incarnation = incarnation;
                leases.end_all(now, limits);
                held.topics(place).begin_incarnation(incarnation);
            }
        });
        self.end();
    }
}
