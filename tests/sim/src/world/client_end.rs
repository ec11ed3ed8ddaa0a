//! What a client's driver would do: carry out events, write frames, report sockets.

use std::collections::BTreeMap;

use bytes::BytesMut;
use steadfast::session::client::{CallOutcome, Client, DialReason, Event, HttpRefusal, Recovery};
use steadfast::session::{Close, Now};
use steadfast::wire::Dial;
use steadfast_rig::pump::{ClientHarness, pump_client};

use super::journals::{Disk, recovered, taken_up};
use super::{ClientSlot, Due, World};
use crate::checkers::Owed;
use crate::mistake::Mistake;
use crate::network::{End, Packet, SocketId, Way};

/// A client's driver.
struct Driver<'w> {
    world: &'w mut World,
    at: usize,
}

impl ClientHarness for Driver<'_> {
    fn client(&mut self) -> &mut Client {
        &mut self.world.clients[self.at].core
    }

    fn event(&mut self, event: Event) {
        self.world.client_event(self.at, event);
    }

    fn transmit(&mut self) -> bool {
        let current = self.world.clients[self.at].current;
        current.is_some_and(|id| self.world.write_client(self.at, id))
    }
}

impl World {
    pub(super) fn start_client(&mut self, at: usize) {
        let disk = self.plan.journal.on.then(Disk::default);
        self.start_process(at, disk, None);
    }

    /// A process starts, and goes on with what the one before left on `disk`.
    fn start_process(&mut self, at: usize, disk: Option<Disk>, before: Option<u64>) {
        let process = self.fresh();
        let config = self.meddle_config(process);
        let then = self.clients.get(at).map_or(Now(0), |slot| slot.clock.reads(self.now));
        let seed = self.rng.seed32();
        let clock = self.fresh_clock();
        let now = clock.reads(self.now);
        let (mut core, recovery) = recovered(config, seed, disk.as_ref(), then, now);
        core.start(now);
        let slot = ClientSlot {
            core,
            disk,
            clock,
            process,
            user: format!("u{}", at / self.plan.devices),
            dials: BTreeMap::new(),
            current: None,
            subs: BTreeMap::new(),
            closed: false,
            frozen: self.plan.mistake == Some(Mistake::StopsTimers),
            spins: 0,
        };
        self.note(|_| format!("client {at}: process {process} starts"));
        match before {
            Some(before) => {
                let taken_up = taken_up(&recovery, now);
                self.checkers.client_goes_on(before, process, &taken_up);
            }
            None => self.checkers.client_starts(process),
        }
        if !self.plan.client.lease_at_once && recovery == Recovery::default() {
            self.checkers.client_reads(process);
        }
        if at < self.clients.len() {
            self.clients[at] = slot;
        } else {
            self.clients.push(slot);
        }
    }

    /// Starts one more client.
    pub fn add_client(&mut self) {
        self.start_client(self.clients.len());
        self.pump();
    }

    /// Ends a client's process without a word, and starts another one.
    pub fn crash_client(&mut self, at: usize) {
        self.note(|_| format!("client {at}: crash"));
        let before = self.clients[at].process;
        let disk = self.torn_disk(at);
        self.checkers.client_crashes(before, disk.is_some());
        let sockets: Vec<SocketId> = self.clients[at].dials.values().copied().collect();
        for id in sockets {
            self.abandon(id);
        }
        let before = disk.is_some().then_some(before);
        self.start_process(at, disk, before);
        self.pump();
    }

    pub(super) fn pump_client(&mut self, at: usize) {
        if self.client_sleeps(at) {
            return;
        }
        let ended = pump_client(&mut Driver { world: self, at });
        self.checkers.outputs_come_to_an_end(ended.is_ok());
    }

    /// The socket takes a frame, if there is one and it takes any.
    fn write_client(&mut self, at: usize, id: SocketId) -> bool {
        let Some(socket) = self.sockets.get(&id) else { return false };
        if !socket.client_open {
            return false;
        }
        let (dial, now) = (socket.dial, self.client_now(at));
        let speaker = (self.clients[at].process, None);
        if socket.up.blocked_until > self.now {
            // For all that can be seen from here PING waits to be written.
            self.checkers.says_something(speaker, now);
            return false;
        }
        let Some(frame) = self.clients[at].core.poll_transmit(now, dial) else { return false };
        let mut message = BytesMut::new();
        let codec = self.plan.codec_of(at);
        codec.write_client(&frame, &mut message);
        let read = codec.read_client(&message);
        self.checkers.frames_survive_encoding(read.as_ref() == Ok(&frame), &message);
        self.note(|_| format!("client {at} {id:?} > {}", String::from_utf8_lossy(&message)));
        self.checkers.client_sent(now, &self.sockets[&id], &frame);
        self.checkers.says_something(speaker, now);
        self.begin_message(id, Way::Up);
        self.send(id, Way::Up, Packet::ClientFrame(frame, message.len()));
        true
    }

    fn client_event(&mut self, at: usize, event: Event) {
        self.note(|_| format!("client {at}: {event:?}"));
        match event {
            Event::Dial { dial, reason } => self.dial(at, dial, &reason),
            Event::CloseSocket { dial, close } => self.close_from_client(at, dial, close),
            Event::State(state) => {
                let now = self.client_now(at);
                self.checkers.client_state(self.clients[at].process, now, &state);
            }
            Event::Resolved { call, outcome } => {
                self.checkers.resolved(self.clients[at].process, call, &outcome);
                if outcome != CallOutcome::Kept {
                    self.lets_go_of(at, call);
                }
            }
            Event::SubscriptionEnded { sub, end } => self.subscription_ended(at, sub, &end),
            Event::Readable { sub } => self.readable(at, sub),
            Event::Inbox => self.inbox_has_something(at),
            Event::TimedOut { call } => {
                self.checkers.sometimes.count("caller timed out");
                self.checkers.kept(self.clients[at].process, Owed::Call(call));
            }
            Event::Fate { call, fate } => {
                let lost = self.plan.mistake == Some(Mistake::LosesFates) && self.rng.chance(200);
                if !lost {
                    self.checkers.call_has_fate(self.clients[at].process, call, fate);
                    self.checkers.call_may_be_accepted(self.clients[at].process, call, fate);
                }
            }
            Event::Withdrawn { call } => self.checkers.cancelled(self.clients[at].process, call),
            Event::Save { no, saving } => self.save(at, no, saving),
            Event::Subscribed { .. } => {}
        }
    }

    fn dial(&mut self, at: usize, dial: Dial, reason: &DialReason) {
        if let Some(old) = self.clients[at].current.take() {
            self.abandon(old);
        }
        let bad = !self.healing && self.rng.chance(self.plan.handlers.bad_credentials);
        if !self.healing && self.rng.chance(self.plan.handlers.other_user) {
            let user = &mut self.clients[at].user;
            *user =
                if user.starts_with('u') { user.replace('u', "v") } else { user.replace('v', "u") };
        }
        let user = if bad { "nobody" } else { self.clients[at].user.as_str() };
        let expires = !self.healing && self.rng.chance(self.plan.handlers.expiring);
        let token = if expires { format!("{user}!") } else { user.to_owned() };
        if *reason == DialReason::Refused {
            self.checkers.sometimes.count("credentials asked for again");
        }
        let now = self.client_now(at);
        self.checkers.dials_after_a_refusal(self.clients[at].process, now, reason);
        let by = now.after(self.plan.client.dial_timeout);
        self.checkers.dials(self.clients[at].process, by);
        self.open_socket(at, dial, Some(token));
    }

    /// The client's end of a socket goes away; the server may learn of it soon, late, or only by
    /// its heartbeat.
    pub(super) fn abandon(&mut self, id: SocketId) {
        let healing = self.healing;
        let luck = if healing { 0 } else { self.rng.weighted(&[5, 2, 2]) };
        let late = self.rng.within((200, 3_000));
        let latency = self.latency();
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        socket.client_open = false;
        let process = socket.process;
        for slot in &mut self.clients {
            if slot.process == process && slot.current == Some(id) {
                slot.current = None;
            }
        }
        let gone = Close::lost("the peer went away");
        match luck {
            0 => self.send(id, Way::Up, Packet::Closed(gone)),
            1 => self.after(late + latency, Due::Notice(id, End::Server, gone)),
            _ => {}
        }
    }

    fn close_from_client(&mut self, at: usize, dial: Dial, close: Close) {
        let Some(&id) = self.clients[at].dials.get(&dial) else { return };
        while self.write_client(at, id) {}
        let (process, now) = (self.clients[at].process, self.client_now(at));
        self.checkers.client_closes(process, now, &close);
        let lost = self.plan.faults_ms.is_some() && !self.healing && self.rng.chance(200);
        if !lost {
            self.send(id, Way::Up, Packet::Closed(close.clone()));
        }
        let wait = self.latency();
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.client_open = false;
        }
        if self.clients[at].current == Some(id) {
            self.clients[at].current = None;
        }
        // A driver reports the end of a socket that it closed on request, too; the core must not
        // mind.
        self.after(wait, Due::Notice(id, End::Client, close));
    }

    /// The upgrade of a client's socket was answered with something else.
    pub(super) fn upgrade_refused(&mut self, id: SocketId, status: u16, retry: Option<u64>) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        let (at, process, now) = (socket.client, socket.process, self.client_now(socket.client));
        if self.clients[at].process != process || self.clients[at].current != Some(id) {
            return;
        }
        self.note(|_| format!("client {at} {id:?} < HTTP {status}, Retry-After {retry:?} ms"));
        let refusal = HttpRefusal {
            status: Some(status),
            retry_after_ms: retry,
            subprotocol_changed: false,
            reason: "answered".into(),
        };
        let config = &self.plan.client;
        let stops = self.checkers.upgrade_is_refused(process, now, &refusal, config);
        let refusal = self.meddle_refusal(refusal);
        let slot = &mut self.clients[at];
        slot.current = None;
        // A person looks at what is wrong, and starts the application anew.
        slot.closed |= stops;
        slot.core.handle_refused(now, socket.dial, refusal);
    }

    pub(super) fn client_lost_socket(&mut self, id: SocketId, close: Close) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        socket.client_open = false;
        socket.down.cut();
        let (at, process, dial) = (socket.client, socket.process, socket.dial);
        let now = self.client_now(at);
        let slot = &mut self.clients[at];
        if slot.process != process {
            return;
        }
        if slot.current == Some(id) {
            slot.current = None;
        }
        slot.core.handle_closed(now, dial, close);
    }

    pub(super) fn arrive_at_client(&mut self, id: SocketId, packet: Packet) {
        let socket = &self.sockets[&id];
        let (at, process, dial) = (socket.client, socket.process, socket.dial);
        if self.clients[at].process != process {
            return;
        }
        let current = self.clients[at].current == Some(id);
        let now = self.client_now(at);
        match packet {
            Packet::Opened => {
                let token = socket.token.clone();
                if let Some(socket) = self.sockets.get_mut(&id).filter(|_| current) {
                    socket.client_open = true;
                }
                self.note(|_| format!("client {at} {id:?}: open"));
                self.clients[at].core.handle_connected(now, dial, token);
                if current {
                    let by = now.after(self.plan.client.welcome_timeout);
                    self.checkers.promise(process, Owed::Handshake, by);
                }
            }
            Packet::ServerFrame(frame, bytes) => {
                self.note(|_| format!("client {at} {id:?} < {frame:?}"));
                if current {
                    self.checkers.client_received(socket_of(&self.sockets, id), &frame, bytes);
                }
                let (frame, dial) = self.meddle_down(at, id, frame, dial);
                self.clients[at].core.handle_frame(now, dial, frame, bytes);
                if current && self.is_connected(at) {
                    self.checkers.client_heard(process, now);
                }
            }
            Packet::Alive => {
                self.clients[at].core.handle_alive(now, dial);
                if current && self.is_connected(at) {
                    self.checkers.client_heard(process, now);
                }
            }
            Packet::Closed(close) => {
                self.note(|_| format!("client {at} {id:?} < {close}"));
                self.client_lost_socket(id, close);
            }
            Packet::ClientFrame(..) => {}
        }
    }
}

pub(super) fn socket_of(
    sockets: &BTreeMap<SocketId, crate::network::Socket>,
    id: SocketId,
) -> &crate::network::Socket {
    &sockets[&id]
}
