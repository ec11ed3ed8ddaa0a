//! Our server keeps every clause that a server can be held against.

use steadfast_conformance::{Codec, Ending, Selection, Subject, run_server_suite};

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

/// Cases of text as text, or of both codecs, say nothing in binary: no other is left out.
const OF_JSON: &[&str] = &[
    "a_frame_of_exactly_frame_bytes_is_taken",
    "numbers_out_of_range_or_not_written_as_integers_close_with_4400",
    "white_space_between_tokens_is_allowed",
    "what_is_no_array_closes_with_4400",
    "an_element_too_many_closes_with_4400",
    "a_rare_frame_without_a_needed_member_closes_with_4400",
    "names_that_break_the_rule_close_with_4400",
    "a_body_that_is_not_json_concerns_its_message_alone",
    "a_deeply_nested_body_concerns_its_message_alone",
    "unknown_kinds_from_128_are_ignored",
    "other_unknown_kinds_close_with_4400",
    "frames_of_the_other_direction_close_with_4400",
    "frames_cut_short_close_with_4400",
    "neither_session_nor_lease_goes_on_in_the_other_codec",
    "an_event_reaches_subscribers_of_both_codecs",
    "a_part_of_a_message_counts_as_life",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_server_keeps_them_in_binary() {
    let subject =
        Subject::Adapter(crate::ours::adapter(|ends| crate::ours::server::adapt(ends, None)));
    let name = std::env::var("STEADFAST_CASE").ok();
    let selection = Selection { name, codec: Codec::Binary, ..Selection::default() };
    let report = run_server_suite(subject, &selection).await;
    crate::is_kept_in_binary(&report, &selection, OF_JSON);
}
