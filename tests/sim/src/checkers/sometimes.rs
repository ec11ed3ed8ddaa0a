//! What must have happened at least once over all seeds, or the seeds prove less than they seem to.

use std::collections::BTreeMap;

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sometimes(BTreeMap<String, u64>);

/// Every name that must have been counted.
pub const REQUIRED: &[&str] = &[
    "resume ok",
    "resume failed: Unknown",
    "resume failed: Principal",
    "lease lost",
    "takeover",
    "executed on two nodes",
    "told that a lease is another node's",
    "welcome without a lease",
    "lease asked for",
    "outcome decided by the store",
    "drain completed",
    "gap: Trimmed",
    "gap: Epoch",
    "gap: Ahead",
    "snapshot",
    "duplicate answered",
    "joined a running execution",
    "refused: Draining",
    "refused: Expired",
    "refused: Unsupported",
    "refused: Invalid",
    "outcome unknown",
    "failed: Error",
    "failed: Timeout",
    "unsettled record settled",
    "commands handed out ahead",
    "commands given back unbegun",
    "commit unknown",
    "operation after its report",
    "own events looked for",
    "commit finds a record",
    "commit finds no lease",
    "commit finds its id used",
    "repeated under its id",
    "id reused",
    "too many ids",
    "stale dial refused",
    "socket replaced",
    "heartbeat missed",
    "welcome lost",
    "credentials refused",
    "credentials expired",
    "cancelled",
    "cancelled before it began",
    "handler cancelled",
    "call waited to be saved",
    "client went on from its journal",
    "journal torn",
    "journal not written",
    "kept for the next process",
    "lease taken over by the next process",
    "call waited for room",
    "call ended while it waited for room",
    "call sent after its time",
    "upgrade refused for now",
    "upgrade refused until credentials",
    "upgrade refused for good",
    "caller timed out",
    "maybe retry",
    "connection cut",
    "frame cut in two",
    "message in parts",
    "store rolled back",
    "store away for a minute",
    "news missed",
    "node told of another incarnation",
    "client slept",
    "node slept",
    "client clock jumped",
    "node clock jumped",
    "store clock jumped",
];

impl Sometimes {
    /// One more.
    pub fn count(&mut self, name: &str) {
        self.count_all(name, 1);
    }

    /// So many more; nothing happens for none.
    pub fn count_all(&mut self, name: &str, more: u32) {
        match self.0.get_mut(name) {
            Some(count) => *count += u64::from(more),
            None if more == 0 => {}
            None => drop(self.0.insert(name.to_owned(), more.into())),
        }
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    /// The required names that were never counted.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        REQUIRED.iter().copied().filter(|name| !self.0.contains_key(*name)).collect()
    }

    /// All counts, a line each.
    #[must_use]
    pub fn report(&self) -> String {
        self.0.iter().map(|(name, count)| format!("{count:>9} {name}\n")).collect()
    }

    /// How often something was counted.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }
}
