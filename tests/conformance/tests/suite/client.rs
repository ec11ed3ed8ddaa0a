//! Our client keeps every clause that a client can be held against.

use serde_json::json;
use steadfast_conformance::{Codec, Ending, Outcome, Selection, run_client_suite};

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

/// Cases of text as text, or of both codecs, say nothing in binary: no other is left out.
const OF_JSON: &[&str] = &[
    "numbers_out_of_range_are_an_error",
    "white_space_between_tokens_is_allowed",
    "an_element_too_many_is_an_error",
    "a_name_with_an_escape_is_an_error",
    "an_event_that_can_not_be_read_is_told_and_harms_nobody",
    "a_reply_that_can_not_be_read_is_told_and_harms_nobody",
    "unknown_kinds_from_128_are_ignored",
    "unknown_kinds_wrong_directions_and_short_frames_are_errors",
    "what_must_not_come_before_welcome_closes_with_4410",
    "a_part_of_a_message_counts_as_life",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_client_keeps_them_in_binary() {
    let adapter = crate::ours::adapter(|ends| crate::ours::client::adapt(ends, None));
    let name = std::env::var("STEADFAST_CASE").ok();
    let selection = Selection { name, codec: Codec::Binary, ..Selection::default() };
    let report = run_client_suite(adapter, &selection).await;
    crate::is_kept_in_binary(&report, &selection, OF_JSON);
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
