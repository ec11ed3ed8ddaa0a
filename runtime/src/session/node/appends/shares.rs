//! How many publications wait for their logs, in all and of each principal, in count and bytes.
//! What is refused for it is not decided here.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::store::Quota;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Shares {
    all: Share,
    of: BTreeMap<Arc<str>, Share>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Share {
    pub(super) count: u32,
    pub(super) bytes: u64,
}

impl Share {
    const fn add(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes as u64;
    }

    const fn remove(&mut self, bytes: usize) {
        self.count -= 1;
        self.bytes -= bytes as u64;
    }
}

impl Shares {
    pub(super) const fn all(&self) -> Share {
        self.all
    }

    /// The most that one principal has.
    pub(super) fn most(&self) -> Share {
        let count = self.of.values().map(|share| share.count).max().unwrap_or_default();
        let bytes = self.of.values().map(|share| share.bytes).max().unwrap_or_default();
        Share { count, bytes }
    }

    /// One more waits. It is nobody's if it comes from outside of commands, or from a command whose
    /// lease was never here.
    pub(super) fn add(&mut self, principal: Option<&Arc<str>>, bytes: usize) {
        self.all.add(bytes);
        let Some(name) = principal else { return };
        match self.of.get_mut(name) {
            Some(share) => share.add(bytes),
            None => self.of.entry(Arc::clone(name)).or_default().add(bytes),
        }
    }

    pub(super) fn remove(&mut self, principal: Option<&Arc<str>>, bytes: usize) {
        self.all.remove(bytes);
        let Some(name) = principal else { return };
        let Some(share) = held(self.of.get_mut(name), "what waits is counted") else { return };
        share.remove(bytes);
        if share.count == 0 {
            self.of.remove(name);
        }
    }

    pub(super) const fn is_full(&self, config: &NodeConfig) -> bool {
        self.all.count >= config.publishes_waiting || self.all.bytes >= config.publish_bytes_waiting
    }

    /// Whether a principal has as many as it may: what its quota has become beside those of all
    /// others.
    pub(super) fn has_enough(&self, principal: &str, config: &NodeConfig) -> bool {
        let Some(Share { count, bytes }) = self.of.get(principal) else { return false };
        let (each, all) = (config.publishes_waiting_per_principal, config.publishes_waiting);
        let counted = Quota::new(each.into(), all.into());
        let (each, all) =
            (config.publish_bytes_waiting_per_principal, config.publish_bytes_waiting);
        let weighed = Quota::new(each, all);
        !counted.admits((*count).into(), self.all.count.into())
            || !weighed.admits(*bytes, self.all.bytes)
    }
}
