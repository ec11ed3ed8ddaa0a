//! Commands with message ids, between their order and their handlers: the store is asked whether
//! the id is in use, and who asks under the same id waits for the same outcome (PROTOCOL.md 5.20 to
//! 5.22). What a commit does with the id is the store's.

use super::message_ids::Command;
use super::slot::{Slot, SlotState, Waiting};
use super::state::Leases;
use crate::session::Now;
use crate::session::node::answer::Owed;
use crate::session::node::config::NodeConfig;
use crate::session::node::effects::{Effects, Purpose};
use crate::session::node::keys::{LeaseKey, SessionKey};
use crate::session::store::{Outcome, Record, StoreOp, UsedId};
use crate::wire::{CommandNo, FailureCode, RefusalCode};

/// What the store knows of an id.
pub(crate) enum Found {
    /// Nobody has used it: the handler runs.
    Unused,
    /// Somebody has.
    Used(UsedId),
    /// There is no room for one more id, or the store does not say.
    Refused,
}

/// Refusals, and the sessions that are told.
type Refusals = Vec<(SessionKey, Owed)>;

impl Leases {
    /// A command with an id has a place: it runs once the store says that the id is not in use.
    pub(super) fn ask(&mut self, command: Command, waiting: Waiting, fx: &mut Effects) {
        let (key, n) = command;
        let Some(lease) = self.leases.held_mut(key) else { return };
        let first = waiting.id.as_ref().is_some_and(|id| self.message_ids.join(command, id));
        if let Some(slot) = lease.slot_mut(n) {
            slot.state = SlotState::Asking(Box::new(waiting));
        }
        if first {
            fx.ask(Purpose::FindId(key, n));
        }
    }

    /// The operation that asks for a command's id; `None` if the command is gone.
    pub(crate) fn find_op(
        &self,
        key: LeaseKey,
        n: CommandNo,
        config: &NodeConfig,
    ) -> Option<StoreOp> {
        let id = self.message_ids.of((key, n))?.id.clone();
        Some(StoreOp::FindId {
            id,
            max_per_principal: config.ids_per_principal,
            max_bytes_per_principal: config.id_bytes_per_principal,
        })
    }

    /// The store has answered for the id of a command.
    pub(crate) fn found(
        &mut self,
        now: Now,
        (key, n): Command,
        found: Found,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Refusals {
        match found {
            Found::Unused => {
                self.run_asked(now, (key, n), config, fx);
                Vec::new()
            }
            Found::Used(used) => {
                // It may be gone, and whoever has joined it asks for itself then.
                let Some((_, joined)) = self.message_ids.end((key, n)) else { return Vec::new() };
                for command in std::iter::once((key, n)).chain(joined) {
                    self.repeat(now, command, &used, config, fx);
                }
                Vec::new()
            }
            Found::Refused => {
                let Some((_, joined)) = self.message_ids.end((key, n)) else { return Vec::new() };
                let all = std::iter::once((key, n)).chain(joined);
                all.flat_map(|command| self.refuse_asked(now, command, config, fx)).collect()
            }
        }
    }

    /// The id of a command is not in use: its handler runs, unless its time is over, or the store
    /// has begun to fail.
    fn run_asked(&mut self, now: Now, command: Command, config: &NodeConfig, fx: &mut Effects) {
        let (key, n) = command;
        // It may be gone, see `leave`.
        let Some(lease) = self.leases.get_mut(key) else { return };
        let asked = lease.slot_mut(n).and_then(|slot| slot.state.take_asking());
        let Some(waiting) = asked else { return };
        let over = waiting.deadline <= now;
        if !over && !fx.store_fails(now, config) {
            let execution = self.run(now, command, waiting, fx);
            return execution.into_iter().for_each(|execution| fx.execute(execution));
        }
        self.places.free(key, lease, config);
        if over {
            lease.queue_bytes -= waiting.body.len() as u64;
            self.expire(key, n, &waiting);
        } else {
            if let Some(slot) = lease.slot_mut(n) {
                slot.state = SlotState::Waiting(waiting);
            }
            self.places.wait(now, command, lease, config);
        }
        self.give_way(command, fx);
        self.fill_places(now, config, fx);
        self.start_next(now, key, config, fx);
    }

    /// A command gets the outcome that its id stands for. It is recorded under its own number, too:
    /// the id is kept for a time, and what a command was told must not change after it.
    fn repeat(
        &mut self,
        now: Now,
        command: Command,
        used: &UsedId,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        let (key, n) = command;
        let Some(waiting) = self.leave(now, command, config, fx) else { return };
        let hash = waiting.id.as_ref().map_or(used.hash, |id| id.hash);
        let outcome = used.answer(hash);
        let dup = is_repetition(&outcome);
        let record = Record { hash: waiting.hash, outcome, publishes: Vec::new(), settled: true };
        self.commit((key, n), record, Vec::new(), dup);
        self.start_next(now, key, config, fx);
    }

    /// A command can't run for now, and what waits behind it neither (PROTOCOL.md 5.11).
    fn refuse_asked(
        &mut self,
        now: Now,
        command: Command,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Refusals {
        let (key, n) = command;
        let Some(waiting) = self.leave(now, command, config, fx) else { return Vec::new() };
        let (session, owed) =
            self.refuse_all(key, n, (RefusalCode::Overload, waiting.ordered), config);
        self.start_next(now, key, config, fx);
        self.release(key, config, fx);
        session
            .map_or_else(Vec::new, |session| owed.into_iter().map(|owed| (session, owed)).collect())
    }

    /// Takes a command out of those that wait for what their ids stand for, with its place. `None`
    /// if it is not there any more: its client may have called it resolved, or have lost its lease.
    fn leave(
        &mut self,
        now: Now,
        (key, n): Command,
        config: &NodeConfig,
        fx: &mut Effects,
    ) -> Option<Waiting> {
        let lease = self.leases.get_mut(key)?;
        let waiting = lease.slot_mut(n)?.state.take_asking()?;
        lease.queue_bytes -= waiting.body.len() as u64;
        self.places.free(key, lease, config);
        if waiting.ordered {
            lease.order.ended(n);
        }
        self.fill_places(now, config, fx);
        Some(waiting)
    }

    /// Nothing of a lease that waits for what its id stands for begins any more: another node has
    /// claimed it.
    pub(super) fn stop_asking(&mut self, key: LeaseKey, config: &NodeConfig, fx: &mut Effects) {
        let Some(lease) = self.leases.held_mut(key) else { return };
        let asking =
            |(n, slot): (CommandNo, &Slot)| matches!(slot.state, SlotState::Asking(_)).then_some(n);
        let numbers: Vec<CommandNo> = lease.slots().filter_map(asking).collect();
        for n in numbers {
            let taken = lease.slot_mut(n).and_then(|slot| slot.state.take_asking());
            let Some(waiting) = taken else { continue };
            lease.queue_bytes -= waiting.body.len() as u64;
            lease.order.stop(n);
            self.places.free(key, lease, config);
        }
        self.give_way_gone(key, fx);
    }

    // ---- those that have joined ----

    /// The record of a command stands, and is this node's own: who has joined it is told the same.
    pub(crate) fn share_outcome(
        &mut self,
        now: Now,
        key: LeaseKey,
        n: CommandNo,
        config: &NodeConfig,
        fx: &mut Effects,
    ) {
        if self.message_ids.is_empty() {
            return;
        }
        // Its client may have called it resolved, and then nobody here knows the outcome.
        let outcome = self.leases.get(key).and_then(|lease| lease.slot(n)?.state.outcome());
        let Some(outcome) = outcome.filter(|outcome| outcome.stands()).cloned() else { return };
        let Some((id, joined)) = self.message_ids.end((key, n)) else { return };
        let used = UsedId { hash: id.hash, outcome };
        for command in joined {
            self.repeat(now, command, &used, config, fx);
        }
    }

    /// A command stands for its id no longer, and its outcome may not be what the id stands for: who
    /// has joined it asks for itself.
    pub(super) fn give_way(&mut self, command: Command, fx: &mut Effects) {
        let Some((_, joined)) = self.message_ids.end(command) else { return };
        for (key, n) in joined {
            let Some(lease) = self.leases.get_mut(key) else { continue };
            let asked = lease.slot_mut(n).and_then(|slot| slot.state.take_asking());
            let Some(waiting) = asked else { continue };
            self.ask((key, n), waiting, fx);
        }
    }

    /// The same, for those of a commit that has ended.
    pub(crate) fn give_way_all(&mut self, key: LeaseKey, numbers: &[CommandNo], fx: &mut Effects) {
        if !self.message_ids.is_empty() {
            for n in numbers {
                self.give_way((key, *n), fx);
            }
        }
    }

    /// The same, for those of a lease of which nothing is under way any more: below a low-water
    /// mark, or of a lease that is gone.
    pub(super) fn give_way_gone(&mut self, key: LeaseKey, fx: &mut Effects) {
        if self.message_ids.is_empty() {
            return;
        }
        for (key, n) in self.message_ids.of_lease(key) {
            let lease = self.leases.get(key);
            let lives = |slot: &Slot| slot.state.is_live();
            let here = lease.and_then(|lease| lease.slot(n)).is_some_and(lives);
            let leaving = lease.is_some_and(|lease| lease.commits.leaving.contains_key(&n));
            if !here && !leaving {
                self.give_way((key, n), fx);
            }
        }
    }
}

/// Whether an outcome that was found is the first command's, and not an error of this one.
pub(super) fn is_repetition(outcome: &Outcome) -> bool {
    outcome.failure() != Some(FailureCode::IdReused)
}
