//! Invariants, said where the code relies on them.

/// What an invariant says is there; `why` is the invariant. `None` would be a mistake of the core:
/// a debug build stops at it, a release build goes on without what is missing, as a mistake in one
/// session must not end the others.
pub(crate) fn held<T>(found: Option<T>, why: &'static str) -> Option<T> {
    debug_assert!(found.is_some(), "{why}");
    found
}
