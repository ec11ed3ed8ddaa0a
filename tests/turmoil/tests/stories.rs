//! One trouble at a time, told from beginning to end. `tests/seeds.rs` mixes them.
#![allow(missing_docs)]

use steadfast_turmoil::ledger::{Outcome, Topic};
use steadfast_turmoil::plan::{Fault, Plan};
use steadfast_turmoil::stage::World;

const SEED: u64 = 7;

fn told(world: &World<'_>, outcome: Outcome) -> usize {
    world.stage.ledger.outcomes().values().filter(|told| **told == Some(outcome)).count()
}

fn times(world: &World<'_>, what: &str) -> usize {
    world.stage.ledger.trace().iter().filter(|line| line.contains(what)).count()
}

/// Mends everything, and checks that nothing is wrong.
#[track_caller]
fn end_well(world: &mut World<'_>, clients: u32) {
    world.finish(clients);
    let mistakes = world.stage.ledger.mistakes();
    assert!(mistakes.is_empty(), "{mistakes:#?}\n{}", world.stage.ledger.trace().join("\n"));
}

#[track_caller]
fn play(clients: u32, faults: &[(u64, Fault)]) -> World<'static> {
    let mut world = World::new(SEED);
    world.carry_out(&Plan { clients, faults: faults.to_vec() });
    let mistakes = world.stage.ledger.mistakes();
    assert!(mistakes.is_empty(), "{mistakes:#?}\n{}", world.stage.ledger.trace().join("\n"));
    world
}

#[test]
fn commands_and_events_outlive_a_partition() {
    let world =
        play(2, &[(3_000, Fault::Partition(1)), (8_000, Fault::Heal(1)), (12_000, Fault::Heal(1))]);
    assert_eq!(told(&world, Outcome::Unknown), 0);
    assert!(times(&world, "client 1 reconnects") > 0);
    assert_eq!(times(&world, "client 2 reconnects"), 0);
    assert!(times(&world, "is connected, resumed: true") > 0);
}

#[test]
fn a_silence_shorter_than_the_heartbeat_is_not_noticed() {
    let world =
        play(1, &[(3_000, Fault::Hold(1)), (4_200, Fault::Heal(1)), (8_000, Fault::Heal(1))]);
    assert_eq!(times(&world, "client 1 reconnects"), 0);
    assert_eq!(times(&world, "gap"), 0);
}

#[test]
fn a_link_that_stalls_is_left_and_what_it_held_changes_nothing() {
    let world =
        play(1, &[(3_000, Fault::Hold(1)), (10_000, Fault::Heal(1)), (15_000, Fault::Heal(1))]);
    assert_eq!(told(&world, Outcome::Unknown), 0);
    assert!(times(&world, "the server went silent") > 0);
    assert!(times(&world, "is connected, resumed: true") > 0);
}

#[test]
fn a_link_that_is_dead_one_way_is_left() {
    for to_server in [true, false] {
        let deaf = Fault::Deaf { who: 1, to_server };
        let world = play(1, &[(3_000, deaf), (11_000, Fault::Heal(1)), (15_000, Fault::Heal(1))]);
        assert_eq!(told(&world, Outcome::Unknown), 0, "to the server: {to_server}");
        assert!(times(&world, "is connected, resumed: true") > 0, "to the server: {to_server}");
    }
}

#[test]
fn a_crash_of_the_server_is_admitted() {
    let world = play(
        2,
        &[(5_000, Fault::CrashServer), (6_000, Fault::RestartServer), (10_000, Fault::Heal(1))],
    );
    assert!(told(&world, Outcome::Unknown) > 0, "something was under way");
    assert!(told(&world, Outcome::Done(1)) == 2, "each life of the server counts from 1");
    assert_eq!(
        (world.stage.ledger.epochs(Topic::Board), world.stage.ledger.epochs(Topic::Feed)),
        (2, 2)
    );
    assert_eq!(times(&world, "state of Board"), 4);
    assert_eq!(times(&world, "after a gap"), 2);
    assert_eq!(times(&world, "is told of a gap of Feed"), 2);
    assert_eq!(times(&world, "resumed: true"), 0);
}

#[test]
fn a_server_that_leaves_in_order_finishes_what_runs() {
    let world = play(2, &[(5_000, Fault::DrainServer), (10_000, Fault::Heal(1))]);
    assert_eq!(told(&world, Outcome::Unknown), 0);
    assert_eq!(times(&world, "server ends: drained"), 1);
    assert_eq!(world.stage.ledger.epochs(Topic::Board), 2);
}

#[test]
fn a_crash_of_a_client_concerns_nobody_else() {
    let faults = [
        (5_000, Fault::CrashClient(1)),
        (6_000, Fault::RestartClient(1)),
        (10_000, Fault::Heal(1)),
    ];
    let world = play(2, &faults);
    assert_eq!(told(&world, Outcome::Unknown), 0);
    assert_eq!(times(&world, "client 2 reconnects"), 0);
    assert_eq!(times(&world, "starts, life 2"), 1);
}

#[test]
fn a_client_that_vanishes_is_forgotten() {
    let mut world = World::new(SEED);
    world.add_client(1);
    world.run_for(3_000);
    assert_eq!(world.stage.load(), (1, 1));
    world.apply(Fault::Partition(1));
    world.apply(Fault::CrashClient(1));
    assert!(
        world.run_until(10_000, |world| world.stage.load() == (0, 1)),
        "the socket goes by its heartbeat"
    );
    assert!(
        world.run_until(30_000, |world| world.stage.load() == (0, 0)),
        "the session goes by its time to live"
    );
    end_well(&mut world, 1);
}

#[test]
fn a_slow_link_costs_time_only() {
    let world = play(1, &[(0, Fault::Latency { who: 1, ms: 600 }), (15_000, Fault::Heal(1))]);
    assert_eq!(told(&world, Outcome::Unknown), 0);
    assert_eq!(times(&world, "client 1 reconnects"), 0);
}

/// PROTOCOL.md 4.9.
#[test]
fn an_old_connection_that_arrives_late_does_not_take_over() {
    let mut world = World::new(SEED);
    world.add_client(1);
    world.run_for(3_000);
    world.apply(Fault::Partition(1));
    assert!(world.run_until(10_000, |world| world.stage.load().0 == 0));
    world.apply(Fault::Heal(1));
    // A second socket is upgraded, but its HELLO is held back, and the client gives up on it.
    assert!(world.run_until(10_000, |world| world.stage.load().0 == 1));
    world.apply(Fault::LateOld { who: 1, answers: true });
    let connected = times(&world, "is connected");
    assert!(world.run_until(8_000, |world| times(world, "is connected") > connected));
    assert_eq!(
        times(&world, "is connected, resumed: true"),
        1,
        "the third socket resumes the session"
    );
    assert_eq!(world.stage.load(), (2, 1), "the second one still waits for its HELLO");
    let lost = times(&world, "client 1 reconnects");
    world.apply(Fault::Heal(1));
    assert!(
        world.run_until(1_000, |world| world.stage.load() == (1, 1)),
        "the late HELLO has come and was refused"
    );
    world.run_for(5_000);
    assert_eq!(times(&world, "client 1 reconnects"), lost);
    end_well(&mut world, 1);
    assert_eq!(told(&world, Outcome::Unknown), 0);
}
