//! When a command begins and what its end lets begin: one ordered command of a lease at a time,
//! the lowest first, and no more at a time in this node than may run (PROTOCOL.md 5.5, 5.7, 5.13).
//!
//! Ordered commands are handed out ahead, so that a driver whose handlers end at once need not
//! come back after each. What is handed out ahead begins after the one before it has ended, or
//! comes back unbegun.

use std::sync::Arc;

use super::slot::{Running, SlotState, Waiting};
use super::state::Leases;
use crate::session::Now;
use crate::session::held::held;
use crate::session::node::answer::Owed;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{self, Effects, Timer};
use crate::session::node::keys::{LeaseKey, SessionKey};
use crate::session::node::types::{Attempt, ExecId, Execution};
use crate::session::store::{Outcome, Record};
use crate::wire::{CommandNo, RefusalCode};

/// What became of a command whose order has come.
enum Begun {
    Running(Execution),
    /// The store is asked first what its message id stands for.
    Asking,
    /// As many run as may, or the store fails.
    Queued,
    /// Its deadline had passed; it is recorded, and what comes after it may begin.
    Expired {
        ordered: bool,
    },
    /// It has got its record from another node while it waited for a place.
    Gone,
}

impl Leases {
    /// Begins the next ordered command of a lease, if everything before it has ended.
    pub(super) fn start_next(
        &mut self,
        now: Now,
        key: LeaseKey,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        while let Some(n) = self.leases.get_mut(key).and_then(|lease| lease.order.next()) {
            if let Begun::Running(execution) = self.begin(now, key, n, config, fx) {
                fx.execute(execution);
            }
        }
    }

    /// Begins a command whose order has come, or lets it wait: for a free place in this node, or for the
    /// store.
    pub(super) fn start(
        &mut self,
        now: Now,
        key: LeaseKey,
        n: CommandNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        match self.begin(now, key, n, config, fx) {
            Begun::Running(execution) => fx.execute(execution),
            Begun::Expired { ordered: true } => self.start_next(now, key, config, fx),
            Begun::Expired { ordered: false } | Begun::Asking | Begun::Queued | Begun::Gone => {}
        }
    }

    /// Begins commands that waited for a free place in this node, or for the store.
    pub(crate) fn fill_places(&mut self, now: Now, config: &NodeConfig, fx: &mut Effects) {
        while !fx.store_fails(now, config)
            && let Some((key, n)) = self.places.next(now, &mut self.leases, config)
        {
            self.start(now, key, n, config, fx);
        }
    }

    fn begin(
        &mut self,
        now: Now,
        key: LeaseKey,
        n: CommandNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Begun {
        let Some(lease) = self.leases.held_mut(key) else { return Begun::Gone };
        if fx.store_fails(now, config) || !self.places.has_place(lease, config) {
            self.places.wait(now, (key, n), lease, config);
            return Begun::Queued;
        }
        let slot = held(lease.slot_mut(n), "what waits has a slot");
        let Some(slot) = slot else { return Begun::Gone };
        let waiting = match std::mem::take(&mut slot.state) {
            SlotState::Waiting(waiting) => waiting,
            state => {
                slot.state = state;
                return Begun::Gone;
            }
        };
        if waiting.deadline <= now {
            lease.queue_bytes -= waiting.body.len() as u64;
            self.expire(key, n, &waiting);
            return Begun::Expired { ordered: waiting.ordered };
        }
        self.places.take(lease);
        if waiting.id.is_some() {
            self.ask((key, n), waiting, fx);
            return Begun::Asking;
        }
        self.run(now, (key, n), waiting, fx).map_or(Begun::Gone, Begun::Running)
    }

    /// The handler of a command that has a place begins.
    pub(super) fn run(
        &mut self,
        now: Now,
        (key, n): (LeaseKey, CommandNo),
        waiting: Waiting,
        fx: &mut Effects,
    ) -> Option<Execution> {
        let lease = self.leases.held_mut(key)?;
        let overdue = now.after_ms(waiting.timeout_ms);
        let exec = fx.begin_untimed(effects::Running::Command(key, n));
        let Waiting { hash, ordered, deadline, timeout_ms, conn, message, body, id } = waiting;
        // Bodies are bounded by the frame limit, which is a u32.
        let bytes = body.len() as u32;
        let slot = held(lease.slot_mut(n), "what begins has a slot")?;
        let running = Running { exec, hash, bytes, ordered, deadline, overdue, cancelled: false };
        slot.state = SlotState::Running(running);
        if lease.timers.overdue.is_none_or(|at| overdue < at) {
            fx.disarm(lease.timers.overdue.replace(overdue), Timer::Overdue(key));
            fx.arm(overdue, Timer::Overdue(key));
        }
        // Under another lease a command with the same id may have run without a record.
        let attempt = if id.is_some() { Attempt::MaybeRetry } else { lease.attempt(n) };
        Some(Execution::Command {
            exec,
            conn,
            lease: lease.id,
            n,
            id: id.map(|id| Box::new(id.id)),
            attempt,
            message,
            body,
            codec: lease.codec,
            principal: lease.principal.clone(),
            client: Arc::clone(&lease.client),
            timeout_ms,
        })
    }

    /// A deadline that has passed is answered, not executed (PROTOCOL.md 5.13). That is recorded:
    /// another node may have the command too, and must not run it when later ones have run.
    pub(super) fn expire(&mut self, key: LeaseKey, n: CommandNo, waiting: &Waiting) {
        let record = Record {
            hash: waiting.hash,
            outcome: Outcome::Expired,
            publishes: Vec::new(),
            settled: true,
        };
        self.commit((key, n), record, Vec::new(), false);
        if let Some(lease) = self.leases.held_mut(key) {
            lease.order.ended(n);
        }
    }

    // ---- ahead of its order ----

    /// The next ordered command of the lease whose last one is `exec`, to begin after it.
    pub(crate) fn next_ahead(
        &mut self,
        now: Now,
        exec: ExecId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<Execution> {
        let (key, n) = self.ordered(exec, fx)?;
        let lease = self.leases.held_mut(key)?;
        if fx.store_fails(now, config) || !self.places.has_place(lease, config) {
            return None;
        }
        if lease.order.handed_out != Some(n) {
            return None;
        }
        let mut next = lease.next_ahead()?;
        loop {
            if let Begun::Running(execution) = self.begin(now, key, next, config, fx) {
                return Some(execution);
            }
            // It had expired.
            let lease = self.leases.held_mut(key)?;
            match lease.next_ahead() {
                Some(after) => next = after,
                None => {
                    lease.order.handed_out = Some(n);
                    return None;
                }
            }
        }
    }

    /// Commands of one lease that were handed out ahead and did not begin, in their order.
    pub(crate) fn take_back(
        &mut self,
        now: Now,
        before: ExecId,
        unbegun: Vec<Execution>,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let mut lease = None;
        for execution in unbegun.into_iter().rev() {
            lease = self.unbegin(execution, config, fx).or(lease);
        }
        // All of them may have been stopped meanwhile.
        let Some(key) = lease else { return };
        let still = self.ordered(before, fx).filter(|(of, _)| *of == key).map(|(_, n)| n);
        let still = still.or_else(|| self.deciding(key, before));
        if let Some(lease) = self.leases.held_mut(key) {
            lease.order.handed_out = still;
            if lease.contact.is_elsewhere() {
                self.stop(key, config, fx);
            }
        }
        self.start_next(now, key, config, fx);
        self.fill_places(now, config, fx);
    }

    /// The ordered command of an execution that still counts.
    fn ordered(&self, exec: ExecId, fx: &Effects) -> Option<(LeaseKey, CommandNo)> {
        // It may have ended, or been stopped, meanwhile.
        let effects::Running::Command(key, n) = fx.running(exec)? else { return None };
        let running = self.leases.held(key)?.slot(n)?.state.running()?;
        (running.ordered && running.exec == exec).then_some((key, n))
    }

    /// From running to waiting; nothing has happened.
    fn unbegin(
        &mut self,
        execution: Execution,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<LeaseKey> {
        let Execution::Command { exec, conn, message, body, timeout_ms, .. } = execution else {
            debug_assert!(false, "only commands are handed out ahead");
            return None;
        };
        // It may have been stopped meanwhile.
        let (key, n) = self.ordered(exec, fx)?;
        fx.end(exec);
        let lease = self.leases.held_mut(key)?;
        let slot = lease.slot_mut(n)?;
        let Running { hash, ordered, deadline, .. } = slot.state.running()?;
        slot.state = SlotState::Waiting(Waiting {
            hash,
            message,
            body,
            ordered,
            deadline,
            timeout_ms,
            conn,
            // With an id it would not have been handed out ahead.
            id: None,
        });
        self.places.free(key, lease, config);
        lease.order.wait(n);
        Some(key)
    }

    // ---- ends ----

    /// Takes a command out of those that run; its hash, or `None` if it is not there any more.
    /// Whoever waited for its place may begin.
    pub(super) fn end(
        &mut self,
        now: Now,
        key: LeaseKey,
        n: CommandNo,
        exec: ExecId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<Running> {
        let running = self.leave_place(key, n, exec, config)?;
        if running.ordered
            && let Some(lease) = self.leases.held_mut(key)
        {
            lease.order.ended(n);
        }
        self.fill_places(now, config, fx);
        Some(running)
    }

    /// The same, of a command that keeps its turn in the order; nobody begins yet.
    pub(super) fn leave_place(
        &mut self,
        key: LeaseKey,
        n: CommandNo,
        exec: ExecId,
        config: &NodeConfig,
    ) -> Option<Running> {
        // The client may have called it resolved meanwhile, with its lease gone or its slot.
        let lease = self.leases.get_mut(key)?;
        let slot = lease.slot_mut(n)?;
        let running = slot.state.running().filter(|running| running.exec == exec)?;
        slot.state = SlotState::Vacant;
        lease.queue_bytes -= u64::from(running.bytes);
        self.places.free(key, lease, config);
        Some(running)
    }

    /// A handler was not called: the command can't be executed, ever or for now. What its session
    /// is told.
    pub(crate) fn unexecutable(
        &mut self,
        now: Now,
        (key, n): (LeaseKey, CommandNo),
        exec: ExecId,
        code: RefusalCode,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> (Option<SessionKey>, Vec<Owed>) {
        let ended = self.end(now, key, n, exec, config, fx);
        let refused = match ended {
            Some(running) => self.refuse_all(key, n, (code, running.ordered), config),
            None => (None, Vec::new()),
        };
        self.give_way((key, n), fx);
        self.start_next(now, key, config, fx);
        refused
    }

    /// Refuses a command that has begun or was to begin, and with it, if it may come again and
    /// keeps its order, all that wait behind it (PROTOCOL.md 5.11).
    pub(super) fn refuse_all(
        &mut self,
        key: LeaseKey,
        n: CommandNo,
        (code, ordered): (RefusalCode, bool),
        config: &NodeConfig,
    ) -> (Option<SessionKey>, Vec<Owed>) {
        let Some(lease) = self.leases.get_mut(key) else { return (None, Vec::new()) };
        let holds_back = ordered && code.is_retry();
        let mut owed: Vec<Owed> = lease.refuse(n, code, holds_back, config).into_iter().collect();
        if holds_back {
            for n in lease.order.take_waiting() {
                if let Some(SlotState::Waiting(waiting)) = lease.slot(n).map(|slot| &slot.state) {
                    lease.queue_bytes -= waiting.body.len() as u64;
                }
                owed.extend(lease.refuse(n, code, true, config));
            }
        }
        (lease.session, owed)
    }

    /// Handlers of a lease that have run too long (PROTOCOL.md 5.7).
    pub(crate) fn overdue(
        &mut self,
        now: Now,
        key: LeaseKey,
        fx: &mut Effects,
    ) -> Vec<(CommandNo, ExecId)> {
        let Some(lease) = self.leases.held_mut(key) else { return Vec::new() };
        let running = lease.slots().filter_map(|(n, slot)| Some((n, slot.state.running()?)));
        let (late, others): (Vec<_>, Vec<_>) =
            running.partition(|(_, running)| running.overdue <= now);
        let next = others.iter().map(|(_, running)| running.overdue).min();
        lease.timers.overdue = next;
        if let Some(at) = next {
            fx.arm(at, Timer::Overdue(key));
        }
        late.into_iter().map(|(n, running)| (n, running.exec)).collect()
    }
}
