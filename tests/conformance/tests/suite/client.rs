//! Our client keeps every clause that a client can be held against.

use serde_json::json;
use steadfast_conformance::{Ending, Outcome, Selection, run_client_suite};

use crate::ours::lines;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_keeps_every_clause() {
    let adapter = crate::ours::adapter(|ends| crate::ours::client::adapt(ends, None));
    let selection =
        Selection { name: std::env::var("STEADFAST_CASE").ok(), ..Selection::default() };
    let report = run_client_suite(adapter, &selection).await;
    // For our own client, not applicable would be no answer.
    assert!(report.outcomes.iter().all(|outcome| outcome.ending == Ending::Passed), "{report}");
}

/// 5.26 is for those that keep something.
#[tokio::test]
async fn a_client_that_keeps_nothing_beyond_its_process_is_not_held_against_that() {
    let adapter = crate::ours::adapter(|ends| async move {
        let (mut questions, answers) = lines::of(ends);
        while let Some(question) = lines::next(&mut questions).await {
            match question["settings"]["outbox"].as_bool() {
                Some(true) => answers.unsupported(&question, "the outbox ends with the process"),
                _ => answers.ok(&question, json!({})),
            }
        }
    });
    let report = run_client_suite(adapter, &Selection::of(&["5.26"])).await;
    let is_left_out = |outcome: &Outcome| matches!(outcome.ending, Ending::NotApplicable { .. });
    assert!(!report.outcomes.is_empty() && report.outcomes.iter().all(is_left_out), "{report}");
}

/// Such as a page in a browser.
#[tokio::test]
async fn a_client_that_sees_whole_messages_alone_is_not_held_against_their_parts() {
    let adapter = crate::ours::adapter(|ends| async move {
        let (mut questions, answers) = lines::of(ends);
        while let Some(question) = lines::next(&mut questions).await {
            match question["settings"]["sees_parts"].as_bool() {
                Some(true) => answers.unsupported(&question, "whole messages alone"),
                _ => answers.ok(&question, json!({})),
            }
        }
    });
    let name = Some("a_part_of_a_message_counts_as_life".to_owned());
    let selection = Selection { name, ..Selection::default() };
    let report = run_client_suite(adapter, &selection).await;
    let endings: Vec<&Ending> = report.outcomes.iter().map(|outcome| &outcome.ending).collect();
    assert!(matches!(endings[..], [Ending::NotApplicable { .. }]), "{report}");
}
