//! Operations that a store does not carry out: how long their node goes on trying, and what it may
//! begin meanwhile (PROTOCOL.md 5.7, 5.10). It keeps its own account of time, by the nodes' clocks.

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::Now;
use steadfast::session::node::NodeConfig;
use steadfast::session::store::{OpId, StoreOp, StoreOutcome};
use steadfast::wire::LeaseId;
use steadfast_rig::Rule;

use super::Checkers;

/// See the module.
#[derive(Debug, Clone, Default)]
pub(super) struct Outages {
    /// By node process.
    under_way: BTreeMap<(u64, OpId), Asked>,
    /// Commands whose commit was given up.
    given_up: BTreeSet<(LeaseId, u64)>,
    /// These commits.
    over: BTreeSet<(u64, OpId)>,
}

/// An operation under way.
#[derive(Debug, Clone)]
struct Asked {
    first: Now,
    /// How often it failed, and when that began.
    failures: u32,
    failed: Option<Now>,
    /// The lease that it is about.
    lease: Option<LeaseId>,
    /// What it commits.
    commits: Option<Vec<u64>>,
}

fn lease_of(body: &StoreOp) -> Option<LeaseId> {
    match body {
        StoreOp::ClaimLease { id, .. } | StoreOp::RenewLease { id, .. } => Some(*id),
        StoreOp::Commit { lease, .. } => Some(*lease),
        _ => None,
    }
}

impl Outages {
    fn asked(&mut self, now: Now, process: u64, op: OpId, body: &StoreOp) {
        let commits = match body {
            StoreOp::Commit { commits, .. } => Some(commits.iter().map(|one| one.n.0).collect()),
            _ => None,
        };
        let asked = Asked { first: now, failures: 0, failed: None, lease: lease_of(body), commits };
        self.under_way.entry((process, op)).or_insert(asked);
    }

    /// A try has failed. A node tries for as long as it is patient, and then gives up; it tries
    /// twice at least.
    fn fails(&mut self, now: Now, process: u64, op: OpId, config: &NodeConfig) {
        let Some(asked) = self.under_way.get_mut(&(process, op)) else { return };
        asked.failures += 1;
        asked.failed.get_or_insert(now);
        let over = now >= asked.first.after(config.store_patience);
        let (Some(lease), Some(numbers)) = (asked.lease, &asked.commits) else { return };
        if over && asked.failures > 1 {
            self.given_up.extend(numbers.iter().map(|n| (lease, *n)));
            self.under_way.remove(&(process, op));
            self.over.insert((process, op));
        }
    }

    fn ends(&mut self, process: u64, op: OpId, outcome: &StoreOutcome) {
        let Some(asked) = self.under_way.remove(&(process, op)) else { return };
        if *outcome == StoreOutcome::LeaseGone {
            // The node lets go of what it did for the lease.
            self.under_way.retain(|(of, _), other| *of != process || other.lease != asked.lease);
        }
    }

    /// A commit of a process that has been failing for longer than commands may begin. At the
    /// very time of its first failure the node may have decided already.
    fn failing(&self, now: Now, process: u64, config: &NodeConfig) -> Option<LeaseId> {
        let theirs = self.under_way.range((process, OpId(0))..=(process, OpId(u64::MAX)));
        let long = |asked: &&Asked| {
            let since = asked.first.after(config.store_failing_after);
            asked.commits.is_some() && asked.failed.is_some_and(|at| at < now) && since <= now
        };
        theirs.map(|(_, asked)| asked).find(long)?.lease
    }

    /// Whether a commit was given up, so that an outcome was called unknown and its command may run
    /// again.
    pub(super) fn has_given_up(&self) -> bool {
        !self.given_up.is_empty()
    }
}

impl Checkers {
    /// A node asks its store, and asks no more for a commit when its patience is over.
    pub(super) fn an_operation_is_tried(
        &mut self,
        now: Now,
        process: u64,
        op: OpId,
        body: &StoreOp,
    ) {
        self.outages.asked(now, process, op, body);
        let over = self.outages.over.contains(&(process, op));
        self.require(!over, Rule::PatienceIsKept, || format!("{op:?} is tried at {now:?}"));
    }

    pub(super) fn store_answers(
        &mut self,
        now: Now,
        process: u64,
        op: OpId,
        outcome: &StoreOutcome,
    ) {
        if matches!(outcome, StoreOutcome::Unknown | StoreOutcome::Failed) {
            self.outages.fails(now, process, op, &self.node_config);
        } else {
            self.outages.ends(process, op, outcome);
        }
    }

    /// Nothing is begun whose record the store would not take.
    pub(super) fn nothing_begins_while_the_store_fails(&mut self, now: Now, process: u64) {
        let failing = self.outages.failing(now, process, &self.node_config);
        self.require(failing.is_none(), Rule::NothingBeginsInOutage, || {
            format!("at {now:?}, while commits of {failing:?} fail")
        });
    }

    /// A node says "unknown" when it has been patient, or of a reply that takes too much room.
    pub(super) fn unknown_only_after_patience(&mut self, key: (LeaseId, u64)) {
        let shrunk = self.replies_shrink && self.commits.contains_key(&key);
        let holds = shrunk || self.outages.given_up.contains(&key);
        self.require(holds, Rule::PatienceIsKept, || format!("{key:?} is unknown too early"));
    }
}
