//! A store that keeps the publications of settled records, and shows them with the records. The
//! memory store forgets them when they are in their logs; a node must not care which.

use std::collections::BTreeMap;

use steadfast::session::store::{
    Commit, CommitOutcome, Publication, Record, StoreOp, StoreOutcome,
};
use steadfast::wire::{CommandNo, LeaseId};

/// What was published with each record.
#[derive(Debug, Default)]
pub(super) struct Settled(BTreeMap<(LeaseId, CommandNo), Vec<Publication>>);

impl Settled {
    /// Notes what is committed, and puts it into the records that come back.
    pub(super) fn show(&mut self, op: &StoreOp, truth: &mut StoreOutcome) {
        match (op, truth) {
            (StoreOp::Commit { lease, commits, .. }, StoreOutcome::Committed { outcomes, .. }) => {
                for (Commit { record, .. }, (n, outcome)) in commits.iter().zip(outcomes) {
                    match outcome {
                        CommitOutcome::Written { .. } => {
                            self.0.insert((*lease, *n), record.publishes.clone());
                        }
                        CommitOutcome::Decided { decided, .. } => {
                            self.0.insert((*lease, *n), decided.publishes.clone());
                        }
                        CommitOutcome::Exists(record) => self.put_back(*lease, *n, record),
                        CommitOutcome::BelowLow | CommitOutcome::Used(_) => {}
                    }
                }
            }
            (StoreOp::ClaimLease { id, .. }, StoreOutcome::Lease { records, .. }) => {
                records.iter_mut().for_each(|(n, record)| self.put_back(*id, *n, record));
            }
            _ => {}
        }
    }

    fn put_back(&self, lease: LeaseId, n: CommandNo, record: &mut Record) {
        if record.settled
            && let Some(publishes) = self.0.get(&(lease, n))
        {
            record.publishes.clone_from(publishes);
        }
    }
}
