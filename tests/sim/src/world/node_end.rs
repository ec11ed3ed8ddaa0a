//! What a node's driver would do: carry out store operations and executions, write frames, report
//! sockets.

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::node::{ConnId, Execution, Node, NodeEvent};
use steadfast::session::store::{News, OpId, StoreOp, TopicId};
use steadfast::session::{Close, CloseCode, Now};
use steadfast::wire::Outgoing;
use steadfast_rig::pump::{Begun, Endless, NodeHarness, Pumped, pump_node};

use super::{Due, NodeSlot, World};
use crate::checkers::Owed;
use crate::mistake::Mistake;
use crate::network::{End, Packet, SocketId, Way};

impl NodeSlot {
    pub(super) fn down() -> Self {
        Self {
            core: None,
            clock: super::Clock::new(steadfast::session::Now(0), 0),
            process: 0,
            draining: false,
            conns: BTreeMap::new(),
            woken: BTreeSet::new(),
            closing: BTreeSet::new(),
            wanted: BTreeSet::new(),
            next_conn: 0,
            spins: 0,
        }
    }
}

/// How often in a thousand a driver begins what was handed out ahead of its order.
const AHEAD: u32 = 500;

/// A node's driver.
struct Driver<'w> {
    world: &'w mut World,
    at: usize,
}

impl NodeHarness for Driver<'_> {
    fn node(&mut self) -> (&mut Node, Now) {
        let now = self.world.node_now(self.at);
        let core = self.world.nodes[self.at].core.as_mut();
        (core.expect("nothing that a node asks for ends its process"), now)
    }

    fn event(&mut self, event: NodeEvent) {
        self.world.node_event(self.at, event);
    }

    fn store(&mut self, op: OpId, what: StoreOp) {
        let process = self.world.nodes[self.at].process;
        self.world.ask_store(self.at, process, op, what);
    }

    fn interest(&mut self, topic: TopicId, interested: bool) {
        let wanted = &mut self.world.nodes[self.at].wanted;
        let changes = if interested { wanted.insert(topic) } else { wanted.remove(&topic) };
        self.world.checkers.interest_changes(changes);
    }

    fn begin(&mut self, execution: Execution) -> Begun {
        self.world.execute(self.at, execution)
    }

    fn takes_ahead(&mut self) -> bool {
        self.world.rng.chance(AHEAD)
    }

    fn transmit(&mut self) -> bool {
        let woken: Vec<ConnId> = self.world.nodes[self.at].woken.iter().copied().collect();
        let mut busy = false;
        for conn in woken {
            busy |= self.world.write_node(self.at, conn, false);
        }
        busy
    }

    fn forgets_to_poll(&self) -> bool {
        self.world.plan.mistake == Some(Mistake::ForgetsToPoll)
    }
}

impl World {
    pub(super) fn start_node(&mut self, at: usize) {
        if self.nodes[at].core.is_some() {
            return;
        }
        let mut core = Node::new(self.plan.node.clone(), self.rng.seed32());
        let clock = self.fresh_clock();
        core.start(clock.reads(self.now));
        let process = self.fresh();
        self.note(|_| format!("node {at}: process {process} starts"));
        self.checkers.node_starts(at, process);
        self.nodes[at] = NodeSlot { core: Some(core), clock, process, ..NodeSlot::down() };
    }

    /// Ends a node's process without a word. Its sockets break; what it asked of the store may
    /// still happen.
    pub fn crash_node(&mut self, at: usize, restart_ms: u64) {
        if self.nodes[at].core.take().is_none() {
            return;
        }
        self.note(|_| format!("node {at}: crash"));
        self.checkers.node_crashes(self.nodes[at].process);
        let process = self.nodes[at].process;
        self.held.retain(|held| held.process != process);
        for (_, id) in std::mem::take(&mut self.nodes[at].conns) {
            let silent = !self.healing && self.plan.faults_ms.is_some() && self.rng.chance(250);
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.server_open = false;
                socket.up.cut();
            }
            if let Some(socket) = self.sockets.get_mut(&id).filter(|_| silent) {
                socket.down.cut();
            } else {
                self.send(id, Way::Down, Packet::Closed(Close::lost("connection reset")));
            }
        }
        self.nodes[at].woken.clear();
        self.after(restart_ms, Due::Restart(at));
    }

    /// Tells a node's clients to leave.
    pub fn drain_node_for(&mut self, at: usize, deadline_ms: u64, spread_ms: u64) {
        let now = self.node_now(at);
        let slot = &mut self.nodes[at];
        let Some(core) = &mut slot.core else { return };
        core.drain(now, deadline_ms, spread_ms);
        slot.draining = true;
        self.note(|_| format!("node {at}: drain within {deadline_ms} ms"));
        self.pump();
    }

    pub(super) fn pump_node(&mut self, at: usize) {
        if self.node_sleeps(at) || self.nodes[at].core.is_none() {
            return;
        }
        match pump_node(&mut Driver { world: self, at }) {
            Ok(Pumped { ahead, given_back, .. }) => {
                self.checkers.sometimes.count_all("commands handed out ahead", ahead);
                self.checkers.sometimes.count_all("commands given back unbegun", given_back);
            }
            Err(Endless) => self.checkers.outputs_come_to_an_end(false),
        }
        self.drain_ends(at);
    }

    fn node_event(&mut self, at: usize, event: NodeEvent) {
        match event {
            NodeEvent::Wake(conn) => {
                self.nodes[at].woken.insert(conn);
            }
            NodeEvent::Close(_, close)
                if close.code == Some(CloseCode::DRAINING)
                    && self.plan.mistake == Some(Mistake::KeepsDrainedSockets) => {}
            NodeEvent::Close(conn, close) => self.close_from_node(at, conn, close),
            NodeEvent::Abort(exec) => {
                self.note(|_| format!("node {at}: abort {exec:?}"));
                self.abort(at, exec);
            }
            NodeEvent::Cancel(exec) => {
                self.note(|_| format!("node {at}: cancel {exec:?}"));
                self.cancel_handler(at, exec);
            }
            NodeEvent::Returned(who, session) => {
                self.note(|_| format!("node {at}: {} is back: {session:?}", who.user()));
            }
            NodeEvent::Published(id, result) => {
                self.note(|_| format!("node {at}: {id:?} {result:?}"));
                self.checkers.published(self.nodes[at].process, id, &result);
            }
        }
    }

    fn write_node(&mut self, at: usize, conn: ConnId, closing: bool) -> bool {
        let mut busy = false;
        let Some(&id) = self.nodes[at].conns.get(&conn) else {
            self.nodes[at].woken.remove(&conn);
            return false;
        };
        loop {
            let Some(socket) = self.sockets.get(&id) else { return busy };
            if socket.down.blocked_until > self.now && !closing {
                // For all that can be seen from here WELCOME waits to be written.
                let (process, now) = (self.nodes[at].process, self.node_now(at));
                self.checkers.kept(process, Owed::Hello(conn));
                self.checkers.says_something((process, Some(conn)), now);
                return busy;
            }
            let now = self.node_now(at);
            let Some(core) = &mut self.nodes[at].core else { return busy };
            let Some(outgoing) = core.poll_transmit(now, conn) else {
                self.nodes[at].woken.remove(&conn);
                return busy;
            };
            busy = true;
            self.write_frame(at, id, outgoing);
        }
    }

    fn write_frame(&mut self, at: usize, id: SocketId, outgoing: Outgoing) {
        let original = match &outgoing {
            Outgoing::Frame(frame) => Some(frame.clone()),
            Outgoing::Shared(_) => None,
        };
        let codec = self.plan.codec_of(self.sockets[&id].client);
        let message = codec.message(outgoing);
        self.note(|_| format!("node {at} {id:?} > {}", String::from_utf8_lossy(&message)));
        let read = codec.read_server(&message);
        let same = match (&read, &original) {
            (Ok(read), Some(original)) => read == original,
            (read, _) => read.is_ok(),
        };
        self.checkers.frames_survive_encoding(same, &message);
        let Ok(frame) = read else { return };
        self.checkers.server_sent(&self.sockets[&id], &frame, message.len());
        let welcome = matches!(frame, steadfast::wire::ServerFrame::Welcome(_));
        let (process, conn, now) =
            (self.nodes[at].process, self.sockets[&id].conn, self.node_now(at));
        if welcome {
            self.checkers.node_welcomes(process, conn, now);
        }
        self.checkers.says_something((process, Some(conn)), now);
        self.begin_message(id, Way::Down);
        self.send(id, Way::Down, Packet::ServerFrame(frame, message.len()));
        if welcome && self.plan.faults_ms.is_some() && !self.healing && self.rng.chance(60) {
            self.lose_welcome(id);
        }
    }

    fn close_from_node(&mut self, at: usize, conn: ConnId, close: Close) {
        self.note(|_| format!("node {at}: closes {conn:?}: {close}"));
        self.write_node(at, conn, true);
        self.nodes[at].closing.insert(conn);
        let (process, now) = (self.nodes[at].process, self.node_now(at));
        self.checkers.server_closes(process, conn, now, &close);
        self.checkers.node_forgets(process, conn);
        let Some(&id) = self.nodes[at].conns.get(&conn) else { return };
        self.checkers.detached(id);
        let faulty = self.plan.faults_ms.is_some() && !self.healing;
        if faulty && self.rng.chance(200) {
            self.send(id, Way::Down, Packet::Closed(Close::lost("connection reset")));
        } else if !(faulty && self.rng.chance(100)) {
            self.send(id, Way::Down, Packet::Closed(close.clone()));
        }
        let wait = self.latency();
        // Until its driver has closed the socket, frames of it are still read; they must have no
        // effect.
        self.after(wait, Due::Notice(id, End::Server, close));
    }

    fn drain_ends(&mut self, at: usize) {
        let slot = &self.nodes[at];
        if slot.draining && slot.core.as_ref().is_some_and(Node::is_drained) {
            self.checkers.sometimes.count("drain completed");
            self.crash_node(at, 200);
        }
    }

    pub(super) fn node_lost_socket(&mut self, id: SocketId, close: Close) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let (at, conn, process) = (socket.node, socket.conn, socket.node_process);
        if !socket.server_open {
            return;
        }
        socket.server_open = false;
        socket.up.cut();
        self.checkers.detached(id);
        let now = self.node_now(at);
        let slot = &mut self.nodes[at];
        if slot.process != process {
            return;
        }
        self.checkers.node_forgets(process, conn);
        slot.conns.remove(&conn);
        slot.woken.remove(&conn);
        slot.closing.remove(&conn);
        if let Some(core) = &mut slot.core {
            core.handle_disconnected(now, conn, close);
        }
    }

    pub(super) fn arrive_at_node(&mut self, id: SocketId, packet: Packet) {
        let socket = &self.sockets[&id];
        let (at, conn) = (socket.node, socket.conn);
        if !socket.server_open || self.nodes[at].process != socket.node_process {
            return;
        }
        let now = self.node_now(at);
        self.checkers.node_heard(self.nodes[at].process, conn, now);
        match packet {
            Packet::ClientFrame(frame, _) => {
                self.note(|_| format!("node {at} {id:?} < {frame:?}"));
                self.checkers.server_received(now, &self.sockets[&id], &frame);
                let conn = self.meddle_up(at, id, conn);
                if let Some(core) = &mut self.nodes[at].core {
                    core.handle_frame(now, conn, frame);
                }
            }
            Packet::Alive => {
                if let Some(core) = &mut self.nodes[at].core {
                    core.handle_alive(now, conn);
                }
            }
            Packet::Closed(close) => {
                if close.code == Some(CloseCode::HEARTBEAT) {
                    self.checkers.sometimes.count("heartbeat missed");
                }
                self.notice(id, End::Server, close);
            }
            Packet::Opened | Packet::ServerFrame(..) => {}
        }
    }

    /// The store has news for a node.
    pub(super) fn hear(&mut self, at: usize, news: News) {
        let now = self.node_now(at);
        if let Some(core) = &mut self.nodes[at].core {
            match &news {
                News::Advanced(_) => {}
                News::Missed => self.checkers.sometimes.count("news missed"),
                News::Rolled => self.checkers.sometimes.count("node told of another incarnation"),
            }
            core.handle_news(now, news.clone());
            self.note(|_| format!("node {at}: hears {news:?}"));
        }
    }
}
