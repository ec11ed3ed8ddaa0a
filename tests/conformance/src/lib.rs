//! A conformance suite for the steadfast protocol, which holds any server or client against the
//! numbered clauses of PROTOCOL.md.
//!
//! It knows the protocol and nothing of an implementation: frames are read with serde_json over
//! plain WebSockets, and those of the binary codec by a reader of its own. Where the
//! implementation's application has to act, a small program makes it, by the adapter protocol of
//! ADAPTER.md.
//!
//! The suite measures no time. It waits for what must come, and does not say how fast it came.

#![allow(
    clippy::disallowed_methods,
    reason = "a test program waits, and says for how long at one place"
)]

mod adapter;
mod binary;
mod case;
mod clause;
mod client;
mod exchange;
mod frame;
mod line;
mod report;
mod server;
mod socket;
mod suite;

use std::time::Duration;

pub use adapter::{Adapter, Connect, Pipes};
pub use clause::{Clause, Coverage, clauses, coverage};
pub use client::run_client_suite;
pub use report::{Ending, Outcome, Report, Verdict};
pub use server::{Subject, run_server_suite};
pub use suite::{Codec, Selection};

/// How long the suite waits for something that must happen, before it reports that it did not.
const PATIENCE: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// The patience of the running case.
    static OF_CASE: Duration;
}

/// Carries out a case in which nothing is waited for longer than this.
async fn with_patience<F: Future>(patience: Duration, case: F) -> F::Output {
    OF_CASE.scope(patience, case).await
}

/// Waits for something that must happen. `None` if it does not happen in time.
async fn within<F: Future>(future: F) -> Option<F::Output> {
    let patience = OF_CASE.try_with(|patience| *patience).unwrap_or(PATIENCE);
    tokio::time::timeout(patience, future).await.ok()
}
