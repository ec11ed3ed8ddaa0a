//! One step of the world: an action makes one thing happen, then every output of the cores it
//! touched is carried out until there is none. It plays drivers, network, store and applications;
//! whatever a core decides, a core decides here too.

mod client_end;
mod faults;
mod node_end;
mod storage;

use std::collections::BTreeSet;
use std::sync::Arc;

use steadfast::session::Close;
use steadfast_rig::pump::{assert_nothing_is_left, left_at_client, left_at_node};

use crate::action::Action;
use crate::fingerprint;
use crate::ledger::Ledger;
use crate::mistake::Mistake;
use crate::model::Model;
use crate::settings::Settings;
use crate::state::{ClientSlot, End, NOW, NodeSlot, Packet, Process, Socket, SocketId, State, Way};

/// A state in the making.
pub(crate) struct World<'m> {
    pub(super) model: &'m Model,
    pub(super) state: State,
    clients_touched: BTreeSet<usize>,
    nodes_touched: BTreeSet<usize>,
}

impl<'m> World<'m> {
    pub(crate) const fn new(model: &'m Model, state: State) -> Self {
        Self { model, state, clients_touched: BTreeSet::new(), nodes_touched: BTreeSet::new() }
    }

    pub(super) const fn settings(&self) -> &'m Settings {
        &self.model.settings
    }

    pub(super) fn is_mistaken(&self, mistake: Mistake) -> bool {
        self.model.settings.mistake == Some(mistake)
    }

    pub(super) fn ledger(&mut self) -> &mut Ledger {
        Arc::make_mut(&mut self.state.ledger)
    }

    /// A client whose core is about to change.
    pub(super) fn client(&mut self, at: usize) -> &mut ClientSlot {
        self.clients_touched.insert(at);
        Arc::make_mut(&mut self.state.clients[at])
    }

    /// A node whose core is about to change.
    pub(super) fn node(&mut self, at: usize) -> &mut NodeSlot {
        self.nodes_touched.insert(at);
        Arc::make_mut(&mut self.state.nodes[at])
    }

    pub(super) fn socket(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.state.sockets.get_mut(&id).map(Arc::make_mut)
    }

    pub(super) fn next_process(&mut self) -> (Process, [u8; 32]) {
        self.state.started += 1;
        (Process(u128::from(self.state.started)), fingerprint::seed(self.state.started))
    }

    /// The first state.
    pub(crate) fn begin(mut self) -> State {
        for at in 0..self.settings().nodes {
            self.start_node(at);
        }
        for at in 0..self.settings().clients {
            self.start_client(at);
        }
        self.pump();
        self.state
    }

    /// The state after an action.
    pub(crate) fn act(mut self, action: Action) -> State {
        match action {
            Action::Submit(client) => self.submit(client),
            Action::Cancel(client, call) => self.cancel(client, call),
            Action::Poll(client) => self.poll(client),
            Action::Publish(node) => self.publish(node),
            Action::Connect { client, node, other_user } => self.connect(client, node, other_user),
            Action::Deliver(id, Way::Up) => self.deliver_up(id),
            Action::Deliver(id, Way::Down) => self.deliver_down(id),
            Action::Notice(id, end) => self.notice(id, end),
            Action::Answer(asked) => self.answer(asked, None),
            Action::Lose(asked) => drop(self.state.asked.remove(asked)),
            Action::Doubt { asked, done } => {
                self.state.budget.doubts -= 1;
                self.answer(asked, Some(done));
            }
            Action::Delay(asked) => {
                self.state.budget.late -= 1;
                self.delay(asked);
            }
            Action::Late(asked) => self.happen_late(asked),
            Action::Fail(asked) => {
                self.state.budget.failures -= 1;
                self.fail(asked);
            }
            Action::Finish(node, exec) => self.finish(node, exec),
            Action::Hint(node) => self.hint(node),
            Action::ClientTimer(client) => self.client(client).core.handle_timeout(NOW),
            Action::NodeTimer(node) => self.node(node).core.handle_timeout(NOW),
            Action::Leave(node) => self.leave(node),
            Action::Cut(id, end) => self.cut(id, end),
            Action::CrashNode(node) => self.crash_node(node),
            Action::CrashClient(client) => self.crash_client(client),
            Action::Drain(node) => self.drain_node(node),
            Action::Lapse(client) => self.lapse(client),
            Action::LoseStore => self.lose_store(),
            Action::RollStore => self.roll_store(),
            Action::Rolled(node) => self.rolled(node),
        }
        self.pump();
        if self.settings().nodes_forget {
            self.forget();
        }
        self.state
    }

    /// Lets the timers fire of nodes with which no client has anything to do.
    fn forget(&mut self) {
        for at in 0..self.state.nodes.len() {
            let slot = &self.state.nodes[at];
            let due = slot.core.poll_timeout().is_some_and(|due| due <= NOW);
            let used = !slot.running.is_empty()
                || self.state.ledger.may_be_resumed_at(slot.process)
                || self.state.sockets.values().any(|socket| socket.node == at);
            if due && !used {
                self.node(at).core.handle_timeout(NOW);
                self.pump();
            }
        }
    }

    /// Carries out every output of the cores that were touched.
    fn pump(&mut self) {
        let (mut clients, mut nodes) = (BTreeSet::new(), BTreeSet::new());
        while self.state.ledger.broken().is_none() {
            if let Some(at) = self.clients_touched.pop_first() {
                clients.insert(at);
                self.pump_client(at);
            } else if let Some(at) = self.nodes_touched.pop_first() {
                nodes.insert(at);
                self.pump_node(at);
            } else {
                return self.nothing_is_left(&clients, &nodes);
            }
        }
    }

    fn nothing_is_left(&mut self, clients: &BTreeSet<usize>, nodes: &BTreeSet<usize>) {
        for at in clients {
            let core = &mut Arc::make_mut(&mut self.state.clients[*at]).core;
            assert_nothing_is_left(left_at_client(core));
        }
        for at in nodes {
            let core = &mut Arc::make_mut(&mut self.state.nodes[*at]).core;
            assert_nothing_is_left(left_at_node(core, NOW));
        }
    }

    /// An end of a socket is gone: what is in flight to it is lost, and the other end learns of it
    /// after what is in flight there.
    pub(super) fn end_closes(&mut self, id: SocketId, end: End, close: Close) {
        let Some(socket) = self.socket(id) else { return };
        match end {
            End::Client => {
                socket.client_open = false;
                socket.down.clear();
                if socket.node_open {
                    socket.up.push_back(Packet::Closed(close));
                }
            }
            End::Node => {
                socket.node_open = false;
                socket.up.clear();
                if socket.client_open {
                    socket.down.push_back(Packet::Closed(close));
                }
            }
        }
        self.bury(id);
    }

    /// Forgets a socket that neither end knows.
    pub(super) fn bury(&mut self, id: SocketId) {
        if self
            .state
            .sockets
            .get(&id)
            .is_some_and(|socket| !socket.client_open && !socket.node_open)
        {
            self.state.sockets.remove(&id);
        }
    }
}
