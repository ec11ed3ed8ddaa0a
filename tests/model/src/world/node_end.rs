//! What a node's driver and the server's application do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use steadfast::session::node::{
    Attempt, ConnId, ExecId, Executed, Execution, Node, NodeEvent, StagedPublish,
};
use steadfast::session::store::{Decided, OpId, Outcome, Publication, StoreOp};
use steadfast::session::{Close, CloseCode, Now};
use steadfast::wire::{ClientFrame, Codec, Outgoing, ServerFrame};
use steadfast_rig::fixtures::{self, numbered};
use steadfast_rig::pump::{Begun, NodeHarness, pump_node};

use super::World;
use crate::ledger::OF_COMMANDS;
use crate::marks::Mark;
use crate::mistake::Mistake;
use crate::settings::{Settings, topic};
use crate::state::{End, NOW, NodeSlot, Packet, Running, Socket, SocketId};

fn publication(event: u64) -> Publication {
    fixtures::publication(topic(), numbered(event, 0))
}

/// What a command comes to. The reply says at which node, so that two of one command differ.
pub(super) fn answer(at: usize, command: u64, settings: &Settings) -> Decided {
    let events = 0..settings.published_by(command);
    let publishes = events.map(|index| publication(command * OF_COMMANDS + index)).collect();
    Decided { outcome: Outcome::Ok(numbered(command, at as u64)), publishes }
}

/// A node's driver. Sockets are written last, one after the other, so that what was answered at
/// once takes the ack along.
struct Driver<'w, 'm> {
    world: &'w mut World<'m>,
    at: usize,
    woken: BTreeSet<ConnId>,
}

impl NodeHarness for Driver<'_, '_> {
    fn node(&mut self) -> (&mut Node, Now) {
        (&mut self.world.node(self.at).core, NOW)
    }

    fn event(&mut self, event: NodeEvent) {
        self.world.node_event(self.at, event, &mut self.woken);
    }

    fn store(&mut self, op: OpId, what: StoreOp) {
        self.world.ask(self.at, op, what);
    }

    fn begin(&mut self, execution: Execution) -> Begun {
        let exec = execution.exec();
        self.world.execute(self.at, execution);
        let slot = self.world.node(self.at);
        let goes_on = slot.core.is_running(exec) || slot.deciding.contains_key(&exec);
        if goes_on { Begun::Pends } else { Begun::Ended }
    }

    fn transmit(&mut self) -> bool {
        let next = self.woken.pop_first();
        next.into_iter().for_each(|conn| self.world.node_writes(self.at, conn));
        next.is_some()
    }
}

impl World<'_> {
    pub(super) fn start_node(&mut self, at: usize) {
        let (process, seed) = self.next_process();
        let mut core = Node::new(Arc::clone(&self.model.node), seed);
        core.start(NOW);
        let (running, deciding, failing) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let slot = NodeSlot { core, process, draining: false, running, deciding, failing };
        match self.state.nodes.get_mut(at) {
            Some(place) => *place = Arc::new(slot),
            None => self.state.nodes.push(Arc::new(slot)),
        }
        // Marks it as touched.
        self.node(at);
    }

    /// Somebody publishes from outside a command.
    pub(super) fn publish(&mut self, at: usize) {
        let event = u64::from(self.state.budget.events);
        self.state.budget.events -= 1;
        self.node(at).core.publish(NOW, publication(event));
    }

    pub(super) fn pump_node(&mut self, at: usize) {
        let mut driver = Driver { world: self, at, woken: BTreeSet::new() };
        pump_node(&mut driver).expect("a node comes to rest");
        self.nodes_touched.remove(&at);
        let slot = &self.state.nodes[at];
        if !slot.failing.is_empty() && slot.core.load().commands_waiting > 0 {
            self.model.marks.set(Mark::WaitsForStore);
        }
    }

    fn node_event(&mut self, at: usize, event: NodeEvent, woken: &mut BTreeSet<ConnId>) {
        match event {
            NodeEvent::Wake(conn) => drop(woken.insert(conn)),
            NodeEvent::Close(conn, close) => self.node_closes(at, conn, close),
            NodeEvent::Abort(exec) => {
                self.model.marks.set(Mark::Aborted);
                self.node(at).running.remove(&exec);
                self.node(at).deciding.remove(&exec);
            }
            NodeEvent::Cancel(_) => self.model.marks.set(Mark::HandlerTold),
            NodeEvent::Returned(..) | NodeEvent::Published(..) => {}
        }
    }

    fn socket_of(&self, at: usize, conn: ConnId) -> Option<SocketId> {
        let ours =
            |(id, socket): &(&SocketId, &Arc<Socket>)| id.conn() == conn && socket.node == at;
        self.state.sockets.iter().find(ours).map(|(id, _)| *id)
    }

    fn node_writes(&mut self, at: usize, conn: ConnId) {
        let Some(id) = self.socket_of(at, conn) else { return };
        while let Some(outgoing) = self.node(at).core.poll_transmit(NOW, conn) {
            self.write(at, id, outgoing);
        }
    }

    fn write(&mut self, at: usize, id: SocketId, outgoing: Outgoing) {
        let (frame, bytes) = match outgoing {
            Outgoing::Frame(frame) => (frame, 0),
            Outgoing::Shared(message) => {
                let frame = Codec::Json
                    .read_server(&message)
                    .expect("what the core has encoded can be read");
                (frame, message.len())
            }
        };
        let Some(mut socket) = self.state.sockets.get(&id).map(|socket| Socket::clone(socket))
        else {
            return;
        };
        let (marks, window) = (&self.model.marks, self.settings().window);
        match &frame {
            ServerFrame::Welcome(welcome) => {
                let process = self.state.nodes[at].process;
                self.ledger().welcome_leaves((id.process, process), &mut socket, welcome, marks);
                if let Some(lease) = &welcome.lease {
                    self.ledger().lease_is_granted(&socket, lease);
                }
            }
            ServerFrame::Lease(lease) => self.ledger().lease_is_granted(&socket, lease),
            ServerFrame::ResumeFailed { .. } => marks.set(Mark::ResumeFailed),
            frame => self.ledger().node_sends(&socket, frame, window, marks),
        }
        if socket.client_open {
            socket.down.push_back(Packet::Frame(frame, bytes));
        }
        self.state.sockets.insert(id, Arc::new(socket));
    }

    fn node_closes(&mut self, at: usize, conn: ConnId, close: Close) {
        match close.code {
            Some(CloseCode::REPLACED) => self.model.marks.set(Mark::Replaced),
            Some(CloseCode::STALE_DIAL) => self.model.marks.set(Mark::StaleDial),
            _ => {}
        }
        self.ledger().closes(&close, "node");
        // What the core has for the socket goes out before it ends: GOAWAY, for one.
        self.node_writes(at, conn);
        let Some(id) = self.socket_of(at, conn) else { return };
        if self.is_mistaken(Mistake::DeliversStaleFrames) && close.code == Some(CloseCode::REPLACED)
        {
            return;
        }
        self.end_closes(id, End::Node, close.clone());
        // A driver reports the end of a socket that it closed on request, too; the core must not
        // mind.
        self.node(at).core.handle_disconnected(NOW, conn, close);
    }

    /// The oldest packet to a node arrives.
    pub(super) fn deliver_up(&mut self, id: SocketId) {
        let Some(socket) = self.socket(id) else { return };
        let at = socket.node;
        match socket.up.pop_front() {
            Some(Packet::Frame(frame, _)) => self.node_reads(at, id, frame),
            Some(Packet::Closed(close)) => self.node_loses(at, id, close),
            None => {}
        }
    }

    fn node_reads(&mut self, at: usize, id: SocketId, frame: ClientFrame) {
        let current = self
            .state
            .clients
            .iter()
            .find_map(|slot| slot.current.filter(|new| new.process == id.process));
        let attached = |socket: &Arc<Socket>| socket.node == at && socket.served.is_some();
        let newer = current.filter(|new| self.state.sockets.get(new).is_some_and(attached));
        let stale = self.is_mistaken(Mistake::DeliversStaleFrames)
            && !matches!(frame, ClientFrame::Hello(_));
        let id = if stale { newer.unwrap_or(id) } else { id };
        let Some(socket) = self.state.sockets.get(&id).cloned() else { return };
        self.ledger().node_receives(&socket, &frame);
        self.node(at).core.handle_frame(NOW, id.conn(), frame);
    }

    /// A node learns that a socket is gone.
    pub(super) fn node_loses(&mut self, at: usize, id: SocketId, close: Close) {
        self.node(at).core.handle_disconnected(NOW, id.conn(), close.clone());
        self.end_closes(id, End::Node, close);
    }

    fn execute(&mut self, at: usize, execution: Execution) {
        match execution {
            Execution::Authenticate { exec, token, .. } => {
                let answer = fixtures::admitted(&token.unwrap_or_default());
                self.node(at).core.handle_executed(NOW, exec, answer);
            }
            Execution::Authorize { exec, .. } => {
                self.node(at).core.handle_executed(NOW, exec, Executed::Authorized(Ok(())));
            }
            Execution::Command { exec, lease, n, attempt, body, .. } => {
                if attempt == Attempt::MaybeRetry {
                    self.model.marks.set(Mark::Retry);
                }
                let command = self.state.ledger.command_of_body((lease, n), &body);
                let slot = Arc::clone(&self.state.nodes[at]);
                self.ledger().executing(&slot, (lease, n), command);
                self.run(at, exec, Running::Command { lease, n, command });
            }
            Execution::Snapshot { exec, position, .. } => {
                self.run(at, exec, Running::Snapshot { position })
            }
            // The model has no volatiles: nothing of them is kept, so there is nothing to explore.
            Execution::Volatile { exec, .. } => {
                self.node(at).core.handle_executed(
                    NOW,
                    exec,
                    Executed::Volatile { publishes: Vec::new() },
                );
            }
        }
    }

    fn run(&mut self, at: usize, exec: ExecId, running: Running) {
        self.node(at).running.insert(exec, running);
        if !self.settings().slow_handlers {
            self.finish(at, exec);
        }
    }

    /// A handler or hook ends.
    pub(super) fn finish(&mut self, at: usize, exec: ExecId) {
        let settings = self.settings();
        let slot = self.node(at);
        let executed = match slot.running.remove(&exec) {
            Some(running @ Running::Command { .. }) if settings.decides => {
                slot.deciding.insert(exec, running);
                Executed::Decides
            }
            Some(Running::Command { command, .. }) => {
                let Decided { outcome, publishes } = answer(at, command, settings);
                let publishes = publishes.into_iter().map(StagedPublish::Event).collect();
                Executed::Command { outcome, publishes }
            }
            Some(Running::Snapshot { position }) => fixtures::state(numbered(position.ts.0, 0)),
            None => return,
        };
        slot.core.handle_executed(NOW, exec, executed);
    }
}
