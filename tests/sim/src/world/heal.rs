//! The second half of a run: faults stop, and everything must come to rest in bounded time. Also
//! the deliberate mistakes.

use steadfast::session::client::{ConnectionState, Item};
use steadfast::session::node::ConnId;
use steadfast::session::store::{CommitOutcome, Decided, DecisionId, StoreOp, StoreOutcome};
use steadfast::wire::{Body, Dial, ServerFrame};

use super::World;
use super::handlers::numbered;
use crate::mistake::Mistake;
use crate::network::{End, SocketId};

impl World {
    /// Runs the plan to its end: work and faults, then rest.
    pub fn run(&mut self) {
        let (end, steps) = (self.now.after_ms(self.plan.active_ms), self.plan.active_steps);
        self.run_until(self.plan.active_ms, |world| world.now >= end || world.steps >= steps);
        self.heal();
    }

    /// Ends all faults, lets everything finish, and checks that it did.
    pub fn heal(&mut self) {
        if self.checkers.violated() {
            return;
        }
        self.note(|_| "everything heals".to_owned());
        self.healing = true;
        self.plan.handlers.manual = false;
        self.end_all_stalls();
        self.everybody_wakes();
        self.everybody_reads();
        (0..self.clients.len()).for_each(|at| self.empty_inbox(at));
        self.pump();
        let rested = self.run_until(self.plan.heal_ms, |world| world.is_at_rest());
        if self.checkers.violated() {
            return;
        }
        let why = self.unrest();
        self.checkers.everything_comes_to_rest(rested, &why);
        // Within this time the last credentials expire, and a socket that is dead without a word is
        // found out.
        let heartbeat = self.plan.node.heartbeat;
        let silence = heartbeat.interval + heartbeat.timeout * (heartbeat.missed + 1);
        self.run_for(2_000 + silence.as_millis() as u64);
        if self.plan.node.leases_per_principal < 16 || self.plan.clocks_jump {
            // A lease that made room for a later one of its principal is missed when it is renewed.
            let ttl = self.plan.node.lease_ttl.min(self.plan.node.lease_unused_ttl);
            self.run_for(ttl.as_millis() as u64 / 3 + 1_000);
        }
        let rested = self.run_until(self.plan.heal_ms, |world| world.is_at_rest());
        let why = self.unrest();
        self.checkers.everything_comes_to_rest(rested, &why);
        for slot in self.clients.iter().filter(|slot| !slot.closed) {
            if let Some(lease) = self.checkers.lease_of(slot.process) {
                let lives = self.shelf.has_lease(self.now, lease);
                self.checkers.what_is_held_lives(slot.process, lease, lives);
            }
        }
        let dials = self.dials;
        self.run_for(2_500);
        let again = self.dials - dials;
        self.checkers.nobody_reconnects_at_rest(again);
        // A store that was given up is asked again after its longest delay; nodes look for what
        // others have left.
        let longest = (self.plan.node.store_retry * (1 << 10)).max(self.plan.node.sweep_interval);
        let sweep_ms = longest.as_millis() as u64 + 5_000;
        self.run_until(sweep_ms, |world| world.checkers.all_settled());
        self.checkers.records_are_settled_at_rest();
        let processes = self.nodes.iter().map(|node| node.process).collect();
        self.checkers.decisions_are_let_go_at_rest(&processes);
    }

    fn is_at_rest(&self) -> bool {
        self.unrest().is_empty()
    }

    fn unrest(&self) -> String {
        for (at, slot) in self.clients.iter().enumerate() {
            if slot.closed {
                continue;
            }
            if !matches!(slot.core.state(), ConnectionState::Connected { .. }) {
                return format!("client {at} is {:?}", slot.core.state());
            }
            if slot.core.outbox().0 > 0 {
                return format!("client {at} has {} unresolved commands", slot.core.outbox().0);
            }
            if self.checkers.waits_for_lease(slot.process) {
                return format!("client {at} waits for its lease");
            }
            if let Some(number) = self.checkers.direct_to_come(slot.process) {
                return format!("client {at} has not had the direct message {number}");
            }
            for &sub in slot.subs.keys() {
                if let Some(why) = self.checkers.not_at_head(slot.process, sub) {
                    return format!("client {at} {sub:?}: {why}");
                }
            }
        }
        for (at, slot) in self.nodes.iter().enumerate() {
            if slot.core.is_none() {
                return format!("node {at} is down");
            }
        }
        String::new()
    }

    pub(super) fn meddle_items(&mut self, item: Item) -> Vec<Item> {
        let event = matches!(item, Item::Event { .. });
        match self.plan.mistake {
            Some(Mistake::RepeatsItems) if event && self.rng.chance(100) => {
                vec![item.clone(), item]
            }
            Some(Mistake::LosesItems) if event && self.rng.chance(100) => vec![],
            _ => vec![item],
        }
    }

    pub(super) fn meddle_down(
        &mut self,
        at: usize,
        id: SocketId,
        frame: ServerFrame,
        dial: Dial,
    ) -> (ServerFrame, Dial) {
        match (self.plan.mistake, frame) {
            (Some(Mistake::ChangesReplies), ServerFrame::Result { seq, ack, n, dup, body: _ }) => {
                (ServerFrame::Result { seq, ack, n, dup, body: numbered(0, 0) }, dial)
            }
            (Some(Mistake::DeliversStaleFrames), frame) => {
                let current = self.clients[at].current.filter(|&current| current != id);
                let now = current
                    .and_then(|current| self.sockets.get(&current))
                    .map_or(dial, |socket| socket.dial);
                (frame, now)
            }
            (_, frame) => (frame, dial),
        }
    }

    pub(super) fn meddle_up(&mut self, at: usize, id: SocketId, conn: ConnId) -> ConnId {
        if self.plan.mistake != Some(Mistake::DeliversStaleFrames) {
            return conn;
        }
        let client = self.sockets[&id].client;
        let current = self.clients[client].current.and_then(|current| self.sockets.get(&current));
        current
            .filter(|socket| socket.node == at && socket.server_open)
            .map_or(conn, |socket| socket.conn)
    }

    pub(super) fn meddle_store(
        &mut self,
        op: &StoreOp,
        decide: &mut dyn FnMut(DecisionId) -> Decided,
    ) -> StoreOutcome {
        let now = self.shelf.clock.reads(self.now);
        match (self.plan.mistake, op) {
            (Some(Mistake::DropsRecords), StoreOp::Commit { .. }) if self.rng.chance(300) => {
                let saved = self.shelf.state.clone();
                let outcome = self.shelf.state.apply_deciding(now, op.clone(), decide);
                self.shelf.state = saved;
                outcome
            }
            (Some(Mistake::IgnoresLow), StoreOp::Commit { .. }) => {
                let mut outcome = self.shelf.state.apply_deciding(now, op.clone(), decide);
                if let StoreOutcome::Committed { outcomes, .. } = &mut outcome {
                    for (_, outcome) in outcomes
                        .iter_mut()
                        .filter(|(_, outcome)| *outcome == CommitOutcome::BelowLow)
                    {
                        *outcome = CommitOutcome::Written { settled: Some(Vec::new()) };
                    }
                }
                outcome
            }
            (Some(Mistake::ChangesEvents), StoreOp::ReadLog { .. }) => {
                let mut outcome = self.shelf.state.apply_deciding(now, op.clone(), decide);
                if let StoreOutcome::Log { entries, .. } = &mut outcome {
                    for (_, body) in entries.iter_mut().flat_map(|entry| &mut entry.bodies) {
                        *body = Body::UNIT;
                    }
                }
                outcome
            }
            (Some(Mistake::KeepsEpochs), op) => {
                self.shelf.state.apply_deciding(now, with_constant_epoch(op), decide)
            }
            (_, op) => self.shelf.state.apply_deciding(now, op.clone(), decide),
        }
    }

    /// The socket in use by a client.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn socket(&self, client: usize) -> SocketId {
        self.clients[client].current.expect("the test connects first")
    }

    /// Whether a socket is open at its client.
    #[must_use]
    pub fn is_open(&self, socket: SocketId) -> bool {
        self.sockets.get(&socket).is_some_and(|socket| socket.client_open)
    }

    /// Whether a client is connected.
    #[must_use]
    pub fn is_connected(&self, client: usize) -> bool {
        matches!(self.clients[client].core.state(), ConnectionState::Connected { .. })
    }

    /// Connects everybody.
    ///
    /// # Panics
    /// When that does not happen within a minute.
    pub fn connect(&mut self) {
        let all = self.clients.len();
        let done = self.run_until(60_000, |world| (0..all).all(|at| world.is_connected(at)));
        assert!(done, "nobody connects:\n{}", self.trace.tail());
    }

    /// Ends the server's end of a socket.
    pub fn server_notices(&mut self, id: SocketId) {
        self.notice(id, End::Server, steadfast::session::Close::lost("noticed"));
        self.pump();
    }
}

fn with_constant_epoch(op: &StoreOp) -> StoreOp {
    let mut op = op.clone();
    match &mut op {
        StoreOp::Append { fresh_epoch, .. } | StoreOp::OpenTopic { fresh_epoch, .. } => {
            fresh_epoch.0 = 7
        }
        StoreOp::Commit { commits, .. } => {
            commits
                .iter_mut()
                .flat_map(|commit| &mut commit.fresh_epochs)
                .for_each(|epoch| epoch.0 = 7);
        }
        _ => {}
    }
    op
}
