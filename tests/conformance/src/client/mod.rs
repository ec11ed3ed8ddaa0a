//! The suite for clients: the suite is their server. Owns the list of cases.

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

/// Holds a client against the clauses. The adapter is told where to dial: the suite listens on free
/// ports of 127.0.0.1.
pub async fn run_client_suite(adapter: Adapter, selection: &Selection) -> Report {
    let adapter = Arc::new(adapter);
    let outcomes =
        suite::run(cases(), selection, |exchange| Trial::new(Arc::clone(&adapter), exchange)).await;
    Report { side: "client", outcomes }
}
