//! Puts every case about what an operator asks to a store, in order and together. What a case asks
//! is its own.

use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;

use super::admin_case::{AdminBench, AdminCase};
use super::bench::Bench;
use super::cases::admin_cases;
use super::report::{Broken, Report, Way};
use crate::store::admin::StoreAdmin;

/// How many copies of a case run together.
const COPIES: u64 = 4;

/// Puts every case of [`StoreAdmin`] to the store that `fresh` makes, in order and together, each
/// time to a fresh one. That it keeps the rules of a store is for [`run`](super::run) to say.
///
/// # Cancellation
/// The future may be dropped, together with the store that it is at.
pub async fn run_admin<S, F, Fut>(fresh: F) -> Report
where
    S: StoreAdmin,
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
{
    let mut report = Report::default();
    for AdminCase { name, rule, run } in admin_cases::<S>() {
        for (way, copies) in [(Way::InOrder, 1), (Way::Together, COPIES)] {
            let store = Arc::new(fresh().await);
            let runs = (0..copies).map(|copy| {
                let store = Arc::clone(&store);
                run(AdminBench { bench: Bench::new(Arc::clone(&store), copy), store })
            });
            let came: Result<(), Broken> = join_all(runs).await.into_iter().collect();
            report.add((name, rule), way, came);
        }
    }
    report
}
