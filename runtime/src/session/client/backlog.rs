//! The backlog: calls that wait for room in the outbox, in the order of calls. Whether there is
//! room is the outbox's to say, and when a call has waited long enough is its timer's.

use std::collections::BTreeMap;

use super::command::Command;
use super::config::ClientConfig;
use super::submission::CallId;

/// Calls without a place in the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Backlog {
    /// Ids are given in the order of calls, so the first one came first.
    waiting: BTreeMap<CallId, Command>,
    bytes: usize,
    most_calls: usize,
    most_bytes: usize,
}

impl Backlog {
    pub(super) const fn new(config: &ClientConfig) -> Self {
        Self {
            waiting: BTreeMap::new(),
            bytes: 0,
            most_calls: config.backlog_calls as usize,
            most_bytes: config.backlog_bytes as usize,
        }
    }

    /// Calls, and the bytes of their bodies.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.waiting.len(), self.bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn contains(&self, call: CallId) -> bool {
        self.waiting.contains_key(&call)
    }

    pub(super) fn get_mut(&mut self, call: CallId) -> Option<&mut Command> {
        self.waiting.get_mut(&call)
    }

    /// Whether one more call of this size may wait.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.waiting.len() < self.most_calls && self.bytes.saturating_add(bytes) <= self.most_bytes
    }

    pub(super) fn push(&mut self, call: CallId, command: Command) {
        debug_assert!(
            self.waiting.last_key_value().is_none_or(|(last, _)| *last < call),
            "ids are given in the order of calls"
        );
        self.bytes += command.bytes();
        self.waiting.insert(call, command);
    }

    /// The size of whoever is first.
    pub(super) fn first_bytes(&self) -> Option<usize> {
        self.waiting.first_key_value().map(|(_, command)| command.bytes())
    }

    pub(super) fn pop_first(&mut self) -> Option<(CallId, Command)> {
        self.waiting.pop_first().inspect(|(_, command)| self.bytes -= command.bytes())
    }

    pub(super) fn remove(&mut self, call: CallId) -> Option<Command> {
        self.waiting.remove(&call).inspect(|command| self.bytes -= command.bytes())
    }

    /// Empties it; whoever waited, in order.
    pub(super) fn take(&mut self) -> Vec<CallId> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::session::Now;
    use crate::session::client::Submission;
    use crate::wire::{Body, Name};

    fn command(bytes: usize) -> Command {
        let name = Name::from_static("post").expect("a legal name");
        let body = Body::from(vec![b'1'; bytes]);
        let submission =
            Submission { name, body, timeout_ms: 100, declared_timeout_ms: 100, max_bytes: 100 };
        Command::new(Now(0), submission)
    }

    fn backlog(calls: u32, bytes: u32) -> Backlog {
        let mut config = ClientConfig::new("chat", "1.0");
        (config.backlog_calls, config.backlog_bytes) = (calls, bytes);
        Backlog::new(&config)
    }

    #[test]
    fn whoever_came_first_is_first_and_a_withdrawn_one_leaves_nothing_behind() {
        let mut backlog = backlog(10, 100);
        for call in 1..=3 {
            backlog.push(CallId(call), command(call as usize * 10));
        }
        assert!(backlog.remove(CallId(2)).is_some() && backlog.remove(CallId(2)).is_none());
        assert_eq!((backlog.size(), backlog.first_bytes()), ((2, 40), Some(10)));
        assert_eq!(backlog.pop_first().map(|(call, _)| call), Some(CallId(1)));
        assert_eq!(backlog.take(), [CallId(3)]);
        assert_eq!((backlog.size(), backlog.first_bytes()), ((0, 0), None));
    }

    #[test]
    fn it_is_bounded_in_calls_and_in_bytes() {
        let mut backlog = backlog(2, 100);
        backlog.push(CallId(1), command(60));
        assert!(backlog.has_room(40) && !backlog.has_room(41));
        backlog.push(CallId(2), command(1));
        assert!(!backlog.has_room(0));
    }
}
