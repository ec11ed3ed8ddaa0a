//! Outcomes that are decided where they are kept: a command whose effects commit together with its
//! record, or not at all. What decides is code and travels beside the operation; here are its name,
//! the terms on which its word is taken, and what it says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::logs::{Publication, Retention, TopicId};
use super::outcome::Outcome;
use crate::wire::{Epoch, FailureCode, Name};

/// Which decision of a node, and of no other node: the execution that has come to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(pub u64);

/// A record whose outcome the store finds out when it writes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decide {
    /// What decides: the store was given it before the operation.
    pub id: DecisionId,
    /// What holds of every decision of the node.
    pub terms: Arc<Terms>,
    /// Topics to which earlier appends are under way: the store settles no record in the commit that
    /// publishes to one of them, so that order holds.
    pub waiting: Arc<BTreeSet<TopicId>>,
    /// The epoch of each topic that is published to and does not exist.
    pub fresh_epoch: Epoch,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decided {
    /// What the caller is told.
    pub outcome: Outcome,
    /// What is published with it, in order; of an outcome other than `Ok` it is discarded.
    pub publishes: Vec<Publication>,
}

/// What a command may answer and publish. A command that breaks it fails, and publishes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Terms {
    /// Bytes of the reply.
    pub reply_bytes: u64,
    /// How many publications.
    pub publishes: usize,
    /// Bytes of their bodies.
    pub publish_bytes: usize,
    /// Bytes of a topic's key.
    pub key_bytes: usize,
    /// The topics that are declared, and how long each keeps its entries.
    pub topics: BTreeMap<Name, Retention>,
}

impl Terms {
    /// Whether a reply is short enough.
    #[must_use]
    pub const fn admit_reply(&self, outcome: &Outcome) -> bool {
        outcome.bytes() <= self.reply_bytes
    }

    /// Whether the events are declared, and are not too long together.
    #[must_use]
    pub fn admit_events(&self, events: &[Publication]) -> bool {
        let declared = |topic: &TopicId| {
            self.topics.contains_key(&topic.name) && topic.key.len() <= self.key_bytes
        };
        let bytes: usize = events.iter().map(Publication::bytes).sum();
        bytes <= self.publish_bytes && events.iter().all(|event| declared(&event.topic))
    }

    /// What counts of a decision, as a store has to record it. If it is not what was decided, what
    /// was done on the way to the decision must not be committed either: see
    /// [`Decided::is_success`].
    #[must_use]
    pub fn apply(&self, decided: Decided) -> Decided {
        let Decided { outcome, publishes } = decided;
        if !self.admit_reply(&outcome) {
            return Decided::internal();
        }
        if publishes.is_empty() || !matches!(outcome, Outcome::Ok(_)) {
            return Decided { outcome, publishes: Vec::new() };
        }
        match publishes.len() <= self.publishes && self.admit_events(&publishes) {
            true => Decided { outcome, publishes },
            false => Decided::internal(),
        }
    }

    /// How long the entries of a topic are kept; nothing of one that is not declared.
    #[must_use]
    pub fn retention(&self, topic: &Name) -> Retention {
        self.topics.get(topic).copied().unwrap_or(Retention::new(0, Duration::ZERO))
    }
}

impl Decided {
    /// The decision failed, or there is none.
    #[must_use]
    pub fn internal() -> Self {
        let outcome = Outcome::plain_failure(FailureCode::Internal);
        Self { outcome, publishes: Vec::new() }
    }

    /// Whether what was done on the way to it is to be committed.
    #[must_use]
    pub const fn is_success(&self) -> bool {
        matches!(self.outcome, Outcome::Ok(_))
    }
}
