//! What is explored: each configuration turns one fear up as far as it can be explored to its end,
//! and keeps the rest small.

use crate::explore::{Configuration, Size};
use crate::marks::Mark;
use crate::settings::{Budget, Settings, StorePace};

const NO_FAULT: Budget = Settings::CALM.budget;
/// Commands only.
const COMMANDS: Settings = Settings { subscribed: false, publishes: &[], ..Settings::CALM };
/// A topic whose events come from outside commands, and an application that reads when it likes.
const TOPIC: Settings = Settings { commands: 0, slow_readers: true, ..Settings::CALM };

/// Nothing lingers but what the faults leave: the room that this saves is for faults.
const TIDY: Settings = Settings {
    publishes: &[1, 2],
    slow_handlers: false,
    clean_breaks: true,
    nodes_forget: true,
    ..Settings::CALM
};

const fn small(name: &'static str, settings: Settings, reaches: &'static [Mark]) -> Configuration {
    Configuration { name, size: Size::Small, settings, reaches }
}

const fn large(name: &'static str, settings: Settings, reaches: &'static [Mark]) -> Configuration {
    Configuration { name, size: Size::Large, settings, reaches }
}

/// Everything that is explored.
#[must_use]
pub fn configurations() -> Vec<Configuration> {
    let mut all = sessions_and_commands();
    all.extend(stores());
    all.extend(topics());
    all.extend(large_ones());
    all
}

fn sessions_and_commands() -> Vec<Configuration> {
    vec![
        small(
            "two commands, a cut",
            Settings { budget: Budget { cuts: 1, ..NO_FAULT }, ..COMMANDS },
            &[
                Mark::Resume,
                Mark::Takeover,
                Mark::Duplicate,
                Mark::Replaced,
                Mark::Retry,
                Mark::BelowLow,
            ],
        ),
        small(
            "two commands and their events, a cut",
            Settings { budget: Budget { cuts: 1, ..NO_FAULT }, ..Settings::CALM },
            &[
                Mark::Resume,
                Mark::Takeover,
                Mark::Duplicate,
                Mark::Replaced,
                Mark::Retry,
                Mark::BelowLow,
            ],
        ),
        small(
            "two commands, three events, a cut, a crash",
            Settings { budget: Budget { cuts: 1, crashes: 1, ..NO_FAULT }, ..TIDY },
            &[Mark::Resume, Mark::Takeover, Mark::Duplicate, Mark::Retry, Mark::ResumeFailed],
        ),
        small(
            "two commands and their events, a crash",
            Settings { budget: Budget { crashes: 1, ..NO_FAULT }, ..Settings::CALM },
            &[Mark::Takeover, Mark::Duplicate, Mark::Retry, Mark::ResumeFailed],
        ),
        small(
            "a command, two cuts",
            Settings { commands: 1, budget: Budget { cuts: 2, ..NO_FAULT }, ..COMMANDS },
            &[Mark::Resume, Mark::Takeover, Mark::StaleDial, Mark::Replaced],
        ),
        small(
            "two commands, a cut, windows in which acks wait for their timers",
            Settings { window: 8, budget: Budget { cuts: 1, ..NO_FAULT }, ..COMMANDS },
            &[Mark::Resume, Mark::Takeover, Mark::Duplicate, Mark::Replaced],
        ),
        small(
            "two commands, a drain",
            Settings { budget: Budget { drains: 1, ..NO_FAULT }, ..COMMANDS },
            &[Mark::Drain, Mark::Refused, Mark::Takeover],
        ),
        small(
            "a command, a cut, sessions that expire",
            Settings {
                commands: 1,
                sessions_expire: true,
                budget: Budget { cuts: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Resume, Mark::ResumeFailed, Mark::Duplicate],
        ),
        small(
            "a command, a cut, another user",
            Settings {
                commands: 1,
                budget: Budget { cuts: 1, strangers: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::ResumeFailed, Mark::LeaseLoss, Mark::OutcomeUnknown],
        ),
        small(
            "two commands, one is cancelled",
            Settings { budget: Budget { cancels: 1, ..NO_FAULT }, ..COMMANDS },
            &[Mark::NeverBegan, Mark::HandlerTold],
        ),
        small(
            "two commands, one is cancelled, a cut",
            Settings { budget: Budget { cancels: 1, cuts: 1, ..NO_FAULT }, ..COMMANDS },
            &[Mark::NeverBegan, Mark::HandlerTold, Mark::Resume, Mark::Takeover],
        ),
        small(
            "two commands, one is cancelled, a drain",
            Settings { budget: Budget { cancels: 1, drains: 1, ..NO_FAULT }, ..COMMANDS },
            &[Mark::Drain, Mark::Refused, Mark::NeverBegan, Mark::HandlerTold],
        ),
        small(
            "a command, a client that crashes",
            Settings {
                commands: 1,
                budget: Budget { client_crashes: 1, ..NO_FAULT },
                ..Settings::CALM
            },
            &[],
        ),
    ]
}

fn stores() -> Vec<Configuration> {
    vec![
        small(
            "a command, a cut, a slow store that is in doubt",
            Settings {
                commands: 1,
                store: StorePace::Slow,
                budget: Budget { cuts: 1, doubts: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Resume, Mark::Takeover, Mark::RecordExists],
        ),
        small(
            "two commands, a crash, commits that take time, a node that tells the store at rest",
            Settings {
                store: StorePace::Commits,
                leases_rest: true,
                budget: Budget { crashes: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Takeover, Mark::RecordExists],
        ),
        small(
            "a command and its event, a crash, a store that does not settle",
            Settings {
                commands: 1,
                store: StorePace::Slow,
                settles: false,
                budget: Budget { crashes: 1, ..NO_FAULT },
                ..Settings::CALM
            },
            &[Mark::Settled, Mark::Takeover],
        ),
        small(
            "two commands and their events, a slow store that answers in any order",
            Settings { store: StorePace::Slow, any_order: true, settles: false, ..Settings::CALM },
            &[Mark::OutOfOrder],
        ),
        small(
            "a command and its event, a slow store in which something happens late",
            Settings {
                commands: 1,
                store: StorePace::Slow,
                any_order: true,
                settles: false,
                budget: Budget { late: 1, ..NO_FAULT },
                ..Settings::CALM
            },
            &[Mark::Late, Mark::RecordExists],
        ),
        small(
            "two commands, a crash, commits that happen late",
            Settings {
                store: StorePace::Commits,
                any_order: true,
                budget: Budget { crashes: 1, late: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Late, Mark::RecordExists, Mark::Takeover],
        ),
        small(
            "two commands that the store decides, a cut, a commit in doubt",
            Settings {
                decides: true,
                store: StorePace::Commits,
                budget: Budget { cuts: 1, doubts: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Decided, Mark::Resume, Mark::Takeover, Mark::RecordExists, Mark::BelowLow],
        ),
        small(
            "three commands, a store that fails for a while",
            Settings {
                commands: 3,
                nodes: 1,
                window: 8,
                store: StorePace::Commits,
                budget: Budget { failures: 2, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Refused, Mark::WaitsForStore],
        ),
        small(
            "two commands, a cut, a store that fails",
            Settings {
                store: StorePace::Commits,
                budget: Budget { cuts: 1, failures: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Refused, Mark::Takeover, Mark::Resume],
        ),
        small(
            "two clients, one command by its id, commits that take time",
            Settings {
                clients: 2,
                commands: 1,
                one_id: true,
                publishes: &[1],
                subscribed: false,
                store: StorePace::Commits,
                ..Settings::CALM
            },
            &[Mark::IdUsed, Mark::Duplicate, Mark::Retry],
        ),
        small(
            "one command by its id again, a lease that lapses",
            Settings {
                one_id: true,
                publishes: &[1],
                budget: Budget { lapses: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::LeaseLoss, Mark::Duplicate, Mark::OutcomeUnknown],
        ),
        small(
            "two commands, a lease that lapses",
            Settings { budget: Budget { lapses: 1, ..NO_FAULT }, ..COMMANDS },
            &[Mark::LeaseLoss, Mark::OutcomeUnknown],
        ),
        small(
            "a command and its event, a store that loses everything",
            Settings {
                commands: 1,
                budget: Budget { losses: 1, events: 1, ..NO_FAULT },
                ..Settings::CALM
            },
            &[Mark::LeaseLoss, Mark::OutcomeUnknown, Mark::Gap],
        ),
        small(
            "a command and its event, a store that becomes another incarnation",
            Settings {
                commands: 1,
                store: StorePace::Commits,
                settles: false,
                budget: Budget { rolls: 1, ..NO_FAULT },
                ..Settings::CALM
            },
            &[Mark::LeaseLoss, Mark::OutcomeUnknown, Mark::Gap],
        ),
    ]
}

fn topics() -> Vec<Configuration> {
    vec![
        small(
            "two events, a cut, one is retained",
            Settings { retained: 1, budget: Budget { events: 2, cuts: 1, ..NO_FAULT }, ..TOPIC },
            &[Mark::Resume, Mark::Gap],
        ),
        small(
            "two events, a cut, one is retained, snapshots",
            Settings {
                retained: 1,
                snapshot: true,
                budget: Budget { events: 2, cuts: 1, ..NO_FAULT },
                ..TOPIC
            },
            &[Mark::Resume, Mark::Gap, Mark::Snapshot],
        ),
        small(
            "two clients, two events",
            Settings { clients: 2, budget: Budget { events: 2, ..NO_FAULT }, ..TOPIC },
            &[],
        ),
        small(
            "two clients of one node, two events, a store that loses everything",
            Settings {
                clients: 2,
                nodes: 1,
                budget: Budget { events: 2, losses: 1, ..NO_FAULT },
                ..TOPIC
            },
            &[Mark::Gap],
        ),
    ]
}

fn large_ones() -> Vec<Configuration> {
    vec![
        large(
            "two commands, three events, two cuts, two crashes",
            Settings { budget: Budget { cuts: 2, crashes: 2, ..NO_FAULT }, ..TIDY },
            &[Mark::Resume, Mark::Takeover, Mark::Duplicate, Mark::Retry, Mark::ResumeFailed],
        ),
        large(
            "two commands and their events, a cut, a crash",
            Settings { budget: Budget { cuts: 1, crashes: 1, ..NO_FAULT }, ..Settings::CALM },
            &[
                Mark::Resume,
                Mark::Takeover,
                Mark::Duplicate,
                Mark::StaleDial,
                Mark::Replaced,
                Mark::Retry,
            ],
        ),
        large(
            "two commands and their events, a cut, a drain",
            Settings { budget: Budget { cuts: 1, drains: 1, ..NO_FAULT }, ..Settings::CALM },
            &[Mark::Resume, Mark::Takeover, Mark::Duplicate, Mark::Drain, Mark::Refused],
        ),
        large(
            "two commands, two cuts, a crash",
            Settings { budget: Budget { cuts: 2, crashes: 1, ..NO_FAULT }, ..COMMANDS },
            &[
                Mark::Resume,
                Mark::Takeover,
                Mark::Duplicate,
                Mark::StaleDial,
                Mark::Replaced,
                Mark::BelowLow,
            ],
        ),
        large(
            "a command, a cut, a crash, a slow store that is in doubt",
            Settings {
                commands: 1,
                store: StorePace::Slow,
                budget: Budget { cuts: 1, crashes: 1, doubts: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Resume, Mark::Takeover, Mark::RecordExists, Mark::Retry],
        ),
        large(
            "a command, two cuts, a slow store that is in doubt",
            Settings {
                commands: 1,
                store: StorePace::Slow,
                budget: Budget { cuts: 2, doubts: 1, ..NO_FAULT },
                ..COMMANDS
            },
            &[Mark::Resume, Mark::Takeover],
        ),
        large(
            "a command and its event, a cut, a slow store that answers in any order",
            Settings {
                commands: 1,
                store: StorePace::Slow,
                any_order: true,
                settles: false,
                budget: Budget { cuts: 1, ..NO_FAULT },
                ..Settings::CALM
            },
            &[Mark::OutOfOrder, Mark::Resume, Mark::Takeover],
        ),
        large(
            "three events, a cut, one is retained, snapshots",
            Settings {
                retained: 1,
                snapshot: true,
                budget: Budget { events: 3, cuts: 1, ..NO_FAULT },
                ..TOPIC
            },
            &[Mark::Resume, Mark::Gap, Mark::Snapshot],
        ),
        large(
            "two clients, two events, a cut",
            Settings { clients: 2, budget: Budget { events: 2, cuts: 1, ..NO_FAULT }, ..TOPIC },
            &[Mark::Resume],
        ),
        large(
            "two clients, two events, a slow store",
            Settings {
                clients: 2,
                store: StorePace::Slow,
                budget: Budget { events: 2, ..NO_FAULT },
                ..TOPIC
            },
            &[],
        ),
        large(
            "two clients, two events, a store that loses everything",
            Settings { clients: 2, budget: Budget { events: 2, losses: 1, ..NO_FAULT }, ..TOPIC },
            &[Mark::Gap],
        ),
    ]
}
