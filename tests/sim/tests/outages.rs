//! Named outages: a store that is away while everybody goes on, and nodes that stand still. What
//! was accepted waits, what comes is refused before it runs, and afterwards everything is as if
//! nothing had happened.

use std::time::Duration;

use steadfast::session::client::ClientConfig;
use steadfast::session::node::Heartbeat;
use steadfast_sim::network::Route;
use steadfast_sim::plan::{CONCURRENT, KEYS, ORDERED, Plan};
use steadfast_sim::trace::Recording;
use steadfast_sim::world::{Answer, Pace, World};

mod support;

use support::{begun, connected, count, ends_well, manual, resolved, soon, two_nodes};

/// Handlers that answer by themselves, and clients that wait for their answers.
fn patient() -> Plan {
    let waits = |config: &mut ClientConfig| {
        config.outbox_age = Duration::from_secs(300);
        // The store is there when they connect, and not when they have something to command.
        config.lease_at_once = true;
    };
    Plan::calm().client(waits).node(|config| {
        for message in config.messages_mut() {
            message.timeout = Duration::from_secs(300);
        }
        config.heartbeat = Heartbeat::new(Duration::from_secs(30), Duration::from_secs(10), 3);
    })
}

#[test]
fn the_store_is_away_for_a_minute() {
    let mut world = connected(Plan { clients: 3, ..patient() });
    let process = world.clients[2].process;
    let sub = world.subscribe(2, 0, KEYS[0], Pace::Each(0));
    world.run_for(50);
    world.store_goes_away(59_000);
    let mut calls = 0;
    // Everybody goes on: some of it waits in nodes, the rest at its client.
    while calls < 110 {
        for client in 0..2 {
            world.submit(client, if calls % 3 == 0 { CONCURRENT } else { ORDERED });
            calls += 1;
        }
        world.run_for(1_000);
    }
    assert!(count(&world, "refused: Overload") > 0);
    assert!(world.clients[0].core.outbox().0 > 0 && world.clients[1].core.outbox().0 > 0);
    world.run_for(8_000);
    assert_eq!([world.clients[0].core.outbox().0, world.clients[1].core.outbox().0], [0, 0]);
    assert_eq!((count(&world, "outcome unknown"), count(&world, "failed: Unknown")), (0, 0));
    assert_eq!(count(&world, "replied"), calls);
    soon(&mut world, "the last event", |world| world.checkers.not_at_head(process, sub).is_none());
    ends_well(world);
}

#[test]
fn a_store_that_is_away_for_longer_than_its_node_waits_makes_outcomes_unknown() {
    let mut world = connected(patient());
    world.store_goes_away(70_000);
    world.submit(0, ORDERED);
    world.run_for(59_000);
    assert_eq!(world.clients[0].core.outbox().0, 1, "it waits");
    resolved(&mut world);
    assert_eq!(count(&world, "failed: Unknown"), 1);
    ends_well(world);
}

/// What is accepted and has not begun when the store goes away begins when it is back, without
/// anybody's asking again.
#[test]
fn what_was_accepted_before_an_outage_begins_after_it() {
    let mut plan = patient().node(|config| config.store_failing_after = Duration::ZERO);
    plan.handlers.manual = true;
    let mut world = connected(plan);
    let [(first, _), (second, _), (third, _)] = [0; 3].map(|client| world.submit(client, ORDERED));
    begun(&mut world, first);
    world.run_for(10);
    world.store_goes_away(20_000);
    assert!(world.finish(first, Answer::Ok(1)));
    begun(&mut world, second);
    assert!(world.finish(second, Answer::Ok(1)));
    world.run_for(19_000);
    assert!(world.held.is_empty(), "the third one waits for the store");
    begun(&mut world, third);
    assert!(world.finish(third, Answer::Ok(1)));
    resolved(&mut world);
    assert_eq!(count(&world, "refused: Overload"), 0);
    ends_well(world);
}

/// A node stands still for longer than a heartbeat takes, with a command that runs, one that waits
/// and a record on its way; its clients go elsewhere meanwhile, and it goes on with what it believed.
#[test]
fn a_node_sleeps_while_others_go_on() {
    for counts in [false, true] {
        let mut plan = manual();
        plan.store.after_ms = (20, 20);
        let mut world = two_nodes(plan);
        let [(first, _), (second, _), (third, _)] =
            [0; 3].map(|client| world.submit(client, ORDERED));
        begun(&mut world, first);
        assert!(world.finish(first, Answer::Ok(1)));
        begun(&mut world, second);
        world.node_goes_to_sleep(0, 90_000, counts);
        world.routes.extend([Route::To(1); 8]);
        soon(&mut world, "the other node", |world| world.held.iter().any(|held| held.node == 1));
        for command in [second, third] {
            soon(&mut world, "the handler", |world| {
                world.held.iter().any(|held| held.command == command && held.node == 1)
            });
            assert!(world.finish(command, Answer::Ok(1)));
        }
        resolved(&mut world);
        assert!(world.run_until(90_000, |world| !world.nodes[0].clock.sleeps(world.now)));
        // What it had begun ends as well, and its records are there already.
        world.run_for(5_000);
        assert_eq!(count(&world, "outcome unknown"), 0, "its clock went on: {counts}");
        assert_eq!(count(&world, "failed: Unknown"), 0, "its clock went on: {counts}");
        ends_well(world);
    }
}

/// A node that stood still for longer than it is patient has not tried for long: what was under way
/// when it fell asleep, and failed, is tried again.
#[test]
fn sleep_is_no_patience() {
    let mut plan = patient();
    plan.store.after_ms = (50, 50);
    let mut world = World::new(plan, 7, Recording::Tail);
    world.connect();
    world.store_goes_away(1_000);
    world.submit(0, ORDERED);
    soon(&mut world, "the commit", |world| count(world, "commit unknown") > 0);
    world.node_goes_to_sleep(0, 100_000, true);
    world.run_for(110_000);
    soon(&mut world, "the outcome", |world| world.clients[0].core.outbox().0 == 0);
    assert_eq!((count(&world, "outcome unknown"), count(&world, "failed: Unknown")), (0, 0));
    ends_well(world);
}
