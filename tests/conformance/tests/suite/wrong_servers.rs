//! Servers with one mistake each: our server behind a relay that distorts it. The suite must find
//! every one, and name the clause that it breaks.

use std::time::Duration;

use serde_json::json;
use steadfast_conformance::{Ending, Selection, Subject, run_server_suite};

use crate::ours::relay::{Change, Fate, Mistake, Way, as_it_is, changed, without};

/// Runs the cases of a clause against our server with a mistake, and checks that the clause is seen
/// broken, with an exchange that shows it.
async fn is_found(clause: &'static str, change: Change, close: fn(u16) -> u16) {
    let mistake = Mistake { change, close, stable: None };
    // Most of what goes wrong is that something does not come.
    let selection =
        Selection { patience: Some(Duration::from_secs(2)), ..Selection::of(&[clause]) };
    let subject = Subject::Adapter(crate::ours::adapter(move |ends| {
        crate::ours::server::adapt(ends, Some(mistake.clone()))
    }));
    let report = run_server_suite(subject, &selection).await;
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
async fn the_relay_itself_is_no_mistake() {
    let honest = Mistake { change: |_, _, _, _| Fate::Pass, close: as_it_is, stable: None };
    let subject = Subject::Adapter(crate::ours::adapter(move |ends| {
        crate::ours::server::adapt(ends, Some(honest.clone()))
    }));
    // Three kinds of cases can't pass through the relay: its WebSockets answer pings, so that nobody
    // behind it is ever silent, it refuses what a page offers by status, and it knows JSON alone.
    let except = ["silent", "a_page", "codec"].map(str::to_owned).to_vec();
    let selection = Selection { except, ..Selection::default() };
    let report = run_server_suite(subject, &selection).await;
    assert!(report.outcomes.iter().all(|outcome| outcome.ending == Ending::Passed), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_close_code_is_found() {
    is_found("4.4", |_, _, _, _| Fate::Pass, |code| if code == 4410 { 4400 } else { code }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_1000_when_it_leaves_is_found() {
    is_found("8.2", |_, _, _, _| Fate::Pass, |code| if code == 4010 { 1000 } else { code }).await;
}

mistakes! {
    a_server_that_calls_equal_contracts_different_is_found "4.19" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 21 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["verdict"] = json!("client_outdated"))
    };
    a_server_whose_fingerprint_is_no_name_is_found "4.18" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 21 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["fingerprint"] = json!("v1 of the chat"))
    };
    a_side_that_is_never_heard_by_itself_is_found "9.3" |_, way, frame, _| {
        if way == Way::Down && frame[0] == 12 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_result_that_is_repeated_under_a_new_seq_is_found "4.2" |memory, way, frame, _| {
        match (way, frame[0].as_u64()) {
            (Way::Down, Some(3 | 4 | 9)) => {
                let shift = memory.count;
                let seq = frame[1].as_u64().unwrap_or_default() + shift;
                let (mut one, mut two) = (frame.clone(), frame.clone());
                (one[1], two[1]) = (json!(seq), json!(seq + 1));
                if memory.again() == 0 {
                    return Fate::Become(vec![one.to_string(), two.to_string()]);
                }
                memory.count -= 1;
                Fate::Become(vec![one.to_string()])
            }
            // The server must not notice.
            (Way::Up, Some(kind @ 0..=2)) => changed(frame, |frame| {
                let ack = &mut frame[if kind == 0 { 1 } else { 2 }];
                *ack = json!(ack.as_u64().unwrap_or_default().saturating_sub(memory.count));
            }),
            _ => Fate::Pass,
        }
    };
    a_cancel_that_is_ignored_is_found "5.27" |_, way, frame, _| {
        if way == Way::Up && frame[0] == 129 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    an_answer_that_is_lost_in_the_middle_is_found "4.2" |memory, way, frame, _| {
        let second = way == Way::Down && frame[0] == 3 && memory.again() == 1;
        if second { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    an_event_that_is_lost_in_the_middle_is_found "7.7" |memory, way, frame, _| {
        let second = way == Way::Down && frame[0] == 5 && memory.again() == 1;
        if second { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_stale_dial_that_is_accepted_is_found "4.9" |memory, way, frame, _| {
        if way == Way::Down || frame[0] != 20 {
            return Fate::Pass;
        }
        // Every HELLO looks like the newest.
        memory.count += 100;
        changed(frame, |frame| frame[1]["dial"] = json!(memory.count))
    };
    an_epoch_that_is_kept_over_a_lost_log_is_found "7.1" |memory, way, frame, _| {
        match (way, frame[0].as_u64()) {
            (Way::Up, Some(23)) => {
                memory.noted = vec![frame[1]["from"].clone()];
                Fate::Pass
            }
            (Way::Down, Some(24)) if frame[1]["reset"] == "epoch" && !memory.noted[0].is_null() => {
                changed(frame, |frame| {
                    frame[1]["reset"] = json!(null);
                    frame[1]["epoch"] = memory.noted[0]["epoch"].clone();
                    frame[1]["ts"] = memory.noted[0]["ts"].clone();
                    frame[1]["head"] = memory.noted[0]["ts"].clone();
                })
            }
            _ => Fate::Pass,
        }
    };
    events_beyond_the_credit_are_found "7.8" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 23 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["credit"] = json!({ "events": 1_000, "bytes": 1_000_000 }))
    };
    a_position_beyond_what_was_sent_that_is_believed_is_found "7.8" |memory, way, frame, _| {
        // As if the server believed every count: once it is told too much, it has no limit left.
        let much = way == Way::Up && frame[0] == 8 && frame[2].as_u64() > Some(1_000);
        if !much {
            return Fate::Pass;
        }
        memory.count += 1;
        let body = json!({ "list": "l", "text": "x" });
        let event = |ts: u64| json!([5, frame[1], ts, "logged", body]).to_string();
        Fate::Answer(vec![event(3), event(4), event(5), event(6)])
    };
    a_resume_token_that_is_ignored_is_found "4.10" |memory, way, frame, _| {
        match (way, frame[0].as_u64()) {
            (Way::Down, Some(21)) => memory.noted = vec![frame[1]["token"].clone()],
            (Way::Up, Some(20)) if frame[1]["resume"].is_object() && !memory.noted.is_empty() => {
                return changed(frame, |frame| {
                    frame[1]["resume"]["token"] = memory.noted[0].clone();
                });
            }
            _ => {}
        }
        Fate::Pass
    };
    a_token_that_does_not_change_is_found "1.2" |memory, way, frame, _| {
        match (way, frame[0].as_u64()) {
            (Way::Down, Some(21)) => {
                let real = frame[1]["token"].clone();
                let first = memory.first(&real);
                memory.noted.truncate(1);
                memory.noted.push(real);
                changed(frame, |frame| frame[1]["token"] = first)
            }
            (Way::Up, Some(20)) if frame[1]["resume"].is_object() => {
                let real = memory.noted.last().cloned().unwrap_or_default();
                changed(frame, |frame| frame[1]["resume"]["token"] = real)
            }
            _ => Fate::Pass,
        }
    };
    a_server_that_closes_over_unknown_kinds_is_found "3.6" |_, way, frame, _| {
        let ignorable = (128..256).contains(&frame[0].as_u64().unwrap_or_default());
        if way == Way::Up && ignorable { Fate::Close(4400) } else { Fate::Pass }
    };
    a_body_that_is_not_answered_is_found "3.5" |_, way, frame, _| {
        let refused = way == Way::Down && frame[0] == 9 && frame[4] == "invalid";
        if refused { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_duplicate_that_is_not_called_one_is_found "5.8" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 3 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[4] = json!(0))
    };
    an_id_that_is_ignored_is_found "5.20" |memory, way, frame, _| {
        if way == Way::Up && frame[0] == 20 {
            memory.first(&frame[1]["instance"]);
        }
        if way == Way::Down || frame[5] != "order" || frame[6]["id"].is_null() {
            return Fate::Pass;
        }
        let (whose, which) = (memory.noted[0].clone(), memory.again());
        changed(frame, |frame| frame[6]["id"] = json!(format!("{whose} {which}")))
    };
    another_body_that_is_executed_is_found "5.21" |_, way, frame, _| {
        let reused = way == Way::Down && frame[0] == 4 && frame[5] == "id_reused";
        let result = || vec![json!([3, frame[1], frame[2], frame[3], 0, 2]).to_string()];
        if reused { Fate::Become(result()) } else { Fate::Pass }
    };
    a_message_that_runs_without_its_id_is_found "5.22" |_, way, frame, _| {
        if way == Way::Down || frame[5] != "order" || !frame[6]["id"].is_null() {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[6]["id"] = json!("made up"))
    };
    a_ping_without_answer_is_found "9.2" |_, way, frame, _| {
        if way == Way::Down && frame[0] == 13 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    an_answer_that_does_not_acknowledge_its_command_is_found "5.14" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 3 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[2] = json!(0))
    };
    a_lease_that_ends_with_its_session_is_found "1.3" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 20 || frame[1]["resume"].is_object() {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["lease"] = json!(null))
    };
    a_session_that_ends_with_its_socket_is_found "4.7" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 20 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["resume"] = json!(null))
    };
    a_wrong_refusal_is_found "5.12" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 9 || frame[4] != "invalid" {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[4] = json!("unsupported"))
    };
    a_snapshot_that_does_not_come_is_found "7.5" |_, way, frame, _| {
        if way == Way::Down && frame[0] == 10 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_drain_without_goaway_is_found "8.2" |_, way, frame, _| {
        if way == Way::Down && frame[0] == 27 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_server_that_ignores_the_clients_window_is_found "4.6" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 20 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["window"] = json!({ "frames": 900, "bytes": 900_000 }))
    };
    a_deadline_that_is_ignored_is_found "5.13" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 2 {
            return Fate::Pass;
        }
        changed(frame, |frame| {
            frame[0] = json!(1);
            frame.as_array_mut().into_iter().for_each(|elements| drop(elements.remove(5)));
        })
    };
    an_event_that_differs_between_subscribers_is_found "7.1" |memory, way, frame, _| {
        if way == Way::Up || frame[0] != 5 || memory.again() % 2 == 0 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[4]["seen_by"] = json!("you"))
    };
    order_that_is_not_kept_is_found "5.5" |_, way, frame, _| {
        if way == Way::Down || frame[6] != "hold" && frame[5] != "hold" {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[5] = json!("wait"))
    };
    a_lower_ack_that_is_an_error_is_found "4.4" |memory, way, frame, _| {
        if way == Way::Down || frame[0] != 0 {
            return Fate::Pass;
        }
        let ack = frame[1].as_u64().unwrap_or_default();
        if ack < memory.count {
            return Fate::Close(4410);
        }
        memory.count = ack;
        Fate::Pass
    };
    a_number_with_a_fraction_is_found "1.6" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 13 {
            return Fate::Pass;
        }
        Fate::Become(vec![format!("[13,{}.0]", frame[1])])
    };
    ids_in_capitals_are_found "1.5" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 21 {
            return Fate::Pass;
        }
        let id = frame[1]["session"].as_str().unwrap_or_default().to_uppercase();
        // The id may have no letter, so one is put in.
        changed(frame, |frame| frame[1]["session"] = json!(format!("A{}", &id[1..])))
    };
    a_command_that_is_never_acknowledged_is_found "4.5" |_, way, frame, _| {
        if way == Way::Down && frame[0] == 0 { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    an_element_too_many_that_is_overlooked_is_found "3.2" |_, way, frame, _| {
        let elements = frame.as_array().map_or(0, Vec::len);
        let long = way == Way::Up && frame[0] == 12 && elements > 2;
        if long { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_second_subscription_that_is_overlooked_is_found "7.3" |_, way, frame, _| {
        let duplicate = way == Way::Down && frame[0] == 26 && frame[1]["code"] == "duplicate";
        if duplicate { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_state_instead_of_the_last_events_is_found "7.25" |_, way, frame, _| {
        if way == Way::Down || frame[0] != 23 {
            return Fate::Pass;
        }
        without(frame, "last")
    };
    a_granted_credit_beyond_what_was_asked_for_is_found "7.14" |_, way, frame, _| {
        if way == Way::Up || frame[0] != 24 {
            return Fate::Pass;
        }
        changed(frame, |frame| frame[1]["credit"] = json!({ "events": 1_000_000, "bytes": 0 }))
    };
    a_state_that_is_too_long_and_of_which_nobody_hears_is_found "2.6" |_, way, frame, _| {
        let long = way == Way::Down && frame[0] == 26 && frame[1]["code"] == "too_large";
        if long { Fate::Become(Vec::new()) } else { Fate::Pass }
    };
    a_state_that_is_too_long_and_ends_the_socket_is_found "2.6" |_, way, frame, _| {
        let long = way == Way::Down && frame[0] == 26 && frame[1]["code"] == "too_large";
        if long { Fate::Close(4413) } else { Fate::Pass }
    };
}
