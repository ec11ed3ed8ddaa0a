//! What a client's driver and its application do.

use std::collections::VecDeque;
use std::sync::Arc;

use steadfast::session::Close;
use steadfast::session::client::{CallId, Client, Event, Item, Submission, SubscriptionRequest};
use steadfast::wire::{Body, Codec, Seq, ServerFrame};
use steadfast_rig::fixtures::{ORDERED, ORDERED_WITH_ID, ROOM, name, numbered, with_id};
use steadfast_rig::pump::{ClientHarness, pump_client};

use super::World;
use crate::mistake::Mistake;
use crate::settings::{KEY, NEVER_MS};
use crate::state::{ClientSlot, End, NOW, Packet, Socket, SocketId};

/// A client's driver, and its application as far as it does things at once.
struct Driver<'w, 'm> {
    world: &'w mut World<'m>,
    at: usize,
}

impl ClientHarness for Driver<'_, '_> {
    fn client(&mut self) -> &mut Client {
        &mut self.world.client(self.at).core
    }

    fn event(&mut self, event: Event) {
        self.world.client_event(self.at, event);
    }

    fn transmit(&mut self) -> bool {
        let slow_readers = self.world.settings().slow_readers;
        let slot = self.world.client(self.at);
        if slot.readable && !slow_readers {
            self.world.poll(self.at);
            return true;
        }
        match slot.current {
            Some(id) => self.world.client_writes(self.at, id),
            None => self.world.dials(self.at),
        }
    }
}

impl World<'_> {
    pub(super) fn start_client(&mut self, at: usize) {
        let to_submit = if at < self.state.clients.len() { 0 } else { self.settings().commands };
        let (process, seed) = self.next_process();
        let mut core = Client::new(Arc::clone(&self.model.client), seed);
        core.start(NOW);
        let request =
            SubscriptionRequest { topic: name(ROOM), key: KEY.to_owned(), from: None, last: None };
        let sub = self
            .settings()
            .subscribed
            .then(|| core.subscribe(NOW, request).expect("it is the first one"));
        let stranger = false;
        let slot = ClientSlot {
            core,
            process,
            stranger,
            dialling: None,
            current: None,
            sub,
            readable: false,
            to_submit,
        };
        self.ledger().client_starts(process);
        match self.state.clients.get_mut(at) {
            Some(place) => *place = Arc::new(slot),
            None => self.state.clients.push(Arc::new(slot)),
        }
        // Marks it as touched.
        self.client(at);
        for _ in 0..if self.settings().prompt { to_submit } else { 0 } {
            self.submit(at);
        }
    }

    pub(super) fn submit(&mut self, at: usize) {
        let commands = self.settings().commands;
        let slot = self.client(at);
        let command = at as u64 * commands + commands - slot.to_submit + 1;
        slot.to_submit -= 1;
        let one_id = self.settings().one_id;
        let slot = self.client(at);
        let submission = Submission {
            name: name(if one_id { ORDERED_WITH_ID } else { ORDERED }),
            body: if one_id { with_id(0, "x") } else { numbered(command, 0) },
            timeout_ms: NEVER_MS,
            declared_timeout_ms: NEVER_MS,
            max_bytes: 1024,
        };
        slot.core.submit(NOW, submission).expect("the outbox has room for what the model submits");
        let process = slot.process;
        self.ledger().submitted(process, command);
    }

    /// The application does not want a command any more.
    pub(super) fn cancel(&mut self, at: usize, call: CallId) {
        self.state.budget.cancels -= 1;
        let slot = self.client(at);
        slot.core.cancel(NOW, call);
        let process = slot.process;
        self.ledger().is_unwanted(process, call);
    }

    /// The application asks for an item.
    pub(super) fn poll(&mut self, at: usize) {
        let slot = self.client(at);
        let (process, sub) = (slot.process, slot.sub);
        let item = sub.and_then(|sub| slot.core.poll_item(NOW, sub));
        slot.readable = item.is_some();
        let Some(item) = item else { return };
        let times = match (self.settings().mistake, &item) {
            (Some(Mistake::LosesItems), Item::Event { position, .. })
                if self.state.ledger.goes_on_after(*position) =>
            {
                0
            }
            (Some(Mistake::RepeatsItems), Item::Event { .. }) => 2,
            _ => 1,
        };
        let (may_have_gaps, marks) = (self.settings().may_have_gaps(), &self.model.marks);
        for _ in 0..times {
            self.ledger().item(process, &item, may_have_gaps, marks);
        }
    }

    /// The socket of a dial opens.
    pub(super) fn connect(&mut self, at: usize, node: usize, other_user: bool) {
        // Ids are a user's: whose commands are one, those are one user's devices.
        let of = if self.settings().one_id { 0 } else { at };
        let slot = self.client(at);
        let Some(dial) = slot.dialling.take() else { return };
        slot.stranger ^= other_user;
        let (stranger, id) = (slot.stranger, SocketId { process: slot.process, dial });
        slot.current = Some(id);
        let user = if stranger { "eve" } else { "ann" };
        slot.core.handle_connected(NOW, dial, Some(format!("{user}{of}")));
        self.state.budget.strangers -= u8::from(other_user);
        let socket = Socket {
            client: at,
            node,
            stranger,
            client_open: true,
            node_open: true,
            broken: false,
            served: None,
            joined: None,
            up: VecDeque::new(),
            down: VecDeque::new(),
        };
        self.state.sockets.insert(id, Arc::new(socket));
        self.node(node).core.handle_connected(NOW, id.conn(), Codec::Json);
    }

    pub(super) fn pump_client(&mut self, at: usize) {
        pump_client(&mut Driver { world: self, at }).expect("a client comes to rest");
        self.clients_touched.remove(&at);
    }

    /// A client without a socket waits for nothing but its next dial. When that begins makes no
    /// difference to anybody: the socket opens whenever the model says so.
    fn dials(&mut self, at: usize) -> bool {
        let stopped = self.is_mistaken(Mistake::StopsTimers);
        let slot = self.client(at);
        let due = slot.dialling.is_none() && slot.core.poll_timeout().is_some_and(|at| at <= NOW);
        if due && !stopped {
            slot.core.handle_timeout(NOW);
        }
        due && !stopped
    }

    fn client_writes(&mut self, at: usize, id: SocketId) -> bool {
        let Some(frame) = self.client(at).core.poll_transmit(NOW, id.dial) else { return false };
        let Some(socket) = self.state.sockets.get(&id).cloned() else { return true };
        self.ledger().client_sends(id.process, &socket, &frame);
        if let Some(socket) = self.socket(id).filter(|socket| socket.node_open) {
            socket.up.push_back(Packet::Frame(frame, 0));
        }
        true
    }

    fn client_event(&mut self, at: usize, event: Event) {
        let process = self.state.clients[at].process;
        match event {
            Event::Dial { dial, .. } => {
                self.abandon(at, Close::lost("the client dials anew"));
                self.client(at).dialling = Some(dial);
            }
            Event::CloseSocket { dial, close } => {
                let id = SocketId { process, dial };
                while self.client_writes(at, id) {}
                self.ledger().closes(&close, "client");
                self.abandon(at, close);
                self.client(at).dialling.take_if(|dialling| *dialling == dial);
            }
            Event::State(state) => self.ledger().client_state(&state),
            Event::Resolved { call, outcome } => {
                let marks = &self.model.marks;
                self.ledger().resolved(process, call, &outcome, marks);
            }
            Event::Readable { .. } => self.client(at).readable = true,
            Event::SubscriptionEnded { .. } => self.client(at).sub = None,
            Event::TimedOut { .. } | Event::Fate { .. } | Event::Subscribed { .. } => {}
            Event::Withdrawn { call } => self.ledger().withdrawn(process, call),
            // No client has a journal.
            Event::Save { .. } => {}
            // Nobody sends any here; what is told of lost sessions must not tell states apart.
            Event::Inbox => while self.client(at).core.poll_inbox().is_some() {},
        }
    }

    /// The client lets go of its socket.
    pub(super) fn abandon(&mut self, at: usize, close: Close) {
        if let Some(id) = self.client(at).current.take() {
            self.end_closes(id, End::Client, close);
        }
    }

    /// The oldest packet to a client arrives.
    pub(super) fn deliver_down(&mut self, id: SocketId) {
        let Some(socket) = self.socket(id) else { return };
        let at = socket.client;
        match socket.down.pop_front() {
            Some(Packet::Frame(frame, bytes)) => self.client_reads(at, id, frame, bytes),
            Some(Packet::Closed(close)) => self.client_loses(at, id, close),
            None => {}
        }
    }

    fn client_reads(&mut self, at: usize, id: SocketId, frame: ServerFrame, bytes: usize) {
        if self.is_mistaken(Mistake::DropsFrames)
            && matches!(frame, ServerFrame::Result { seq: Seq(1), .. })
        {
            return;
        }
        let frame = match frame {
            ServerFrame::Result { seq, ack, n, dup, body }
                if self.is_mistaken(Mistake::ChangesReplies) =>
            {
                let body = Body::from(String::from_utf8_lossy(body.as_bytes()).replace('p', "q"));
                ServerFrame::Result { seq, ack, n, dup, body }
            }
            frame => frame,
        };
        let Some(mut socket) = self.state.sockets.get(&id).map(|socket| Socket::clone(socket))
        else {
            return;
        };
        let marks = &self.model.marks;
        self.ledger().client_receives(id.process, &mut socket, &frame, marks);
        self.state.sockets.insert(id, Arc::new(socket));
        self.client(at).core.handle_frame(NOW, id.dial, frame, bytes);
    }

    /// A client learns that its socket is gone.
    pub(super) fn client_loses(&mut self, at: usize, id: SocketId, close: Close) {
        let slot = self.client(at);
        slot.current.take_if(|current| *current == id);
        slot.core.handle_closed(NOW, id.dial, close.clone());
        self.end_closes(id, End::Client, close);
    }
}
