//! Dialling, carrying and ending sockets.

use steadfast::session::Close;
use steadfast::session::node::ConnId;
use steadfast::wire::Dial;

use super::{Due, World};
use crate::mistake::Mistake;
use crate::network::{End, Packet, Pipe, Route, Socket, SocketId, Way};

impl World {
    pub(super) fn latency(&mut self) -> u64 {
        if self.healing { 1 } else { self.rng.within(self.plan.latency_ms) }
    }

    /// Puts a packet on its way.
    pub(super) fn send(&mut self, socket: SocketId, way: Way, packet: Packet) {
        let latency = self.latency();
        let now = self.now;
        let Some(entry) = self.sockets.get_mut(&socket) else { return };
        let pipe = entry.pipe(way);
        let held = pipe.stalled_until;
        if let Some(when) = pipe.push(now, latency, packet) {
            self.at(when.max(held), Due::Arrive(socket, way));
        }
    }

    /// A message may come in parts, on a slow line: each is a sign of life, and what is behind it
    /// waits.
    pub(super) fn begin_message(&mut self, socket: SocketId, way: Way) {
        if self.plan.parts == 0 || self.healing || !self.parts.chance(self.plan.parts) {
            return;
        }
        self.checkers.sometimes.count("message in parts");
        for _ in 0..self.parts.within((2, 12)) {
            let (now, gap) = (self.now, self.parts.within((50, 600)));
            let Some(entry) = self.sockets.get_mut(&socket) else { return };
            let pipe = entry.pipe(way);
            let (held, before) = (pipe.stalled_until, pipe.last_arrival.max(now));
            if let Some(when) = pipe.push(before, gap, Packet::Alive) {
                self.at(when.max(held), Due::Arrive(socket, way));
            }
        }
    }

    pub(super) fn open_socket(&mut self, client: usize, dial: Dial, token: Option<String>) {
        let route = self.next_route();
        let id = SocketId(self.fresh());
        self.dials += 1;
        let slot = &mut self.clients[client];
        let node = match route {
            Route::To(node) | Route::SlowUp(node, _) => node,
            Route::Nowhere | Route::Refused | Route::Answered(..) => 0,
        };
        let mut up = Pipe::default();
        if let Route::SlowUp(_, ms) = route {
            up.stalled_until = self.now.after_ms(ms);
        }
        self.nodes[node].next_conn += 1;
        let socket = Socket {
            id,
            client,
            process: slot.process,
            dial,
            node,
            node_process: self.nodes[node].process,
            conn: ConnId(self.nodes[node].next_conn),
            client_open: false,
            server_open: false,
            token,
            up,
            down: Pipe::default(),
        };
        slot.dials.insert(dial, id);
        slot.current = Some(id);
        self.note(|_| format!("client {client}: dial {dial} as {id:?}, {route:?}"));
        self.checkers.dialled(&socket);
        self.sockets.insert(id, socket);
        let wait = self.latency();
        match route {
            Route::To(_) | Route::SlowUp(..) => self.after(wait, Due::Accept(id)),
            Route::Nowhere => {}
            Route::Answered(status, retry_after_ms) => {
                self.after(wait, Due::Answer(id, status, retry_after_ms))
            }
            Route::Refused => {
                self.after(wait, Due::Notice(id, End::Client, Close::lost("connection refused")))
            }
        }
    }

    fn next_route(&mut self) -> Route {
        if let Some(route) = self.routes.pop_front() {
            return route;
        }
        let up: Vec<usize> =
            (0..self.nodes.len()).filter(|&at| self.nodes[at].core.is_some()).collect();
        let open: Vec<usize> = up.iter().copied().filter(|&at| !self.nodes[at].draining).collect();
        let choices = if self.healing && !open.is_empty() { open } else { up };
        if choices.is_empty() {
            return Route::Refused;
        }
        let node = self.rng.pick(&choices);
        if self.healing || self.plan.faults_ms.is_none() {
            return Route::To(node);
        }
        match self.rng.weighted(&[85, 6, 4, 5, 5]) {
            0 => Route::To(node),
            1 => Route::SlowUp(node, self.rng.within((500, 4_000))),
            2 => Route::Nowhere,
            3 => Route::Refused,
            _ => self.answered(),
        }
    }

    fn answered(&mut self) -> Route {
        const STATUSES: [u16; 10] = [503, 503, 500, 429, 408, 401, 401, 404, 404, 403];
        let status = self.rng.pick(&STATUSES);
        let retry_after_ms = self.rng.pick(&[None, None, Some(0), Some(900), Some(60_000)]);
        Route::Answered(status, retry_after_ms)
    }

    pub(super) fn accept(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let (node, conn) = (socket.node, socket.conn);
        let codec = self.plan.codec_of(socket.client);
        let now = self.nodes[node].clock.reads(self.now);
        let slot = &mut self.nodes[node];
        let alive = slot.process == socket.node_process;
        let Some(core) = slot.core.as_mut().filter(|_| alive) else {
            self.notice(id, End::Client, Close::lost("connection refused"));
            return;
        };
        socket.server_open = true;
        slot.conns.insert(conn, id);
        core.handle_connected(now, conn, codec);
        self.checkers.node_accepts(slot.process, conn, now);
        self.note(|_| format!("node {node}: accepted {id:?} as {conn:?}"));
        self.send(id, Way::Down, Packet::Opened);
    }

    pub(super) fn arrive(&mut self, id: SocketId, way: Way) {
        let now = self.now;
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let pipe = socket.pipe(way);
        if pipe.stalled_until > now {
            let when = pipe.stalled_until;
            self.at(when, Due::Arrive(id, way));
            return;
        }
        let Some(packet) = pipe.queue.pop_front() else { return };
        if self.plan.mistake == Some(Mistake::DropsFrames)
            && matches!(packet, Packet::ServerFrame(..))
            && self.rng.chance(50)
        {
            return;
        }
        match way {
            Way::Up => self.arrive_at_node(id, packet),
            Way::Down => self.arrive_at_client(id, packet),
        }
        self.bury(id);
    }

    /// An end of a socket learns that the socket is gone.
    pub(super) fn notice(&mut self, id: SocketId, end: End, close: Close) {
        let due = Due::Notice(id, end, close.clone());
        if let Some(until) = self.waits_for_a_sleeper(&due) {
            // It hears of it when it wakes: its own time would go back.
            return self.at(until, due);
        }
        self.note(|_| format!("{id:?}: {end:?} notices {close}"));
        match end {
            End::Client => self.client_lost_socket(id, close),
            End::Server => self.node_lost_socket(id, close),
        }
        self.bury(id);
    }

    /// Forgets a socket that neither end nor any packet needs.
    fn bury(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get(&id) else { return };
        let current = self.clients[socket.client].current == Some(id);
        if !current
            && !socket.server_open
            && socket.up.queue.is_empty()
            && socket.down.queue.is_empty()
            && socket.down.dead
        {
            self.sockets.remove(&id);
        }
    }
}
