//! What goes wrong between the cores: sockets, processes, the store.

use std::sync::Arc;

use steadfast::session::Close;
use steadfast::session::store::{News, StoreOp, StoreOutcome};
use steadfast::wire::{Epoch, Position};

use super::World;
use crate::marks::Mark;
use crate::mistake::Mistake;
use crate::model::Model;
use crate::settings::{NEVER_MS, topic};
use crate::state::{End, NOW, SocketId};

impl World<'_> {
    /// A socket breaks. One end knows at once; what it had in flight may still arrive, until the
    /// other end notices.
    pub(super) fn cut(&mut self, id: SocketId, first: End) {
        self.state.budget.cuts -= 1;
        if let Some(socket) = self.socket(id) {
            socket.broken = true;
        }
        self.notice(id, first);
        self.other_end_notices(id);
    }

    /// With clean breaks nothing lingers.
    fn other_end_notices(&mut self, id: SocketId) {
        if !self.settings().clean_breaks {
            return;
        }
        let end = match self.socket(id) {
            Some(socket) if socket.client_open => End::Client,
            Some(_) => End::Node,
            None => return,
        };
        self.notice(id, end);
    }

    /// An end notices that a socket is gone.
    pub(super) fn notice(&mut self, id: SocketId, end: End) {
        let Some(socket) = self.socket(id) else { return };
        let (client, node) = (socket.client, socket.node);
        let gone = Close::lost("connection lost");
        match end {
            End::Client => self.client_loses(client, id, gone),
            End::Node => self.node_loses(node, id, gone),
        }
    }

    /// What it asked of the store may still happen.
    pub(super) fn crash_node(&mut self, at: usize) {
        self.state.budget.crashes -= 1;
        self.replace_node(at);
    }

    fn replace_node(&mut self, at: usize) {
        let theirs = |(id, socket): (&SocketId, &Arc<crate::state::Socket>)| {
            (socket.node == at).then_some(*id)
        };
        let sockets: Vec<SocketId> = self.state.sockets.iter().filter_map(theirs).collect();
        for id in sockets {
            let Some(socket) = self.socket(id).filter(|socket| socket.node_open) else { continue };
            socket.broken = true;
            self.end_closes(id, End::Node, Close::lost("connection reset"));
            self.other_end_notices(id);
        }
        self.state.hints.remove(&at);
        self.state.rolled.remove(&at);
        self.start_node(at);
    }

    pub(super) fn crash_client(&mut self, at: usize) {
        self.state.budget.client_crashes -= 1;
        let process = self.state.clients[at].process;
        let current = self.state.clients[at].current;
        self.abandon(at, Close::lost("connection reset"));
        current.into_iter().for_each(|id| self.other_end_notices(id));
        self.state.sockets.iter_mut().filter(|(id, _)| id.process == process).for_each(
            |(_, socket)| {
                Arc::make_mut(socket).broken = true;
            },
        );
        self.ledger().client_crashes(process);
        self.start_client(at);
    }

    pub(super) fn drain_node(&mut self, at: usize) {
        self.state.budget.drains -= 1;
        let slot = self.node(at);
        slot.draining = true;
        slot.core.drain(NOW, NEVER_MS, 0);
    }

    /// A drained node's process ends.
    pub(super) fn leave(&mut self, at: usize) {
        self.model.marks.set(Mark::Drain);
        self.replace_node(at);
    }

    /// The store lets every lease of a client go.
    pub(super) fn lapse(&mut self, at: usize) {
        self.state.budget.lapses -= 1;
        let lease = self.state.ledger.lease_of(self.state.clients[at].process);
        if let Some(id) = lease {
            Arc::make_mut(&mut self.state.store).apply(NOW, StoreOp::EndLease { id });
        }
    }

    /// What was asked of it and not carried out yet is carried out by an empty store.
    pub(super) fn lose_store(&mut self) {
        self.state.budget.losses -= 1;
        self.state.store = Model::empty_store();
        if !self.is_mistaken(Mistake::KeepsEpochs) {
            self.state.epoch = Epoch(self.state.epoch.0 + 1);
        }
        self.ledger().store_is_lost();
    }

    /// Nothing of it is lost but its leases and epochs. What was asked of it and not carried out yet
    /// is carried out by the other incarnation.
    pub(super) fn roll_store(&mut self) {
        self.state.budget.rolls -= 1;
        let incarnation = u64::from(self.state.budget.rolls) + 1;
        let before = self.standing();
        Arc::make_mut(&mut self.state.store).begin_incarnation(NOW, incarnation);
        let after = self.standing();
        self.ledger().store_rolls(before, after);
        if !self.is_mistaken(Mistake::LosesHints) {
            self.state.rolled.extend(0..self.state.nodes.len());
        }
    }

    fn standing(&mut self) -> Option<Position> {
        let heads = StoreOp::Heads { topics: vec![topic()] };
        match Arc::make_mut(&mut self.state.store).apply(NOW, heads) {
            StoreOutcome::Heads(heads) => {
                heads[0].map(|head| Position { epoch: head.epoch, ts: head.head })
            }
            other => unreachable!("heads are told of: {other:?}"),
        }
    }

    pub(super) fn rolled(&mut self, node: usize) {
        self.state.rolled.remove(&node);
        self.node(node).core.handle_news(NOW, News::Rolled);
    }
}
