//! Places for commands that run: shared among principals in turn, and among the leases of each in
//! turn, up to a quota of each. Which command of a lease comes next, and how one begins, is not
//! decided here.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::lease::Lease;
use super::queue::{PersonKey, PersonRow, Queue};
use crate::session::Now;
use crate::session::held::held;
use crate::session::node::config::NodeConfig;
use crate::session::node::keys::{LeaseKey, LeaseRow};
use crate::session::store::Quota;
use crate::session::table::Table;
use crate::wire::CommandNo;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Places {
    running: u32,
    waiting: u32,
    people: Table<PersonRow, Person>,
    names: BTreeMap<Arc<str>, PersonKey>,
    /// Those with commands that wait, unless they have their quota; each once.
    turn: VecDeque<PersonKey>,
}

/// What a principal with leases in the table has of the places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Person {
    name: Arc<str>,
    leases: u32,
    running: u32,
    waiting: u32,
    /// Leases with commands that wait, unless they have their quota; each once.
    turn: VecDeque<LeaseKey>,
    in_turn: bool,
    /// For how long the one of them waited that got a place last, in milliseconds.
    waited_ms: u64,
}

const PERSON: &str = "a lease has its principal";

impl Places {
    /// A principal has one more lease in the table; the queue of the lease.
    pub(super) fn join(&mut self, name: Arc<str>) -> Queue {
        let person = match self.names.get(&name) {
            Some(person) => *person,
            None => {
                let person = self.people.insert(Person::new(Arc::clone(&name)));
                self.names.insert(name, person);
                person
            }
        };
        if let Some(person) = self.people.held_mut(person) {
            person.leases += 1;
        }
        Queue::new(person)
    }

    /// A lease leaves the table, and what runs and waits of it with it.
    pub(super) fn leave(&mut self, key: LeaseKey, lease: &Lease, config: &NodeConfig) {
        let queue = &lease.queue;
        let Some(person) = held(self.people.get_mut(queue.person), PERSON) else { return };
        // At most `span`, a u32.
        let waiting = queue.waiting.len() as u32;
        person.leases -= 1;
        person.running -= lease.running;
        person.waiting -= waiting;
        self.running -= lease.running;
        self.waiting -= waiting;
        if queue.in_turn {
            person.turn.retain(|other| *other != key);
        }
        if person.leases == 0 {
            self.turn.retain(|other| *other != queue.person);
            self.names.remove(&person.name);
            self.people.remove(queue.person);
        } else {
            self.come_back(queue.person, config);
        }
    }

    // ---- what runs ----

    /// Whether a command of a lease may begin.
    pub(super) fn has_place(&self, lease: &Lease, config: &NodeConfig) -> bool {
        self.running < config.executions
            && lease.running < config.executions_per_lease
            && held(self.people.get(lease.queue.person), PERSON)
                .is_some_and(|person| person.running < config.executions_per_principal)
    }

    /// A command begins.
    pub(super) fn take(&mut self, lease: &mut Lease) {
        lease.running += 1;
        self.running += 1;
        if let Some(person) = held(self.people.get_mut(lease.queue.person), PERSON) {
            person.running += 1;
        }
    }

    /// A command that had begun runs no more.
    pub(super) fn free(&mut self, key: LeaseKey, lease: &mut Lease, config: &NodeConfig) {
        lease.running -= 1;
        self.give_back(1, key, lease, config);
    }

    /// So many commands of a lease run no more, as the lease knows already.
    pub(super) fn give_back(
        &mut self,
        count: u32,
        key: LeaseKey,
        lease: &mut Lease,
        config: &NodeConfig,
    ) {
        self.running -= count;
        let queue = &mut lease.queue;
        let Some(person) = held(self.people.get_mut(queue.person), PERSON) else { return };
        person.running -= count;
        if !(queue.in_turn || queue.waiting.is_empty()) {
            queue.in_turn = true;
            person.turn.push_back(key);
        }
        self.come_back(queue.person, config);
    }

    /// A principal may be below its quota again.
    fn come_back(&mut self, key: PersonKey, config: &NodeConfig) {
        let Some(person) = held(self.people.get_mut(key), PERSON) else { return };
        let below = person.running < config.executions_per_principal;
        if below && !person.in_turn && !person.turn.is_empty() {
            person.in_turn = true;
            self.turn.push_back(key);
        }
    }

    // ---- what waits ----

    /// A command of a lease waits for a place.
    pub(super) fn wait(
        &mut self,
        now: Now,
        (key, n): (LeaseKey, CommandNo),
        lease: &mut Lease,
        config: &NodeConfig,
    ) {
        let queue = &mut lease.queue;
        queue.waiting.push_back((now, n));
        self.waiting += 1;
        let Some(person) = held(self.people.get_mut(queue.person), PERSON) else { return };
        person.waiting += 1;
        if !queue.in_turn && lease.running < config.executions_per_lease {
            queue.in_turn = true;
            person.turn.push_back(key);
        }
        self.come_back(queue.person, config);
    }

    /// For how long a new command of a lease would wait for a place, in milliseconds, as far as can
    /// be told: 0 if it would not, or would be the first of its principal to wait; for ever if as
    /// many of its principal wait as may.
    pub(super) fn wait_ms(&self, lease: &Lease, config: &NodeConfig) -> u64 {
        if self.waiting == 0 {
            return 0;
        }
        let Some(person) = held(self.people.get(lease.queue.person), PERSON) else { return 0 };
        if person.waiting == 0 || self.has_place(lease, config) {
            return 0;
        }
        let (each, all) = (config.commands_waiting_per_principal, config.commands_waiting);
        let quota = Quota::new(each.into(), all.into());
        let may = quota.admits(person.waiting.into(), self.waiting.into());
        if may { person.waited_ms } else { u64::MAX }
    }

    /// Nothing below `low` waits any more.
    pub(super) fn forget_below(&mut self, low: CommandNo, lease: &mut Lease) {
        self.keep_waiting(lease, |n| n >= low);
    }

    /// A command of a lease does not wait any more.
    pub(super) fn forget(&mut self, which: CommandNo, lease: &mut Lease) {
        self.keep_waiting(lease, |n| n != which);
    }

    fn keep_waiting(&mut self, lease: &mut Lease, stays: impl Fn(CommandNo) -> bool) {
        let queue = &mut lease.queue;
        let before = queue.waiting.len();
        queue.waiting.retain(|(_, n)| stays(*n));
        // At most `span`, a u32.
        let gone = (before - queue.waiting.len()) as u32;
        if gone > 0
            && let Some(person) = held(self.people.get_mut(queue.person), PERSON)
        {
            person.waiting -= gone;
            self.waiting -= gone;
        }
    }

    /// Nothing of a lease waits any more.
    pub(super) fn forget_all(&mut self, lease: &mut Lease) {
        self.forget_below(CommandNo(u64::MAX), lease);
    }

    /// The command that gets the next free place, if there is one: principals take turns, and the
    /// leases of each.
    pub(super) fn next(
        &mut self,
        now: Now,
        leases: &mut Table<LeaseRow, Lease>,
        config: &NodeConfig,
    ) -> Option<(LeaseKey, CommandNo)> {
        while self.running < config.executions {
            let at = self.turn.pop_front()?;
            let Some(person) = held(self.people.get_mut(at), PERSON) else { continue };
            let full = person.running >= config.executions_per_principal;
            let Some(key) = (!full).then(|| person.turn.pop_front()).flatten() else {
                person.in_turn = false;
                continue;
            };
            self.turn.push_back(at);
            let Some(lease) = leases.held_mut(key) else { continue };
            let full = lease.running >= config.executions_per_lease;
            let next = (!full).then(|| lease.queue.waiting.pop_front()).flatten();
            let Some((since, n)) = next else {
                lease.queue.in_turn = false;
                continue;
            };
            person.turn.push_back(key);
            person.waiting -= 1;
            person.waited_ms = if person.waiting == 0 { 0 } else { now.since(since) };
            self.waiting -= 1;
            return Some((key, n));
        }
        None
    }

    /// Commands that wait.
    pub(super) const fn waiting(&self) -> u32 {
        self.waiting
    }

    /// The most that a principal has running, and waiting.
    pub(super) fn most(&self) -> (u32, u32) {
        let people = self.people.values();
        people.fold((0, 0), |(running, waiting), person| {
            (running.max(person.running), waiting.max(person.waiting))
        })
    }
}

impl Person {
    fn new(name: Arc<str>) -> Self {
        let turn = VecDeque::new();
        Self { name, leases: 0, running: 0, waiting: 0, turn, in_turn: false, waited_ms: 0 }
    }
}
