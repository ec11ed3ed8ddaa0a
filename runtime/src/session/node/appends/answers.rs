//! What came of an append: where each of its publications landed, and what is done about those
//! that did not. A publication of a record is never given up, or what comes after it would
//! overtake.

use super::state::{Appends, Waiting};
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::node::types::{NodeEvent, PublishError, PublishId};
use crate::session::store::{
    AppendKey, AppendOutcome, Appended, Publication, Record, StoreOp, StoreTime, TopicId,
};
use crate::wire::{CommandNo, LeaseId};

/// Records that are looked at together, of one lease as a rule.
const LOOKED_AT: u32 = 64;

impl Appends {
    /// The append of a topic was answered, from its first publication on; the next one goes out.
    /// What is in the log now, and where.
    pub(crate) fn appended(
        &mut self,
        topic: &TopicId,
        outcomes: Vec<AppendOutcome>,
        fx: &mut Effects,
    ) -> Vec<(Publication, Appended)> {
        let Some(queue) = self.topics.get_mut(topic) else {
            debug_assert!(false, "an append under way has publications");
            return Vec::new();
        };
        let asked = std::mem::take(&mut queue.under_way);
        let mut landed = Vec::with_capacity(outcomes.len());
        for outcome in outcomes.into_iter().take(asked) {
            if outcome == AppendOutcome::Stale && self.first_of_a_record(topic).is_some() {
                fx.ask(Purpose::Look(topic.clone()));
                return landed;
            }
            let result = match outcome {
                AppendOutcome::Landed(at) => Ok(at),
                _ => Err(PublishError::Store { maybe: false }),
            };
            let Some(Waiting { publication, .. }) = self.take_first(topic, result.clone(), fx)
            else {
                break;
            };
            landed.extend(result.ok().map(|at| (publication, at)));
        }
        self.go_on(topic, fx);
        landed
    }

    /// The first publication that waits for a topic has come to an end.
    fn take_first(
        &mut self,
        topic: &TopicId,
        result: Result<Appended, PublishError>,
        fx: &mut Effects,
    ) -> Option<Waiting> {
        let first = self.topics.get_mut(topic)?.waiting.pop_front()?;
        self.ended(&first, result, fx);
        Some(first)
    }

    fn ended(&mut self, was: &Waiting, result: Result<Appended, PublishError>, fx: &mut Effects) {
        let bytes = was.publication.bytes();
        match was.key {
            AppendKey::Direct { count, .. } => {
                self.shares.remove(None, bytes);
                fx.event(NodeEvent::Published(PublishId(count), result));
            }
            AppendKey::Command { lease, n, .. } => {
                self.shares.remove(self.settling.principal((lease, n)), bytes);
                if self.settling.one_less((lease, n), result.is_ok(), fx) {
                    self.sweep().soon(fx);
                }
            }
        }
    }

    fn go_on(&mut self, topic: &TopicId, fx: &mut Effects) {
        if self.topics.get(topic).is_some_and(|queue| queue.waiting.is_empty()) {
            self.topics.remove(topic);
        } else {
            fx.ask(Purpose::Append(topic.clone()));
        }
    }

    /// The append under way has failed for long enough: what of it comes from outside of commands
    /// is given up. Whether that is something, and whether publications of records are left. How
    /// many may wait is bounded by `publishes_waiting`.
    pub(crate) fn give_up(
        &mut self,
        topic: &TopicId,
        maybe: bool,
        fx: &mut Effects,
    ) -> (bool, bool) {
        let Some(queue) = self.topics.get_mut(topic) else {
            debug_assert!(false, "an append under way has publications");
            return (false, false);
        };
        let is_direct = |waiting: &Waiting| matches!(waiting.key, AppendKey::Direct { .. });
        let (given_up, left): (Vec<_>, Vec<_>) =
            queue.waiting.drain(..queue.under_way).partition(is_direct);
        queue.under_way = left.len();
        let promised = !left.is_empty();
        left.into_iter().rev().for_each(|waiting| queue.waiting.push_front(waiting));
        for waiting in &given_up {
            self.ended(waiting, Err(PublishError::Store { maybe }), fx);
        }
        if !promised {
            self.go_on(topic, fx);
        }
        (!given_up.is_empty(), promised)
    }

    // ---- what is stale ----

    fn first_of_a_record(&self, topic: &TopicId) -> Option<(LeaseId, CommandNo)> {
        match self.topics.get(topic)?.waiting.front()?.key {
            AppendKey::Command { lease, n, .. } => Some((lease, n)),
            AppendKey::Direct { .. } => None,
        }
    }

    /// Looks whether the record of a topic's first publication is settled, and at those behind it.
    pub(crate) fn look_op(&self, topic: &TopicId, config: &NodeConfig) -> Option<StoreOp> {
        let (lease, n) = self.first_of_a_record(topic)?;
        let after = Some((lease, CommandNo(n.0.saturating_sub(1))));
        let (max, max_bytes) = (LOOKED_AT, config.sweep_bytes);
        Some(StoreOp::ListUnsettled { max, max_bytes, after, older_than_ms: 0 })
    }

    /// The store has shown which records are not settled.
    pub(crate) fn looked(
        &mut self,
        topic: &TopicId,
        at: StoreTime,
        records: &[(LeaseId, CommandNo, Record)],
        fx: &mut Effects,
    ) {
        for (lease, n, _) in records {
            self.settling.sees((*lease, *n), at);
        }
        let first = self.first_of_a_record(topic);
        let owed = records.iter().any(|(lease, n, _)| first == Some((*lease, *n)));
        if !owed {
            // Whoever settled it has brought it into its log.
            self.take_first(topic, Err(PublishError::Store { maybe: false }), fx);
        }
        self.go_on(topic, fx);
    }
}
