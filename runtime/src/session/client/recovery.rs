//! What a client finds of an earlier process: the records of its journal, taken up one after the
//! other. Where they come from, and whether they are whole, is not known here.

use std::collections::BTreeMap;

use super::command::Command;
use super::submission::{CallId, CallOutcome};
use crate::wire::{CommandNo, LeaseId};

/// One thing that a client remembers beyond its process. Records mean what they say in the order in
/// which they were handed out, and what is cut off at the end was never acted upon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Record {
    /// Numbers are of this lease from here on; earlier ones are void.
    Lease {
        /// Its id: whoever knows it, and the principal's credentials, may claim it.
        id: LeaseId,
        /// The lowest number that no command had yet.
        next: CommandNo,
    },
    /// A command came.
    Taken {
        /// Which.
        call: CallId,
        /// What it says.
        command: Command,
    },
    /// A command has its number; it may have been sent.
    Numbered {
        /// Which.
        call: CallId,
        /// Its number in the lease.
        n: CommandNo,
    },
    /// Numbers were given and never used: they are free again.
    Unnumbered {
        /// The first of them.
        from: CommandNo,
    },
    /// A command has ended.
    Ended {
        /// Which.
        call: CallId,
        /// How.
        outcome: CallOutcome,
    },
    /// Nobody asks for a command any more.
    Forgotten {
        /// Which.
        call: CallId,
    },
}

/// A command of an earlier process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recovered {
    /// What it says.
    pub command: Command,
    /// Its number in the lease, if it may have been sent.
    pub n: Option<CommandNo>,
    /// How it ended, if it has.
    pub outcome: Option<CallOutcome>,
}

/// Everything that an earlier process left behind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Recovery {
    lease: Option<LeaseId>,
    next: CommandNo,
    calls: BTreeMap<CallId, Recovered>,
    last_call: CallId,
}

impl Default for Recovery {
    fn default() -> Self {
        Self { lease: None, next: CommandNo(1), calls: BTreeMap::new(), last_call: CallId(0) }
    }
}

impl Recovery {
    /// Takes up the next record.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Lease { id, next } => {
                (self.lease, self.next) = (Some(id), next);
                self.free(CommandNo::ZERO);
            }
            Record::Taken { call, command } => {
                self.last_call = self.last_call.max(call);
                self.calls.insert(call, Recovered { command, n: None, outcome: None });
            }
            Record::Numbered { call, n } => {
                self.next = self.next.max(n.next());
                if let Some(recovered) = self.calls.get_mut(&call) {
                    recovered.n = Some(n);
                }
            }
            Record::Unnumbered { from } => {
                self.next = from;
                self.free(from);
            }
            Record::Ended { call, outcome } => {
                if let Some(recovered) = self.calls.get_mut(&call) {
                    (recovered.n, recovered.outcome) = (None, Some(outcome));
                }
            }
            Record::Forgotten { call } => {
                self.calls.remove(&call);
            }
        }
    }

    fn free(&mut self, from: CommandNo) {
        for recovered in self.calls.values_mut() {
            recovered.n = recovered.n.filter(|n| *n < from);
        }
    }

    /// Records were lost that were acted upon: nothing is sent, since nobody knows what was, and
    /// every command that has no outcome has an unknown one.
    pub fn distrust(&mut self) {
        (self.lease, self.next) = (None, CommandNo(1));
        for recovered in self.calls.values_mut() {
            recovered.n = None;
            recovered.outcome.get_or_insert(CallOutcome::OutcomeUnknown);
        }
    }

    /// The lease that its numbers are of.
    #[must_use]
    pub const fn lease(&self) -> Option<LeaseId> {
        self.lease
    }

    /// The lowest number that no command had yet.
    #[must_use]
    pub const fn next(&self) -> CommandNo {
        self.next
    }

    /// Its commands, in the order of calls.
    #[must_use]
    pub const fn calls(&self) -> &BTreeMap<CallId, Recovered> {
        &self.calls
    }

    /// The last call that was taken.
    #[must_use]
    pub const fn last_call(&self) -> CallId {
        self.last_call
    }
}
