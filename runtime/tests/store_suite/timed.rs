//! Rules about time: the memory store keeps them, and a store whose clock is wrong is told by the
//! rules that it breaks.

use std::collections::BTreeSet;
use std::sync::Arc;

use steadfast::session::Now;
use steadfast::store::suite::{self, Report};
use steadfast::store::{Clock, MemoryLimits, MemoryStore};

use super::in_order;

async fn timed(change: fn(Now) -> Now) -> Report {
    let fresh = |clock: Clock| async move {
        MemoryStore::new(MemoryLimits::default(), Arc::new(move || change(clock())))
    };
    suite::run_timed(fresh).await
}

#[tokio::test]
async fn the_memory_store_keeps_every_rule_about_time() {
    let report = timed(|now| now).await;
    assert!(report.passed(), "{report}");
    assert!(report.runs >= 10, "{report}");
}

#[tokio::test]
async fn a_store_for_which_no_time_passes_keeps_everything() {
    let never: BTreeSet<_> = in_order(&timed(|_| Now(5)).await);
    let too_long = [
        "a lease that no command has run in lives for unused_ttl_ms",
        "a lease that a command has run in lives for ttl_ms",
        "a claim and a renewal are contact",
        "nobody holds a lease for longer than held_ms without contact",
        "a lease whose time is over is not opened again",
        "what a lease owes outlives it",
        "a sweep leaves out what is young",
        "an id is kept for its time",
        "an entry is kept for its time",
        "a topic without entries is soon forgotten, unless somebody asks for it",
    ];
    assert_eq!(never, BTreeSet::from(too_long));
}

#[tokio::test]
async fn a_store_for_which_time_passes_too_fast_keeps_nothing_for_long_enough() {
    let soon: BTreeSet<_> = in_order(&timed(|now| Now(now.0 * 20)).await);
    let too_short = [
        "a lease that no command has run in lives for unused_ttl_ms",
        "a lease that a command has run in lives for ttl_ms",
        "a claim and a renewal are contact",
        "nobody holds a lease for longer than held_ms without contact",
        "a sweep leaves out what is young",
        "an id is kept for its time",
        "an entry is kept for its time",
        "a topic without entries is soon forgotten, unless somebody asks for it",
        "a topic that had entries is not forgotten with the empty ones",
    ];
    assert_eq!(soon, BTreeSet::from(too_short));
}
