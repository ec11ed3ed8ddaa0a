//! Calls that wait for room in their client's outbox: who may enter, in which order, and how many
//! may wait. A naive book of sizes that never asks the core how full it is.

use std::collections::BTreeMap;

use steadfast::session::client::{CallId, ClientConfig, Fate};
use steadfast_rig::Rule;

use super::Checkers;

/// Body bytes of each unresolved call of a client process, by where it is.
#[derive(Debug, Clone, Default)]
pub(super) struct RoomBook {
    inside: BTreeMap<CallId, usize>,
    waiting: BTreeMap<CallId, usize>,
}

fn bytes(calls: &BTreeMap<CallId, usize>) -> usize {
    calls.values().sum()
}

impl Checkers {
    /// A client has taken a call whose body has so many bytes.
    pub fn call_is_taken(&mut self, process: u64, call: CallId, bytes: usize, fate: Option<Fate>) {
        let book = self.rooms.entry(process).or_default();
        if fate == Some(Fate::Waiting) {
            book.waiting.insert(call, bytes);
            return self.sometimes.count("call waited for room");
        }
        book.inside.insert(call, bytes);
        let first = book.waiting.keys().next().copied();
        self.require(first.is_none(), Rule::CallsEnterInOrder, || {
            format!("process {process}: {call:?} enters at once, and {first:?} waits")
        });
    }

    /// A client tells how far a call has got.
    pub fn call_has_fate(&mut self, process: u64, call: CallId, fate: Fate) {
        let Some(book) = self.rooms.get_mut(&process).filter(|_| fate == Fate::Queued) else {
            return;
        };
        let first = book.waiting.keys().next().copied();
        // One that is inside already was refused for now, and is queued anew.
        let Some(bytes) = book.waiting.remove(&call) else { return };
        book.inside.insert(call, bytes);
        self.require(first == Some(call), Rule::CallsEnterInOrder, || {
            format!("process {process}: {call:?} enters before {first:?}")
        });
    }

    /// A call has ended, or was withdrawn.
    pub(super) fn call_leaves(&mut self, process: u64, call: CallId) {
        let Some(book) = self.rooms.get_mut(&process) else { return };
        book.inside.remove(&call);
        if book.waiting.remove(&call).is_some() {
            self.sometimes.count("call ended while it waited for room");
        }
    }

    /// After each step: whoever waits has a reason, and no more wait than may.
    pub fn the_backlog_is_as_it_should_be(&mut self, process: u64, config: &ClientConfig) {
        let Some(book) = self.rooms.get(&process) else { return };
        let waiting = (book.waiting.len(), bytes(&book.waiting));
        let Some(&first) = book.waiting.values().next() else { return };
        let inside = (book.inside.len(), bytes(&book.inside));
        let room = inside.0 < config.outbox_commands as usize
            && inside.1 + first <= config.outbox_bytes as usize;
        self.require(!room, Rule::NobodyWaitsBesideRoom, || {
            format!("process {process}: {first} bytes wait, the outbox holds {inside:?}")
        });
        let holds = waiting.0 <= config.backlog_calls as usize
            && waiting.1 <= config.backlog_bytes as usize;
        self.require(holds, Rule::BacklogKeepsSettings, || {
            format!("process {process}: {waiting:?} wait")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    /// One call of ten bytes is inside, and two wait.
    fn two_wait() -> Checkers {
        let mut checkers = Checkers::new(&Plan::calm());
        checkers.call_is_taken(1, CallId(1), 10, Some(Fate::Queued));
        checkers.call_is_taken(1, CallId(2), 10, Some(Fate::Waiting));
        checkers.call_is_taken(1, CallId(3), 1, Some(Fate::Waiting));
        checkers
    }

    fn broken(checkers: &Checkers) -> Option<Rule> {
        checkers.violation().map(|violation| violation.rule)
    }

    fn config(outbox_commands: u32, backlog_calls: u32) -> ClientConfig {
        let mut config = ClientConfig::new("sim", "1.0");
        (config.outbox_commands, config.backlog_calls) = (outbox_commands, backlog_calls);
        config
    }

    #[test]
    fn whoever_overtakes_is_found() {
        let order = Some(Rule::CallsEnterInOrder);
        let mut checkers = two_wait();
        checkers.call_has_fate(1, CallId(3), Fate::Queued);
        assert_eq!(broken(&checkers), order);
        let mut checkers = two_wait();
        checkers.call_is_taken(1, CallId(4), 1, Some(Fate::Queued));
        assert_eq!(broken(&checkers), order);
        let mut checkers = two_wait();
        checkers.call_has_fate(1, CallId(2), Fate::Queued);
        checkers.call_has_fate(1, CallId(3), Fate::Queued);
        assert_eq!(broken(&checkers), None);
    }

    #[test]
    fn whoever_waits_without_a_reason_is_found() {
        let mut checkers = two_wait();
        checkers.the_backlog_is_as_it_should_be(1, &config(1, 2));
        assert_eq!(broken(&checkers), None);
        checkers.call_leaves(1, CallId(1));
        checkers.the_backlog_is_as_it_should_be(1, &config(1, 2));
        assert_eq!(broken(&checkers), Some(Rule::NobodyWaitsBesideRoom));
    }

    #[test]
    fn too_many_who_wait_are_found() {
        let mut checkers = two_wait();
        checkers.the_backlog_is_as_it_should_be(1, &config(1, 1));
        assert_eq!(broken(&checkers), Some(Rule::BacklogKeepsSettings));
    }
}
