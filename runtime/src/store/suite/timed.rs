//! Puts the rules about time to a store whose clock the suite sets. What a case asks is its own.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::bench::Bench;
use super::cases::timed_cases;
use super::report::{Report, Way};
use super::timed_case::{TimedBench, TimedCase};
use crate::session::Now;
use crate::store::interface::{Clock, Store};

/// Puts the rules about time to stores that `fresh` makes with a clock, each case to a fresh one.
/// Only for stores that can be given a clock: of others it can't be known without waiting.
///
/// Nothing fails meanwhile. What is carried out late would come minutes or hours late here, when
/// no store knows any more what it is a repetition of.
///
/// # Cancellation
/// The future may be dropped, together with the store that it is at.
pub async fn run_timed<S, F, Fut>(fresh: F) -> Report
where
    S: Store,
    F: Fn(Clock) -> Fut,
    Fut: Future<Output = S>,
{
    let mut report = Report::default();
    for TimedCase { name, rule, run } in timed_cases() {
        let time = Arc::new(AtomicU64::new(1_000));
        let store = Arc::new(fresh(read(&time)).await);
        let bench = Bench::new(store, 0);
        report.add((name, rule), Way::InOrder, run(TimedBench { bench, time }).await);
    }
    report
}

fn read(time: &Arc<AtomicU64>) -> Clock {
    let time = Arc::clone(time);
    Arc::new(move || Now(time.load(Ordering::Relaxed)))
}
