//! Our client keeps every clause that a client can be held against.

use steadfast_conformance::{Ending, Selection, run_client_suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_keeps_every_clause() {
    let adapter = crate::ours::adapter(|ends| crate::ours::client::adapt(ends, None));
    let selection =
        Selection { name: std::env::var("STEADFAST_CASE").ok(), ..Selection::default() };
    let report = run_client_suite(adapter, &selection).await;
    // For our own client, not applicable would be no answer.
    assert!(report.outcomes.iter().all(|outcome| outcome.ending == Ending::Passed), "{report}");
}
