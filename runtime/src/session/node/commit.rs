//! From an execution's end to its record in the store, and from there into the topics' logs
//! (PROTOCOL.md 5.6). One commit per lease is under way at a time and carries everything that has
//! ended by then, in order; one append per topic.

use std::collections::VecDeque;

use super::lease::{Committing, SlotState};
use super::state::LeaseKey;
use super::timer::Timer;
use super::types::{NodeEvent, PublishError, PublishId, StagedPublish};
use super::{Node, NodeConfig, Op, OpKind, Output};
use crate::session::store::{
    AppendKey, Appended, Commit, CommitOutcome, OpId, Outcome, Publication, Record, Retention,
    StoreOp, StoreOutcome, TopicId,
};
use crate::session::table::Key;
use crate::session::{Close, CloseCode, Now};
use crate::wire::{Body, CommandNo, Epoch, FailureCode, LeaseId, Name};

/// Appends to one topic: at most one is under way, so that order holds under retries.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Appends {
    queue: VecDeque<Append>,
    under_way: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Append {
    key: AppendKey,
    publication: Publication,
}

/// A record whose publications are on their way into their logs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Settling {
    left: u32,
}

fn failed(code: FailureCode) -> Outcome {
    Outcome::Failed { code, name: Name::EMPTY, body: Body::UNIT }
}

impl Node {
    /// Splits what a handler published, within the limits; a command that breaks them fails and
    /// publishes nothing.
    pub(super) fn stage(
        &self,
        outcome: Outcome,
        publishes: Vec<StagedPublish>,
    ) -> (Outcome, Vec<Publication>, Vec<StagedPublish>) {
        if outcome.bytes() > u64::from(self.config.reply_bytes) {
            return (failed(FailureCode::Internal), Vec::new(), Vec::new());
        }
        if publishes.is_empty() || !matches!(outcome, Outcome::Ok(_)) {
            return (outcome, Vec::new(), Vec::new());
        }
        let mut bytes = 0;
        let mut events = Vec::new();
        let mut volatiles = Vec::new();
        for publish in publishes {
            match publish {
                StagedPublish::Event(event) => {
                    bytes += event.bodies.iter().map(|(_, body)| body.len()).sum::<usize>();
                    let known = self.config.topic(&event.topic.name).is_some();
                    if !known || event.topic.key.len() > self.config.topic_key_bytes as usize {
                        return (failed(FailureCode::Internal), Vec::new(), Vec::new());
                    }
                    events.push(event);
                }
                volatile @ StagedPublish::Volatile(_) => volatiles.push(volatile),
            }
        }
        let count = events.len() + volatiles.len();
        if count > self.config.publishes_per_command as usize
            || bytes > self.config.publish_bytes_per_command as usize
        {
            return (failed(FailureCode::Internal), Vec::new(), Vec::new());
        }
        (outcome, events, volatiles)
    }

    pub(super) fn commit(
        &mut self,
        key: LeaseKey,
        n: CommandNo,
        record: Record,
        volatiles: Vec<StagedPublish>,
    ) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        let Some(slot) = lease.slot_mut(n) else { return };
        slot.state = SlotState::Committing(Box::new(Committing { record, volatiles }));
        lease.executed.push_back(n);
        self.queue_commit(key);
    }

    fn queue_commit(&mut self, key: LeaseKey) {
        if let Some(lease) = self.leases.get_mut(key)
            && lease.commit.is_none()
            && !lease.commit_queued
            && !lease.executed.is_empty()
        {
            lease.commit_queued = true;
            self.uncommitted.push_back(key);
        }
    }

    /// The commit of a lease whose commands have ended.
    pub(super) fn next_commit(&mut self) -> Option<(OpId, StoreOp)> {
        while let Some(key) = self.uncommitted.pop_front() {
            let Some(lease) = self.leases.get_mut(key) else { continue };
            lease.commit_queued = false;
            let numbers: Vec<CommandNo> = lease.executed.drain(..).collect();
            let op =
                self.ops.insert(Op { what: OpKind::Commit(key, numbers), tries: 0, maybe: false });
            lease.commit = Some(OpId(op.raw()));
            lease.told_low = lease.low;
            if let Some(out) = self.commit_op(op) {
                return Some((OpId(op.raw()), out));
            }
        }
        None
    }

    /// Makes the operation from the execution table; the same again when it is repeated.
    fn commit_op(&mut self, op: Key<Op>) -> Option<StoreOp> {
        let Op { what: OpKind::Commit(key, numbers), .. } = self.ops.get(op)? else { return None };
        let lease = self.leases.get(*key)?;
        let mut commits = Vec::with_capacity(numbers.len());
        let mut earlier: Vec<&TopicId> = Vec::new();
        for n in numbers {
            let Some(slot) = lease.slot(*n) else { continue };
            let SlotState::Committing(committing) = &slot.state else { continue };
            let record = &committing.record;
            let topics = record.publications_topics();
            // Once one record of the operation must wait for its topics, so must every later one on
            // them.
            let settle = topics
                .clone()
                .all(|topic| !self.appends.contains_key(topic) && !earlier.contains(&topic));
            if !settle {
                earlier.extend(topics);
            }
            let retention =
                record.publishes.iter().map(|p| self.config.retention(&p.topic.name)).collect();
            let fresh_epochs = record.publishes.iter().map(|_| Epoch(self.random.u64())).collect();
            commits.push(Commit { n: *n, record: record.clone(), settle, retention, fresh_epochs });
        }
        Some(StoreOp::Commit { lease: lease.id, low: lease.low, commits })
    }

    pub(super) fn on_committed(
        &mut self,
        now: Now,
        key: LeaseKey,
        numbers: &[CommandNo],
        outcome: StoreOutcome,
    ) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        lease.commit = None;
        let id = lease.id;
        let StoreOutcome::Committed(outcomes) = outcome else {
            // An earlier try may have written records before the lease ended: what they publish is
            // still owed.
            self.sweep_soon();
            return self.drop_lease(now, id);
        };
        for (n, outcome) in outcomes {
            self.on_commit(now, key, id, n, outcome);
        }
        if let Some(lease) = self.leases.get_mut(key) {
            let left = numbers.iter().filter_map(|n| lease.leaving.remove(n));
            let left: Vec<_> =
                left.flat_map(|left| left.record.publishes).map(|left| left.topic).collect();
            self.on_orphan(&left);
        }
        self.queue_commit(key);
        let session = self.leases.get(key).and_then(|lease| lease.session);
        if let Some(conn) =
            session.and_then(|session| self.sessions.get(session)).and_then(|session| session.conn)
        {
            self.drain_if_quiet(now, conn);
        }
        self.release_lease(key);
    }

    fn on_commit(
        &mut self,
        now: Now,
        key: LeaseKey,
        id: LeaseId,
        n: CommandNo,
        outcome: CommitOutcome,
    ) {
        let limit = u64::from(self.config.lease_record_bytes);
        let Some(lease) = self.leases.get_mut(key) else { return };
        let ours = match lease.slot_mut(n).map(|slot| &mut slot.state) {
            Some(state @ SlotState::Committing(_)) => match std::mem::take(state) {
                SlotState::Committing(ours) => ours,
                _ => return,
            },
            _ => match lease.leaving.remove(&n) {
                Some(ours) => ours,
                None => return,
            },
        };
        match outcome {
            CommitOutcome::Written { settled } => {
                let Committing { record, volatiles } = *ours;
                lease.keep(n, record.hash, record.outcome, limit);
                match settled {
                    Some(appended) => self.on_settled(now, &record.publishes, &appended),
                    None => self.settle_publishes(id, n, record.publishes),
                }
                for volatile in volatiles {
                    if let StagedPublish::Volatile(volatile) = volatile {
                        self.publish_volatile(now, volatile);
                    }
                }
                self.answer(key, n);
            }
            CommitOutcome::Exists(record) => {
                let same = record.hash == ours.record.hash;
                let session = lease.session;
                if record.settled {
                    // By an earlier try whose answer was lost, or by another process: followers
                    // here have not heard of it.
                    self.look_for(&record.publishes);
                } else {
                    self.settle(id, n, &record);
                }
                if let Some(lease) = self.leases.get_mut(key) {
                    lease.keep(n, record.hash, record.outcome, limit);
                }
                let conn = session
                    .and_then(|session| self.sessions.get(session))
                    .and_then(|session| session.conn);
                match conn {
                    Some(conn) if !same => {
                        self.close(
                            now,
                            conn,
                            Close::new(CloseCode::NUMBER_REUSED, "a command number was used again"),
                        );
                    }
                    _ => self.answer(key, n),
                }
            }
            // The client has resolved it by other means: nobody waits.
            CommitOutcome::BelowLow => {}
        }
    }

    fn on_settled(&mut self, now: Now, publishes: &[Publication], appended: &[Appended]) {
        for (publication, at) in publishes.iter().zip(appended) {
            self.on_published(now, publication, *at);
        }
    }

    /// Whoever finds an unsettled record settles it; its handler never runs again.
    pub(super) fn settle(&mut self, lease: LeaseId, n: CommandNo, record: &Record) {
        self.settle_publishes(lease, n, record.publishes.clone());
    }

    fn settle_publishes(&mut self, lease: LeaseId, n: CommandNo, publishes: Vec<Publication>) {
        if publishes.is_empty() || self.settling.contains_key(&(lease, n)) {
            return;
        }
        // At most `publishes_per_command`, a u32.
        self.settling.insert((lease, n), Settling { left: publishes.len() as u32 });
        for (index, publication) in publishes.into_iter().enumerate() {
            self.append(AppendKey::Command { lease, n, index: index as u32 }, publication);
        }
    }

    pub(super) fn append(&mut self, key: AppendKey, publication: Publication) {
        self.publishes_waiting += 1;
        let topic = publication.topic.clone();
        let appends = self.appends.entry(topic.clone()).or_default();
        appends.queue.push_back(Append { key, publication });
        if !appends.under_way {
            appends.under_way = true;
            self.submit(OpKind::Append(topic));
        }
    }

    pub(super) fn on_appended(&mut self, now: Now, topic: &TopicId, outcome: &StoreOutcome) {
        let Some(appends) = self.appends.get_mut(topic) else { return };
        let Some(Append { key, publication }) = appends.queue.pop_front() else { return };
        if appends.queue.is_empty() {
            self.appends.remove(topic);
        } else {
            self.submit(OpKind::Append(topic.clone()));
        }
        let appended = match outcome {
            StoreOutcome::Appended(appended) => Ok(*appended),
            _ => Err(PublishError::Store { maybe: false }),
        };
        if let Ok(appended) = appended {
            self.on_published(now, &publication, appended);
        }
        self.finish_append(key, appended);
    }

    fn finish_append(&mut self, key: AppendKey, appended: Result<Appended, PublishError>) {
        self.publishes_waiting -= 1;
        match key {
            AppendKey::Direct { count, .. } => {
                self.event(NodeEvent::Published(PublishId(count), appended));
            }
            AppendKey::Command { lease, n, .. } => match self.settling.get_mut(&(lease, n)) {
                Some(_) if appended.is_err() => {
                    self.settling.remove(&(lease, n));
                    self.sweep_soon();
                }
                Some(settling) => {
                    settling.left -= 1;
                    if settling.left == 0 {
                        self.submit(OpKind::Settle(lease, n));
                    }
                }
                None => {}
            },
        }
    }

    pub(super) fn submit(&mut self, what: OpKind) {
        let op = self.ops.insert(Op { what: what.clone(), tries: 0, maybe: false });
        self.send_op(op, &what);
    }

    /// Queues an operation; it is made from what is true now, so that a repetition is never stale.
    pub(super) fn send_op(&mut self, op: Key<Op>, what: &OpKind) {
        let out = match what {
            OpKind::Lease(conn) => self.lease_op(*conn),
            OpKind::Renew(lease) | OpKind::Forget(lease) => self
                .leases
                .get(*lease)
                .map(|lease| StoreOp::RenewLease { id: lease.id, low: lease.low }),
            OpKind::End(id) => Some(StoreOp::EndLease { id: *id }),
            OpKind::Commit(..) => self.commit_op(op),
            OpKind::Orphan(_) => None,
            OpKind::Append(topic) => self.append_op(topic),
            OpKind::Settle(lease, n) => Some(StoreOp::Settle { lease: *lease, n: *n }),
            OpKind::OpenTopic(topic) => self.open_topic_op(*topic),
            OpKind::ReadLog(topic) => self.read_log_op(*topic),
            OpKind::ListUnsettled => Some(StoreOp::ListUnsettled { max: super::sweep::SWEEP }),
        };
        match out {
            Some(out) => self.outputs.push_back(Output::Store(OpId(op.raw()), out)),
            // What it was for is gone.
            None => {
                self.ops.remove(op);
                if let OpKind::Orphan(topics) = what {
                    self.on_orphan(topics);
                }
            }
        }
    }

    fn append_op(&mut self, topic: &TopicId) -> Option<StoreOp> {
        let fresh_epoch = Epoch(self.random.u64());
        let retention = self.config.retention(&topic.name);
        let append = self.appends.get(topic)?.queue.front()?;
        Some(StoreOp::Append {
            key: append.key,
            publication: append.publication.clone(),
            retention,
            fresh_epoch,
        })
    }

    fn lease_op(&mut self, conn: super::ConnId) -> Option<StoreOp> {
        let state = self.conns.get(&conn)?;
        let super::Phase::Leasing(leasing) = &state.phase else { return None };
        let principal = leasing.principal.id();
        Some(match (leasing.fresh, &leasing.hello.lease) {
            (None, Some(claim)) => {
                StoreOp::ClaimLease { id: claim.id, principal, codec: state.codec, low: claim.low }
            }
            (fresh, _) => StoreOp::OpenLease {
                id: fresh?,
                principal,
                codec: state.codec,
                ttl_ms: self.config.lease_ttl_ms,
                unused_ttl_ms: self.config.lease_unused_ttl_ms,
                max_per_principal: self.config.leases_per_principal,
                held_ms: 2 * self.renew_ms(),
            },
        })
    }

    /// An operation failed, or may have. It is repeated after a growing delay, a bounded number of
    /// times.
    pub(super) fn on_store_failure(&mut self, now: Now, key: Key<Op>, maybe: bool) {
        let limit = self.config.store_tries;
        let owed = self.is_owed(key);
        let Some(op) = self.ops.get_mut(key) else { return };
        op.tries = op.tries.saturating_add(1);
        op.maybe |= maybe;
        if op.tries < limit || owed {
            let delay = self.config.store_retry_ms << (op.tries - 1).min(10);
            self.arm(now.after_ms(delay), Timer::Retry(OpId(key.raw())));
            return;
        }
        if let Some(op) = self.ops.remove(key) {
            self.give_up(now, op.what, op.maybe);
        }
    }

    /// Whether an operation appends what a record has promised: it is never given up, or what comes
    /// after it would overtake. [`NodeConfig::publishes_waiting`] bounds how many wait.
    fn is_owed(&self, key: Key<Op>) -> bool {
        let Some(Op { what: OpKind::Append(topic), .. }) = self.ops.get(key) else { return false };
        let front = self.appends.get(topic).and_then(|appends| appends.queue.front());
        front.is_some_and(|append| matches!(append.key, AppendKey::Command { .. }))
    }

    fn give_up(&mut self, now: Now, what: OpKind, maybe: bool) {
        match what {
            OpKind::Lease(conn) => {
                self.close(
                    now,
                    conn,
                    Close::new(CloseCode::OVERLOADED, "the store does not answer"),
                );
            }
            OpKind::Renew(lease) => {
                let wait_ms = self.renew_ms().min(self.config.store_retry_ms << 10);
                self.arm_renew(lease, now.after_ms(wait_ms));
            }
            OpKind::Forget(_) | OpKind::End(_) => {}
            OpKind::Commit(lease, numbers) => self.give_up_commit(now, lease, &numbers, maybe),
            OpKind::Orphan(topics) => self.on_orphan(&topics),
            OpKind::Append(topic) => self.give_up_append(&topic, maybe),
            OpKind::Settle(lease, n) => {
                self.settling.remove(&(lease, n));
                self.sweep_later(now);
            }
            OpKind::OpenTopic(topic) | OpKind::ReadLog(topic) => self.give_up_topic(now, topic),
            OpKind::ListUnsettled => {
                self.sweeping = false;
                self.sweep_again = false;
                self.sweep_later(now);
            }
        }
    }

    /// The record may or may not have been written, and the store does not say: the outcome is
    /// unknown, and said so.
    fn give_up_commit(&mut self, now: Now, key: LeaseKey, numbers: &[CommandNo], maybe: bool) {
        let limit = u64::from(self.config.lease_record_bytes);
        if let Some(lease) = self.leases.get_mut(key) {
            lease.commit = None;
        }
        for n in numbers {
            let Some(lease) = self.leases.get_mut(key) else { return };
            let left = lease.leaving.remove(n);
            let here = lease.slot_mut(*n).map(|slot| &mut slot.state);
            let publishes = match (left, here) {
                (Some(left), _) => left.record.publishes,
                (None, Some(SlotState::Committing(ours))) => {
                    std::mem::take(&mut ours.record.publishes)
                }
                _ => Vec::new(),
            };
            // If they are in their logs all the same, followers here must not miss them.
            if maybe {
                self.look_for(&publishes);
            }
            let Some(lease) = self.leases.get_mut(key) else { return };
            let Some(hash) = lease.slot(*n).and_then(|slot| slot.state.hash()) else { continue };
            lease.keep(*n, hash, failed(FailureCode::Unknown), limit);
            self.answer(key, *n);
        }
        self.sweep_later(now);
        self.queue_commit(key);
        self.release_lease(key);
    }

    fn give_up_append(&mut self, topic: &TopicId, maybe: bool) {
        let Some(appends) = self.appends.get_mut(topic) else { return };
        let Some(Append { key, .. }) = appends.queue.pop_front() else { return };
        if appends.queue.is_empty() {
            self.appends.remove(topic);
        } else {
            self.submit(OpKind::Append(topic.clone()));
        }
        // If it is in the log all the same, followers here must not miss it.
        if let Some(&number) = self.topic_numbers.get(topic).filter(|_| maybe) {
            self.read_log(number);
        }
        self.finish_append(key, Err(PublishError::Store { maybe }));
    }
}

impl Record {
    pub(super) fn publications_topics(&self) -> impl Iterator<Item = &TopicId> + Clone {
        self.publishes.iter().map(|publication| &publication.topic)
    }
}

impl NodeConfig {
    /// How long a topic's entries are kept; nothing is kept of a topic that is not declared.
    pub(super) fn retention(&self, topic: &Name) -> Retention {
        self.topic(topic).map_or(Retention { entries: 0, ttl_ms: 0 }, |(_, spec)| spec.retention)
    }
}
