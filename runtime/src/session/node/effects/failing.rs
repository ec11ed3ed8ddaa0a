//! Commits that the store has not taken yet although they were tried, for as long as they are under
//! way. It does not say what is to be done about them.
//!
//! Commits alone count. They are what commands wait for, and each of them ends: it is written, or
//! given up. An append that a record has promised is repeated for as long as it takes, so one that
//! its store can never take would keep everybody out; how many of those wait is bounded elsewhere.

use std::collections::BTreeSet;

use crate::session::Now;
use crate::session::node::config::NodeConfig;
use crate::session::node::keys::OperationKey;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Failing {
    /// With the time at which each was asked for first.
    commits: BTreeSet<(Now, OperationKey)>,
    /// One of them has ended, and nobody has asked yet whether that lets commands begin.
    eased: bool,
}

impl Failing {
    pub(super) fn add(&mut self, asked: Now, key: OperationKey) {
        self.commits.insert((asked, key));
    }

    pub(super) fn remove(&mut self, asked: Now, key: OperationKey) {
        self.eased |= self.commits.remove(&(asked, key));
    }

    /// Whether one of them has failed for so long that no command should begin.
    pub(super) fn is_long(&self, now: Now, config: &NodeConfig) -> bool {
        let oldest = self.commits.first();
        oldest.is_some_and(|(asked, _)| asked.after(config.store_failing_after) <= now)
    }

    pub(super) const fn take_eased(&mut self) -> bool {
        std::mem::replace(&mut self.eased, false)
    }

    pub(super) fn len(&self) -> usize {
        self.commits.len()
    }
}
