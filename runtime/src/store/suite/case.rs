//! A case: one rule, and how to find out whether a store keeps it. In which ways it is put to a
//! store is not said here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::bench::Bench;
use super::report::Broken;
use crate::store::deciding::Deciding;
use crate::store::interface::Store;

/// A boxed run of a case.
pub(super) type CaseFuture = Pin<Box<dyn Future<Output = Result<(), Broken>> + Send>>;

/// A rule, and how to find out whether a store keeps it.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Names it in reports.
    pub name: &'static str,
    /// What a store has to do.
    pub rule: &'static str,
    run: fn(Bench) -> CaseFuture,
}

impl Case {
    pub(super) const fn new(
        name: &'static str,
        rule: &'static str,
        run: fn(Bench) -> CaseFuture,
    ) -> Self {
        Self { name, rule, run }
    }

    /// Puts the case to a store once, with leases and topics that `copy` sets apart from those of
    /// other cases and copies.
    ///
    /// # Errors
    /// What the rule asks for, and what the store did instead.
    ///
    /// # Cancellation
    /// The future may be dropped; what it has written stays in the store.
    pub async fn run<S: Store>(&self, store: Arc<S>, copy: u64) -> Result<(), Broken> {
        self.put(Bench::new(store, copy)).await
    }

    /// The same for a store that decides: what [`deciding_cases`](super::deciding_cases) has needs
    /// one.
    ///
    /// # Errors
    /// What the rule asks for, and what the store did instead.
    ///
    /// # Cancellation
    /// As for [`Case::run`].
    pub async fn run_deciding<S: Deciding>(&self, store: Arc<S>, copy: u64) -> Result<(), Broken> {
        self.put(Bench::deciding(store, copy)).await
    }

    pub(super) async fn put(&self, bench: Bench) -> Result<(), Broken> {
        (self.run)(bench).await
    }
}
