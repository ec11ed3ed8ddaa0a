//! The suite for clients, in which the suite is their server. What it checks is in the cases and
//! the desk.

mod cases;
mod desk;
mod peer;
mod trial;

use std::sync::Arc;

use crate::adapter::Adapter;
use crate::case::Case;
use crate::report::Report;
use crate::suite::{self, Selection};
use trial::Trial;

/// Every case for clients.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case<Trial>> {
    cases::ALL.iter().copied().flatten()
}

/// Holds a client against the clauses. The suite listens on free ports of 127.0.0.1, and tells the
/// adapter where to dial.
pub async fn run_client_suite(adapter: Adapter, selection: &Selection) -> Report {
    let adapter = Arc::new(adapter);
    let outcomes = suite::run(cases(), selection, |exchange| {
        Trial::new(Arc::clone(&adapter), exchange, selection.codec)
    })
    .await;
    Report { side: "client", outcomes }
}
