//! What may happen next, and which of several orders need not be tried because they come to the
//! same. It lists the actions of a state, and does not carry them out.

use std::sync::Arc;

use steadfast::session::client::CallId;
use steadfast::session::node::{ExecId, Node};
use steadfast::session::store::StoreOp;
use steadfast::wire::ServerFrame;

use crate::mistake::Mistake;
use crate::model::Model;
use crate::settings::Budget;
use crate::state::{Asked, End, NOW, NodeSlot, Packet, Socket, SocketId, State, Way};

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The application of a client submits its next command.
    Submit(usize),
    /// The application of a client cancels a command.
    Cancel(usize, CallId),
    /// The application of a client asks for an item.
    Poll(usize),
    /// Somebody publishes at a node.
    Publish(usize),
    /// The socket of a client's dial opens, at this node.
    Connect {
        /// The client.
        client: usize,
        /// The node.
        node: usize,
        /// Whether the client's user is another one from now on.
        other_user: bool,
    },
    /// The oldest packet of a direction arrives.
    Deliver(SocketId, Way),
    /// An end notices that a socket broke; what is still in flight to it is lost.
    Notice(SocketId, End),
    /// A store operation is carried out and answered; the index is that of [`State::asked`].
    Answer(usize),
    /// An operation of a dead process does not happen.
    Lose(usize),
    /// The store can't say whether it carried an operation out.
    Doubt {
        /// Which.
        asked: usize,
        /// Whether it did.
        done: bool,
    },
    /// The store can't say whether it carried an operation out, and does so later, if ever.
    Delay(usize),
    /// What was delayed happens.
    Late(usize),
    /// The store does not take a commit.
    Fail(usize),
    /// A handler or hook ends.
    Finish(usize, ExecId),
    /// A node hears what another one has appended.
    Hint(usize),
    /// Timers of a client fire.
    ClientTimer(usize),
    /// Timers of a node fire.
    NodeTimer(usize),
    /// A drained node's process ends, and another one starts in its place.
    Leave(usize),
    /// A socket breaks, and this end is the first to know.
    Cut(SocketId, End),
    /// A node's process ends without a word, and another one starts in its place.
    CrashNode(usize),
    /// The same of a client.
    CrashClient(usize),
    /// A node begins to leave.
    Drain(usize),
    /// The store lets the leases of a client expire.
    Lapse(usize),
    /// The store loses everything.
    LoseStore,
    /// The store becomes another incarnation.
    RollStore,
    /// A node is told that it has.
    Rolled(usize),
}

impl Model {
    /// What brings work that was begun to its end. A state without such an action is at rest.
    pub(crate) fn progress(&self, state: &State, out: &mut Vec<Action>) {
        for (client, slot) in state.clients.iter().enumerate() {
            if slot.dialling.is_some() {
                let nodes = open_nodes(state).take(self.distinct_nodes(state));
                out.extend(nodes.map(|node| Action::Connect { client, node, other_user: false }));
            }
            if slot.readable && self.settings.slow_readers {
                out.push(Action::Poll(client));
            }
            let stopped = self.settings.mistake == Some(Mistake::StopsTimers);
            if !stopped && slot.core.poll_timeout().is_some_and(|at| at <= NOW) {
                out.push(Action::ClientTimer(client));
            }
        }
        for (node, slot) in state.nodes.iter().enumerate() {
            if slot.core.poll_timeout().is_some_and(|at| at <= NOW) && !self.settings.nodes_forget {
                out.push(Action::NodeTimer(node));
            }
            out.extend(slot.running.keys().map(|exec| Action::Finish(node, *exec)));
            if slot.draining && Node::is_drained(&slot.core) {
                out.push(Action::Leave(node));
            }
        }
        for (id, socket) in &state.sockets {
            if !socket.up.is_empty() {
                out.push(Action::Deliver(*id, Way::Up));
            }
            if !socket.down.is_empty() && !self.is_held_back(state, socket) {
                out.push(Action::Deliver(*id, Way::Down));
            }
        }
        out.extend(state.hints.keys().map(|node| Action::Hint(*node)));
        out.extend(state.rolled.iter().map(|node| Action::Rolled(*node)));
        out.extend(self.answerable(state).map(Action::Answer));
    }

    /// Whether what comes next to a client waits until nodes and store have done what they have
    /// begun: one that is refused while the store fails would come again without end.
    fn is_held_back(&self, state: &State, socket: &Socket) -> bool {
        let refused = |packet: &Packet<ServerFrame>| match packet {
            Packet::Frame(ServerFrame::Refused { code, .. }, _) => code.is_retry(),
            _ => false,
        };
        let due = |slot: &Arc<NodeSlot>| slot.core.poll_timeout().is_some_and(|at| at <= NOW);
        self.settings.budget.failures > 0
            && socket.down.front().is_some_and(refused)
            && (!state.asked.is_empty() || state.nodes.iter().any(due))
    }

    /// A delivery that commutes with everything that may happen before it, so that no other order
    /// needs to be tried.
    ///
    /// It is one to a client that has nothing of its own to begin and whose socket nothing can
    /// break any more. Until it happens no other action changes that client or takes from the front
    /// of what is in flight to it, and it changes nothing else but the end of what is in flight
    /// from it. Each such delivery shortens a queue, so that it puts nothing off for ever.
    pub(crate) fn lone_delivery(&self, state: &State) -> Option<Action> {
        let Budget { cuts, crashes, client_crashes, .. } = state.budget;
        if !self.settings.reduced || cuts > 0 || crashes > 0 || client_crashes > 0 {
            return None;
        }
        let waits = |id: &SocketId, client: usize| {
            let slot = &state.clients[client];
            let begins = slot.to_submit > 0
                || state.budget.cancels > 0
                || slot.readable
                || slot.core.poll_timeout().is_some_and(|at| at <= NOW);
            slot.current == Some(*id) && !begins
        };
        let mut sockets = state.sockets.iter();
        let (id, _) = sockets.find(|(id, socket)| {
            socket.client_open
                && !socket.broken
                && !socket.down.is_empty()
                && !self.is_held_back(state, socket)
                && waits(id, socket.client)
        })?;
        Some(Action::Deliver(*id, Way::Down))
    }

    /// What the store may answer next: the oldest operation of each process, or any.
    fn answerable<'s>(&'s self, state: &'s State) -> impl Iterator<Item = usize> + 's {
        let asked = &state.asked;
        let first = |at: usize| !asked[..at].iter().any(|other| other.process == asked[at].process);
        (0..asked.len()).filter(move |at| {
            asked[*at].process.is_some() && (self.settings.any_order || first(*at))
        })
    }

    /// How many nodes are worth telling apart: as long as nothing has happened at any of them, the
    /// first one stands for all.
    fn distinct_nodes(&self, state: &State) -> usize {
        let dialled = state.clients.iter().any(|slot| slot.dialling.is_none());
        let touched = dialled || state.budget != self.settings.budget;
        if touched { state.nodes.len() } else { 1 }
    }

    /// What applications begin, and what goes wrong.
    pub(crate) fn initiatives(&self, state: &State, out: &mut Vec<Action>) {
        let Budget {
            cuts,
            crashes,
            client_crashes,
            drains,
            doubts,
            late,
            failures,
            lapses,
            losses,
            rolls,
            strangers,
            events,
            cancels,
        } = state.budget;
        for (client, slot) in state.clients.iter().enumerate() {
            if slot.to_submit > 0 {
                out.push(Action::Submit(client));
            }
            if cancels > 0 {
                let calls = (1..=self.settings.commands).map(CallId);
                let open = calls.filter(|call| slot.core.fate(*call).is_some());
                out.extend(open.map(|call| Action::Cancel(client, call)));
            }
            if slot.dialling.is_some() && strangers > 0 {
                let nodes = open_nodes(state).take(self.distinct_nodes(state));
                out.extend(nodes.map(|node| Action::Connect { client, node, other_user: true }));
            }
            out.extend((client_crashes > 0).then_some(Action::CrashClient(client)));
            out.extend((lapses > 0).then_some(Action::Lapse(client)));
        }
        for (node, slot) in state.nodes.iter().enumerate().take(self.distinct_nodes(state)) {
            out.extend((events > 0).then_some(Action::Publish(node)));
            out.extend((crashes > 0).then_some(Action::CrashNode(node)));
            out.extend(
                (drains > 0 && !slot.draining && open_nodes(state).count() > 1)
                    .then_some(Action::Drain(node)),
            );
        }
        for (id, socket) in &state.sockets {
            let open = socket.client_open && socket.node_open;
            if open && cuts > 0 {
                out.push(Action::Cut(*id, End::Client));
                out.extend((!self.settings.clean_breaks).then_some(Action::Cut(*id, End::Node)));
            }
            let lossy = |left: usize| socket.broken && left > 1;
            out.extend(lossy(socket.up.len()).then_some(Action::Notice(*id, End::Node)));
            out.extend(lossy(socket.down.len()).then_some(Action::Notice(*id, End::Client)));
        }
        out.extend(late_ones(state).map(Action::Late));
        for asked in self.answerable(state) {
            let Asked { node, process, .. } = state.asked[asked];
            let orphan = process != Some(state.nodes[node].process);
            if orphan {
                out.push(Action::Lose(asked));
                continue;
            }
            if doubts > 0 {
                out.extend([true, false].map(|done| Action::Doubt { asked, done }));
            }
            out.extend((late > 0).then_some(Action::Delay(asked)));
            let commits = matches!(state.asked[asked].body, StoreOp::Commit { .. });
            out.extend((failures > 0 && commits).then_some(Action::Fail(asked)));
        }
        out.extend((losses > 0).then_some(Action::LoseStore));
        out.extend((rolls > 0).then_some(Action::RollStore));
    }
}

/// Where a balancer sends new sockets.
fn open_nodes(state: &State) -> impl Iterator<Item = usize> + '_ {
    state.nodes.iter().enumerate().filter(|(_, slot)| !slot.draining).map(|(node, _)| node)
}

/// What happens although its node was told otherwise.
fn late_ones(state: &State) -> impl Iterator<Item = usize> + '_ {
    (0..state.asked.len()).filter(|at| state.asked[*at].process.is_none())
}
