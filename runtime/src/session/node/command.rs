//! Commands: acceptance, order, execution, refusal, answer (PROTOCOL.md section 5). A command is accepted when it is in
//! its lease's execution table; that never waits for application code.

use xxhash_rust::xxh3::xxh3_64;

use super::lease::{SlotState, Waiting};
use super::state::{Answer, LeaseKey, Owed, Running, SessionKey};
use super::timer::Timer;
use super::types::{ConnId, ExecId, Executed, Execution};
use super::{MessageKind, Node};
use crate::session::store::{Outcome, Record};
use crate::session::{Close, CloseCode, Now};
use crate::wire::{Body, CommandFrame, CommandNo, FailureCode, Name, RefusalCode, Seq};

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
            return self.close(now, conn, Close::new(CloseCode::SEQUENCE, "a command beyond the span"));
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
                self.close(now, conn, Close::new(CloseCode::NUMBER_REUSED, "a command number was used again"));
            }
            Some(_) => {
                slot.asked = true;
                if let SlotState::Done { outcome, .. } = &slot.state {
                    let answer = Answer::Outcome(outcome.clone());
                    self.owe(session, lease, Owed { n: frame.n, dup: true, answer });
                }
            }
        }
    }

    /// PROTOCOL.md 4.2 and 4.6. `false` if the frame must not be looked at.
    fn on_sequence(&mut self, now: Now, conn: ConnId, key: SessionKey, seq: Seq, bytes: usize) -> bool {
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
            self.close(now, conn, Close::new(CloseCode::SEQUENCE, "a sequence or window was broken"));
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
            self.close(now, conn, Close::new(CloseCode::SEQUENCE, "an ack or a low-water mark was wrong"));
            return false;
        }
        self.raise_low(now, lease, low);
        if freed {
            self.wake(conn);
        }
        self.drain_if_quiet(now, conn);
        true
    }

    /// Everything below is resolved at the client. What still runs of it, because another node has answered, is let go.
    pub(super) fn raise_low(&mut self, now: Now, key: LeaseKey, low: CommandNo) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        if low > lease.low {
            let running = lease.running;
            let stopped = lease.raise_low(low);
            let rest = now.after_ms(self.config.lease_rest_ms);
            let arm = lease.rest_timer.is_none();
            lease.rest_timer.get_or_insert(rest);
            // Nor does it wait for answers that have no sequence yet: they must not pile up behind its window.
            if let Some(session) = lease.session.and_then(|session| self.sessions.get_mut(session)) {
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
                MessageKind::Volatile => return self.refuse(session, lease, n, RefusalCode::Unsupported, false),
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
        let waiting = Waiting { hash, message: index, body: frame.body, ordered, deadline, timeout_ms, conn };
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
    fn refusal(&self, lease: LeaseKey, n: CommandNo, bytes: usize, ordered: bool) -> Option<RefusalCode> {
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
        let full = table.queue_bytes > 0 && table.queue_bytes + bytes as u64 > u64::from(self.config.lease_queue_bytes);
        let owing = self.publishes_waiting >= self.config.publishes_waiting;
        (full || owing).then_some(RefusalCode::Overload)
    }

    fn refuse(&mut self, session: SessionKey, lease: LeaseKey, n: CommandNo, code: RefusalCode, ordered: bool) {
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
        self.owe(session, lease, Owed { n, dup: false, answer: Answer::Refused { code, retry_ms } });
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
        if let SlotState::Done { outcome, .. } = &slot.state {
            let answer = Answer::Outcome(outcome.clone());
            self.owe(session, lease, Owed { n, dup: false, answer });
        }
    }

    /// Order is per lease: one ordered command at a time, the lowest first (PROTOCOL.md 5.5).
    pub(super) fn start_next_ordered(&mut self, now: Now, lease: LeaseKey) {
        while let Some(table) = self.leases.get_mut(lease)
            && table.ordered_running.is_none()
            && let Some(n) = table.waiting.pop_front()
        {
            table.ordered_running = Some(n);
            self.begin(now, lease, n);
        }
    }

    /// Starts a command whose turn has come, or lets it wait for a free place in this process.
    pub(super) fn begin(&mut self, now: Now, lease: LeaseKey, n: CommandNo) {
        if self.commands_running >= self.config.executions {
            self.turn.push_back((lease, n));
            return;
        }
        let exec = self.start_running(Running::Command(lease, n));
        let started = self.try_start(now, lease, n, exec);
        if started.is_none() {
            self.end_running(exec);
        }
    }

    fn try_start(&mut self, now: Now, key: LeaseKey, n: CommandNo, exec: ExecId) -> Option<()> {
        let lease = self.leases.get_mut(key)?;
        let slot = lease.slot_mut(n)?;
        // It may have got its record from another node while it waited for its place.
        let SlotState::Waiting(_) = slot.state else { return None };
        let SlotState::Waiting(waiting) = std::mem::take(&mut slot.state) else { return None };
        let bytes = waiting.body.len();
        if waiting.deadline <= now {
            lease.queue_bytes -= bytes as u64;
            self.on_expired(now, key, n, &waiting);
            return None;
        }
        let overdue = now.after_ms(waiting.timeout_ms);
        // Bodies are bounded by the frame limit, which is a u32.
        let bytes = bytes as u32;
        let Waiting { hash, ordered, deadline, .. } = waiting;
        slot.state = SlotState::Running { exec, hash, bytes, ordered, deadline, overdue };
        lease.running += 1;
        self.commands_running += 1;
        let arm = lease.overdue_timer.is_none_or(|at| overdue < at);
        let later = if arm { lease.overdue_timer.replace(overdue) } else { None };
        let execution = Execution::Command {
            exec,
            conn: waiting.conn,
            lease: lease.id,
            n,
            attempt: lease.attempt(n),
            message: waiting.message,
            body: waiting.body,
            codec: lease.codec,
            principal: lease.principal.clone(),
            timeout_ms: waiting.timeout_ms,
        };
        self.disarm(later, Timer::Overdue(key));
        if arm {
            self.arm(overdue, Timer::Overdue(key));
        }
        self.execute_out.push_back(execution);
        Some(())
    }

    /// A deadline that has passed is answered, not executed (PROTOCOL.md 5.13). That is recorded: another node may have the
    /// command too, and must not run it when later ones have run.
    fn on_expired(&mut self, now: Now, lease: LeaseKey, n: CommandNo, waiting: &Waiting) {
        let record = Record { hash: waiting.hash, outcome: Outcome::Expired, publishes: Vec::new(), settled: true };
        self.commit(lease, n, record, Vec::new());
        if let Some(table) = self.leases.get_mut(lease).filter(|_| waiting.ordered) {
            table.ordered_running = None;
            self.start_next_ordered(now, lease);
        }
        self.release_lease(lease);
    }

    /// An execution ended.
    pub fn handle_executed(&mut self, now: Now, exec: ExecId, executed: Executed) {
        let Some(running) = self.end_running(exec) else { return };
        match (running, executed) {
            (Running::Command(lease, n), Executed::Command { outcome, publishes }) => {
                self.on_executed(now, lease, n, exec, outcome, publishes);
            }
            (Running::Command(lease, n), Executed::Refused(code)) => self.on_unexecutable(now, lease, n, exec, code),
            (Running::Authenticate(conn), Executed::Authenticated(answer)) => self.on_authenticated(now, conn, answer),
            (Running::Volatile(conn), Executed::Volatile { publishes }) => {
                self.on_volatile_executed(now, conn, publishes);
            }
            (Running::Authorize(conn, sub), Executed::Authorized(answer)) => self.on_authorized(now, conn, sub, answer),
            (Running::Snapshot(topic), Executed::Snapshot(state)) => self.on_snapshot(now, topic, exec, state),
            (running, _) => self.on_mismatched(now, exec, running),
        }
    }

    /// An answer that does not fit its execution counts as that execution's failure, so that nobody waits for ever.
    fn on_mismatched(&mut self, now: Now, exec: ExecId, running: Running) {
        let failed = |code| Outcome::Failed { code, name: Name::EMPTY, body: Body::UNIT };
        match running {
            Running::Command(lease, n) => {
                self.on_executed(now, lease, n, exec, failed(FailureCode::Internal), Vec::new());
            }
            running => {
                let hook = self.start_running(running);
                self.on_hook_late(now, hook);
            }
        }
    }

    /// Takes a command out of `Running`; `None` if it is not there any more. The next ordered one may start.
    fn end_execution(&mut self, now: Now, lease: LeaseKey, n: CommandNo, exec: ExecId) -> Option<u64> {
        let table = self.leases.get_mut(lease)?;
        let slot = table.slot_mut(n)?;
        let SlotState::Running { exec: running, hash, bytes, ordered, .. } = slot.state else { return None };
        if running != exec {
            return None;
        }
        slot.state = SlotState::Vacant;
        table.queue_bytes -= u64::from(bytes);
        table.running -= 1;
        self.commands_running -= 1;
        if ordered && table.ordered_running == Some(n) {
            table.ordered_running = None;
        }
        self.fill_places(now);
        Some(hash)
    }

    /// Starts commands whose turn has come and that waited for a free place in this process.
    pub(super) fn fill_places(&mut self, now: Now) {
        while self.commands_running < self.config.executions
            && let Some((lease, n)) = self.turn.pop_front()
        {
            self.begin(now, lease, n);
        }
    }

    fn on_executed(
        &mut self,
        now: Now,
        lease: LeaseKey,
        n: CommandNo,
        exec: ExecId,
        outcome: Outcome,
        publishes: Vec<super::StagedPublish>,
    ) {
        if let Some(hash) = self.end_execution(now, lease, n, exec) {
            let (outcome, publishes, volatiles) = self.stage(outcome, publishes);
            let settled = publishes.is_empty();
            self.commit(lease, n, Record { hash, outcome, publishes, settled }, volatiles);
        }
        self.start_next_ordered(now, lease);
    }

    fn on_unexecutable(&mut self, now: Now, lease: LeaseKey, n: CommandNo, exec: ExecId, code: RefusalCode) {
        let slot = self.leases.get(lease).and_then(|lease| lease.slot(n));
        let ordered = slot.is_some_and(|slot| matches!(slot.state, SlotState::Running { ordered: true, .. }));
        if self.end_execution(now, lease, n, exec).is_some() {
            if code.is_retry() && ordered {
                self.hold_back(lease, n, code);
            } else if let Some(session) = self.leases.get(lease).and_then(|lease| lease.session) {
                self.refuse(session, lease, n, code, false);
            }
        }
        self.start_next_ordered(now, lease);
        self.release_lease(lease);
    }

    /// An ordered command is refused for now, and with it all that wait behind it (PROTOCOL.md 5.11).
    fn hold_back(&mut self, lease: LeaseKey, n: CommandNo, code: RefusalCode) {
        let Some(table) = self.leases.get_mut(lease) else { return };
        let behind = std::mem::take(&mut table.waiting);
        for n in std::iter::once(n).chain(behind) {
            let Some(table) = self.leases.get_mut(lease) else { return };
            table.barred.insert(n, code);
            let Some(slot) = table.slot_mut(n) else { continue };
            if let SlotState::Waiting(waiting) = std::mem::take(&mut slot.state) {
                table.queue_bytes -= waiting.body.len() as u64;
            }
            if let Some(session) = table.session {
                self.refuse(session, lease, n, code, true);
            }
        }
    }

    /// Looks for handlers of a lease that have run too long (PROTOCOL.md 5.7).
    pub(super) fn on_overdue(&mut self, now: Now, key: LeaseKey) {
        let Some(lease) = self.leases.get_mut(key) else { return };
        let low = lease.low;
        let mut next = None;
        let mut late = Vec::new();
        for (at, slot) in lease.slots.iter().enumerate() {
            let SlotState::Running { exec, overdue, .. } = slot.state else { continue };
            if overdue <= now {
                late.push((CommandNo(low.0 + at as u64), exec));
            } else {
                next = Some(next.map_or(overdue, |next: Now| next.min(overdue)));
            }
        }
        lease.overdue_timer = next;
        if let Some(at) = next {
            self.arm(at, Timer::Overdue(key));
        }
        for (n, exec) in late {
            self.abort(exec);
            let outcome = Outcome::Failed { code: FailureCode::Timeout, name: Name::EMPTY, body: Body::UNIT };
            self.on_executed(now, key, n, exec, outcome, Vec::new());
        }
    }

    pub(super) fn on_volatile(&mut self, now: Now, conn: ConnId, session: SessionKey, name: &Name, body: Body) {
        let limit = self.config.volatile_executions;
        let Some(spec) = self.config.message(name) else { return };
        let (index, timeout_ms) = (spec.index, spec.timeout_ms);
        let fits = spec.kind == MessageKind::Volatile && body.len() <= spec.max_bytes as usize;
        let Some(principal) = self.sessions.get(session).map(|session| session.principal.clone()) else { return };
        let Some(state) = self.conns.get_mut(&conn) else { return };
        if !fits || state.volatiles_running >= limit || self.draining.is_some() {
            return;
        }
        state.volatiles_running += 1;
        let codec = state.codec;
        let exec = self.start_hook(now, timeout_ms, Running::Volatile(conn));
        self.execute_out.push_back(Execution::Volatile {
            exec,
            conn,
            message: index,
            body,
            codec,
            principal,
            timeout_ms,
        });
    }

    pub(super) fn on_volatile_executed(&mut self, now: Now, conn: ConnId, publishes: Vec<super::StagedPublish>) {
        if let Some(state) = self.conns.get_mut(&conn) {
            state.volatiles_running -= 1;
        }
        for publish in publishes {
            match publish {
                super::StagedPublish::Volatile(volatile) => self.publish_volatile(now, volatile),
                super::StagedPublish::Event(event) => {
                    self.publish(now, event);
                }
            }
        }
    }
}
