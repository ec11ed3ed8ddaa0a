//! What was missed of a topic, as one value that both the core and the types of a protocol name.
//! Does not say what to do about it.

use super::{Epoch, Position, ResetReason, TopicSeq};

/// A stretch of a topic that this client did not see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gap {
    /// Why.
    pub reason: ResetReason,
    /// Everything up to here was seen.
    pub last: Option<Position>,
    /// The topic's incarnation now.
    pub epoch: Epoch,
    /// Events continue after this one.
    pub resumes_after: TopicSeq,
}
