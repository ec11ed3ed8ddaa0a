//! How many subscriptions each principal has, on all its connections. Ends none.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::session::held::held;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Shares(BTreeMap<Arc<str>, u32>);

impl Shares {
    pub(super) fn of(&self, name: &str) -> u32 {
        self.0.get(name).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, name: &Arc<str>) {
        *self.0.entry(Arc::clone(name)).or_default() += 1;
    }

    pub(super) fn remove(&mut self, name: &str, count: u32) {
        let Some(share) = held(self.0.get_mut(name), "a subscription is counted") else { return };
        *share -= count;
        if *share == 0 {
            self.0.remove(name);
        }
    }

    /// Whoever has most of them. Costs O(principals).
    pub(super) fn greediest(&self) -> Option<(&Arc<str>, u32)> {
        self.0.iter().map(|(name, share)| (name, *share)).max_by_key(|(_, share)| *share)
    }
}
