//! Sockets as two queues of encoded frames, each in order, each with its own delays and ends. It
//! holds what is under way, and does not know what it means.

use std::collections::VecDeque;

use steadfast::session::node::ConnId;
use steadfast::session::{Close, Now};
use steadfast::wire::{ClientFrame, Dial, ServerFrame};

/// Names a socket of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u64);

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// From the client.
    Up,
    /// From the server.
    Down,
}

/// Which end notices something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// The one that dialled.
    Client,
    /// The one that accepted.
    Server,
}

/// What travels.
#[derive(Debug, Clone)]
pub enum Packet {
    /// The answer to the upgrade.
    Opened,
    /// A client's frame, with the length of its message.
    ClientFrame(ClientFrame, usize),
    /// A server's frame, with the length of its message.
    ServerFrame(ServerFrame, usize),
    /// A sign of life that is no message: a pong of the WebSocket layer, or a part of a message.
    Alive,
    /// The end.
    Closed(Close),
}

impl Packet {
    /// Its length on the wire, about.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        match self {
            Self::ClientFrame(_, bytes) | Self::ServerFrame(_, bytes) => *bytes as u64,
            Self::Opened | Self::Alive | Self::Closed(_) => 2,
        }
    }
}

/// One direction of a socket.
#[derive(Debug, Clone, Default)]
pub struct Pipe {
    /// Under way, the next one first.
    pub queue: VecDeque<Packet>,
    /// When the last one put in arrives; later ones do not overtake it.
    pub last_arrival: Now,
    /// Nothing arrives before this.
    pub stalled_until: Now,
    /// The sender can't write before this.
    pub blocked_until: Now,
    /// Whatever is put in is lost.
    pub dead: bool,
}

/// A socket.
#[derive(Debug, Clone)]
pub struct Socket {
    /// Its name.
    pub id: SocketId,
    /// The client's slot, and which process in it.
    pub client: usize,
    /// The client process.
    pub process: u64,
    /// The client's number for it.
    pub dial: Dial,
    /// The node's slot, and which process in it.
    pub node: usize,
    /// The node process.
    pub node_process: u64,
    /// The node's number for it.
    pub conn: ConnId,
    /// Whether the client was told that it is open, and neither closed it nor was told of its end.
    pub client_open: bool,
    /// The same for the server.
    pub server_open: bool,
    /// Credentials that go with it.
    pub token: Option<String>,
    /// Client to server.
    pub up: Pipe,
    /// Server to client.
    pub down: Pipe,
}

impl Socket {
    /// One direction.
    pub const fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }
}

impl Pipe {
    /// Puts a packet in; says when it arrives, unless it is lost.
    pub fn push(&mut self, now: Now, latency_ms: u64, packet: Packet) -> Option<Now> {
        if self.dead {
            return None;
        }
        self.last_arrival = self.last_arrival.max(now.after_ms(latency_ms));
        self.queue.push_back(packet);
        Some(self.last_arrival)
    }

    /// Bytes under way.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.queue.iter().map(Packet::bytes).sum()
    }

    /// Loses everything to come, and what is under way beyond so many bytes; says whether that cuts
    /// a frame in two. The part of it that arrives is no message (RFC 6455): the receiver's core
    /// never hears of it.
    pub fn cut_after(&mut self, bytes: u64) -> bool {
        self.dead = true;
        let mut whole = 0;
        let mut passed = 0;
        while let Some(packet) = self.queue.get(whole)
            && passed + packet.bytes() <= bytes
        {
            passed += packet.bytes();
            whole += 1;
        }
        let cut = whole < self.queue.len() && passed < bytes;
        self.queue.truncate(whole);
        cut
    }

    /// Loses everything under way and everything to come.
    pub fn cut(&mut self) {
        self.dead = true;
        self.queue.clear();
    }
}

/// Where a dial leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// To a node.
    To(usize),
    /// To a node, but everything from the client is held up for so many milliseconds.
    SlowUp(usize, u64),
    /// Nowhere, without a word.
    Nowhere,
    /// Nowhere, and the client is told so.
    Refused,
    /// To something that answers the upgrade with this status, and `Retry-After` in milliseconds.
    Answered(u16, Option<u64>),
}
