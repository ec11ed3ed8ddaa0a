//! Checkers that never fail prove nothing: in a world that makes a mistake, some seed must break
//! the rule that is about it.

#![expect(clippy::panic, reason = "a test that finds nothing says what it found instead")]

use std::collections::BTreeSet;

use steadfast_sim::mistake::Mistake;
use steadfast_sim::run_with;
use steadfast_sim::trace::Recording;

/// Runs seeds with a mistake until one of `rules` is broken; other rules may be broken before.
fn is_caught(mistake: Mistake, rules: &[&str]) {
    let mut broken = BTreeSet::new();
    for seed in 0..4_000 {
        if let Err(failure) = run_with(seed, Some(mistake), Recording::Off) {
            let rule = failure.violation.rule;
            if rules.contains(&rule) {
                return;
            }
            broken.insert(rule);
        }
    }
    panic!("{mistake:?} breaks none of {rules:?} in 4,000 seeds, only {broken:?}");
}

#[test]
fn a_store_that_forgets_records_is_caught() {
    is_caught(
        Mistake::DropsRecords,
        &[
            "at most one commit per number",
            "at most one commit per command",
            "ordered commands commit in order",
        ],
    );
}

#[test]
fn an_event_handed_out_twice_is_caught() {
    is_caught(Mistake::RepeatsItems, &["never live across an unreported gap"]);
}

#[test]
fn an_event_lost_before_the_application_is_caught() {
    is_caught(Mistake::LosesItems, &["never live across an unreported gap"]);
}

#[test]
fn frames_of_a_replaced_socket_that_are_read_are_caught() {
    is_caught(Mistake::DeliversStaleFrames, &["nobody breaks a rule", "acked ≤ accepted ≤ sent"]);
}

#[test]
fn a_reply_with_other_bytes_is_caught() {
    is_caught(Mistake::ChangesReplies, &["a reply implies one commit with its bytes"]);
}

#[test]
fn an_event_with_other_bytes_is_caught() {
    is_caught(Mistake::ChangesEvents, &["equal places have equal bytes"]);
}

#[test]
fn an_epoch_kept_over_a_lost_store_is_caught() {
    is_caught(
        Mistake::KeepsEpochs,
        &["equal places have equal bytes", "a log has no gap", "a head moves only by appends"],
    );
}

#[test]
fn an_epoch_kept_over_a_roll_back_is_caught() {
    is_caught(Mistake::KeepsEpochsOnRollback, &["equal places have equal bytes"]);
}

#[test]
fn a_lease_kept_over_a_roll_back_is_caught() {
    is_caught(
        Mistake::KeepsLeasesOnRollback,
        &[
            "at most one commit per number",
            "at most one commit per command",
            "what was refused never ran",
        ],
    );
}

#[test]
fn a_clock_that_stops_is_caught() {
    is_caught(Mistake::StopsTimers, &["everything comes to rest when faults stop"]);
}

#[test]
fn a_frame_lost_in_the_middle_is_caught() {
    is_caught(Mistake::DropsFrames, &["nobody breaks a rule"]);
}

#[test]
fn a_commit_below_the_low_water_mark_is_caught() {
    is_caught(
        Mistake::IgnoresLow,
        &["at most one commit per number", "what was refused never ran"],
    );
}

#[test]
fn a_principal_that_changes_is_caught() {
    is_caught(
        Mistake::SwapsPrincipals,
        &[
            "a lease never changes its principal",
            "resume never changes the principal",
            "an unknown lease has expired",
        ],
    );
}

#[test]
fn calls_that_change_places_are_caught() {
    is_caught(Mistake::SwapsCalls, &["numbers follow the order of calls"]);
}

#[test]
fn a_call_that_outlives_its_time_while_it_waits_is_caught() {
    is_caught(
        Mistake::ForgetsPatience,
        &["a call that waited longer than its time was never executed"],
    );
}

#[test]
fn a_call_that_waits_beside_free_room_is_caught() {
    is_caught(Mistake::LosesFates, &["nobody waits while there is room"]);
}

#[test]
fn a_call_that_overtakes_is_caught() {
    is_caught(Mistake::LosesFates, &["calls enter the outbox in the order of calls"]);
}

#[test]
fn a_backlog_beyond_its_settings_is_caught() {
    is_caught(Mistake::WidensBacklog, &["the backlog keeps its settings"]);
}

#[test]
fn a_refusal_that_is_misread_is_caught() {
    is_caught(Mistake::MisreadsRefusals, &["a refused upgrade is answered as the table says"]);
}
