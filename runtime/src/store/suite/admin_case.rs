//! A case about what an operator asks: one rule, and how to find out whether a store keeps it. In
//! which ways it is put to a store is not said here.

use std::sync::Arc;

use super::bench::Bench;
use super::case::CaseFuture;
use super::report::Broken;
use crate::store::admin::AdminError;

/// A store that is looked into beside what is asked of it.
pub(super) struct AdminBench<S> {
    pub(super) bench: Bench,
    pub(super) store: Arc<S>,
}

/// A rule of [`StoreAdmin`](crate::store::StoreAdmin).
pub(super) struct AdminCase<S> {
    pub(super) name: &'static str,
    pub(super) rule: &'static str,
    pub(super) run: fn(AdminBench<S>) -> CaseFuture,
}

/// What an operator was told.
pub(super) fn told<T>(what: &str, came: Result<T, AdminError>) -> Result<T, Broken> {
    came.map_err(|error| Broken::new(what, &error))
}
