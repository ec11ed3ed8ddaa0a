//! A case about another incarnation: one rule, and how to find out whether a store keeps it. How a
//! store becomes another incarnation is not said here.

use std::future::Future;
use std::pin::Pin;

use super::bench::Bench;
use super::case::CaseFuture;

/// Ends when news must have come.
pub(super) type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A store that has become another incarnation.
pub(super) struct Risen {
    pub(super) bench: Bench,
    /// By when its handle must have told of it; `None` if that is another handle.
    pub(super) told: Option<Wait>,
}

/// A rule about another incarnation.
#[derive(Clone, Copy)]
pub(super) struct RolledCase {
    pub(super) name: &'static str,
    pub(super) rule: &'static str,
    /// What the incarnation before has seen.
    pub(super) before: fn(Bench) -> CaseFuture,
    pub(super) after: fn(Risen) -> CaseFuture,
}
