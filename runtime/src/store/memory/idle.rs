//! The order in which topics give way. Which of them do is not decided here.

use crate::session::Now;
use crate::session::store::TopicId;
use crate::wire::Name;

/// A topic's place in that order: those that never had an entry come first, and of each kind those
/// that were idle longest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Idle {
    pub(super) had_entries: bool,
    pub(super) used: Now,
    pub(super) topic: TopicId,
}

impl Idle {
    /// Comes before all that have had entries.
    pub(super) fn before_entries() -> Self {
        let topic = TopicId { name: Name::EMPTY, key: "".into() };
        Self { had_entries: true, used: Now(0), topic }
    }
}
