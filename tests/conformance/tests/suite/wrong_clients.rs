//! Clients with one mistake each: our client behind a relay that distorts it. The suite must find
//! every one, and name the clause that it breaks.

use std::time::Duration;

use serde_json::json;
use steadfast_conformance::{Ending, Selection, run_client_suite};

use crate::ours::relay::{Change, Fate, Mistake, Way, as_it_is, changed, without};

/// Runs the cases of a clause against our client with a mistake, and checks that the clause is seen
/// broken, with an exchange that shows it.
async fn is_found(clause: &'static str, change: Change, close: fn(u16) -> u16) {
    is_found_in(clause, Mistake { change, close, stable: None }).await;
}

/// The same of a client that begins to count anew after so long an attachment.
async fn counting_is_found(stable: Duration) {
    let stable = Some(stable);
    let mistake = Mistake { change: |_, _, _, _| Fate::Pass, close: as_it_is, stable };
    is_found_in("8.1b", mistake).await;
}

async fn is_found_in(clause: &'static str, mistake: Mistake) {
    // Most of what goes wrong is that something does not come.
    let selection =
        Selection { patience: Some(Duration::from_secs(2)), ..Selection::of(&[clause]) };
    let adapter =
        crate::ours::adapter(move |ends| crate::ours::client::adapt(ends, Some(mistake.clone())));
    let report = run_client_suite(adapter, &selection).await;
    let found = report.outcomes.iter().any(|outcome| {
        let broken =
            matches!(outcome.ending, Ending::Failed { clause: broken, .. } if broken == clause);
        broken && !outcome.exchange.is_empty()
    });
    assert!(found, "the mistake was not found under {clause}:\n{report}");
}

/// A test per mistake: its name, the clause that it breaks, and what it does to messages.
macro_rules! mistakes {
    ($($name:ident $clause:literal $change:expr;)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            is_found($clause, $change, as_it_is).await;
        }
    )+};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_reaction_to_a_close_code_is_found() {
    is_found("8.1", |_, _, _, _| Fate::Pass, |code| if code == 4001 { 4400 } else { code }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clean_close_with_another_code_is_found() {
    is_found("4.11", |_, _, _, _| Fate::Pass, |code| if code == 1000 { 1001 } else { code }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_its_own_earlier_process_stops_is_found() {
    is_found("8.1", |_, _, _, _| Fate::Pass, |code| if code == 4300 { 4399 } else { code }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_begins_to_count_anew_is_found() {
    counting_is_found(Duration::from_secs(3_600)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_begins_to_count_anew_with_each_welcome_is_found() {
    counting_is_found(Duration::ZERO).await;
}

mistakes! {
    a_client_whose_fingerprint_changes_is_found "4.18" |memory, way, frame, _| {
        if way == Way::Down || frame[0] != 20 {
            return Fate::Pass;
        }
        memory.count += 1;
        changed(frame, |frame| frame[1]["fingerprint"] = json!(format!("dial-{}", memory.count)))
    };
    a_side_that_is_never_heard_by_itself_is_found "9.3" |_, way, frame, _| {
        if way == Way::Up && frame[0] == 12 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_command_that_is_lost_in_the_middle_is_found "4.2" |memory, way, frame, _| {
        let second = way == Way::Up && frame[0] == 1 && memory.again() == 1;
        if second { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_number_that_is_left_out_is_found "5.2" |memory, way, frame, _| {
        if way == Way::Down || frame[0] != 1 || memory.again() == 0 {
            return Fate::Pass;
        }
        changed(frame, |frame| {
            frame[3] = json!(frame[3].as_u64().unwrap_or_default() + 1);
            frame[4] = json!(frame[4].as_u64().unwrap_or_default() + 1);
        })
    };
    a_low_that_passes_what_is_unresolved_is_found "5.4" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 0 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[2] = json!(frame[2].as_u64().unwrap_or_default() + 1))
    };
    a_dial_that_does_not_count_is_found "4.9" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 20 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["dial"] = json!(1))
    };
    a_cancel_that_is_never_told_is_found "5.27" |_, way, frame, _| {
        if way == Way::Up && frame[0] == 129 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    an_old_token_is_found "4.8" |memory, way, frame, _| {
        if way == Way::Down || frame[0] != 20 || frame[1]["resume"].is_null() {
            return Fate::Pass;
        }
        let first = memory.first(&frame[1]["resume"]["token"]);
        changed(frame, |frame| frame[1]["resume"]["token"] = first)
    };
    a_token_that_is_not_confirmed_is_found "4.1" |_, way, frame, _| {
        if way == Way::Up && frame[0] == 0 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    subscriptions_that_are_not_made_anew_are_found "7.2" |memory, way, frame, _| {
        let later = way == Way::Up && frame[0] == 23 && memory.again() > 0;
        if later { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_position_beyond_what_came_is_found "7.8" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 8 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[2] = json!(frame[2].as_u64().unwrap_or_default() + 5))
    };
    a_client_that_ignores_the_servers_window_is_found "4.6" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 21 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["window"] = json!({ "frames": 900, "bytes": 900_000 }))
    };
    a_client_that_ignores_the_span_is_found "5.3" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 21 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["lease"]["span"] = json!(900))
    };
    a_client_that_ignores_goaway_is_found "8.2" |_, way, frame, _| {
        if way == Way::Down && frame[0] == 27 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_refusal_for_now_that_is_taken_as_final_is_found "5.10" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 9 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[4] = json!("invalid"))
    };
    a_client_that_closes_over_unknown_kinds_is_found "3.6" |_, way, frame, _| {
        let ignorable = (128..256).contains(&frame[0].as_u64().unwrap_or_default());
        if way == Way::Down && ignorable { Fate::Close(4400) } else { Fate::Pass }
    };
    a_pong_with_another_number_is_found "9.2" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 13 {
            return Fate::Pass;
        }
        let k = frame[1].as_u64().unwrap_or_default();
        changed(frame, |frame| frame[1] = json!(k / 2 + 1_000_000))
    };
    a_gap_that_is_told_as_another_is_found "7.5" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 24 || frame[1]["reset"] != "trimmed" {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["reset"] = json!("initial"))
    };
    a_lease_that_is_forgotten_is_found "5.1" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 20 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["lease"] = json!(null))
    };
    a_process_that_does_not_go_on_with_the_lease_is_found "5.26" |memory, way, frame, _| {
        if way == Way::Down || frame[0] != 20 {
            return Fate::Pass;
        }
        let earlier = memory.first(&frame[1]["instance"]);
        let is_next = frame[1]["instance"] != earlier;
        if !is_next {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["lease"] = json!(null))
    };
    a_command_that_comes_again_with_other_bytes_is_found "4.7" |memory, way, frame, _| {
        let is_command = way == Way::Up && matches!(frame[0].as_u64(), Some(1 | 2));
        if !is_command {
            return Fate::Pass;
        }
        let n = frame[3].clone();
        if memory.noted.contains(&n) {
            let body = if frame[0] == 1 { 6 } else { 7 };
            return changed(frame, |frame| frame[body]["text"] = json!("something else"));
        }
        memory.noted.push(n);
        Fate::Pass
    };
    a_resume_that_claims_what_was_never_sent_is_found "4.7" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 20 || frame[1]["resume"].is_null() {
            return Fate::Pass;
        }
        let recv = frame[1]["resume"]["recv"].as_u64().unwrap_or_default();
        changed(frame, |frame| frame[1]["resume"]["recv"] = json!(recv + 1))
    };
    a_subscription_number_that_is_used_twice_is_found "7.3" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 23 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["sub"] = json!(1))
    };
    an_instance_of_another_form_is_found "1.5" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 20 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["instance"] = json!("me"))
    };
    a_lost_answer_that_nobody_notices_is_found "4.2" |memory, way, frame, _| {
        match (way, frame[0].as_u64()) {
            // The client sees a sequence without the gap, and the suite no ack of it.
            (Way::Down, Some(3)) => {
                memory.count += 1;
                let next = memory.count;
                changed(frame, |frame| frame[1] = json!(next))
            }
            (Way::Up, Some(0)) => changed(frame, |frame| frame[1] = json!(0)),
            _ => Fate::Pass,
        }
    };
    a_position_that_is_never_told_is_found "7.19" |_, way, frame, _| {
        if way == Way::Up && frame[0] == 8 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_position_that_tells_what_is_not_finished_with_is_found "7.15" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 8 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[2] = json!(frame[2].as_u64().unwrap_or_default() + 1))
    };
    a_place_beyond_what_the_application_has_finished_with_is_found "7.17" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 23 || frame[1]["from"].is_null() {
            return Fate::Pass;
        }
        let ts = frame[1]["from"]["ts"].as_u64().unwrap_or_default();
        changed(frame, |frame| frame[1]["from"]["ts"] = json!(ts + 2))
    };
    the_last_events_that_are_not_asked_for_are_found "7.25" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 23 {
            return Fate::Pass;
        }
        without(frame, "last")
    };
    a_place_that_is_not_told_is_found "7.17" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 23 {
            return Fate::Pass;
        }
        without(frame, "from")
    };
    an_event_out_of_order_that_nobody_notices_is_found "7.7" |memory, way, frame, _| {
        if way == Way::Up || frame[0] != 5 {
            return Fate::Pass;
        }
        memory.count += 1;
        let next = memory.count;
        changed(frame, |frame| frame[2] = json!(next))
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_relay_itself_is_no_mistake() {
    let honest = Mistake { change: |_, _, _, _| Fate::Pass, close: as_it_is, stable: None };
    let adapter =
        crate::ours::adapter(move |ends| crate::ours::client::adapt(ends, Some(honest.clone())));
    // Three kinds of cases can't pass through the relay: it answers upgrades by itself, it knows JSON
    // alone, and its WebSockets answer pings, so that nobody behind it is ever silent.
    let except = ["silent", "without_the_subprotocol", "codec"].map(str::to_owned).to_vec();
    let report = run_client_suite(adapter, &Selection { except, ..Selection::default() }).await;
    assert!(report.outcomes.iter().all(|outcome| outcome.ending == Ending::Passed), "{report}");
}
