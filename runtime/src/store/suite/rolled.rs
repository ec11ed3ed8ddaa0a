//! Puts the rules about another incarnation to a store that the caller makes one. What a case asks
//! is its own.

use std::future::Future;
use std::sync::Arc;

use super::bench::Bench;
use super::cases::rolled_cases;
use super::report::{Broken, Report, Way};
use super::rolled_case::{Risen, RolledCase, Wait};
use crate::store::interface::Store;

/// A store that has become another incarnation.
pub struct Rolled<S> {
    store: S,
    told: Option<Wait>,
}

impl<S> Rolled<S> {
    /// The handle was closed, and this is another one, which has nothing to tell.
    #[must_use]
    pub const fn reopened(store: S) -> Self {
        Self { store, told: None }
    }

    /// The handle has lived through it, so that its node has to be told. `told` ends when that must
    /// have happened: for a store behind a network a sleep of some seconds, for one in memory a turn
    /// of the task.
    #[must_use]
    pub fn lived_through(store: S, told: impl Future<Output = ()> + Send + 'static) -> Self {
        Self { store, told: Some(Box::pin(told)) }
    }
}

impl<S> std::fmt::Debug for Rolled<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rolled").finish_non_exhaustive()
    }
}

/// Puts the rules about another incarnation to stores that `fresh` makes, each case to a fresh one.
/// `roll_back` makes it another incarnation that has everything the store was asked to keep: as a
/// backup does that is made and restored at once. It gets the only handle.
///
/// # Cancellation
/// The future may be dropped, together with the store that it is at.
pub async fn run_rolled<S, F, Fut, R, RFut>(fresh: F, roll_back: R) -> Report
where
    S: Store,
    F: Fn() -> Fut,
    Fut: Future<Output = S>,
    R: Fn(S) -> RFut,
    RFut: Future<Output = Rolled<S>>,
{
    let mut report = Report::default();
    for case in rolled_cases() {
        let came = put(case, fresh().await, &roll_back).await;
        report.add((case.name, case.rule), Way::InOrder, came);
    }
    report
}

async fn put<S, R, RFut>(case: RolledCase, store: S, roll_back: &R) -> Result<(), Broken>
where
    S: Store,
    R: Fn(S) -> RFut,
    RFut: Future<Output = Rolled<S>>,
{
    let store = Arc::new(store);
    (case.before)(Bench::new(Arc::clone(&store), 0)).await?;
    let store = Arc::into_inner(store).expect("a case keeps no bench when it has ended");
    let Rolled { store, told } = roll_back(store).await;
    (case.after)(Risen { bench: Bench::new(Arc::new(store), 0), told }).await
}
