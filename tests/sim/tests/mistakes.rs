//! Checkers that never fail prove nothing: in a world that makes a mistake, some seed must break
//! the rule that is about it.

#![expect(clippy::panic, reason = "a test that finds nothing says what it found instead")]

use std::collections::BTreeSet;

use steadfast_sim::mistake::Mistake;
use steadfast_sim::trace::Recording;
use steadfast_sim::{Rule, run_with};

/// Runs seeds with a mistake until one of `rules` is broken; other rules may be broken before.
fn is_caught(mistake: Mistake, rules: &[Rule]) {
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
        &[Rule::OneCommitPerNumber, Rule::OneCommitPerCommand, Rule::CommitsInOrder],
    );
}

#[test]
fn an_event_handed_out_twice_is_caught() {
    is_caught(Mistake::RepeatsItems, &[Rule::NoHiddenGap]);
}

#[test]
fn an_event_lost_before_the_application_is_caught() {
    is_caught(Mistake::LosesItems, &[Rule::NoHiddenGap]);
}

#[test]
fn frames_of_a_replaced_socket_that_are_read_are_caught() {
    is_caught(Mistake::DeliversStaleFrames, &[Rule::NobodyBlames, Rule::AcksCoverAccepted]);
}

#[test]
fn a_reply_with_other_bytes_is_caught() {
    is_caught(Mistake::ChangesReplies, &[Rule::ReplyIsCommitted]);
}

#[test]
fn an_event_with_other_bytes_is_caught() {
    is_caught(Mistake::ChangesEvents, &[Rule::EqualPlacesEqualBytes]);
}

#[test]
fn an_epoch_kept_over_a_lost_store_is_caught() {
    is_caught(
        Mistake::KeepsEpochs,
        &[Rule::EqualPlacesEqualBytes, Rule::LogHasNoGap, Rule::HeadMovesByAppends],
    );
}

#[test]
fn a_clock_that_stops_is_caught() {
    is_caught(Mistake::StopsTimers, &[Rule::ComesToRest]);
}

#[test]
fn a_frame_lost_in_the_middle_is_caught() {
    is_caught(Mistake::DropsFrames, &[Rule::NobodyBlames]);
}

#[test]
fn a_commit_below_the_low_water_mark_is_caught() {
    is_caught(Mistake::IgnoresLow, &[Rule::OneCommitPerNumber, Rule::RefusedNeverRan]);
}

#[test]
fn a_principal_that_changes_is_caught() {
    is_caught(
        Mistake::SwapsPrincipals,
        &[Rule::LeaseKeepsPrincipal, Rule::ResumeKeepsPrincipal, Rule::UnknownLeaseExpired],
    );
}

#[test]
fn a_pump_that_forgets_to_poll_after_transmitting_is_caught() {
    is_caught(Mistake::ForgetsToPoll, &[Rule::NoOutputLeft]);
}

#[test]
fn a_drained_socket_that_stays_open_is_caught() {
    is_caught(Mistake::KeepsDrainedSockets, &[Rule::DrainClosesAtOnce]);
}

#[test]
fn calls_that_change_places_are_caught() {
    is_caught(Mistake::SwapsCalls, &[Rule::NumbersFollowCalls]);
}

#[test]
fn a_call_that_outlives_its_time_while_it_waits_is_caught() {
    is_caught(Mistake::ForgetsPatience, &[Rule::WaitedTooLongNeverRan]);
}

#[test]
fn a_call_that_waits_beside_free_room_is_caught() {
    is_caught(Mistake::LosesFates, &[Rule::NobodyWaitsBesideRoom]);
}

#[test]
fn a_call_that_overtakes_is_caught() {
    is_caught(Mistake::LosesFates, &[Rule::CallsEnterInOrder]);
}

#[test]
fn a_backlog_beyond_its_settings_is_caught() {
    is_caught(Mistake::WidensBacklog, &[Rule::BacklogKeepsSettings]);
}

#[test]
fn a_refusal_that_is_misread_is_caught() {
    is_caught(Mistake::MisreadsRefusals, &[Rule::RefusedUpgradeIsAnswered]);
}
