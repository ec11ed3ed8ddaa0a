//! Another incarnation: the memory store keeps its rules, and a store with a mistake in it is told
//! by the name of the rule that it breaks.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast::session::store::{
    AppendKey, AppendOutcome, Claim, Generation, News, OpId, StoreOp, StoreOutcome, StoreTime,
    TopicId,
};
use steadfast::store::suite::{self, Report, Rolled};
use steadfast::store::{MemoryStore, Store};
use steadfast::wire::{CommandNo, Epoch};
use steadfast_rig::fixtures;

use super::{apart, in_order, memory};

const INCARNATION: u64 = 9;

const EPOCHS: &str = "in another incarnation every topic has another epoch";
const LEASES: &str = "in another incarnation every lease is gone";
const IDS: &str = "ids outlive an incarnation";
const OWED: &str = "what leases owe outlives an incarnation";
const TOLD: &str = "a handle that lives through it tells of another incarnation";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    GoesOn,
    BeginsEmpty,
    ServesTheOldEpoch,
    AppendsInTheOldEpoch,
    ClaimsWhatIsGone,
    RenewsWhatIsGone,
    CommitsToWhatIsGone,
    ForgetsWhatIsOwed,
    AppendsTwice,
    SaysNothing,
    /// All that it says is that something is missing.
    OnlyMisses,
}

/// Each with the cases that have to find it, and no others.
const MISTAKES: [(Mistake, &[&str]); 12] = [
    (Mistake::None, &[]),
    (Mistake::GoesOn, &[EPOCHS, LEASES, TOLD]),
    (Mistake::BeginsEmpty, &[IDS, OWED, TOLD]),
    (Mistake::ServesTheOldEpoch, &[EPOCHS]),
    (Mistake::AppendsInTheOldEpoch, &[EPOCHS]),
    (Mistake::ClaimsWhatIsGone, &[LEASES]),
    (Mistake::RenewsWhatIsGone, &[LEASES]),
    (Mistake::CommitsToWhatIsGone, &[LEASES]),
    (Mistake::ForgetsWhatIsOwed, &[OWED]),
    (Mistake::AppendsTwice, &[OWED]),
    (Mistake::SaysNothing, &[TOLD]),
    (Mistake::OnlyMisses, &[TOLD]),
];

struct Wrong {
    store: MemoryStore,
    mistake: Mistake,
    /// Whether it is another incarnation.
    rolled: bool,
    count: AtomicU64,
}

impl Wrong {
    fn right(&self, op: StoreOp) -> StoreOutcome {
        self.store.execute_at_once(op).unwrap()
    }

    /// What the memory store is asked instead.
    fn mistaken(&self, mut op: StoreOp) -> StoreOp {
        match (self.mistake, &mut op) {
            (Mistake::ServesTheOldEpoch, StoreOp::ReadLog { topic, epoch, .. }) => {
                let heads = self.right(StoreOp::Heads { topics: vec![topic.clone()] });
                if let StoreOutcome::Heads(heads) = heads {
                    *epoch = heads[0].map_or(*epoch, |head| head.epoch);
                }
            }
            (Mistake::AppendsTwice, StoreOp::Append { appends, .. }) => {
                for append in appends {
                    let count = self.count.fetch_add(1, Ordering::Relaxed);
                    append.key = AppendKey::Direct { node: 0, count };
                }
            }
            _ => {}
        }
        op
    }

    fn carry_out(&self, op: StoreOp) -> StoreOutcome {
        if !self.rolled {
            return self.right(op);
        }
        let op = self.mistaken(op);
        match (self.mistake, &op, self.right(op.clone())) {
            (Mistake::ClaimsWhatIsGone, StoreOp::ClaimLease { .. }, StoreOutcome::LeaseGone)
            | (Mistake::RenewsWhatIsGone, StoreOp::RenewLease { .. }, StoreOutcome::LeaseGone) => {
                lease()
            }
            (Mistake::CommitsToWhatIsGone, StoreOp::Commit { .. }, StoreOutcome::LeaseGone) => {
                let (at, outcomes) = (StoreTime::default(), Vec::new());
                StoreOutcome::Committed { at, claim: claim(), outcomes }
            }
            (Mistake::ForgetsWhatIsOwed, _, StoreOutcome::Unsettled { at, .. }) => {
                StoreOutcome::Unsettled { at, records: Vec::new() }
            }
            (Mistake::AppendsInTheOldEpoch, _, StoreOutcome::Appended(mut outcomes)) => {
                for outcome in &mut outcomes {
                    if let AppendOutcome::Landed(at) = outcome {
                        at.epoch = Epoch(77);
                    }
                }
                StoreOutcome::Appended(outcomes)
            }
            (.., outcome) => outcome,
        }
    }

    async fn roll_back(mut self) -> Rolled<Self> {
        self.rolled = true;
        match self.mistake {
            Mistake::GoesOn => {}
            Mistake::BeginsEmpty => self.store = memory().await,
            _ => self.store.begin_incarnation(INCARNATION),
        }
        Rolled::lived_through(self, tokio::task::yield_now())
    }
}

fn claim() -> Claim {
    Claim { generation: Generation(1), holder: fixtures::holder(1) }
}

fn lease() -> StoreOutcome {
    let (at, low) = (StoreTime::default(), CommandNo(0));
    StoreOutcome::Lease { at, low, claim: claim(), records: Vec::new() }
}

impl Store for Wrong {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        batch.into_iter().map(|(id, op)| (id, self.carry_out(op))).collect()
    }

    async fn news(&self) -> News {
        match (self.mistake, self.store.news().await) {
            (Mistake::SaysNothing, _) => pending().await,
            (Mistake::OnlyMisses, _) => News::Missed,
            (_, news) => news,
        }
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.store.interest(topic, interested);
    }
}

async fn put_through(mistake: Mistake) -> Report {
    let fresh = || async move {
        Wrong { store: memory().await, mistake, rolled: false, count: AtomicU64::new(0) }
    };
    suite::run_rolled(fresh, Wrong::roll_back).await
}

#[tokio::test]
async fn the_memory_store_keeps_every_rule_about_another_incarnation() {
    let roll_back = |store: MemoryStore| async {
        store.begin_incarnation(INCARNATION);
        Rolled::lived_through(store, tokio::task::yield_now())
    };
    for report in
        [suite::run_rolled(memory, roll_back).await, suite::run_rolled(apart, roll_back).await]
    {
        assert!(report.passed(), "{report}");
        assert!(report.runs >= 5, "{report}");
    }
}

#[tokio::test]
async fn a_store_that_is_wrong_about_another_incarnation_is_told_by_the_rule() {
    for (mistake, rules) in MISTAKES {
        let report = put_through(mistake).await;
        let rules: BTreeSet<_> = rules.iter().copied().collect();
        assert_eq!(in_order(&report), rules, "{mistake:?}: {report}");
    }
}
