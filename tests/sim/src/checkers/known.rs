//! Which records a node knows of, because it wrote them or was told with a lease: their handlers
//! never run again there (ARCHITECTURE.md, invariant 11).

use std::collections::{BTreeMap, BTreeSet};

use steadfast::session::Now;
use steadfast::session::store::{CommitOutcome, OpId, StoreOp, StoreOutcome};
use steadfast::wire::LeaseId;
use steadfast_rig::Rule;

use super::Checkers;

/// By node process.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// Which lease a claim or commit under way is about.
    asked: BTreeMap<(u64, OpId), LeaseId>,
    /// Records that came with a claim, until the lease is granted: a claim may come to nothing.
    told: BTreeMap<(u64, LeaseId), BTreeSet<u64>>,
    records: BTreeSet<(u64, LeaseId, u64)>,
}

impl Checkers {
    /// A node asks its store.
    pub fn asked(&mut self, now: Now, process: u64, op: OpId, body: &StoreOp) {
        if let StoreOp::ClaimLease { id, .. } | StoreOp::Commit { lease: id, .. } = body {
            self.known.asked.insert((process, op), *id);
        }
        self.claims.asked(process, op, body);
        self.readers_cost_no_lease(body);
        self.decisions_are_asked_for(process, op, body);
        self.topics.looks.asked(process, op, body);
        self.ids.asked(process, op, body);
        self.an_operation_is_tried(now, process, op, body);
    }

    pub(super) fn records_are_told(&mut self, process: u64, op: OpId, outcome: &StoreOutcome) {
        let Some(lease) = self.known.asked.remove(&(process, op)) else { return };
        match outcome {
            StoreOutcome::Lease { records, .. } => {
                let told = self.known.told.entry((process, lease)).or_default();
                told.extend(records.iter().map(|(n, _)| n.0));
            }
            StoreOutcome::Committed { outcomes, .. } => {
                let stand =
                    outcomes.iter().filter(|(_, outcome)| *outcome != CommitOutcome::BelowLow);
                self.known.records.extend(stand.map(|(n, _)| (process, lease, n.0)));
            }
            _ => {}
        }
    }

    pub(super) fn lease_comes_with_records(&mut self, process: u64, lease: LeaseId) {
        let told = self.known.told.remove(&(process, lease)).unwrap_or_default();
        self.known.records.extend(told.into_iter().map(|n| (process, lease, n)));
    }

    /// A handler never runs again once a record of its command exists and its node knows it.
    pub(super) fn no_handler_runs_over_a_record(
        &mut self,
        process: u64,
        (lease, n): (LeaseId, u64),
    ) {
        let known = self.known.records.contains(&(process, lease, n));
        self.require(!known, Rule::NoRunOverRecord, || {
            format!("{lease:?} {n} in process {process}")
        });
    }
}
