//! Topics by their last use: which is forgotten first, and which loses its entries first. Forgets
//! none itself.

use std::collections::BTreeSet;

use crate::session::Now;
use crate::session::store::TopicId;

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Idle {
    /// Those that never had an entry.
    empty: BTreeSet<(Now, TopicId)>,
    filled: BTreeSet<(Now, TopicId)>,
}

impl Idle {
    /// A topic is new, and has no entry.
    pub(super) fn add(&mut self, now: Now, id: TopicId) {
        self.empty.insert((now, id));
    }

    pub(super) fn remove(&mut self, empty: bool, used: Now, id: TopicId) {
        self.of(empty).remove(&(used, id));
    }

    /// A topic that was used last at `before` is used.
    pub(super) fn used(&mut self, empty: bool, before: Now, now: Now, id: &TopicId) {
        let topics = self.of(empty);
        topics.remove(&(before, id.clone()));
        topics.insert((now, id.clone()));
    }

    /// A topic has its first entry.
    pub(super) fn filled(&mut self, used: Now, id: &TopicId) {
        self.empty.remove(&(used, id.clone()));
        self.filled.insert((used, id.clone()));
    }

    /// The one to forget when there are too many: one that never had an entry, if there is one.
    pub(super) fn first(&self) -> Option<&TopicId> {
        self.empty.first().or_else(|| self.filled.first()).map(|(_, id)| id)
    }

    /// Those that have had entries, in the order in which they lose them.
    pub(super) fn with_entries(&self) -> impl Iterator<Item = &TopicId> {
        self.filled.iter().map(|(_, id)| id)
    }

    const fn of(&mut self, empty: bool) -> &mut BTreeSet<(Now, TopicId)> {
        if empty { &mut self.empty } else { &mut self.filled }
    }
}
