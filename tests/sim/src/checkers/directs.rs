//! Direct messages (PROTOCOL.md 4.16): each once, in the order of sending, and what is missing is
//! told in its place. Messages are numbered as they are sent, whoever they are for.

use std::collections::VecDeque;

use steadfast::session::client::Direct;
use steadfast::session::node::Sent;
use steadfast::wire::{LeaseId, SessionId};
use steadfast_rig::Rule;
use steadfast_rig::fixtures::number_in;

use super::Checkers;

/// What a client process has had, and is to have.
#[derive(Debug, Clone, Default)]
pub(super) struct InboxBook {
    /// The session that it knows of, and the node process that has it.
    session: Option<(SessionId, u64)>,
    last: u64,
    /// Numbers that its session has taken, and that it has not had.
    owed: VecDeque<u64>,
    /// It was told that some may be missing, and has had none since.
    told: bool,
}

impl Checkers {
    pub(super) fn joins(&mut self, process: u64, session: SessionId, node: u64) {
        self.inboxes.entry(process).or_default().session = Some((session, node));
    }

    /// The node process whose session a client has, as far as it knows.
    #[must_use]
    pub fn node_of(&self, process: u64) -> Option<u64> {
        self.inboxes.get(&process)?.session.map(|(_, node)| node)
    }

    /// A node has been given a message for whoever has a lease.
    pub fn is_sent_to_lease(&mut self, node: u64, lease: LeaseId, number: u64, sent: Sent) {
        self.is_sent(sent);
        if sent.sessions == 0 {
            return;
        }
        let found = self.clients.iter().find(|(_, book)| book.holds(lease));
        let process = found.map(|(&process, _)| process);
        let Some(book) = process.and_then(|process| self.inboxes.get_mut(&process)) else { return };
        // A session that its client has lost is not told what is lost with it afterwards.
        if book.session.is_some_and(|(_, of)| of == node) {
            book.owed.push_back(number);
        }
    }

    /// A node has been given a message.
    pub fn is_sent(&mut self, sent: Sent) {
        self.sometimes.count(match sent {
            Sent { sessions: 1.., .. } => "direct message sent",
            Sent { full: 1.., .. } => "too many direct messages wait",
            Sent { too_long: 1.., .. } => "direct message too long for its client",
            _ => "direct message for nobody",
        });
    }

    /// An application takes something out of its inbox.
    pub fn takes(&mut self, process: u64, next: &Direct) {
        let book = self.inboxes.entry(process).or_default();
        let Direct::Message { body, .. } = next else {
            book.told = true;
            return self.sometimes.count(&format!("{next:?}"));
        };
        let (number, last, told) = (number_in(body), book.last, book.told);
        (book.last, book.told) = (number, false);
        let had = book.owed.iter().take_while(|owed| **owed <= number).count();
        let skipped: Vec<u64> = book.owed.drain(..had).filter(|owed| *owed < number).collect();
        self.require(number > last, Rule::DirectsInOrder, || {
            format!("process {process}: {number} after {last}")
        });
        self.require(told || skipped.is_empty(), Rule::MissingDirectsAreTold, || {
            format!("process {process}: {number} comes, and {skipped:?} did not")
        });
    }

    /// A message that a client is to have yet; `None` if it may be lost with its session.
    #[must_use]
    pub fn direct_to_come(&self, process: u64) -> Option<u64> {
        let book = self.inboxes.get(&process).filter(|book| !book.told)?;
        book.owed.front().copied()
    }
}
