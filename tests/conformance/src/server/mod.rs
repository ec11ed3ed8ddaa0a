//! The suite for servers, in which the suite is their client. What it checks is in the cases and
//! the rules.

mod cases;
mod me;
mod peer;
mod rules;
mod trial;

use std::sync::Arc;

use crate::adapter::Adapter;
use crate::case::Case;
use crate::report::Report;
use crate::suite::{self, Selection};
use trial::Trial;

/// The server under test.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A running server with the application of ADAPTER.md and settings of its own. Cases that need
    /// other settings, or in which the server drains or dies, are not applicable.
    Url(String),
    /// A program that starts servers.
    Adapter(Adapter),
}

/// Every case for servers.
pub(crate) fn cases() -> impl Iterator<Item = &'static Case<Trial>> {
    cases::ALL.iter().copied().flatten()
}

/// Holds a server against the clauses.
pub async fn run_server_suite(subject: Subject, selection: &Selection) -> Report {
    let subject = Arc::new(subject);
    let outcomes = suite::run(cases(), selection, |exchange| {
        Trial::new(Arc::clone(&subject), exchange, selection.codec)
    })
    .await;
    Report { side: "server", outcomes }
}
