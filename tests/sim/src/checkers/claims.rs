//! Who has a lease: nobody who never commanded; and as far as each node knows, whose one is: a node
//! that knows of a later claim of another one starts nothing of it. It learns from the store's
//! answers, as the node does.

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::store::{Claim, Generation, OpId, StoreOp, StoreOutcome};
use steadfast::wire::{InstanceId, LeaseId};
use steadfast_rig::Rule;

use super::Checkers;

/// By node process.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    /// What each process calls itself.
    names: BTreeMap<u64, u128>,
    /// Which lease an operation under way is about.
    asked: BTreeMap<(u64, OpId), LeaseId>,
    /// The latest claim of its own that a process knows of, and of another one.
    known: BTreeMap<(u64, LeaseId), (Generation, Generation)>,
    /// Leases that a process has learnt of in this turn, in which what it has begun goes out.
    learnt: Vec<(u64, LeaseId)>,
    /// Client processes that have nothing to command, and ask for no lease before.
    readers: BTreeSet<u64>,
    /// Client processes that have asked for a lease on their present attachment.
    waiting: BTreeSet<u64>,
    /// What client processes call themselves.
    instances: BTreeMap<InstanceId, u64>,
}

impl Claims {
    pub(super) fn asked(&mut self, process: u64, op: OpId, body: &StoreOp) {
        let lease = match body {
            StoreOp::OpenLease { id, holder, .. } | StoreOp::ClaimLease { id, holder, .. } => {
                self.names.insert(process, holder.node);
                *id
            }
            StoreOp::RenewLease { id, .. } | StoreOp::Commit { lease: id, .. } => *id,
            _ => return,
        };
        self.asked.insert((process, op), lease);
    }

    pub(super) fn says_hello(&mut self, process: u64, instance: InstanceId) {
        self.instances.insert(instance, process);
    }

    pub(super) fn commands(&mut self, process: u64) {
        self.readers.remove(&process);
    }

    pub(super) fn asks_for_lease(&mut self, process: u64) {
        self.waiting.insert(process);
    }

    /// A client has its lease, or another attachment.
    pub(super) fn waits_no_more(&mut self, process: u64) {
        self.waiting.remove(&process);
    }

    fn knows(&self, process: u64, lease: LeaseId) -> bool {
        self.known.get(&(process, lease)).is_some_and(|(own, other)| other > own)
            && !self.learnt.contains(&(process, lease))
    }
}

impl Checkers {
    pub(super) fn claims_are_told(&mut self, process: u64, op: OpId, outcome: &StoreOutcome) {
        let Some(lease) = self.claims.asked.remove(&(process, op)) else { return };
        let (StoreOutcome::Lease { claim, .. } | StoreOutcome::Committed { claim, .. }) = outcome
        else {
            return;
        };
        let Claim { generation, holder } = claim;
        let ours = self.claims.names.get(&process) == Some(&holder.node);
        let (own, other) = self.claims.known.entry((process, lease)).or_default();
        let before = *other > *own;
        let latest = if ours { &mut *own } else { &mut *other };
        *latest = (*latest).max(*generation);
        if !before && *other > *own {
            self.claims.learnt.push((process, lease));
            self.sometimes.count("told that a lease is another node's");
        }
    }

    /// What nodes have begun has gone out.
    pub fn turn_ends(&mut self) {
        self.claims.learnt.clear();
    }

    /// Whether a client has asked for a lease and is told of none.
    #[must_use]
    pub fn waits_for_lease(&self, process: u64) -> bool {
        self.claims.waiting.contains(&process)
    }

    /// A client that will ask for a lease when it has something to command has nothing yet.
    pub fn client_reads(&mut self, process: u64) {
        self.claims.readers.insert(process);
    }

    /// The store hears nothing of leases from a client that never had anything to command.
    pub(super) fn readers_cost_no_lease(&mut self, body: &StoreOp) {
        let (StoreOp::OpenLease { holder, .. } | StoreOp::ClaimLease { holder, .. }) = body else {
            return;
        };
        let process = self.claims.instances.get(&holder.instance).copied();
        let reads = process.is_some_and(|process| self.claims.readers.contains(&process));
        self.require(!reads, Rule::ReadersCostNoLease, || format!("{process:?}: {body:?}"));
    }

    /// A node that knows of a newer generation starts nothing.
    pub(super) fn nothing_starts_of_anothers_lease(&mut self, process: u64, key: (LeaseId, u64)) {
        let knows = self.claims.knows(process, key.0);
        self.require(!knows, Rule::NothingOfAnothersLease, || {
            format!("{key:?} starts in process {process}")
        });
    }
}
