//! What goes wrong between the cores: sockets, processes, the store.

use steadfast::session::store::News;
use steadfast::session::{Close, Now};

use super::{Due, World};
use crate::network::{End, Packet, SocketId, Way};

/// How a socket breaks.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// How many bytes of what the client has sent already still arrive; a frame that is cut in two
    /// is lost.
    pub up_bytes: u64,
    /// The same for the server.
    pub down_bytes: u64,
    /// Milliseconds until the client notices; `None`: by its heartbeat.
    pub client_notices_ms: Option<u64>,
    /// Milliseconds until the server notices; `None`: by its heartbeat.
    pub server_notices_ms: Option<u64>,
}

impl Cut {
    /// Both ends notice soon, everything under way is lost.
    pub const CLEAN: Self =
        Self { up_bytes: 0, down_bytes: 0, client_notices_ms: Some(1), server_notices_ms: Some(1) };
    /// The client notices soon; the server believes that the socket lives.
    pub const HALF_OPEN: Self =
        Self { up_bytes: 0, down_bytes: 0, client_notices_ms: Some(1), server_notices_ms: None };
}

impl World {
    /// Breaks a socket.
    pub fn cut(&mut self, id: SocketId, cut: Cut) {
        self.note(|_| format!("{id:?}: {cut:?}"));
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        for (way, bytes) in [(Way::Up, cut.up_bytes), (Way::Down, cut.down_bytes)] {
            if socket.pipe(way).cut_after(bytes) {
                self.checkers.sometimes.count("frame cut in two");
            }
        }
        let gone = Close::lost("connection lost");
        if let Some(ms) = cut.client_notices_ms {
            self.after(ms, Due::Notice(id, End::Client, gone.clone()));
        }
        if let Some(ms) = cut.server_notices_ms {
            self.after(ms, Due::Notice(id, End::Server, gone));
        }
    }

    /// Holds one direction of a socket up.
    pub fn stall(&mut self, id: SocketId, way: Way, ms: u64) {
        self.note(|_| format!("{id:?}: {way:?} stalls for {ms} ms"));
        let until = self.now.after_ms(ms);
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.pipe(way).stalled_until = until;
        }
    }

    /// Keeps one end of a socket from writing.
    pub fn block(&mut self, id: SocketId, way: Way, ms: u64) {
        self.note(|_| format!("{id:?}: {way:?} can't write for {ms} ms"));
        let until = self.now.after_ms(ms);
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.pipe(way).blocked_until = until;
            self.at(until, Due::Unblock);
        }
    }

    pub(super) fn fault(&mut self) {
        match self.rng.weighted(&[40, 15, 10, 8, 5, 6, 6, 8, 8, 4, 15, 6]) {
            0 => self.random_cut(),
            1 => self.on_random_socket(|world, id, way, ms| world.stall(id, way, ms)),
            2 => self.on_random_socket(|world, id, way, ms| world.block(id, way, ms)),
            3 => self.random_crash(),
            4 => self.random_drain(),
            5 => {
                let at = self.rng.below(self.clients.len() as u64) as usize;
                self.crash_client(at);
            }
            6 => self.on_random_socket(|world, id, way, _| world.send(id, way, Packet::Alive)),
            7 => self.random_outage(),
            8 => self.random_sleep(),
            9 if self.plan.clocks_jump => self.random_jump(),
            10 if self.plan.store.rolls_back => self.random_roll_back(),
            11 => self.random_loss_of_news(),
            _ => {}
        }
    }

    fn random_socket(&mut self) -> Option<SocketId> {
        let current: Vec<SocketId> = self.clients.iter().filter_map(|slot| slot.current).collect();
        (!current.is_empty()).then(|| self.rng.pick(&current))
    }

    fn random_cut(&mut self) {
        let Some(id) = self.random_socket() else { return };
        let noticed = |rng: &mut crate::rng::Rng| match rng.below(4) {
            0 => None,
            1 => Some(rng.within((100, 3_000))),
            _ => Some(rng.within((0, 20))),
        };
        let client_notices_ms = noticed(&mut self.rng);
        let server_notices_ms = noticed(&mut self.rng);
        let under_way =
            self.sockets.get(&id).map_or((0, 0), |socket| (socket.up.bytes(), socket.down.bytes()));
        let up_bytes = self.some_bytes(under_way.0);
        let down_bytes = self.some_bytes(under_way.1);
        self.checkers.sometimes.count("connection cut");
        self.cut(id, Cut { up_bytes, down_bytes, client_notices_ms, server_notices_ms });
    }

    /// Nothing, everything, or up to any byte.
    fn some_bytes(&mut self, under_way: u64) -> u64 {
        match self.rng.below(3) {
            0 => 0,
            1 => u64::MAX,
            _ => self.rng.below(under_way + 1),
        }
    }

    fn on_random_socket(&mut self, act: impl FnOnce(&mut Self, SocketId, Way, u64)) {
        let Some(id) = self.random_socket() else { return };
        let way = self.rng.pick(&[Way::Up, Way::Down]);
        let ms = self.rng.within((20, 2_500));
        act(self, id, way, ms);
    }

    fn random_crash(&mut self) {
        let at = self.rng.below(self.nodes.len() as u64) as usize;
        let restart = self.rng.within((1, 2_000));
        self.crash_node(at, restart);
        let all_down = self.nodes.iter().all(|slot| slot.core.is_none());
        if all_down && self.rng.chance(500) {
            self.lose_store();
        }
    }

    fn random_drain(&mut self) {
        let at = self.rng.below(self.nodes.len() as u64) as usize;
        if self.nodes[at].draining {
            return;
        }
        let (deadline, spread) = (self.rng.within((50, 2_000)), self.rng.within((0, 500)));
        self.drain_node_for(at, deadline, spread);
    }

    fn random_outage(&mut self) {
        if self.plan.store.failed + self.plan.store.unknown_lost == 0 {
            return;
        }
        let ms = self.rng.within((10, 1_500));
        self.store_goes_away(ms);
    }

    fn random_roll_back(&mut self) {
        if self.rng.chance(300) || !self.roll_store_back() {
            self.back_up_store();
        }
    }

    /// What a node would have heard of appends is lost with its connection to the store; it may
    /// know that or not.
    fn random_loss_of_news(&mut self) {
        let at = self.rng.below(self.nodes.len() as u64) as usize;
        self.due.retain(|_, due| match due {
            Due::News { node, news } => *node != at || !matches!(**news, News::Advanced(_)),
            _ => true,
        });
        if self.rng.chance(500) {
            let wait = self.latency();
            self.after(wait, Due::News { node: at, news: Box::new(News::Missed) });
        }
    }

    /// The WELCOME that was just written is lost with its socket; the client finds out after a
    /// while.
    pub(super) fn lose_welcome(&mut self, id: SocketId) {
        let client_notices_ms = Some(self.rng.within((1, 300)));
        let cut =
            Cut { up_bytes: u64::MAX, down_bytes: 0, client_notices_ms, server_notices_ms: None };
        self.checkers.sometimes.count("welcome lost");
        self.cut(id, cut);
    }

    pub(super) fn end_all_stalls(&mut self) {
        let ids: Vec<SocketId> = self.sockets.keys().copied().collect();
        self.shelf.outage_until = Now(0);
        for id in ids {
            for way in [Way::Up, Way::Down] {
                let Some(socket) = self.sockets.get_mut(&id) else { continue };
                let pipe = socket.pipe(way);
                pipe.stalled_until = Now(0);
                pipe.blocked_until = Now(0);
                for _ in 0..pipe.queue.len() {
                    self.after(1, Due::Arrive(id, way));
                }
            }
        }
    }
}
