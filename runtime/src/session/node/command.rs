//! Commands: acceptance, refusal, answer (PROTOCOL.md section 5). A command is accepted when it is
//! in its lease's execution table; that never waits for application code.

use xxhash_rust::xxh3::xxh3_64;

use super::lease::{SlotState, Waiting};
use super::state::{Answer, LeaseKey, Owed, SessionKey};
use super::timer::Timer;
use super::types::ConnId;
use super::{MessageKind, Node};
use crate::session::{Close, CloseCode, Now};
use crate::wire::{Body, CommandFrame, CommandNo, Name, RefusalCode, Seq};

/// Tells a retry from a reused number; over the bytes that travelled (PROTOCOL.md 5.8).
fn hash(name: &Name, body: &Body) -> u64 {
    xxh3_64(&body.0) ^ xxh3_64(name.as_bytes()).rotate_left(32)
}

impl Node {
    pub(super) fn on_command(
        &mut self,
        now: Now,
        conn: ConnId,
        session: SessionKey,
        lease: LeaseKey,
        frame: CommandFrame,
    ) {
        if !self.on_sequence(now, conn, session, frame.seq, frame.body.len()) {
            return;
        }
        if !self.on_ack(now, conn, session, lease, frame.ack, frame.low) {
            return;
        }
        self.owe_ack(now, conn, session);
        let span = u64::from(self.config.span);
        let hash = hash(&frame.name, &frame.body);
        let Some(table) = self.leases.get_mut(lease) else { return };
        if frame.n.0 >= table.low.0 + span {
            return self.close(
                now,
                conn,
                Close::new(CloseCode::SEQUENCE, "a command beyond the span"),
            );
        }
        table.highest = table.highest.max(frame.n);
        let low = table.low;
        let Some(slot) = table.slot_entry(frame.n) else {
            // Below what the client itself called resolved: it does not wait for an answer.
            debug_assert!(frame.n < low, "the span was checked");
            return;
        };
        match slot.state.hash() {
            None => self.on_new_command(now, conn, session, lease, frame, hash),
            Some(known) if known != hash => {
                self.close(
                    now,
                    conn,
                    Close::new(CloseCode::NUMBER_REUSED, "a command number was used again"),
                );
            }
            Some(_) => {
                slot.asked = true;
                if let Some(outcome) = slot.state.outcome() {
                    let answer = Answer::Outcome(outcome.clone());
                    self.owe(session, lease, Owed { n: frame.n, dup: true, answer });
                }
            }
        }
    }

    /// PROTOCOL.md 4.2 and 4.6. `false` if the frame must not be looked at.
    fn on_sequence(
        &mut self,
        now: Now,
        conn: ConnId,
        key: SessionKey,
        seq: Seq,
        bytes: usize,
    ) -> bool {
        let window = self.config.window;
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let rewindable = self.conns.get(&conn).is_some_and(|conn| conn.rewindable);
        if rewindable && seq <= session.recv {
            return false;
        }
        let alone = session.told == session.recv;
        let frames = session.recv.0 - session.told.0 + 1;
        let untold = session.untold_bytes + bytes as u64;
        let fits = frames <= u64::from(window.frames) && untold <= u64::from(window.bytes);
        if seq != session.recv.next() || !(fits || alone) {
            self.close(
                now,
                conn,
                Close::new(CloseCode::SEQUENCE, "a sequence or window was broken"),
            );
            return false;
        }
        session.recv = seq;
        session.untold_bytes = untold;
        true
    }

    /// PROTOCOL.md 4.4 and 5.4. `false` if the connection was closed for it.
    pub(super) fn on_ack(
        &mut self,
        now: Now,
        conn: ConnId,
        session: SessionKey,
        lease: LeaseKey,
        ack: Seq,
        low: CommandNo,
    ) -> bool {
        let Some(state) = self.sessions.get_mut(session) else { return false };
        let known = state.on_ack(ack);
        let freed = !state.pending.is_empty();
        let table = self.leases.get(lease);
        let honest = table.is_some_and(|lease| low.0 <= lease.highest.0 + 1 || low <= lease.low);
        if !known || !honest {
            self.close(
                now,
                conn,
                Close::new(CloseCode::SEQUENCE, "an ack or a low-water mark was wrong"),
            );
            return false;
        }
        self.raise_low(now, lease, low);
        if freed {
            self.wake(conn);
        }
        self.drain_if_quiet(now, conn);
        true
    }

    /// Everything below is resolved at the client. What still runs of it, because another node has
    /// answered, is let go.
    pub(super) fn raise_low(&mut self, now: Now, key: LeaseKey, low: CommandNo) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        if low > lease.low {
            let running = lease.running;
            let stopped = lease.raise_low(low);
            let rest = now.after_ms(self.config.lease_rest_ms);
            let arm = lease.rest_timer.is_none();
            lease.rest_timer.get_or_insert(rest);
            // Nor does it wait for answers that have no sequence yet: they must not pile up behind
            // its window.
            if let Some(session) = lease.session.and_then(|session| self.sessions.get_mut(session))
            {
                session.pending.retain(|owed| owed.n >= low);
            }
            self.commands_running -= running - lease.running;
            if !self.turn.is_empty() {
                self.turn.retain(|(waiting, n)| *waiting != key || *n >= low);
            }
            for exec in stopped {
                self.abort(exec);
            }
            if arm {
                self.arm(rest, Timer::Rest(key));
            }
            self.fill_places(now);
            self.start_next_ordered(now, key);
        }
    }

    /// Decides when the ack goes out alone (PROTOCOL.md 4.5).
    fn owe_ack(&mut self, now: Now, conn: ConnId, session: SessionKey) {
        let window = self.config.window;
        let Some(session) = self.sessions.get(session) else { return };
        let frames = session.recv.0 - session.told.0;
        let due = frames >= u64::from(self.config.ack_frames.min(window.frames.div_ceil(2)))
            || session.untold_bytes * 2 >= u64::from(window.bytes);
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if due {
            state.ack_due = true;
            self.wake(conn);
        } else if state.timers.ack.is_none() {
            let at = now.after_ms(self.config.ack_ms);
            state.timers.ack = Some(at);
            self.arm(at, Timer::Ack(conn));
        }
    }

    fn on_new_command(
        &mut self,
        now: Now,
        conn: ConnId,
        session: SessionKey,
        lease: LeaseKey,
        frame: CommandFrame,
        hash: u64,
    ) {
        let n = frame.n;
        let (index, ordered, timeout_ms) = match self.config.message(&frame.name) {
            Some(spec) if frame.body.len() > spec.max_bytes as usize => {
                return self.refuse(session, lease, n, RefusalCode::TooLarge, false);
            }
            Some(spec) => match spec.kind {
                MessageKind::Command { ordered } => (spec.index, ordered, spec.timeout_ms),
                MessageKind::Volatile => {
                    return self.refuse(session, lease, n, RefusalCode::Unsupported, false);
                }
            },
            None => return self.refuse(session, lease, n, RefusalCode::Unsupported, false),
        };
        if let Some(code) = self.refusal(lease, n, frame.body.len(), ordered) {
            return self.refuse(session, lease, n, code, ordered);
        }
        let Some(table) = self.leases.get_mut(lease) else { return };
        table.used = true;
        table.barred.remove(&n);
        table.queue_bytes += frame.body.len() as u64;
        let deadline = now.after_ms(frame.deadline_ms.unwrap_or(timeout_ms));
        let waiting =
            Waiting { hash, message: index, body: frame.body, ordered, deadline, timeout_ms, conn };
        let Some(slot) = table.slot_mut(n) else { return };
        slot.state = SlotState::Waiting(waiting);
        slot.asked = true;
        if ordered {
            table.wait_in_order(n);
            self.start_next_ordered(now, lease);
        } else {
            self.begin(now, lease, n);
        }
    }

    /// Why a new command can't be accepted now (PROTOCOL.md 5.10, 5.11).
    fn refusal(
        &self,
        lease: LeaseKey,
        n: CommandNo,
        bytes: usize,
        ordered: bool,
    ) -> Option<RefusalCode> {
        let table = self.leases.get(lease)?;
        if self.draining.is_some() {
            return Some(RefusalCode::Draining);
        }
        if ordered
            && let Some((barring, code)) = table.barred.first_key_value()
            && *barring < n
        {
            return Some(*code);
        }
        let full = table.queue_bytes > 0
            && table.queue_bytes + bytes as u64 > u64::from(self.config.lease_queue_bytes);
        // A client that calls resolved what it was never told makes room in the table, not in the
        // store.
        let leaving = table.leaving.len() >= self.config.span as usize;
        let owing = self.publishes_waiting >= self.config.publishes_waiting;
        (full || leaving || owing).then_some(RefusalCode::Overload)
    }

    pub(super) fn refuse(
        &mut self,
        session: SessionKey,
        lease: LeaseKey,
        n: CommandNo,
        code: RefusalCode,
        ordered: bool,
    ) {
        let retry_ms = if code.is_retry() { self.config.retry_ms } else { 0 };
        if let Some(table) = self.leases.get_mut(lease) {
            if code.is_retry() && ordered {
                table.barred.insert(n, code);
            } else {
                table.barred.remove(&n);
            }
            if let Some(slot) = table.slot_mut(n) {
                slot.state = SlotState::Vacant;
                slot.asked = true;
            }
        }
        self.owe(
            session,
            lease,
            Owed { n, dup: false, answer: Answer::Refused { code, retry_ms } },
        );
    }

    /// Queues an answer for the session; the window decides when it goes.
    fn owe(&mut self, session: SessionKey, lease: LeaseKey, owed: Owed) {
        let slot = self.leases.get_mut(lease).and_then(|lease| lease.slot_mut(owed.n));
        let Some(state) = self.sessions.get_mut(session) else { return };
        if let Some(slot) = slot {
            // An answer that still waits for the window is answer enough.
            if !slot.asked || slot.owed {
                return;
            }
            slot.owed = true;
        }
        state.pending.push_back(owed);
        if let Some(conn) = state.conn {
            self.wake(conn);
        }
    }

    /// The outcome of a command is final: whoever waits for it is told.
    pub(super) fn answer(&mut self, lease: LeaseKey, n: CommandNo) {
        let Some(table) = self.leases.get(lease) else { return };
        let Some(session) = table.session else { return };
        let Some(slot) = table.slot(n) else { return };
        if let Some(outcome) = slot.state.outcome() {
            let answer = Answer::Outcome(outcome.clone());
            self.owe(session, lease, Owed { n, dup: false, answer });
        }
    }
}
