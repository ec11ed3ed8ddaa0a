//! Our server keeps every clause that a server can be held against.

use steadfast_conformance::{Ending, Selection, Subject, run_server_suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_keeps_every_clause() {
    let subject =
        Subject::Adapter(crate::ours::adapter(|ends| crate::ours::server::adapt(ends, None)));
    let selection =
        Selection { name: std::env::var("STEADFAST_CASE").ok(), ..Selection::default() };
    let report = run_server_suite(subject, &selection).await;
    // For our own server, not applicable would be no answer.
    assert!(report.outcomes.iter().all(|outcome| outcome.ending == Ending::Passed), "{report}");
}
