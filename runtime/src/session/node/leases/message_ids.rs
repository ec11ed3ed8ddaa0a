//! Which command of this node stands for which message id, and who waits for its outcome
//! (PROTOCOL.md 5.20). What is asked of the store, and what is answered, is not decided here.

use std::collections::BTreeMap;

use crate::session::node::keys::LeaseKey;
use crate::session::store::{CommitId, MessageId};
use crate::wire::CommandNo;

/// A command of this node.
pub(super) type Command = (LeaseKey, CommandNo);

/// See the module. Empty unless commands with ids are under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct MessageIds {
    first: BTreeMap<MessageId, First>,
    /// The ids of those in `first`.
    of: BTreeMap<Command, CommitId>,
}

/// The first command with an id, from the time when its order has come until it has its record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct First {
    command: Command,
    /// They have places as if they ran, which bounds them. Some may be gone.
    joined: Vec<Command>,
}

impl MessageIds {
    pub(super) fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// A command's order has come. Whether it is the first one with its id; else it has joined the
    /// first one.
    pub(super) fn join(&mut self, command: Command, id: &CommitId) -> bool {
        if let Some(first) = self.first.get_mut(&id.id) {
            first.joined.push(command);
            return false;
        }
        self.first.insert(id.id.clone(), First { command, joined: Vec::new() });
        self.of.insert(command, id.clone());
        true
    }

    /// The id that a command is the first one with.
    pub(super) fn of(&self, command: Command) -> Option<&CommitId> {
        self.of.get(&command)
    }

    /// A command stands for its id no longer. Its id, and those that have joined it.
    pub(super) fn end(&mut self, command: Command) -> Option<(CommitId, Vec<Command>)> {
        let id = self.of.remove(&command)?;
        let first = self.first.remove(&id.id)?;
        debug_assert_eq!(first.command, command, "an id has one first command");
        Some((id, first.joined))
    }

    /// The commands of a lease that stand for ids.
    pub(super) fn of_lease(&self, key: LeaseKey) -> Vec<Command> {
        let from = (key, CommandNo::ZERO);
        let theirs = self.of.range(from..).take_while(|((of, _), _)| *of == key);
        theirs.map(|(command, _)| *command).collect()
    }
}
