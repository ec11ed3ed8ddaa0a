//! Executions: when a command may start, what its end means, how long it may take (PROTOCOL.md 5.5
//! to 5.7, 5.11, 5.13), and the executions of volatiles. The driver runs them; what they answer
//! comes in here.

use super::lease::{SlotState, Waiting};
use super::state::{LeaseKey, Running, SessionKey};
use super::timer::Timer;
use super::types::{ConnId, ExecId, Executed, Execution};
use super::{MessageKind, Node};
use crate::session::Now;
use crate::session::store::{Outcome, Record};
use crate::wire::{Body, CommandNo, FailureCode, Name, RefusalCode};

impl Node {
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
        self.execute(execution);
        Some(())
    }

    /// A deadline that has passed is answered, not executed (PROTOCOL.md 5.13). That is recorded:
    /// another node may have the command too, and must not run it when later ones have run.
    fn on_expired(&mut self, now: Now, lease: LeaseKey, n: CommandNo, waiting: &Waiting) {
        let record = Record {
            hash: waiting.hash,
            outcome: Outcome::Expired,
            publishes: Vec::new(),
            settled: true,
        };
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
            (Running::Command(lease, n), Executed::Refused(code)) => {
                self.on_unexecutable(now, lease, n, exec, code)
            }
            (Running::Authenticate(conn), Executed::Authenticated(answer)) => {
                self.on_authenticated(now, conn, answer)
            }
            (Running::Volatile(conn), Executed::Volatile { publishes }) => {
                self.on_volatile_executed(now, conn, publishes);
            }
            (Running::Authorize(conn, sub), Executed::Authorized(answer)) => {
                self.on_authorized(now, conn, sub, answer)
            }
            (Running::Snapshot(topic), Executed::Snapshot(state)) => {
                self.on_snapshot(now, topic, exec, state)
            }
            (running, _) => self.on_mismatched(now, exec, running),
        }
    }

    /// An answer that does not fit its execution counts as that execution's failure, so that nobody
    /// waits for ever.
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

    /// Takes a command out of `Running`; `None` if it is not there any more. The next ordered one
    /// may start.
    fn end_execution(
        &mut self,
        now: Now,
        lease: LeaseKey,
        n: CommandNo,
        exec: ExecId,
    ) -> Option<u64> {
        let table = self.leases.get_mut(lease)?;
        let slot = table.slot_mut(n)?;
        let SlotState::Running { exec: running, hash, bytes, ordered, .. } = slot.state else {
            return None;
        };
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

    fn on_unexecutable(
        &mut self,
        now: Now,
        lease: LeaseKey,
        n: CommandNo,
        exec: ExecId,
        code: RefusalCode,
    ) {
        let slot = self.leases.get(lease).and_then(|lease| lease.slot(n));
        let ordered =
            slot.is_some_and(|slot| matches!(slot.state, SlotState::Running { ordered: true, .. }));
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

    /// An ordered command is refused for now, and with it all that wait behind it (PROTOCOL.md
    /// 5.11).
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
            let outcome =
                Outcome::Failed { code: FailureCode::Timeout, name: Name::EMPTY, body: Body::UNIT };
            self.on_executed(now, key, n, exec, outcome, Vec::new());
        }
    }

    pub(super) fn on_volatile(
        &mut self,
        now: Now,
        conn: ConnId,
        session: SessionKey,
        name: &Name,
        body: Body,
    ) {
        let (limit, all) = (self.config.volatile_executions, self.config.executions);
        let Some(spec) = self.config.message(name) else { return };
        let (index, timeout_ms) = (spec.index, spec.timeout_ms);
        let fits = spec.kind == MessageKind::Volatile && body.len() <= spec.max_bytes as usize;
        let Some(principal) = self.sessions.get(session).map(|session| session.principal.clone())
        else {
            return;
        };
        let Some(state) = self.conns.get_mut(&conn) else { return };
        // Those of sockets that are gone run on, so what each socket may have is not bound enough.
        let full = state.volatiles_running >= limit || self.volatiles_running >= all;
        if !fits || full || self.draining.is_some() {
            return;
        }
        state.volatiles_running += 1;
        self.volatiles_running += 1;
        let codec = state.codec;
        let exec = self.start_hook(now, timeout_ms, Running::Volatile(conn));
        self.execute(Execution::Volatile {
            exec,
            conn,
            message: index,
            body,
            codec,
            principal,
            timeout_ms,
        });
    }

    pub(super) fn on_volatile_executed(
        &mut self,
        now: Now,
        conn: ConnId,
        publishes: Vec<super::StagedPublish>,
    ) {
        self.volatiles_running -= 1;
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
