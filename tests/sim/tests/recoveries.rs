//! Named faults of stores, clocks and processes: nothing that was promised is left half done.

use std::time::Duration;

use steadfast_sim::network::Route;
use steadfast_sim::plan::{CONCURRENT, KEYS, ORDERED, Plan};
use steadfast_sim::world::{Answer, Cut, Pace};

mod support;

use support::{begun, connected, count, ends_well, manual, resolved, soon, two_nodes};

#[test]
fn what_is_committed_under_a_lease_that_was_dropped_meanwhile_is_settled() {
    let mut plan = manual().node(|config| config.lease_ttl = Duration::from_secs(3));
    plan.store.settles = 0;
    let mut world = connected(plan);
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    world.plan.store.after_ms = (8_000, 8_000);
    assert!(world.finish(command, Answer::Ok(1)));
    world.plan.store.after_ms = (0, 0);
    world.shelf.clock.jump(10_000);
    // The record is written, and its answer on its way, when the node hears that the lease has
    // expired.
    soon(&mut world, "the end of the lease", |world| count(world, "session ended by server") == 1);
    assert!(!world.checkers.all_settled());
    soon(&mut world, "the event", |world| world.checkers.all_settled());
    ends_well(world);
}

#[test]
fn events_of_a_commit_that_was_given_up_reach_live_subscribers() {
    let mut world = connected(manual().node(|config| config.store_patience = Duration::ZERO));
    let sub = world.subscribe(0, 0, KEYS[0], Pace::Each(0));
    world.run_for(50);
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    (world.plan.store.unknown_done, world.plan.store.after_ms) = (1_000, (5, 5));
    assert!(world.finish(command, Answer::Ok(2)));
    (world.plan.store.unknown_done, world.plan.store.after_ms) = (0, (0, 0));
    world.store_goes_away(1_000);
    resolved(&mut world);
    assert_eq!(count(&world, "failed: Unknown"), 1);
    let process = world.clients[0].process;
    soon(&mut world, "the second event", |world| {
        world.checkers.topics.cursor(process, sub).is_some_and(|at| at.ts.0 == 2)
    });
    ends_well(world);
}

#[test]
fn events_of_a_commit_whose_lease_was_dropped_meanwhile_reach_live_subscribers() {
    let mut world = connected(Plan {
        clients: 2,
        ..manual().node(|config| config.lease_ttl = Duration::from_secs(3))
    });
    let sub = world.subscribe(1, 0, KEYS[0], Pace::Each(0));
    world.run_for(50);
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    world.plan.store.after_ms = (8_000, 8_000);
    assert!(world.finish(command, Answer::Ok(2)));
    world.plan.store.after_ms = (0, 0);
    world.shelf.clock.jump(10_000);
    let process = world.clients[1].process;
    soon(&mut world, "the second event", |world| {
        world.checkers.topics.cursor(process, sub).is_some_and(|at| at.ts.0 == 2)
    });
    assert!(count(&world, "session ended by server") > 0);
    ends_well(world);
}

#[test]
fn what_a_node_that_never_comes_back_has_left_unsettled_is_settled() {
    let mut plan = manual();
    plan.store.settles = 0;
    plan.store.before_ms = (20, 20);
    let mut world = two_nodes(plan);
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    assert!(world.finish(command, Answer::Ok(1)));
    soon(&mut world, "the result", |world| world.clients[0].core.outbox().0 == 0);
    // The client is done, and goes: nobody will ever take its lease over.
    world.close_client(0);
    world.crash_node(0, 1_000_000);
    assert!(!world.checkers.all_settled());
    assert!(
        world.run_until(100_000, |world| world.checkers.all_settled()),
        "{}",
        world.trace.tail()
    );
}

#[test]
fn a_publication_that_may_be_in_its_log_is_not_called_unpublished() {
    let mut world = connected(manual().node(|config| {
        config.store_patience = Duration::from_millis(50);
    }));
    world.plan.store.unknown_done = 1_000;
    world.publish(0).expect("the node is up");
    (world.plan.store.unknown_done, world.plan.store.failed) = (0, 1_000);
    soon(&mut world, "the second try", |world| {
        count(world, "publish failed: the store failed") == 1
    });
    world.plan.store.failed = 0;
    ends_well(world);
}

#[test]
fn a_command_whose_lease_is_dropped_before_it_begins_never_begins() {
    let mut world = connected(manual());
    let (first, _) = world.submit(0, ORDERED);
    let (second, _) = world.submit(0, ORDERED);
    begun(&mut world, first);
    world.run_for(10);
    world.shelf.clock.jump(1_000_000);
    // The end of the first one begins the second one, and its commit finds that there is no lease,
    // in one go.
    assert!(world.finish(first, Answer::Ok(0)));
    assert_eq!(count(&world, "commit finds no lease"), 1);
    assert!(!world.held.iter().any(|held| held.command == second), "nobody would end it");
    ends_well(world);
}

#[test]
fn a_store_that_goes_back_makes_outcomes_unknown_and_gaps_known() {
    let mut world = connected(manual());
    let sub = world.subscribe(0, 0, KEYS[0], Pace::Each(0));
    world.run_for(50);
    world.publish(0);
    world.run_for(10);
    world.back_up_store();
    let (done, _) = world.submit(0, ORDERED);
    begun(&mut world, done);
    assert!(world.finish(done, Answer::Ok(1)));
    resolved(&mut world);
    let (open, _) = world.submit(0, ORDERED);
    begun(&mut world, open);
    let process = world.clients[0].process;
    let before = world.checkers.topics.cursor(process, sub).expect("two events were read");
    assert!(world.roll_store_back());
    // The node runs on: its next commit finds that the lease is gone, and the next event another
    // epoch.
    assert!(world.finish(open, Answer::Ok(0)));
    resolved(&mut world);
    assert_eq!((count(&world, "outcome unknown"), count(&world, "lease lost")), (1, 1));
    world.publish(0);
    soon(&mut world, "the event", |world| {
        count(world, "gap: Epoch") == 1 || world.checkers.violated()
    });
    let after = world.checkers.topics.cursor(process, sub).expect("it goes on");
    assert_ne!(before.epoch, after.epoch);
    ends_well(world);
}

#[test]
fn a_node_that_slept_through_a_takeover_commits_nothing_twice() {
    let mut world = two_nodes(manual());
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    world.node_goes_to_sleep(0, 8_000, false);
    world.routes.extend([Route::To(1); 3]);
    soon(&mut world, "the takeover", |world| world.held.len() == 2);
    assert!(world.finish(command, Answer::Ok(1)), "the new node's");
    resolved(&mut world);
    world.run_for(10_000);
    assert_eq!(count(&world, "executed on two nodes"), 1);
    ends_well(world);
}

#[test]
fn a_client_that_slept_goes_on_where_it_was() {
    for counts in [true, false] {
        let mut world =
            connected(manual().node(|config| config.session_ttl = Duration::from_secs(60)));
        let sub = world.subscribe(0, 0, KEYS[0], Pace::Each(0));
        world.run_for(50);
        let (command, _) = world.submit(0, ORDERED);
        begun(&mut world, command);
        world.client_goes_to_sleep(0, 30_000, counts);
        world.publish(0);
        assert!(world.finish(command, Answer::Ok(1)));
        world.run_for(30_100);
        resolved(&mut world);
        let process = world.clients[0].process;
        soon(&mut world, "both events", |world| {
            world.checkers.topics.cursor(process, sub).is_some_and(|at| at.ts.0 == 2)
        });
        assert_eq!((count(&world, "lease lost"), count(&world, "outcome unknown")), (0, 0));
        ends_well(world);
    }
}

#[test]
fn a_frame_that_is_cut_in_two_is_lost_and_sent_again() {
    let mut world = connected(manual());
    let (first, _) = world.submit(0, CONCURRENT);
    let (second, _) = world.submit(0, CONCURRENT);
    let socket = world.socket(0);
    let under_way = world.sockets[&socket].up.bytes();
    world.cut(socket, Cut { up_bytes: under_way - 1, ..Cut::CLEAN });
    assert_eq!(count(&world, "frame cut in two"), 1);
    begun(&mut world, first);
    begun(&mut world, second);
    for command in [first, second] {
        assert!(world.finish(command, Answer::Ok(0)));
    }
    resolved(&mut world);
    assert_eq!(count(&world, "duplicate answered"), 0);
    ends_well(world);
}
