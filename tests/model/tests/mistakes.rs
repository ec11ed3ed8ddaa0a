//! Deliberate mistakes at the border between the cores and the world: each breaks the property that
//! is about it.

use steadfast_model::mistake::Mistake;
use steadfast_model::settings::{Budget, Settings, StorePace};
use steadfast_model::{Configuration, Explored, Size};

const NO_FAULT: Budget = Settings::CALM.budget;
const COMMANDS: Settings =
    Settings { commands: 1, subscribed: false, publishes: &[], ..Settings::CALM };
const EVENTS: Settings = Settings { commands: 0, ..Settings::CALM };

fn explore(settings: Settings) -> Explored {
    Configuration { name: "a mistake", size: Size::Small, settings, reaches: &[] }.explore(2)
}

/// Explores until a property is broken, and says which one. Orders that are left out must not hide
/// it.
fn broken(mistake: Mistake, settings: Settings) -> &'static str {
    let without = explore(settings.clone());
    assert!(without.exhaustive, "it must hold without the mistake: {:?}", without.violations);
    let settings = Settings { mistake: Some(mistake), ..settings };
    let [found, in_full] =
        [true, false].map(|reduced| explore(Settings { reduced, ..settings.clone() }));
    assert!(!found.exhaustive, "{mistake:?} breaks nothing in {} states", found.unique_states);
    eprintln!("{mistake:?}: {} states\n{}", found.unique_states, found.violations[0].path);
    assert_eq!(
        found.violations[0].property, in_full.violations[0].property,
        "with and without reduction"
    );
    found.violations[0].property
}

#[test]
fn a_store_that_forgets_records_commits_twice() {
    let settings = Settings { budget: Budget { crashes: 1, ..NO_FAULT }, ..COMMANDS };
    assert_eq!(broken(Mistake::ForgetsRecords, settings), "at most one commit per number");
}

#[test]
fn a_store_that_ignores_its_low_water_mark_commits_twice() {
    let settings = Settings { commands: 2, budget: Budget { cuts: 1, ..NO_FAULT }, ..COMMANDS };
    assert_eq!(broken(Mistake::IgnoresLow, settings), "at most one commit per number");
}

#[test]
fn frames_of_a_replaced_socket_break_sequences() {
    let settings = Settings { budget: Budget { cuts: 1, ..NO_FAULT }, ..COMMANDS };
    assert_eq!(
        broken(Mistake::DeliversStaleFrames, settings),
        "sequences have no gap and no repeat"
    );
}

#[test]
fn an_epoch_that_outlives_its_log_gives_one_place_to_two_events() {
    let settings = Settings { budget: Budget { events: 2, losses: 1, ..NO_FAULT }, ..EVENTS };
    assert_eq!(broken(Mistake::KeepsEpochs, settings), "equal places have equal bytes");
}

#[test]
fn a_frame_lost_within_a_socket_breaks_sequences() {
    let rule = broken(Mistake::DropsFrames, Settings { commands: 2, prompt: true, ..COMMANDS });
    assert_eq!(rule, "sequences have no gap and no repeat");
}

#[test]
fn an_event_lost_before_the_application_is_a_hidden_gap() {
    let settings =
        Settings { slow_readers: true, budget: Budget { events: 2, ..NO_FAULT }, ..EVENTS };
    assert_eq!(broken(Mistake::LosesItems, settings), "never live across an unreported gap");
}

#[test]
fn an_event_handed_out_twice_is_seen() {
    let settings = Settings { budget: Budget { events: 1, ..NO_FAULT }, ..EVENTS };
    assert_eq!(broken(Mistake::RepeatsItems, settings), "never live across an unreported gap");
}

#[test]
fn a_reply_with_other_bytes_is_seen() {
    assert_eq!(
        broken(Mistake::ChangesReplies, COMMANDS),
        "a reply implies one commit with its bytes"
    );
}

#[test]
fn an_event_with_other_bytes_is_seen() {
    let settings =
        Settings { store: StorePace::Instant, budget: Budget { events: 2, ..NO_FAULT }, ..EVENTS };
    assert_eq!(broken(Mistake::ChangesEvents, settings), "equal places have equal bytes");
}

#[test]
fn a_clock_that_stands_still_leaves_a_command_waiting() {
    let settings = Settings { budget: Budget { cuts: 1, ..NO_FAULT }, ..COMMANDS };
    assert_eq!(broken(Mistake::StopsTimers, settings), "everything comes to rest when faults stop");
}

#[test]
fn a_node_that_hears_nothing_leaves_its_subscribers_behind() {
    let settings = Settings { budget: Budget { events: 1, ..NO_FAULT }, ..EVENTS };
    assert_eq!(broken(Mistake::LosesHints, settings), "everything comes to rest when faults stop");
}
