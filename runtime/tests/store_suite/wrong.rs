//! Stores with one mistake each, in front of the memory store. What finds them is not here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::session::store::{
    Append, AppendKey, AppendOutcome, Appended, Claim, Commit, CommitOutcome, Generation, OpId,
    Outcome, Publication, Retention, StoreOp, StoreOutcome, StoreTime, TopicHead, TopicId,
};
use steadfast::store::{MemoryStore, Store};
use steadfast::wire::{Body, CommandNo, Epoch, LeaseId};
use steadfast_rig::fixtures;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    SettlesOutOfOrder,
    ForgetsDirectKeys,
    ForgetsCommandKeys,
    PageBeyondItsBytes,
    PageBeyondItsEntries,
    BatchBackwards,
    DropsWhatIsOwed,
    LetsNothingGo,
    ListsTheYoung,
    ListsBeyondItsBytes,
    ListsReplies,
    EndsNothing,
    /// Who opens a lease that has ended gets one of the same id.
    OpensEndedLeases,
    BelievesEveryOpen,
    AnyPrincipal,
    OpensAnew,
    HeadsOfKnownTopicsOnly,
    OldRenewalsCount,
    OneGeneration,
    IgnoresIds,
    ComparesNoBodies,
    AnyPrincipalsIds,
    BoundlessIds,
    AppendsBackwards,
    SettlesTheFirst,
    KeepsOneCodec,
    /// Of a store whose records and logs lie apart.
    BelievesEveryLook,
    /// The same.
    AppendsBehindStale,
}

impl Mistake {
    /// Whether it is one of a store whose records and logs lie apart.
    pub fn is_apart(self) -> bool {
        matches!(self, Self::BelievesEveryLook | Self::AppendsBehindStale)
    }
}

/// Each with the cases that have to find it, and no others.
pub const MISTAKES: &[(Mistake, &[&str])] = &[
    (
        Mistake::SettlesOutOfOrder,
        &[
            "a commit settles nothing above an unsettled record",
            "a commit settles nothing above an unsettled one of its own",
            "an unsettled record below the mark still keeps its order",
        ],
    ),
    (
        Mistake::ForgetsDirectKeys,
        &["an append happens once per key", "appends land together, in order"],
    ),
    (Mistake::AppendsBackwards, &["appends land together, in order"]),
    (Mistake::KeepsOneCodec, &["a body comes back in each codec"]),
    (Mistake::SettlesTheFirst, &["many records are settled at once"]),
    (Mistake::BelievesEveryLook, &["what a settled command appends late is not added"]),
    (Mistake::AppendsBehindStale, &["what another incarnation showed proves nothing"]),
    (
        Mistake::ForgetsCommandKeys,
        &[
            "an append key is remembered while its record is unsettled",
            "what a settled command appends late is not added",
        ],
    ),
    (Mistake::PageBeyondItsBytes, &["a page has so many bytes and always its first entry"]),
    (Mistake::PageBeyondItsEntries, &["a page has so many entries"]),
    (
        Mistake::BatchBackwards,
        &[
            "operations of a batch on one lease are in order",
            "operations of a batch on one topic are in order",
        ],
    ),
    (
        Mistake::DropsWhatIsOwed,
        &[
            "a body comes back in each codec",
            "a sweep leaves out replies",
            "publications of an unsettled record are kept whole",
            "what an ended lease owes stays",
        ],
    ),
    (
        Mistake::LetsNothingGo,
        &[
            "a lease that was let go makes room, the first one first",
            "an ended lease is not opened again",
        ],
    ),
    (Mistake::ListsTheYoung, &["young records are left out on demand"]),
    (
        Mistake::ListsBeyondItsBytes,
        &["a page of the sweep has so many bytes and always its first record"],
    ),
    (Mistake::ListsReplies, &["a sweep leaves out replies", "what an ended lease owes stays"]),
    (
        Mistake::EndsNothing,
        &[
            "an ended lease is gone",
            "an ended lease is not opened again",
            "an ended lease leaves its room",
            "operations of a batch on one lease are in order",
        ],
    ),
    (Mistake::OpensEndedLeases, &["an ended lease is not opened again"]),
    (Mistake::BelievesEveryOpen, &["what was asked for in another incarnation opens no lease"]),
    (Mistake::AnyPrincipal, &["a lease belongs to its principal"]),
    (Mistake::OldRenewalsCount, &["a renewal of an older generation changes nothing"]),
    (
        Mistake::OneGeneration,
        &[
            "a claim of another holder raises the generation",
            "an earlier holder is told of the latest claim",
            "a renewal of an older generation changes nothing",
        ],
    ),
    (Mistake::HeadsOfKnownTopicsOnly, &["heads are told in order and make no topic"]),
    (
        Mistake::IgnoresIds,
        &[
            "an id is taken with its record and outlives its lease",
            "the first outcome of an id stands",
            "another body under an id is told so",
            "an outcome that does not stand takes no id",
            "a principal has so many ids",
            "commits of one operation see the ids of those before them",
        ],
    ),
    (Mistake::ComparesNoBodies, &["another body under an id is told so"]),
    (Mistake::AnyPrincipalsIds, &["an id belongs to its principal and its message"]),
    (Mistake::BoundlessIds, &["a principal has so many ids"]),
    (Mistake::OpensAnew, &["a topic keeps its first epoch", "an append makes its topic"]),
];

pub struct Wrong {
    store: MemoryStore,
    mistake: Mistake,
    count: AtomicU64,
}

impl Wrong {
    pub fn new(store: MemoryStore, mistake: Mistake) -> Self {
        Self { store, mistake, count: AtomicU64::new(0) }
    }

    fn fresh_key(&self) -> AppendKey {
        AppendKey::Direct { node: 0, count: self.count.fetch_add(1, Ordering::Relaxed) }
    }

    fn forget_keys(&self, appends: &mut [Append], which: fn(&AppendKey) -> bool) {
        for append in appends.iter_mut().filter(|append| which(&append.key)) {
            append.key = self.fresh_key();
        }
    }

    fn now(&self) -> StoreTime {
        let (max, max_bytes, older_than_ms) = (0, 0, 0);
        match self.right(StoreOp::ListUnsettled { max, max_bytes, after: None, older_than_ms }) {
            StoreOutcome::Unsettled { at, .. } => at,
            other => panic!("{other:?}"),
        }
    }

    fn right(&self, op: StoreOp) -> StoreOutcome {
        self.store.execute_at_once(op).unwrap()
    }

    /// What the memory store is asked instead.
    fn mistaken(&self, mut op: StoreOp) -> StoreOp {
        match (self.mistake, &mut op) {
            (Mistake::ForgetsDirectKeys, StoreOp::Append { appends, .. }) => {
                self.forget_keys(appends, |key| matches!(key, AppendKey::Direct { .. }))
            }
            (Mistake::ForgetsCommandKeys, StoreOp::Append { appends, .. }) => {
                self.forget_keys(appends, |key| matches!(key, AppendKey::Command { .. }));
            }
            (Mistake::PageBeyondItsBytes, StoreOp::ReadLog { max_bytes, .. }) => {
                *max_bytes = u64::MAX;
            }
            (Mistake::KeepsOneCodec, StoreOp::Append { appends, .. }) => {
                appends.iter_mut().for_each(|append| append.bodies.truncate(1));
            }
            (Mistake::SettlesTheFirst, StoreOp::Settle { records }) => records.truncate(1),
            (Mistake::BelievesEveryLook, StoreOp::Append { appends, .. }) => {
                let at = self.now();
                appends.iter_mut().for_each(|append| append.as_of = Some(at));
            }
            (Mistake::OldRenewalsCount, StoreOp::RenewLease { generation, .. }) => {
                *generation = Generation(u64::MAX);
            }
            (
                Mistake::OneGeneration,
                StoreOp::OpenLease { holder, .. } | StoreOp::ClaimLease { holder, .. },
            ) => *holder = fixtures::holder(1),
            (Mistake::LetsNothingGo, StoreOp::RenewLease { held, .. }) => *held = true,
            (Mistake::ListsTheYoung, StoreOp::ListUnsettled { older_than_ms, .. }) => {
                *older_than_ms = 0;
            }
            (Mistake::ListsBeyondItsBytes, StoreOp::ListUnsettled { max_bytes, .. }) => {
                *max_bytes = u64::MAX;
            }
            (Mistake::EndsNothing, StoreOp::EndLease { id }) => *id = LeaseId(0),
            (Mistake::BelievesEveryOpen, StoreOp::OpenLease { as_of, .. }) => *as_of = self.now(),
            (Mistake::AnyPrincipal, StoreOp::ClaimLease { principal, .. }) => {
                if let Some(copy) = principal.strip_prefix("bob") {
                    *principal = format!("ann{copy}").into();
                }
            }
            (Mistake::AnyPrincipalsIds, StoreOp::FindId { id, max_per_principal, .. })
                if *max_per_principal > 1 =>
            {
                if let Some(copy) = id.principal.strip_prefix("bob") {
                    id.principal = format!("ann{copy}").into();
                }
            }
            (Mistake::BoundlessIds, StoreOp::FindId { max_per_principal, .. }) => {
                *max_per_principal = u32::MAX;
            }
            (Mistake::IgnoresIds, StoreOp::Commit { commits, .. }) => {
                commits.iter_mut().for_each(|commit| commit.id = None);
            }
            (Mistake::ComparesNoBodies, StoreOp::Commit { commits, .. }) => {
                let ids = commits.iter_mut().filter_map(|commit| commit.id.as_mut());
                ids.for_each(|id| id.hash = u64::MAX - 7);
            }
            _ => {}
        }
        op
    }

    fn carry_out(&self, op: StoreOp) -> StoreOutcome {
        match (self.mistake, self.mistaken(op)) {
            (Mistake::SettlesOutOfOrder, StoreOp::Commit { lease, low, commits }) => {
                self.settle_each(lease, low, commits)
            }
            (Mistake::PageBeyondItsEntries, op @ StoreOp::ReadLog { .. }) => self.read_more(op),
            (Mistake::OpensAnew, StoreOp::OpenTopic { topic, fresh_epoch, retention }) => {
                let op = StoreOp::OpenTopic { topic, fresh_epoch, retention };
                match self.right(op) {
                    StoreOutcome::Topic(head) => {
                        StoreOutcome::Topic(TopicHead { epoch: fresh_epoch, ..head })
                    }
                    other => other,
                }
            }
            (Mistake::HeadsOfKnownTopicsOnly, op @ StoreOp::Heads { .. }) => match self.right(op) {
                StoreOutcome::Heads(mut heads) => {
                    heads.retain(Option::is_some);
                    StoreOutcome::Heads(heads)
                }
                other => other,
            },
            (Mistake::AppendsBackwards, op) => self.append_backwards(op),
            (Mistake::AppendsBehindStale, StoreOp::Append { topic, appends, retention, .. }) => {
                let one = |append| self.append_one(&topic, append, retention);
                let each = appends.into_iter().map(one);
                StoreOutcome::Appended(each.collect())
            }
            (Mistake::OpensEndedLeases, op) => self.open_again(op),
            (Mistake::DropsWhatIsOwed, op) => forget(self.right(op)),
            (Mistake::ListsReplies, op) => reply(self.right(op)),
            (_, op) => self.right(op),
        }
    }

    fn open_again(&self, op: StoreOp) -> StoreOutcome {
        let StoreOp::OpenLease { id, holder, .. } = op else { return self.right(op) };
        let (generation, low) = (Generation(0), CommandNo(0));
        let look = StoreOp::RenewLease { id, generation, held: true, low };
        match (self.right(op), self.right(look)) {
            (StoreOutcome::LeaseGone, StoreOutcome::LeaseGone) => StoreOutcome::Lease {
                at: self.now(),
                low: CommandNo(1),
                claim: Claim { generation: Generation(1), holder },
                records: Vec::new(),
            },
            (opened, _) => opened,
        }
    }

    fn read_more(&self, mut op: StoreOp) -> StoreOutcome {
        if let StoreOp::ReadLog { max, .. } = &mut op {
            *max += 1;
        }
        self.right(op)
    }

    /// Settles every record that may be settled, whatever is unsettled below it.
    fn settle_each(&self, lease: LeaseId, low: CommandNo, commits: Vec<Commit>) -> StoreOutcome {
        let commits_later =
            commits.iter().cloned().map(|commit| Commit { settle: false, ..commit });
        let op = StoreOp::Commit { lease, low, commits: commits_later.collect() };
        let mut outcome = self.right(op);
        if let StoreOutcome::Committed { outcomes: rows, .. } = &mut outcome {
            for (commit, (n, row)) in commits.into_iter().zip(rows) {
                if commit.settle && *row == (CommitOutcome::Written { settled: None }) {
                    let landed = (0..).zip(commit.record.publishes).map(|(index, publication)| {
                        self.land(AppendKey::Command { lease, n: *n, index }, publication)
                    });
                    *row = CommitOutcome::Written { settled: Some(landed.collect()) };
                    self.right(StoreOp::Settle { records: vec![(lease, *n)] });
                }
            }
        }
        outcome
    }

    fn append_backwards(&self, mut op: StoreOp) -> StoreOutcome {
        if let StoreOp::Append { appends, .. } = &mut op {
            appends.reverse();
        }
        match self.right(op) {
            StoreOutcome::Appended(mut outcomes) => {
                outcomes.reverse();
                StoreOutcome::Appended(outcomes)
            }
            other => other,
        }
    }

    fn append_one(&self, topic: &TopicId, append: Append, retention: Retention) -> AppendOutcome {
        let (topic, appends) = (topic.clone(), vec![append]);
        match self.right(StoreOp::Append { topic, appends, retention, fresh_epoch: Epoch(77) }) {
            StoreOutcome::Appended(outcomes) => outcomes[0],
            other => panic!("{other:?}"),
        }
    }

    fn land(&self, key: AppendKey, publication: Publication) -> Appended {
        let Publication { topic, name, bodies } = publication;
        let retention = Retention::new(1_000, Duration::from_secs(3_600));
        match self.append_one(&topic, Append { key, as_of: None, name, bodies }, retention) {
            AppendOutcome::Landed(at) => at,
            other => panic!("{other:?}"),
        }
    }
}

fn forget(mut outcome: StoreOutcome) -> StoreOutcome {
    match &mut outcome {
        StoreOutcome::Unsettled { records, .. } => {
            records.iter_mut().for_each(|(.., record)| record.publishes.clear());
        }
        StoreOutcome::Committed { outcomes: rows, .. } => {
            for (_, row) in rows {
                if let CommitOutcome::Exists(record) = row {
                    record.publishes.clear();
                }
            }
        }
        _ => {}
    }
    outcome
}

fn reply(mut outcome: StoreOutcome) -> StoreOutcome {
    if let StoreOutcome::Unsettled { records, .. } = &mut outcome {
        let reply = || Outcome::Ok(Body::copy_from(b"7"));
        records.iter_mut().for_each(|(.., record)| record.outcome = reply());
    }
    outcome
}

impl Store for Wrong {
    async fn execute(&self, mut batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        if self.mistake == Mistake::BatchBackwards {
            batch.reverse();
        }
        batch.into_iter().map(|(id, op)| (id, self.carry_out(op))).collect()
    }
}
