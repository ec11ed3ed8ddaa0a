//! Puts every case to a store, in every way. What a case asks is its own.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;

use super::bench::Bench;
use super::case::Case;
use super::cases::{cases, deciding_cases};
use super::hostile::Hostile;
use super::report::{Broken, Report, Way};
use crate::store::deciding::Deciding;
use crate::store::interface::Store;

/// How many copies of a case run together.
const COPIES: u64 = 4;
/// With how many seeds the store is hostile.
pub(super) const SEEDS: u64 = 6;

/// Puts every case to the store that `fresh` makes, in order, together and behind a [`Hostile`],
/// each time to a fresh one. `fresh` is called some hundred times, one store after the other; an
/// empty schema or prefix of a shared database will do.
///
/// A case repeats what fails a bounded number of times, waits for no time to pass, and bounds no
/// wait: a store that never answers never ends the suite.
///
/// # Cancellation
/// The future may be dropped, together with the store that it is at.
pub async fn run<S, F, Fut>(fresh: F) -> Report
where
    S: Store,
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
{
    all(cases(), fresh, (Bench::new, Bench::new)).await
}

/// The same for the cases of a store that decides ([`deciding_cases`]); a store has to pass those of
/// [`run`] too.
///
/// # Cancellation
/// As for [`run`].
pub async fn run_deciding<S, F, Fut>(fresh: F) -> Report
where
    S: Deciding,
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
{
    all(deciding_cases(), fresh, (Bench::deciding, Bench::deciding)).await
}

/// How a bench is made of a store.
type Make<S> = fn(Arc<S>, u64) -> Bench;

async fn all<S, F, Fut>(
    cases: Vec<Case>,
    fresh: F,
    (plain, hostile): (Make<S>, Make<Hostile<S>>),
) -> Report
where
    S: Store,
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
{
    let mut report = Report::default();
    for case in cases {
        let way = Way::InOrder;
        let of = (case.name, case.rule);
        report.add(of, way, copies(case, fresh().await, 1, plain).await);
        let way = Way::Together;
        report.add(of, way, copies(case, fresh().await, COPIES, plain).await);
        for seed in 1..=SEEDS {
            let store = Hostile::new(fresh().await, seed);
            report.add(of, Way::Hostile(seed), copies(case, store, COPIES, hostile).await);
        }
    }
    report
}

async fn copies<S: Store>(case: Case, store: S, copies: u64, make: Make<S>) -> Result<(), Broken> {
    let store = Arc::new(store);
    let runs = (0..copies).map(|copy| case.put(make(Arc::clone(&store), copy)));
    join_all(runs).await.into_iter().collect()
}
