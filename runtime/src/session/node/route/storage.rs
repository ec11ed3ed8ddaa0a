//! The store's answers, and what is done when there is none (PROTOCOL.md 5.6). Operations are made
//! when they go out, from what is true then, so that a repetition is never stale.

use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Operation, Purpose, key_of, op_id};
use crate::session::node::keys::{LeaseKey, OperationKey};
use crate::session::node::leases::{Committed, Fenced, Found};
use crate::session::node::router::Node;
use crate::session::node::seats::Replaced;
use crate::session::node::topics::{Notices, Topics};
use crate::session::node::types::{ConnId, Output};
use crate::session::store::{
    AppendOutcome, Appended, Claim, CommitOutcome, LogEntry, OpId, Publication, StoreOp,
    StoreOutcome, StoreTime, TopicHead, TopicId,
};
use crate::session::{Close, CloseCode, Now};
use crate::wire::{CommandNo, LeaseId, TopicNo};

const NO_ANSWER: Close = Close::new(CloseCode::OVERLOADED, "the store does not answer");

/// Who takes a page of a log.
type TakePage =
    fn(&mut Topics, Now, TopicNo, (TopicHead, Vec<LogEntry>), &NodeConfig, &mut Effects) -> Notices;

impl Node {
    /// The output that asks the store for something; `None` if what it was for is gone.
    pub(in super::super) fn make_operation(
        &mut self,
        now: Now,
        key: OperationKey,
    ) -> Option<Output> {
        // It may have been given up since it was queued.
        let made = match &self.fx.goes_out(now, key)?.purpose {
            Purpose::Lease(conn) => {
                let conn = *conn;
                self.lease_op(conn)
            }
            Purpose::Issue(lease, _) => self.leases.issue_op(*lease, self.id, &self.config),
            Purpose::Renew(lease) => self.leases.renew_op(*lease),
            Purpose::End(id) => Some(StoreOp::EndLease { id: *id }),
            Purpose::Commit(lease, numbers) => {
                let waits = |topic: &TopicId| self.appends.waits(topic);
                let topics = (waits, || self.appends.topics_waiting());
                self.leases.commit_op(*lease, numbers, topics, &self.config, &mut self.random)
            }
            Purpose::FindId(lease, n) => self.leases.find_op(*lease, *n, &self.config),
            Purpose::Orphan(_) => None,
            Purpose::Append(topic) => self.appends.append_op(topic, &self.config, &mut self.random),
            Purpose::Look(topic) => self.appends.look_op(topic, &self.config),
            Purpose::Settle => self.appends.settle_op(),
            Purpose::OpenTopic(topic) => {
                self.topics.open_op(*topic, &self.config, &mut self.random)
            }
            Purpose::ReadLog(topic) => self.topics.read_op(*topic, &self.config),
            Purpose::ReadEarlier(topic) => self.topics.earlier_op(*topic, &self.config),
            Purpose::Heads(topics) => Some(StoreOp::Heads {
                topics: topics.iter().map(|(_, topic)| topic.clone()).collect(),
            }),
            Purpose::ListUnsettled => Some(self.appends.sweep().op(&self.config)),
        };
        let Some(made) = made else {
            let gone = self.fx.end_operation(key);
            if let Some(Operation { purpose: Purpose::Orphan(topics), .. }) = gone {
                self.on_orphan(&topics);
            }
            return None;
        };
        Some(Output::Store(op_id(key), made))
    }

    /// A store operation ended.
    pub fn handle_store(&mut self, now: Now, op: OpId, outcome: StoreOutcome) {
        let key = key_of(op);
        if matches!(outcome, StoreOutcome::Failed | StoreOutcome::Unknown) {
            return self.on_store_failure(now, key, outcome == StoreOutcome::Unknown);
        }
        if let Some(at) = outcome.at() {
            self.leases.hear(at);
        }
        if matches!(outcome, StoreOutcome::Stale { .. }) {
            return self.on_stale(now, key);
        }
        // An answer that comes twice, or to nobody.
        let Some(Operation { purpose, outlived, .. }) = self.fx.end_operation(key) else { return };
        match purpose {
            // It may have been granted by the incarnation before, and ended with it.
            Purpose::Lease(conn) if outlived && matches!(outcome, StoreOutcome::Lease { .. }) => {
                self.ask_for_another(conn);
            }
            Purpose::Lease(conn) => self.on_lease(now, conn, outcome),
            Purpose::Issue(lease, _) if outlived => {
                let id = LeaseId(self.random.u128());
                self.leases.rename(lease, id);
                self.fx.ask(Purpose::Issue(lease, id));
            }
            Purpose::Issue(lease, id) => self.on_issued(now, lease, id, &outcome),
            Purpose::Renew(lease) => self.on_renewed(now, lease, &outcome),
            Purpose::End(_) => {}
            Purpose::Commit(lease, numbers) => self.on_committed(now, lease, &numbers, outcome),
            Purpose::FindId(lease, n) => {
                let found = match outcome {
                    StoreOutcome::UnusedId => Found::Unused,
                    StoreOutcome::UsedId(used) => Found::Used(*used),
                    _ => Found::Refused,
                };
                self.on_found(now, (lease, n), found);
            }
            Purpose::Orphan(topics) => self.on_orphan(&topics),
            Purpose::Append(topic) => self.on_appended(now, &topic, outcome),
            Purpose::Look(topic) => self.on_looked(topic, outcome),
            Purpose::Settle => self.appends.settled(&mut self.fx),
            Purpose::OpenTopic(topic) => {
                if let StoreOutcome::Topic(head) = outcome {
                    let (config, fx) = (&self.config, &mut self.fx);
                    let notices = self.topics.opened(now, topic, head, config, fx);
                    self.notify(now, notices);
                }
            }
            Purpose::ReadLog(topic) => self.on_log(now, topic, outcome, Topics::log),
            Purpose::ReadEarlier(topic) => self.on_log(now, topic, outcome, Topics::earlier),
            Purpose::Heads(topics) => self.on_heads(now, &topics, outcome),
            Purpose::ListUnsettled => self.on_unsettled(now, outcome),
        }
    }

    // ---- leases ----

    fn on_renewed(&mut self, now: Now, lease: LeaseKey, outcome: &StoreOutcome) {
        // It may have been dropped, or released, meanwhile.
        let Some(id) = self.leases.id(lease) else { return };
        if matches!(outcome, StoreOutcome::LeaseGone) {
            return self.drop_lease(now, id);
        }
        self.leases.renewed(now, lease, &self.config, &mut self.fx);
        if let StoreOutcome::Lease { claim, .. } = outcome {
            self.on_latest_claim(now, lease, claim);
        }
    }

    /// If another node has claimed a lease since, its session ends here, like one that a newer
    /// socket has taken over.
    fn on_latest_claim(&mut self, now: Now, lease: LeaseKey, claim: &Claim) {
        let (config, fx) = (&self.config, &mut self.fx);
        let fenced = self.leases.on_latest_claim(now, lease, claim, self.id, (config, fx));
        let Some(Fenced { session, other_process }) = fenced else { return };
        if let Some(session) = session {
            let conn = self.seats.conn_of(session);
            self.replace(now, conn.map(|conn| Replaced { conn, other_process }));
            self.seats.remove(session, &mut self.fx);
        }
        self.leases.release(lease, &self.config, &mut self.fx);
    }

    // ---- commits ----

    fn on_committed(
        &mut self,
        now: Now,
        lease: LeaseKey,
        numbers: &[CommandNo],
        outcome: StoreOutcome,
    ) {
        let Some(id) = self.leases.commit_ended(lease) else { return };
        let StoreOutcome::Committed { at, claim, outcomes } = outcome else {
            // An earlier try may have written records before the lease ended: what they publish is
            // still owed.
            self.appends.sweep().soon(&mut self.fx);
            return self.drop_lease(now, id);
        };
        for (n, outcome) in outcomes {
            self.on_record(now, (lease, id), n, outcome, at);
        }
        let decided = self.leases.end_decisions(lease, numbers, &mut self.fx);
        self.leases.give_way_all(lease, numbers, &mut self.fx);
        let left = self.leases.take_left(lease, numbers);
        self.on_orphan(&left);
        self.on_latest_claim(now, lease, &claim);
        let session = self.leases.session(lease);
        self.leases.after_commit(now, lease, decided, &self.config, &mut self.fx);
        if let Some(conn) = session.and_then(|session| self.seats.conn_of(session)) {
            self.close_if_quiet(now, conn);
        }
    }

    fn on_record(
        &mut self,
        now: Now,
        (lease, id): (LeaseKey, LeaseId),
        n: CommandNo,
        outcome: CommitOutcome,
        at: StoreTime,
    ) {
        match (self.leases.committed(lease, n, &outcome, &self.config), outcome) {
            (
                Committed::Written { publishes, afterwards, dup },
                CommitOutcome::Written { settled } | CommitOutcome::Decided { settled, .. },
            ) => {
                match settled {
                    Some(places) => self.on_settled(now, &publishes, places),
                    None => self.settle(lease, (id, n), at, publishes),
                }
                self.publish_all(now, afterwards);
                self.answer(lease, n, dup);
                self.leases.share_outcome(now, lease, n, &self.config, &mut self.fx);
            }
            (Committed::Used { dup }, _) => self.answer(lease, n, dup),
            (Committed::Exists { same, publishes: ours }, CommitOutcome::Exists(record)) => {
                if record.settled {
                    // By an earlier try whose answer was lost, or by another process: followers
                    // here have not heard of it.
                    self.look_for(&ours);
                } else {
                    self.settle(lease, (id, n), at, record.publishes);
                }
                let session = self.leases.session(lease).filter(|_| !same);
                match session.and_then(|session| self.seats.conn_of(session)) {
                    Some(conn) => self.close_for_reuse(now, conn),
                    None => self.answer(lease, n, false),
                }
            }
            // The client has resolved it by other means: nobody waits.
            _ => {}
        }
    }

    /// What a command of a lease that is held here publishes is not in its logs yet.
    pub(super) fn settle(
        &mut self,
        lease: LeaseKey,
        record: (LeaseId, CommandNo),
        at: StoreTime,
        publishes: Vec<Publication>,
    ) {
        let owner = self.leases.owner(lease);
        self.appends.settle(record, at, publishes, owner, &mut self.fx);
    }

    /// The store has said what the id of a command stands for, or does not say.
    fn on_found(&mut self, now: Now, command: (LeaseKey, CommandNo), found: Found) {
        let refused = self.leases.found(now, command, found, &self.config, &mut self.fx);
        for (session, owed) in refused {
            self.seats.owe(session, owed, &mut self.fx);
        }
    }

    /// The store has brought a record's publications into their logs.
    fn on_settled(&mut self, now: Now, publishes: &[Publication], places: Vec<Appended>) {
        for (publication, at) in publishes.iter().zip(places) {
            self.topics.published(now, publication, at, &self.config, &mut self.fx);
        }
    }

    /// Records of an earlier life may be written, settled or not: followers here have not heard of
    /// them.
    fn on_orphan(&mut self, topics: &[TopicId]) {
        if !topics.is_empty() {
            topics.iter().for_each(|topic| self.topics.look_at(topic, &mut self.fx));
            self.appends.sweep().soon(&mut self.fx);
        }
    }

    /// Events of others are in their logs: topics that are held here are read.
    fn look_for(&mut self, publishes: &[Publication]) {
        for publication in publishes {
            self.topics.look_at(&publication.topic, &mut self.fx);
        }
    }

    // ---- logs ----

    fn on_appended(&mut self, now: Now, topic: &TopicId, outcome: StoreOutcome) {
        let outcomes = match outcome {
            StoreOutcome::Appended(outcomes) if !outcomes.is_empty() => outcomes,
            // Nothing that the contract knows, and the first one must not be asked for ever.
            _ => vec![AppendOutcome::Settled],
        };
        for (publication, at) in self.appends.appended(topic, outcomes, &mut self.fx) {
            self.topics.published(now, &publication, at, &self.config, &mut self.fx);
        }
    }

    /// The store has shown which records are not settled.
    fn on_looked(&mut self, topic: TopicId, outcome: StoreOutcome) {
        match outcome {
            StoreOutcome::Unsettled { at, records } => {
                self.appends.looked(&topic, at, &records, &mut self.fx);
            }
            _ => self.fx.ask(Purpose::Append(topic)),
        }
    }

    /// A page of a log has come, for whatever it was asked.
    fn on_log(&mut self, now: Now, topic: TopicNo, outcome: StoreOutcome, take: TakePage) {
        let StoreOutcome::Log { head, entries } = outcome else {
            return self.topics.gone(topic, &mut self.fx);
        };
        let (config, fx) = (&self.config, &mut self.fx);
        let notices = take(&mut self.topics, now, topic, (head, entries), config, fx);
        self.notify(now, notices);
    }

    fn on_heads(&mut self, now: Now, topics: &[(TopicNo, TopicId)], outcome: StoreOutcome) {
        let heads = match outcome {
            StoreOutcome::Heads(heads) => heads,
            _ => Vec::new(),
        };
        self.topics.heads(now, topics, heads, &self.config, &mut self.fx);
    }

    fn on_unsettled(&mut self, now: Now, outcome: StoreOutcome) {
        let (at, records) = match outcome {
            StoreOutcome::Unsettled { at, records } => (at, records),
            _ => (StoreTime::default(), Vec::new()),
        };
        let full = self.appends.sweep().fills(&records, &self.config);
        let last = records.last().filter(|_| full).map(|(lease, n, _)| (*lease, *n));
        for (lease, n, record) in records {
            self.appends.settle((lease, n), at, record.publishes, None, &mut self.fx);
        }
        let room = !self.appends.is_full(&self.config);
        self.appends.sweep().listed(now, last, room, &self.config, &mut self.fx);
    }

    // ---- failures ----

    /// The store wants to know that an operation was asked for lately. It is asked again at once,
    /// but a store that goes on saying so fails.
    fn on_stale(&mut self, now: Now, key: OperationKey) {
        if self.fx.is_stale_again(key) {
            self.on_store_failure(now, key, false);
        } else {
            self.fx.ask_again(key);
        }
    }

    /// An operation failed, or may have. It is repeated after a growing delay until the node's
    /// patience is at its end, and at least once: a process that slept has not tried for long. What
    /// a record has promised is repeated until it is done.
    fn on_store_failure(&mut self, now: Now, key: OperationKey, maybe: bool) {
        // An answer that comes twice, or to nobody.
        let Some((tries, asked)) = self.fx.failed(now, key, maybe) else { return };
        let commit = |it: &Operation| matches!(it.purpose, Purpose::Commit(..));
        if !maybe && self.fx.operation(key).is_some_and(commit) {
            // The store may keep as much as it may of what others have left unsettled: until that is
            // in its logs, it takes no more.
            self.appends.sweep().later(now, &self.config, &mut self.fx);
        }
        let until = asked.after(self.config.store_patience);
        if now < until || tries == 1 || self.is_promised(key) {
            let again = now.after(self.config.store_delay(tries));
            // The last try comes when the time is over, not before.
            let again = if now < until { again.min(until) } else { again };
            return self.fx.retry(again, key);
        }
        if let Some(Operation { purpose, maybe, .. }) = self.fx.end_operation(key) {
            self.give_up(now, purpose, maybe);
        }
    }

    /// Whether an operation brings in what a record has promised. What else the same append carries
    /// is given up.
    fn is_promised(&mut self, key: OperationKey) -> bool {
        let (topic, maybe) = match self.fx.operation(key) {
            Some(Operation { purpose: Purpose::Append(topic), maybe, .. }) => {
                (topic.clone(), *maybe)
            }
            Some(Operation { purpose: Purpose::Look(_), .. }) => return true,
            _ => return false,
        };
        let (given_up, left) = self.appends.give_up(&topic, maybe, &mut self.fx);
        if given_up && maybe {
            // If it is in the log all the same, followers here must not miss it.
            self.topics.look_at(&topic, &mut self.fx);
        }
        left
    }

    fn give_up(&mut self, now: Now, purpose: Purpose, maybe: bool) {
        match purpose {
            Purpose::Lease(conn) => self.give_up_lease(now, conn),
            Purpose::Issue(lease, _) => self.not_issued(now, lease, NO_ANSWER),
            Purpose::Renew(lease) => {
                self.leases.not_renewed(now, lease, &self.config, &mut self.fx);
            }
            Purpose::End(_) => {}
            Purpose::Commit(lease, numbers) => self.give_up_commit(now, lease, &numbers, maybe),
            Purpose::FindId(lease, n) => self.on_found(now, (lease, n), Found::Refused),
            Purpose::Orphan(topics) => self.on_orphan(&topics),
            // What could be given up has been, and what could not goes on.
            Purpose::Append(_) | Purpose::Look(_) => {}
            Purpose::Settle => {
                self.appends.settled(&mut self.fx);
                self.appends.sweep().later(now, &self.config, &mut self.fx);
            }
            Purpose::OpenTopic(topic) | Purpose::ReadLog(topic) | Purpose::ReadEarlier(topic) => {
                let notices = self.topics.give_up(now, topic, &self.config, &mut self.fx);
                self.notify(now, notices);
            }
            // They are looked at again when it is their time.
            Purpose::Heads(_) => {
                self.topics.heads(now, &[], Vec::new(), &self.config, &mut self.fx);
            }
            Purpose::ListUnsettled => {
                self.appends.sweep().failed(now, &self.config, &mut self.fx);
            }
        }
    }

    fn give_up_lease(&mut self, now: Now, conn: ConnId) {
        self.close(now, conn, NO_ANSWER);
    }

    /// Records may or may not have been written, and the store does not say.
    fn give_up_commit(&mut self, now: Now, lease: LeaseKey, numbers: &[CommandNo], maybe: bool) {
        self.leases.commit_ended(lease);
        let decided = self.leases.end_decisions(lease, numbers, &mut self.fx);
        for n in numbers {
            let publishes = self.leases.outcome_unknown(lease, *n, &self.config);
            // If they are in their logs all the same, followers here must not miss them.
            if maybe {
                self.look_for(&publishes);
            }
            self.answer(lease, *n, false);
        }
        self.leases.give_way_all(lease, numbers, &mut self.fx);
        self.appends.sweep().later(now, &self.config, &mut self.fx);
        self.leases.after_commit(now, lease, decided, &self.config, &mut self.fx);
    }
}
