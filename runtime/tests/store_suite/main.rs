//! The store suite: the memory store passes it, and a store with a mistake in it is told by the
//! name of the rule that it breaks.
#![allow(unreachable_pub)]
#![allow(clippy::panic, clippy::unwrap_used)]

mod operator;
mod pairs;
mod rolled;
mod timed;
mod wrong;
mod wrong_decisions;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use steadfast::session::Now;
use steadfast::store::suite::{self, Hostile, Report, Way};
use steadfast::store::{MemoryLimits, MemoryStore};
use wrong::{Mistake, Wrong};

/// A memory store whose clock goes on a little each time that somebody looks at it.
fn with(limits: MemoryLimits) -> MemoryStore {
    let time = AtomicU64::new(0);
    let clock = move || Now(time.fetch_add(1, Ordering::Relaxed));
    MemoryStore::new(limits, Arc::new(clock))
}

async fn memory() -> MemoryStore {
    with(MemoryLimits::default())
}

/// One whose records and logs lie apart, and that believes for so many looks at its clock that a
/// record was unsettled.
async fn apart() -> MemoryStore {
    let mut limits = MemoryLimits::default();
    limits.append_window = Some(Duration::from_millis(100));
    with(limits)
}

async fn put_through(mistake: Mistake) -> Report {
    let fresh = || async move {
        let store = if mistake.is_apart() { apart().await } else { memory().await };
        Wrong::new(store, mistake)
    };
    suite::run(fresh).await
}

/// The cases that fail when nothing else goes wrong.
fn in_order(report: &Report) -> BTreeSet<&'static str> {
    let findings = report.findings.iter().filter(|finding| finding.way == Way::InOrder);
    findings.map(|finding| finding.case).collect()
}

#[tokio::test]
async fn the_memory_store_keeps_every_rule_in_every_way() {
    let report = suite::run(memory).await;
    assert!(report.passed(), "{report}");
    assert!(report.runs > suite::cases().len(), "{report}");
}

#[tokio::test]
async fn a_store_whose_records_and_logs_lie_apart_keeps_every_rule_in_every_way() {
    let report = suite::run(apart).await;
    assert!(report.passed(), "{report}");
}

#[tokio::test]
async fn a_hostile_store_keeps_every_rule_with_any_seed() {
    for seed in 100..150 {
        for case in suite::cases() {
            let store = Arc::new(Hostile::new(memory().await, seed));
            let came = case.run(store, 0).await;
            assert!(came.is_ok(), "{} (seed {seed}): {came:?}", case.name);
        }
    }
}

#[tokio::test]
async fn the_memory_store_decides_by_every_rule_in_every_way() {
    for report in [suite::run_deciding(memory).await, suite::run_deciding(apart).await] {
        assert!(report.passed(), "{report}");
        assert!(report.runs > suite::deciding_cases().len(), "{report}");
    }
}

#[tokio::test]
async fn a_wrong_store_is_told_by_the_rule_that_it_breaks() {
    for (mistake, rules) in wrong::MISTAKES {
        let report = put_through(*mistake).await;
        let rules: BTreeSet<_> = rules.iter().copied().collect();
        assert_eq!(in_order(&report), rules, "{mistake:?}: {report}");
    }
}

#[tokio::test]
async fn a_report_says_what_was_expected_and_what_came() {
    let report = put_through(Mistake::PageBeyondItsBytes).await.to_string();
    for part in [
        "a page has so many bytes and always its first entry (in order)",
        "rule: A page has no more than max_bytes",
        "expected: 15 bytes of entries of 5: [1, 2, 3]",
        "came: [1, 2, 3, 4, 5]",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn cases_have_names_of_their_own() {
    let cases = suite::cases();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name).collect();
    assert_eq!(names.len(), cases.len());
}

#[tokio::test]
async fn a_store_that_decides_wrongly_is_told_by_the_rule_that_it_breaks() {
    for (mistake, rules) in wrong_decisions::MISTAKES {
        let fresh = || async move { wrong_decisions::Wrong::new(memory().await, *mistake) };
        let report = suite::run_deciding(fresh).await;
        let rules: BTreeSet<_> = rules.iter().copied().collect();
        assert_eq!(in_order(&report), rules, "{mistake:?}: {report}");
    }
}
