//! Publications that wait for their logs, topic by topic, and the records that they belong to.

use std::collections::{BTreeMap, VecDeque};

use super::sweep::Sweep;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::node::load::NodeLoad;
use crate::session::node::types::{NodeEvent, PublishError, PublishId};
use crate::session::store::{AppendKey, Appended, Publication, StoreOp, TopicId};
use crate::session::{Now, Random};
use crate::wire::{CommandNo, Epoch, LeaseId};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Appends {
    topics: BTreeMap<TopicId, VecDeque<Append>>,
    /// Records whose publications are on their way, and how many are left.
    settling: BTreeMap<(LeaseId, CommandNo), u32>,
    /// Publications from outside any command, counted.
    count: u64,
    waiting: u32,
    sweep: Sweep,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Append {
    key: AppendKey,
    publication: Publication,
}

impl Appends {
    /// When to look for what earlier lives have left.
    pub(crate) const fn sweep(&mut self) -> &mut Sweep {
        &mut self.sweep
    }

    pub(crate) fn next_sweep(&self, config: &NodeConfig) -> Option<Now> {
        self.sweep.next(config)
    }

    /// Publishes from outside any command; [`NodeEvent::Published`] tells where it landed. `node`
    /// names this process.
    pub(crate) fn publish(
        &mut self,
        publication: Publication,
        node: u128,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> PublishId {
        self.count += 1;
        let id = PublishId(self.count);
        let fits = config.declares(&publication.topic)
            && publication.bytes() <= config.publish_bytes_per_command as usize;
        if !fits {
            fx.event(NodeEvent::Published(id, Err(PublishError::Invalid)));
        } else if self.is_full(config) {
            fx.event(NodeEvent::Published(id, Err(PublishError::Full)));
        } else {
            self.append(AppendKey::Direct { node, count: id.0 }, publication, fx);
        }
        id
    }

    /// Brings what a record publishes into its logs. Whoever finds an unsettled record does so; its
    /// handler never runs again.
    pub(crate) fn settle(
        &mut self,
        lease: LeaseId,
        n: CommandNo,
        publishes: Vec<Publication>,
        fx: &mut Effects,
    ) {
        if publishes.is_empty() || self.settling.contains_key(&(lease, n)) {
            return;
        }
        // At most `publishes_per_command`, a u32.
        self.settling.insert((lease, n), publishes.len() as u32);
        for (index, publication) in publishes.into_iter().enumerate() {
            self.append(AppendKey::Command { lease, n, index: index as u32 }, publication, fx);
        }
    }

    fn append(&mut self, key: AppendKey, publication: Publication, fx: &mut Effects) {
        self.waiting += 1;
        let topic = publication.topic.clone();
        let queue = self.topics.entry(topic.clone()).or_default();
        queue.push_back(Append { key, publication });
        if queue.len() == 1 {
            fx.ask(Purpose::Append(topic));
        }
    }

    /// Makes the operation for the first append of a topic; the same again when it is repeated.
    pub(crate) fn append_op(
        &self,
        topic: &TopicId,
        config: &NodeConfig,
        random: &mut Random,
    ) -> Option<StoreOp> {
        let Append { key, publication } = self.topics.get(topic)?.front()?;
        Some(StoreOp::Append {
            key: *key,
            publication: publication.clone(),
            retention: config.retention(&topic.name),
            fresh_epoch: Epoch(random.u64()),
        })
    }

    /// The first append of a topic has ended; the next one goes out. What was to be published.
    pub(crate) fn appended(
        &mut self,
        topic: &TopicId,
        result: Result<Appended, PublishError>,
        fx: &mut Effects,
    ) -> Option<Publication> {
        let first = self.topics.get_mut(topic).and_then(VecDeque::pop_front);
        debug_assert!(first.is_some(), "an append under way is the first of its topic");
        let Append { key, publication } = first?;
        if self.topics.get(topic).is_some_and(VecDeque::is_empty) {
            self.topics.remove(topic);
        } else {
            fx.ask(Purpose::Append(topic.clone()));
        }
        self.waiting -= 1;
        match key {
            AppendKey::Direct { count, .. } => {
                fx.event(NodeEvent::Published(PublishId(count), result));
            }
            AppendKey::Command { lease, n, .. } => self.one_less(lease, n, result.is_ok(), fx),
        }
        Some(publication)
    }

    fn one_less(&mut self, lease: LeaseId, n: CommandNo, is_there: bool, fx: &mut Effects) {
        // An earlier one of the record's may have failed.
        let Some(left) = self.settling.get_mut(&(lease, n)) else { return };
        *left -= 1;
        if !is_there {
            self.settling.remove(&(lease, n));
            self.sweep.soon(fx);
        } else if *left == 0 {
            fx.ask(Purpose::Settle(lease, n));
        }
    }

    /// A record is marked as settled, or that is given up.
    pub(crate) fn settled(&mut self, lease: LeaseId, n: CommandNo) {
        self.settling.remove(&(lease, n));
    }

    /// Whether the append under way is of a record: it is never given up, or what comes after it
    /// would overtake. [`NodeConfig::publishes_waiting`] bounds how many wait.
    pub(crate) fn is_promised(&self, topic: &TopicId) -> bool {
        let first = self.topics.get(topic).and_then(VecDeque::front);
        first.is_some_and(|append| matches!(append.key, AppendKey::Command { .. }))
    }

    /// Whether earlier appends to a topic wait.
    pub(crate) fn waits(&self, topic: &TopicId) -> bool {
        self.topics.contains_key(topic)
    }

    /// Whether as many wait as may.
    pub(crate) const fn is_full(&self, config: &NodeConfig) -> bool {
        self.waiting >= config.publishes_waiting
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn load(&self, load: &mut NodeLoad) {
        load.publishes_waiting = self.waiting as usize;
        load.unsettled = self.settling.len();
    }
}
