//! Everything that there is at a moment: client and node processes with their production cores, the
//! store, sockets with frames in flight, operations under way, what the applications and the
//! observer know, and the faults that are left.
//!
//! There is no time in it. Every delay is either 0 or never ([`crate::settings`]), so each timer
//! that can fire is due from the moment at which it is set, and *when* it fires is one more choice
//! of the model.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use steadfast::session::client::{Client, SubId};
use steadfast::session::node::{ConnId, ExecId, Node};
use steadfast::session::store::{OpId, StoreOp};
use steadfast::session::{Close, Now};
use steadfast::store::MemoryState;
use steadfast::wire::{
    ClientFrame, CommandNo, Dial, Epoch, LeaseId, Position, ServerFrame, SessionId,
};

use crate::fingerprint;
use crate::ledger::Ledger;
use crate::settings::Budget;

/// The only time there is.
pub const NOW: Now = Now(0);

/// Names a process, of a client or a node; never the same twice. As wide as the random ids, so that
/// it counts as one of them ([`crate::fingerprint`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Process(pub u128);

/// A client process and its application.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClientSlot {
    /// The core.
    pub core: Client,
    /// Which process this is.
    pub process: Process,
    /// Whether somebody else has logged in.
    pub stranger: bool,
    /// A dial that no socket serves yet.
    pub dialling: Option<Dial>,
    /// The socket in use.
    pub current: Option<SocketId>,
    /// What the application follows.
    pub sub: Option<SubId>,
    /// Whether there may be something to take.
    pub readable: bool,
    /// Commands that the application has yet to submit.
    pub to_submit: u64,
}

/// A node process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NodeSlot {
    /// The core.
    pub core: Node,
    /// Which process this is.
    pub process: Process,
    /// Whether it is leaving.
    pub draining: bool,
    /// Handlers and hooks that run.
    pub running: BTreeMap<ExecId, Running>,
    /// Those that have ended and left their outcomes to the store, until it has told.
    pub deciding: BTreeMap<ExecId, Running>,
    /// Its commits that have failed and are to be tried again.
    pub failing: BTreeSet<OpId>,
}

/// What runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Running {
    /// A command's handler.
    Command {
        /// Its lease.
        lease: LeaseId,
        /// Its number.
        n: CommandNo,
        /// Which command of the applications it is.
        command: u64,
    },
    /// The hook that reads the topic's state.
    Snapshot {
        /// What the state contains.
        position: Position,
    },
}

/// Names a socket: the client process that opened it, and which of its dials it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId {
    /// The process.
    pub process: Process,
    /// Its dial.
    pub dial: Dial,
}

impl SocketId {
    /// How nodes call it.
    #[must_use]
    pub const fn conn(self) -> ConnId {
        // Both are small: processes are counted, and dials are as few as the faults.
        ConnId((self.process.0 as u64) << 16 | self.dial.0)
    }
}

/// A direction of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client.
    Up,
    /// To the client.
    Down,
}

/// An end of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The client's.
    Client,
    /// The node's.
    Node,
}

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Packet<F> {
    /// A frame, and the length of its message where that counts.
    Frame(F, usize),
    /// The other end is gone. Nothing follows.
    Closed(Close),
}

/// A socket that one of its ends still knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Socket {
    /// Where the client lives.
    pub client: usize,
    /// Where the node lives.
    pub node: usize,
    /// Who has logged in.
    pub stranger: bool,
    /// Whether the client's end is open.
    pub client_open: bool,
    /// Whether the node's end is open.
    pub node_open: bool,
    /// Whether it broke: then what is in flight may be lost.
    pub broken: bool,
    /// The session that the node has attached to it.
    pub served: Option<SessionId>,
    /// The session that the client has been told.
    pub joined: Option<SessionId>,
    /// In flight to the node.
    pub up: VecDeque<Packet<ClientFrame>>,
    /// In flight to the client.
    pub down: VecDeque<Packet<ServerFrame>>,
}

/// A store operation under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Asked {
    /// Who asked.
    pub node: usize,
    /// Which process; if it is gone nobody hears the answer. `None` if it has been told "unknown".
    pub process: Option<Process>,
    /// For the answer.
    pub op: OpId,
    /// What to do.
    pub body: StoreOp,
}

/// A state of the model. What one action does not touch is shared with the state before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Clients by place.
    pub clients: Vec<Arc<ClientSlot>>,
    /// Nodes by place.
    pub nodes: Vec<Arc<NodeSlot>>,
    /// The one store.
    pub store: Arc<MemoryState>,
    /// The latest incarnation of the topic. Nodes propose random epochs; the model puts the next
    /// number in their place, so that epochs do not depend on how many proposals were made.
    pub epoch: Epoch,
    /// Under way to the store, in the order of asking; each node's are carried out in their order.
    pub asked: Vec<Asked>,
    /// Sockets.
    pub sockets: BTreeMap<SocketId, Arc<Socket>>,
    /// What other nodes have appended, for those who have not heard of it.
    pub hints: BTreeMap<usize, Position>,
    /// Nodes that have yet to hear that the store is another incarnation.
    pub rolled: BTreeSet<usize>,
    /// What has been seen at the border.
    pub ledger: Arc<Ledger>,
    /// Faults that are left.
    pub budget: Budget,
    /// Processes so far. It gives names only, so that states need not agree in it to be the same.
    pub started: u64,
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(fingerprint::of(&Whole(self)));
    }
}

/// A state as its fingerprint sees it: ids are named in this order.
struct Whole<'s>(&'s State);

impl Hash for Whole<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let State { clients, nodes, store, epoch, asked, sockets, .. } = self.0;
        let State { hints, rolled, ledger, budget, .. } = self.0;
        (clients, nodes, sockets, store, asked).hash(state);
        (epoch, hints, rolled, ledger, budget).hash(state);
    }
}
