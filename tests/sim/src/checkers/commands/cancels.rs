//! Commands that their callers do not want any more (PROTOCOL.md 5.27): what has not begun does not,
//! and of what runs the handler hears. How it ends is judged like any other end.

use std::collections::BTreeSet;

use steadfast::session::client::CallId;
use steadfast::session::node::ExecId;
use steadfast::wire::{CommandFrame, LeaseId, SessionId};
use steadfast_rig::Rule;

use crate::checkers::Checkers;

/// What CANCEL has said to node processes.
#[derive(Debug, Clone, Default)]
pub(in crate::checkers) struct Cancels {
    /// Numbers that had not begun there.
    unbegun: BTreeSet<(u64, LeaseId, u64)>,
    /// Executions whose drivers have yet to be told.
    untold: BTreeSet<(u64, ExecId)>,
    told: BTreeSet<(u64, ExecId)>,
}

impl Checkers {
    /// The application of a client does not want a command any more.
    pub fn is_unwanted(&mut self, process: u64, call: CallId) {
        let command = self.clients.get(&process).and_then(|book| book.calls.get(&call));
        if let Some(call) = command.and_then(|command| self.calls.get_mut(command)) {
            call.unwanted_by = Some(process);
        }
    }

    /// A client's next process does not know that, and may let the command begin.
    pub(super) fn a_cancelled_command_comes_too_late(
        &mut self,
        process: u64,
        (lease, command): (LeaseId, u64),
        frame: &CommandFrame,
    ) {
        let Some(call) = self.calls.get_mut(&command) else { return };
        let unwanted = call.unwanted_by == Some(process);
        if call.unwanted_by.take_if(|by| *by != process).is_some() {
            let is_it = |(_, of, n): &(u64, LeaseId, u64)| (*of, *n) == (lease, frame.n.0);
            self.cancels.unbegun.retain(|number| !is_it(number));
        }
        self.require(
            !unwanted || frame.deadline_ms == Some(0),
            Rule::CancelledComesTooLate,
            || format!("process {process}: command {command} is sent again as {frame:?}"),
        );
    }

    pub(in crate::checkers) fn cancel_arrives(&mut self, node: u64, session: SessionId, n: u64) {
        let lease = self.sessions.get(&session).and_then(|session| session.lease);
        let Some(lease) = lease else { return };
        // What an earlier process did not want, the present one may.
        let call = self.sent.get(&(lease, n)).and_then(|command| self.calls.get(command));
        let unwanted = call.is_some_and(|call| call.unwanted_by.is_some());
        if let Some(exec) = self.executions.running_as(node, (lease, n)) {
            self.sometimes.count("handler cancelled");
            if !self.cancels.told.contains(&(node, exec)) {
                self.cancels.untold.insert((node, exec));
            }
        } else if unwanted && !self.executions.was_begun(node, (lease, n)) {
            self.sometimes.count("cancelled before it began");
            self.cancels.unbegun.insert((node, lease, n));
        }
    }

    pub(in crate::checkers) fn nothing_begins_that_was_cancelled(
        &mut self,
        node: u64,
        (lease, n): (LeaseId, u64),
    ) {
        let unwanted = self.cancels.unbegun.contains(&(node, lease, n));
        self.require(!unwanted, Rule::NothingBeginsCancelled, || format!("{lease:?} {n}"));
    }

    /// A node's driver is told to tell a handler.
    pub fn handler_is_told(&mut self, node: u64, exec: ExecId) {
        self.cancels.untold.remove(&(node, exec));
        self.cancels.told.insert((node, exec));
    }

    /// An execution ends.
    pub(in crate::checkers) fn a_cancel_has_reached_the_handler(
        &mut self,
        node: u64,
        exec: ExecId,
    ) {
        let untold = self.cancels.untold.remove(&(node, exec));
        self.require(!untold, Rule::CancelReachesHandler, || format!("{exec:?}"));
    }
}
