//! What all shards of a memory store may hold together, and who gives something up beyond that. It
//! is looked at after an operation, so that while one is under way what it adds may be too much.

use super::idle::Idle;
use super::run::Run;
use super::shards::{Place, Places, Shards};
use crate::session::store::{LogEntry, TopicId};

impl<S: Shards> Run<'_, S> {
    /// Whether so many bytes more of publications would be left to be brought into their logs than
    /// may be.
    pub(super) fn would_owe_too_much(&mut self, bytes: u64) -> bool {
        let limit = self.limits.owed_bytes;
        let too_much = |owed: u64| bytes > 0 && owed > 0 && owed.saturating_add(bytes) > limit;
        if !too_much(self.shards.sums().owed) {
            return false;
        }
        self.look_through();
        too_much(self.shards.sums().owed)
    }

    /// Takes the replies of lease after lease, round all shards, while there are too many bytes of
    /// them.
    pub(super) fn keep_replies_within(&mut self) {
        let mut without = 0;
        // What no shard has any more is what others are writing right now: they look as well.
        while self.shards.sums().replies > self.limits.reply_bytes && without < S::SHARDS {
            let place = self.shards.next_in_turn();
            let taken = self.with(Places::one(place), Places::NONE, |held| {
                let leases = &mut held.people(place).leases;
                let before = leases.reply_bytes;
                leases.take_next_replies();
                before - leases.reply_bytes
            });
            without = if taken > 0 { 0 } else { without + 1 };
        }
    }

    /// Who goes last, if an operation that appends so many entries and bytes may leave too much.
    pub(super) fn present(
        &self,
        (entries, bytes): (u64, u64),
        last: impl FnOnce() -> Option<TopicId>,
    ) -> Option<TopicId> {
        let all = self.shards.sums();
        let full = all.topics.saturating_add(entries) > self.limits.topics as u64;
        let long = all.cost_of_logs().saturating_add(LogEntry::cost(entries, bytes))
            > self.limits.log_bytes;
        if entries > 0 && (full || long) { last() } else { None }
    }

    /// Forgets topics while there are too many, and takes the entries of topics while there are too
    /// many bytes of them: of those first that were idle longest, and of `present` last. Those that
    /// never had an entry are the first to be forgotten.
    pub(super) fn keep_topics_within(&mut self, present: &TopicId) {
        let limit = self.limits.topics.max(1) as u64;
        let all = self.shards.sums();
        if all.topics > limit || all.cost_of_logs() > self.limits.log_bytes {
            self.look_through();
        }
        while self.shards.sums().topics > limit {
            let idle = self.idle(|topics| topics.first_idle(present));
            let Some((idle, place)) = idle.into_iter().min() else { break };
            self.with(Places::NONE, Places::one(place), |held| {
                held.topics(place).forget_idle(&idle);
            });
        }
        if self.shards.sums().cost_of_logs() > self.limits.log_bytes {
            self.empty_the_idle(present);
        }
    }

    /// A topic without entries is looked at once for each time that this happens, so an eighth more
    /// than must go goes.
    fn empty_the_idle(&mut self, present: &TopicId) {
        let limit = self.limits.log_bytes;
        let enough = limit - limit / 8;
        let mut next = self.idle(|topics| topics.next_long(None, present));
        while self.shards.sums().cost_of_logs() > enough {
            let first = (0..next.len()).min_by(|a, b| next[*a].cmp(&next[*b]));
            let Some((idle, place)) = first.map(|first| next.swap_remove(first)) else { break };
            let after = self.with(Places::NONE, Places::one(place), |held| {
                let topics = held.topics(place);
                topics.clear_idle(&idle);
                topics.next_long(Some(idle), present)
            });
            next.extend(after.map(|idle| (idle, place)));
        }
        let excess = self.shards.sums().cost_of_logs().saturating_sub(limit);
        let place = S::place_of_topic(present);
        self.with(Places::NONE, Places::one(place), |held| {
            held.topics(place).shorten(present, excess);
        });
    }

    /// The topic of each shard that is first in something.
    fn idle(
        &mut self,
        first: impl Fn(&super::topics::Topics) -> Option<Idle>,
    ) -> Vec<(Idle, Place)> {
        let places = Places::all(S::SHARDS).iter();
        let of = |place: Place| {
            let idle =
                self.with(Places::NONE, Places::one(place), |held| first(held.topics(place)));
            idle.map(|idle| (idle, place))
        };
        places.filter_map(of).collect()
    }
}
