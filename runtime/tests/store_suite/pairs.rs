//! Pairs of handles: those of the memory store keep every rule, and those that are wrong about each
//! other, with one mistake each, are told by the rule that they break.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use steadfast::session::store::{News, OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::store::suite::{self, Report};
use steadfast::store::{MemoryStore, Store};

use super::{apart, in_order, memory};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    TwoStores,
    Deaf,
    DeafToCommits,
    /// The last entry of what it tells is missing.
    TellsOneLess,
    /// All that it tells is that something is missing, which it may.
    OnlyMisses,
}

const MISTAKES: [(Mistake, &[&str]); 6] = [
    (Mistake::None, &[]),
    (
        Mistake::TwoStores,
        &[
            "two handles are of one store",
            "what one handle appends is news to another",
            "what one handle commits is news to another",
            "entries of news are those of the log",
        ],
    ),
    (
        Mistake::Deaf,
        &[
            "what one handle appends is news to another",
            "what one handle commits is news to another",
            "entries of news are those of the log",
        ],
    ),
    (Mistake::DeafToCommits, &["what one handle commits is news to another"]),
    (Mistake::TellsOneLess, &["entries of news are those of the log"]),
    (Mistake::OnlyMisses, &[]),
];

struct Handle {
    store: MemoryStore,
    mistake: Mistake,
    /// Whether either handle has been asked to commit.
    commits: Arc<AtomicBool>,
}

impl Store for Handle {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        let commits = batch.iter().any(|(_, op)| matches!(op, StoreOp::Commit { .. }));
        self.commits.fetch_or(commits, Ordering::Relaxed);
        self.store.execute(batch).await
    }

    async fn news(&self) -> News {
        let after_commits = self.commits.load(Ordering::Relaxed);
        match (self.mistake, self.store.news().await) {
            (Mistake::Deaf, _) => pending().await,
            (Mistake::DeafToCommits, _) if after_commits => pending().await,
            (Mistake::TellsOneLess, News::Advanced(mut topics)) => {
                topics.iter_mut().for_each(|advanced| drop(advanced.entries.pop()));
                News::Advanced(topics)
            }
            (Mistake::OnlyMisses, _) => News::Missed,
            (_, news) => news,
        }
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.store.interest(topic, interested);
    }
}

async fn pair(mistake: Mistake) -> (Handle, Handle) {
    let commits = Arc::new(AtomicBool::new(false));
    let one = memory().await;
    let other = if mistake == Mistake::TwoStores { memory().await } else { one.clone() };
    let handle = |store| Handle { store, mistake, commits: Arc::clone(&commits) };
    (handle(one), handle(other))
}

async fn put_through(mistake: Mistake) -> Report {
    suite::run_in_pairs(|| pair(mistake), tokio::task::yield_now).await
}

#[tokio::test]
async fn a_memory_store_whose_records_and_logs_lie_apart_keeps_the_rules_of_pairs_too() {
    let fresh = || async {
        let one = apart().await;
        let other = one.clone();
        (one, other)
    };
    let report = suite::run_in_pairs(fresh, tokio::task::yield_now).await;
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn a_wrong_pair_is_told_by_the_rule_that_it_breaks() {
    for (mistake, rules) in MISTAKES {
        let report = put_through(mistake).await;
        let rules: BTreeSet<_> = rules.iter().copied().collect();
        assert_eq!(in_order(&report), rules, "{mistake:?}: {report}");
        assert_eq!(report.passed(), rules.is_empty(), "{mistake:?}: {report}");
    }
}
