//! Publications that wait for their logs, topic by topic, and the append that carries them. What
//! comes of an append is not decided here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::settling::Settling;
use super::shares::Shares;
use super::sweep::Sweep;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::node::load::{NodeLoad, NodePeaks};
use crate::session::node::types::{NodeEvent, PublishError, PublishId};
use crate::session::store::{Append, AppendKey, Publication, StoreOp, StoreTime, TopicId};
use crate::session::{Now, Random};
use crate::wire::{CommandNo, Epoch, LeaseId};

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Appends {
    pub(super) topics: BTreeMap<TopicId, Queue>,
    pub(super) settling: Settling,
    /// Publications from outside any command, counted.
    count: u64,
    pub(super) shares: Shares,
    sweep: Sweep,
}

/// What waits for one log, in order; never empty. One operation of it is under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<Waiting>,
    /// So many, the first ones, are in the append under way.
    pub(super) under_way: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) key: AppendKey,
    pub(super) publication: Publication,
}

impl Queue {
    /// How many of what waits one append takes.
    fn batch(&self, config: &NodeConfig) -> usize {
        let (mut bytes, most) = (0, config.append_bytes as usize);
        let fits = |waiting: &&Waiting| {
            bytes += waiting.publication.bytes();
            bytes <= most
        };
        let entries = self.waiting.iter().take(config.append_entries.max(1) as usize);
        entries.take_while(fits).count().max(1)
    }
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
            self.shares.add(None, publication.bytes());
            self.append(AppendKey::Direct { node, count: id.0 }, publication, fx);
        }
        id
    }

    /// Brings what a record publishes into its logs. Whoever finds an unsettled record does so; its
    /// handler never runs again. `seen` is when the store showed it; `principal` is whose command it
    /// was, if that is known here.
    pub(crate) fn settle(
        &mut self,
        (lease, n): (LeaseId, CommandNo),
        seen: StoreTime,
        publishes: Vec<Publication>,
        principal: Option<Arc<str>>,
        fx: &mut Effects,
    ) {
        // At most `publishes_per_command`, a u32.
        let count = publishes.len() as u32;
        if count == 0 || self.settling.sees((lease, n), seen) {
            return;
        }
        for publication in &publishes {
            self.shares.add(principal.as_ref(), publication.bytes());
        }
        self.settling.begin((lease, n), seen, count, principal);
        for (index, publication) in (0..).zip(publishes) {
            self.append(AppendKey::Command { lease, n, index }, publication, fx);
        }
    }

    fn append(&mut self, key: AppendKey, publication: Publication, fx: &mut Effects) {
        let topic = publication.topic.clone();
        let queue = self.topics.entry(topic.clone()).or_default();
        queue.waiting.push_back(Waiting { key, publication });
        if queue.waiting.len() == 1 {
            fx.ask(Purpose::Append(topic));
        }
    }

    /// Makes the operation for all that waits for a topic; the same again when it is repeated.
    pub(crate) fn append_op(
        &mut self,
        topic: &TopicId,
        config: &NodeConfig,
        random: &mut Random,
    ) -> Option<StoreOp> {
        let queue = self.topics.get_mut(topic)?;
        if queue.under_way == 0 {
            queue.under_way = queue.batch(config);
        }
        let batch = queue.waiting.iter().take(queue.under_way);
        let appends = batch.map(|Waiting { key, publication }| {
            let as_of = match key {
                AppendKey::Command { lease, n, .. } => self.settling.seen((*lease, *n)),
                AppendKey::Direct { .. } => None,
            };
            let Publication { name, bodies, .. } = publication;
            Append { key: *key, as_of, name: name.clone(), bodies: bodies.clone() }
        });
        Some(StoreOp::Append {
            topic: topic.clone(),
            appends: appends.collect(),
            retention: config.retention(&topic.name),
            fresh_epoch: Epoch(random.u64()),
        })
    }

    pub(crate) fn settle_op(&mut self) -> Option<StoreOp> {
        self.settling.op()
    }

    /// Records are marked as settled, or that is given up.
    pub(crate) fn settled(&mut self, fx: &mut Effects) {
        self.settling.ended(fx);
    }

    /// Whether earlier appends to a topic wait.
    pub(crate) fn waits(&self, topic: &TopicId) -> bool {
        self.topics.contains_key(topic)
    }

    /// The topics to which earlier appends wait.
    pub(crate) fn topics_waiting(&self) -> BTreeSet<TopicId> {
        self.topics.keys().cloned().collect()
    }

    /// Whether as many wait as may.
    pub(crate) const fn is_full(&self, config: &NodeConfig) -> bool {
        self.shares.is_full(config)
    }

    /// Whether a principal has as many waiting as it may.
    pub(crate) fn has_enough(&self, principal: &str, config: &NodeConfig) -> bool {
        self.shares.has_enough(principal, config)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub(crate) fn load(&self, load: &mut NodeLoad) {
        let all = self.shares.all();
        (load.publishes_waiting, load.publish_bytes_waiting) = (all.count as usize, all.bytes);
        load.unsettled = self.settling.len();
    }

    pub(crate) fn peaks(&self, peaks: &mut NodePeaks) {
        let most = self.shares.most();
        (peaks.principal_publishes, peaks.principal_publish_bytes) = (most.count, most.bytes);
    }
}
