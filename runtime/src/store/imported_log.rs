//! Where entries go that come from an export, from the latest one down: which of them a log takes,
//! and which have no place in it. Where they are kept is the store's.

use std::time::Duration;

use super::admin::AgedEntry;
use crate::session::store::{Retention, TopicId};
use crate::wire::TopicSeq;

/// A log that entries are imported into, as it stands. For authors of stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImportedLog {
    /// The topic's latest number.
    pub head: TopicSeq,
    /// The oldest entry that is there; `head + 1` if there is none.
    pub oldest: TopicSeq,
    /// Bytes of those that are there.
    pub bytes: u64,
    /// How much of the topic is kept.
    pub retention: Retention,
}

impl ImportedLog {
    /// Takes the next entry down, and counts it. `false` if the topic keeps it no longer: its time
    /// may have come since the entry above it was imported.
    ///
    /// # Errors
    /// Why it has no place here.
    pub fn take(&mut self, topic: &TopicId, aged: &AgedEntry) -> Result<bool, String> {
        let (ts, bytes) = (aged.entry.ts, aged.entry.bytes());
        let here = self.head.0 + 1 - self.oldest.0;
        let is_kept = Duration::from_millis(aged.age_ms) < self.retention.ttl
            && here < u64::from(self.retention.entries)
            && (here == 0 || self.bytes + bytes <= self.retention.bytes);
        if ts < self.oldest && !is_kept {
            return Ok(false);
        }
        if ts.next() != self.oldest {
            let (ts, oldest) = (ts.0, self.oldest.0);
            return Err(format!("{topic:?}: entry {ts} does not come right before {oldest}"));
        }
        self.oldest = ts;
        self.bytes += bytes;
        Ok(true)
    }
}
