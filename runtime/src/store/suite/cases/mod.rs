//! The rules, each with its case. How a store is asked is not said here.

mod admin;
mod appends;
mod batches;
mod claims;
mod decisions;
mod ids;
mod imported;
mod leases;
mod quota;
mod reading;
mod records;
mod rolled;
mod settling;
mod sweep;
mod timed;
mod topics;

use super::admin_case::AdminCase;
use super::case::Case;
use crate::store::admin::StoreAdmin;

pub(super) use rolled::rolled_cases;
pub(super) use timed::timed_cases;

/// Every case, in the order of the report.
#[must_use]
pub fn cases() -> Vec<Case> {
    let groups = [
        batches::cases(),
        leases::cases(),
        claims::cases(),
        quota::cases(),
        records::cases(),
        ids::cases(),
        settling::cases(),
        sweep::cases(),
        appends::cases(),
        topics::cases(),
        reading::cases(),
    ];
    groups.into_iter().flatten().collect()
}

/// Every case about what an operator asks, in the order of the report.
pub(super) fn admin_cases<S: StoreAdmin>() -> Vec<AdminCase<S>> {
    [admin::cases(), imported::cases()].into_iter().flatten().collect()
}

/// The cases of a store that decides outcomes, in the order of the report.
#[must_use]
pub fn deciding_cases() -> Vec<Case> {
    decisions::cases()
}
