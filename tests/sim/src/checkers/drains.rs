//! Nodes that leave in order (PROTOCOL.md 8.2): nobody waits for a close that nothing keeps back.
//! It knows what arrived at a node and what went out of it, and nothing of what the node holds.

use std::collections::BTreeSet;

use steadfast::wire::{LeaseId, SessionId};
use steadfast_rig::Rule;

use super::Checkers;
use crate::network::SocketId;

/// Commands that reached a node process and that it has not answered since.
pub(super) type Unanswered = BTreeSet<(u64, LeaseId, u64)>;

impl Checkers {
    /// An output is left when everything has been carried out, so it would wait for the next input.
    pub fn no_output_is_left(&mut self, who: &str, left: Option<String>) {
        self.require(left.is_none(), Rule::NoOutputLeft, || format!("{who}: {left:?}"));
    }

    pub(super) fn awaits_an_answer(&mut self, process: u64, lease: LeaseId, n: u64) {
        self.unanswered.insert((process, lease, n));
    }

    pub(super) fn answer_leaves(&mut self, process: u64, session: SessionId, n: u64) {
        let Some(lease) = self.sessions.get(&session).and_then(|session| session.lease) else {
            return;
        };
        self.unanswered.remove(&(process, lease, n));
    }

    /// A socket of a draining node that takes what is written, and is open after everything was
    /// carried out: its client must be owed an answer, or owe an ack.
    pub fn a_drained_connection_is_closed_at_once(&mut self, process: u64, socket: SocketId) {
        let served = self.sockets.get(&socket).and_then(|book| book.served);
        let Some(session) = served.and_then(|id| self.sessions.get(&id)) else { return };
        let unacknowledged = session.down.acked < session.down.sent;
        let unanswered = session.lease.is_some_and(|lease| {
            let of_lease = (process, lease, 0)..=(process, lease, u64::MAX);
            self.unanswered.range(of_lease).next().is_some()
        });
        self.require(unacknowledged || unanswered, Rule::DrainClosesAtOnce, || {
            format!("process {process}: nothing is owed to {socket:?}")
        });
    }
}
