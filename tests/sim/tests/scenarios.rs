//! Named faults, one at a time: each row says what must come of it.

use std::time::Duration;

use steadfast::session::client::{ConnectionState, Item};
use steadfast::session::store::Retention;
use steadfast::wire::{ResetReason, Window};
use steadfast_sim::network::{Route, Way};
use steadfast_sim::plan::{CONCURRENT, KEYS, ORDERED, Plan};
use steadfast_sim::world::{Answer, Cut, Pace};

mod support;

use support::{
    begun, connected, count, ends_well, manual, resolved, soon, two_nodes, welcomed_again,
};

#[test]
fn a_lost_welcome_costs_nothing() {
    let mut world = connected(manual());
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    let first = world.socket(0);
    world.cut(first, Cut::CLEAN);
    let second = welcomed_again(&mut world, first);
    // The token has been rotated, and the client does not know: it comes with the one before.
    world.cut(second, Cut::HALF_OPEN);
    welcomed_again(&mut world, second);
    assert!(world.finish(command, Answer::Ok(1)));
    resolved(&mut world);
    assert_eq!(count(&world, "lease lost") + count(&world, "resume failed: Token"), 0);
    ends_well(world);
}

#[test]
fn a_stale_dial_is_refused_and_changes_nothing() {
    let mut world = connected(manual());
    let first = world.socket(0);
    world.routes.push_back(Route::SlowUp(0, 1_900));
    world.cut(first, Cut::CLEAN);
    soon(&mut world, "the second HELLO", |world| {
        world.dials == 2 && world.is_open(world.socket(0))
    });
    // It is held up, and the client's end of its socket goes away without a word: it gives up and
    // dials a third time.
    let second = world.socket(0);
    world.cut(
        second,
        Cut { up_bytes: u64::MAX, down_bytes: 0, client_notices_ms: None, server_notices_ms: None },
    );
    soon(&mut world, "the third dial", |world| world.dials == 3 && world.is_connected(0));
    let third = world.socket(0);
    soon(&mut world, "the refusal", |world| count(world, "stale dial refused") == 1);
    world.run_for(1_000);
    assert_eq!((world.socket(0), world.dials), (third, 3), "the newer socket lives on");
    ends_well(world);
}

#[test]
fn frames_of_an_old_socket_that_is_still_open_have_no_effect() {
    let mut world = connected(manual());
    let first = world.socket(0);
    // A command is on its way on the old socket when the new one takes over.
    world.stall(first, Way::Up, 500);
    let (command, _) = world.submit(0, ORDERED);
    let arrives = Cut { up_bytes: u64::MAX, ..Cut::HALF_OPEN };
    world.cut(first, arrives);
    welcomed_again(&mut world, first);
    begun(&mut world, command);
    world.run_for(1_000);
    assert_eq!(world.held.len(), 1, "it runs once");
    assert!(world.finish(command, Answer::Ok(1)));
    resolved(&mut world);
    assert_eq!(count(&world, "socket replaced"), 1);
    ends_well(world);
}

#[test]
fn a_node_that_dies_before_the_commit_lets_the_command_run_again() {
    let mut world = connected(manual());
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    world.crash_node(0, 100);
    begun(&mut world, command);
    assert_eq!(count(&world, "maybe retry"), 1, "the handler is told");
    assert!(world.finish(command, Answer::Ok(1)));
    resolved(&mut world);
    ends_well(world);
}

#[test]
fn a_node_that_dies_after_the_commit_lets_the_record_answer() {
    let mut world = connected(manual());
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    world.stall(world.socket(0), Way::Down, 60_000);
    assert!(world.finish(command, Answer::Ok(2)));
    world.crash_node(0, 100);
    let socket = world.socket(0);
    world.cut(socket, Cut::CLEAN);
    resolved(&mut world);
    assert_eq!(count(&world, "duplicate answered"), 1);
    assert!(world.held.is_empty(), "it does not run again");
    ends_well(world);
}

#[test]
fn a_record_that_was_left_unsettled_is_settled_after_the_restart() {
    let mut plan = manual();
    plan.store.settles = 0;
    plan.store.before_ms = (20, 20);
    let mut world = connected(plan);
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    assert!(world.finish(command, Answer::Ok(3)));
    soon(&mut world, "the commit", |world| !world.checkers.all_settled());
    world.crash_node(0, 100);
    soon(&mut world, "the last of its events", |world| world.checkers.all_settled());
    assert_eq!(count(&world, "unsettled record settled"), 1);
    resolved(&mut world);
    ends_well(world);
}

#[test]
fn a_lost_memory_store_makes_outcomes_unknown_and_topics_new() {
    let mut world = connected(manual());
    let sub = world.subscribe(0, 0, KEYS[0], Pace::Never);
    world.run_for(50);
    world.publish(0);
    soon(&mut world, "the event", |world| world.poll_once(0, sub));
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    world.crash_node(0, 100);
    world.lose_store();
    resolved(&mut world);
    assert_eq!((count(&world, "lease lost"), count(&world, "outcome unknown")), (1, 1));
    soon(&mut world, "the gap", |world| world.poll_once(0, sub));
    assert_eq!(count(&world, "gap: Epoch"), 1);
    ends_well(world);
}

#[test]
fn two_nodes_that_run_the_same_command_commit_it_once() {
    let mut world = two_nodes(manual());
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    let socket = world.socket(0);
    world.routes.push_back(Route::To(1));
    world.cut(socket, Cut::HALF_OPEN);
    soon(&mut world, "the takeover", |world| world.held.len() == 2);
    // The old node commits first; the new one finds its record.
    world.finish_held(0, Answer::Ok(1));
    world.run_for(10);
    world.finish_held(0, Answer::Ok(1));
    resolved(&mut world);
    assert_eq!(
        (count(&world, "executed on two nodes"), count(&world, "commit finds a record")),
        (1, 1)
    );
    ends_well(world);
}

#[test]
fn a_late_commit_below_the_low_water_mark_is_discarded() {
    let mut world = two_nodes(manual());
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    let socket = world.socket(0);
    world.routes.push_back(Route::To(1));
    world.cut(socket, Cut::HALF_OPEN);
    soon(&mut world, "the takeover", |world| world.held.len() == 2);
    world.finish_held(1, Answer::Ok(1));
    resolved(&mut world);
    // The client has told its new `low`, and the store has forgotten the record, before the old
    // node is done.
    let (next, _) = world.submit(0, ORDERED);
    begun(&mut world, next);
    assert!(world.finish(next, Answer::Ok(0)));
    resolved(&mut world);
    world.run_for(300);
    let (third, _) = world.submit(0, ORDERED);
    begun(&mut world, third);
    assert!(world.finish(third, Answer::Ok(0)));
    let late = world
        .held
        .iter()
        .position(|held| held.command == command)
        .expect("the old node has not noticed");
    world.finish_held(late, Answer::Ok(1));
    assert_eq!(count(&world, "commit below low"), 1);
    ends_well(world);
}

#[test]
fn lost_acks_are_made_good_by_the_resume() {
    let mut world = connected(
        Plan::calm().client(|config| config.window = Window { frames: 2, bytes: 10_000 }),
    );
    for _ in 0..3 {
        let first = world.socket(0);
        // Results arrive, the acks for them do not.
        world.stall(first, Way::Up, 1);
        for _ in 0..2 {
            world.submit(0, CONCURRENT);
        }
        resolved(&mut world);
        world.cut(first, Cut::HALF_OPEN);
        welcomed_again(&mut world, first);
    }
    for _ in 0..5 {
        world.submit(0, CONCURRENT);
    }
    resolved(&mut world);
    ends_well(world);
}

#[test]
fn a_reader_slower_than_retention_is_told_of_its_gap() {
    let plan = manual().client(|config| config.credit = Window { frames: 2, bytes: 10_000 }).node(
        |config| {
            config.live_entries = 3;
            config.topics_mut()[0].retention = Retention::new(3, Duration::from_secs(600));
        },
    );
    let mut world = connected(plan);
    let sub = world.subscribe(0, 0, KEYS[0], Pace::Never);
    let other = world.subscribe(0, 0, KEYS[1], Pace::Each(0));
    world.run_for(50);
    for _ in 0..20 {
        world.publish(0);
        world.run_for(5);
    }
    while world.poll_once(0, sub) {
        world.run_for(300);
    }
    assert_eq!(count(&world, "gap: Trimmed"), 1, "{}", world.trace.tail());
    let process = world.clients[0].process;
    assert_eq!(world.checkers.not_at_head(process, sub), None);
    assert_eq!(
        world.checkers.topics.cursor(process, other),
        None,
        "other subscriptions notice nothing"
    );
    ends_well(world);
}

#[test]
fn a_topic_forgotten_and_made_anew_has_another_epoch() {
    let mut plan = manual().node(|config| config.topic_idle = Duration::from_millis(100));
    plan.store.topic_memory_ms = 500;
    let mut world = connected(plan.node(|config| {
        config.topics_mut()[0].retention = Retention::new(5, Duration::from_millis(100))
    }));
    world.publish(0);
    world.run_for(10);
    let before = world
        .checkers
        .topics
        .heads()
        .next()
        .map(|(_, head)| head)
        .expect("something was published");
    world.run_for(5_000);
    let sub = world
        .subscribe_with(0, 0, KEYS[0], (Some(before), None), Pace::Never)
        .expect("there is room");
    soon(&mut world, "the gap", |world| world.poll_once(0, sub));
    let cursor =
        world.checkers.topics.cursor(world.clients[0].process, sub).expect("something was seen");
    assert_ne!(cursor.epoch, before.epoch);
    assert_eq!(count(&world, &format!("gap: {:?}", ResetReason::Epoch)), 1);
    ends_well(world);
}

#[test]
fn a_position_at_the_head_is_no_gap_whatever_is_retained() {
    let mut world = connected(manual().node(|config| {
        config.topics_mut()[0].retention = Retention::new(5, Duration::from_millis(50));
    }));
    world.publish(0);
    world.run_for(5_000);
    let head = world
        .checkers
        .topics
        .heads()
        .next()
        .map(|(_, head)| head)
        .expect("something was published");
    let sub = world
        .subscribe_with(0, 0, KEYS[0], (Some(head), None), Pace::Never)
        .expect("there is room");
    world.run_for(100);
    world.publish(0);
    soon(&mut world, "the next event", |world| world.poll_once(0, sub));
    assert_eq!(
        world.checkers.topics.cursor(world.clients[0].process, sub).map(|at| at.ts),
        Some(head.ts.next())
    );
    ends_well(world);
}

#[test]
fn a_drain_finishes_what_runs_and_sends_the_rest_elsewhere() {
    let mut world = two_nodes(manual());
    let (running, _) = world.submit(0, CONCURRENT);
    begun(&mut world, running);
    world.routes.push_back(Route::To(1));
    world.drain_node_for(0, 2_000, 0);
    let (late, _) = world.submit(0, CONCURRENT);
    world.run_for(50);
    assert!(world.finish(running, Answer::Ok(1)));
    begun(&mut world, late);
    assert_eq!(world.held[0].node, 1);
    assert!(world.finish(late, Answer::Ok(1)));
    resolved(&mut world);
    assert_eq!(count(&world, "executed on two nodes"), 0);
    ends_well(world);
}

#[test]
fn a_deadline_that_passes_while_away_is_answered_and_not_executed() {
    let mut world = two_nodes(manual().client(|config| config.lease_at_once = true));
    let socket = world.socket(0);
    world.stall(socket, Way::Up, 60_000);
    let (command, _) = world.submit_with(0, ORDERED, 0, 50).expect("there is room");
    world.pump();
    world.routes.push_back(Route::To(1));
    world.cut(socket, Cut { client_notices_ms: Some(200), ..Cut::CLEAN });
    resolved(&mut world);
    assert!(!world.held.iter().any(|held| held.command == command), "nothing ran");
    assert_eq!(count(&world, "caller timed out"), 1);
    ends_well(world);
}

#[test]
fn a_refusal_keeps_the_order_of_what_comes_after() {
    let mut world = connected(manual().node(|config| config.lease_queue_bytes = 40));
    for _ in 0..6 {
        world.submit(0, ORDERED);
    }
    world.run_for(20);
    let mut order = Vec::new();
    while order.len() < 6 {
        soon(&mut world, "the next handler", |world| !world.held.is_empty());
        order.push(world.held[0].n.0);
        world.finish_held(0, Answer::Ok(1));
    }
    assert_eq!(order, [1, 2, 3, 4, 5, 6]);
    assert!(
        count(&world, "refused: Overload") > 0,
        "some were refused on the way\n{}",
        world.trace.tail()
    );
    ends_well(world);
}

#[test]
fn a_client_that_crashes_gets_a_new_lease_and_repeats_nothing() {
    let mut world = connected(manual());
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    world.crash_client(0);
    world.connect();
    assert!(world.finish(command, Answer::Ok(1)), "the execution goes on without its client");
    world.run_for(1_000);
    assert!(world.held.is_empty());
    ends_well(world);
}

#[test]
fn a_slow_handshake_does_not_stop_a_client_for_good() {
    let plan = manual()
        .node(|config| config.handshake = Duration::from_millis(200))
        .client(|config| config.welcome_timeout = Duration::from_secs(5));
    let mut world = connected(plan);
    let first = world.socket(0);
    world.routes.push_back(Route::SlowUp(0, 1_000));
    world.cut(first, Cut::CLEAN);
    soon(&mut world, "the next connection", |world| world.dials == 3 && world.is_connected(0));
    assert!(!matches!(world.clients[0].core.state(), ConnectionState::Failed { .. }));
    ends_well(world);
}

#[test]
fn nothing_is_handed_out_twice_when_a_resume_overlaps_what_is_buffered() {
    let mut world = connected(manual());
    let sub = world.subscribe(0, 0, KEYS[0], Pace::Never);
    world.run_for(50);
    let mut seen = Vec::new();
    for _ in 0..3 {
        for _ in 0..5 {
            world.publish(0);
            world.run_for(5);
        }
        if let Some(Item::Event { position, .. }) = world.clients[0].core.poll_item(world.now, sub)
        {
            seen.push(position.ts.0);
        }
        let socket = world.socket(0);
        world.cut(socket, Cut::CLEAN);
        welcomed_again(&mut world, socket);
        world.run_for(50);
    }
    while let Some(Item::Event { position, .. }) = world.clients[0].core.poll_item(world.now, sub) {
        seen.push(position.ts.0);
    }
    assert_eq!(seen, (1..=15).collect::<Vec<_>>());
}

#[test]
fn a_commit_whose_answer_is_lost_still_reaches_live_subscribers() {
    let mut world = connected(manual());
    let sub = world.subscribe(0, 0, KEYS[0], Pace::Each(0));
    world.run_for(50);
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    world.plan.store.unknown_done = 1_000;
    assert!(world.finish(command, Answer::Ok(2)));
    world.plan.store.unknown_done = 0;
    resolved(&mut world);
    let process = world.clients[0].process;
    soon(&mut world, "the second event", |world| {
        world.checkers.topics.cursor(process, sub).is_some_and(|at| at.ts.0 == 2)
    });
    assert_eq!(count(&world, "commit finds a record"), 1);
    ends_well(world);
}

#[test]
fn who_takes_a_lease_over_settles_what_its_predecessor_left() {
    let mut plan = manual();
    plan.store.settles = 0;
    plan.store.before_ms = (20, 20);
    let mut world = two_nodes(plan);
    let (command, _) = world.submit(0, ORDERED);
    begun(&mut world, command);
    assert!(world.finish(command, Answer::Ok(1)));
    // The client has its result, and tells its new `low`; the node dies before the event is in its
    // log, and for long.
    soon(&mut world, "the result", |world| world.clients[0].core.outbox().0 == 0);
    world.crash_node(0, 60_000);
    assert!(!world.checkers.all_settled());
    soon(&mut world, "the event", |world| world.checkers.all_settled());
    assert!(world.now.0 < 20_000, "the old node is still down");
    ends_well(world);
}

#[test]
fn what_expires_at_an_old_node_does_not_run_at_the_new_one_after_later_commands() {
    let mut world = two_nodes(manual());
    let (first, _) = world.submit(0, ORDERED);
    let (second, _) = world.submit_with(0, ORDERED, 0, 800).expect("there is room");
    let (third, _) = world.submit(0, ORDERED);
    begun(&mut world, first);
    world.run_for(10);
    let socket = world.socket(0);
    world.routes.push_back(Route::To(1));
    world.cut(socket, Cut::HALF_OPEN);
    soon(&mut world, "the takeover", |world| world.held.len() == 2);
    assert!(world.finish(first, Answer::Ok(1)), "the new node's");
    begun(&mut world, second);
    world.run_for(900);
    // The old node goes on: the second command is too late there, and the third one runs.
    assert!(world.finish(first, Answer::Ok(1)), "the old node's");
    begun(&mut world, third);
    assert!(world.finish(third, Answer::Ok(1)));
    assert!(world.finish(second, Answer::Ok(1)), "the new node's, too late");
    begun(&mut world, third);
    assert!(world.finish(third, Answer::Ok(1)));
    resolved(&mut world);
    assert_eq!(count(&world, "refused: Expired"), 1);
    ends_well(world);
}
