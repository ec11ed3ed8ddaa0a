//! What earlier lives have left: records whose publications are not in their logs, and events that
//! followers here have not heard of (PROTOCOL.md 5.6). Owns when to look; refuses to settle.

use super::lease::{Lease, SlotState};
use super::timer::Timer;
use super::{Node, OpKind};
use crate::session::Now;
use crate::session::store::{Publication, Record, StoreOutcome, TopicId};
use crate::session::table::Key;

/// Unsettled records that are asked for at a time.
pub(super) const SWEEP: u32 = 1024;

impl Node {
    /// Events of others are in their logs: topics that are held here are read.
    pub(super) fn look_for(&mut self, publishes: &[Publication]) {
        publishes.iter().for_each(|publication| self.look_at(&publication.topic));
    }

    fn look_at(&mut self, topic: &TopicId) {
        if let Some(&number) = self.topic_numbers.get(topic) {
            self.read_log(number);
        }
    }

    /// A lease is dropped while a commit of it is under way: what comes of the commit still
    /// concerns followers.
    pub(super) fn orphan(&mut self, lease: &mut Lease) {
        let Some(op) = lease.commit.and_then(|op| self.ops.get_mut(Key::from_raw(op.0))) else {
            return;
        };
        let slots = lease.slots.iter().filter_map(|slot| match &slot.state {
            SlotState::Committing(committing) => Some(committing),
            _ => None,
        });
        let records = slots.chain(lease.leaving.values()).map(|committing| &committing.record);
        op.what = OpKind::Orphan(records.flat_map(Record::publications_topics).cloned().collect());
    }

    /// Records of an earlier life may be written, settled or not: followers here have not heard of
    /// them.
    pub(super) fn on_orphan(&mut self, topics: &[TopicId]) {
        if !topics.is_empty() {
            topics.iter().for_each(|topic| self.look_at(topic));
            self.sweep_soon();
        }
    }

    /// Looks for unsettled records again, once: some may have been left.
    pub(super) fn sweep_soon(&mut self) {
        if self.sweeping {
            // The list that is under way may be older than what is looked for.
            self.sweep_again = true;
        } else {
            self.sweeping = true;
            self.submit(OpKind::ListUnsettled);
        }
    }

    /// A process that never comes back, or a store that went back, may have left some.
    pub(super) fn sweep_now_and_then(&mut self, now: Now) {
        if self.swept.is_some_and(|swept| swept.after_ms(self.config.sweep_ms) <= now) {
            self.swept = Some(now);
            self.sweep_soon();
        }
    }

    pub(super) fn on_unsettled(&mut self, now: Now, outcome: StoreOutcome) {
        self.sweeping = false;
        if let StoreOutcome::Unsettled(records) = outcome {
            if records.len() >= SWEEP as usize {
                self.sweep_later(now);
            }
            for (lease, n, record) in records {
                self.settle(lease, n, &record);
            }
        }
        if std::mem::take(&mut self.sweep_again) {
            self.sweep_soon();
        }
    }

    pub(super) fn sweep_later(&mut self, now: Now) {
        if !std::mem::replace(&mut self.sweep_armed, true) {
            self.arm(now.after_ms(self.config.store_retry_ms << 10), Timer::Sweep);
        }
    }
}
