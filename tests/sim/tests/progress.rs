//! What `window = replay buffer` and credit per subscription are for: an application that waits in
//! an awkward place waits for nobody but itself (PROTOCOL.md 7.9).

use steadfast::wire::Window;
use steadfast_sim::plan::{CONCURRENT, KEYS, ORDERED, Plan};
use steadfast_sim::trace::Recording;
use steadfast_sim::world::{Answer, Pace, World};

fn plan() -> Plan {
    let mut plan = Plan::calm().client(|config| {
        config.credit = Window { frames: 4, bytes: 400 };
        config.window = Window { frames: 1, bytes: 1 };
    });
    plan.handlers.manual = true;
    plan
}

fn world() -> World {
    let mut world = World::new(plan(), 1, Recording::Tail);
    world.connect();
    world
}

fn publish(world: &mut World, events: usize) {
    for _ in 0..events {
        world.publish(0).expect("the node is up");
        world.pump();
    }
}

#[track_caller]
fn keeps_every_rule(world: &World) {
    assert_eq!(world.checkers.violation(), None, "{}", world.trace.tail());
}

#[test]
fn awaiting_a_command_inside_the_event_loop_makes_progress() {
    let mut world = world();
    let sub = world.subscribe(0, 0, KEYS[0], Pace::Never);
    world.run_for(50);
    publish(&mut world, 50);
    for seen in 0..50 {
        assert!(
            world.run_until(1_000, |world| world.poll_once(0, sub)),
            "event {seen} never comes\n{}",
            world.trace.tail()
        );
        // The application does not ask for the next item before its command has ended.
        let (command, _) = world.submit(0, ORDERED);
        assert!(world.run_until(1_000, |world| world.finish(command, Answer::Ok(0))));
        assert!(
            world.run_until(1_000, |world| world.clients[0].core.outbox().0 == 0),
            "{}",
            world.trace.tail()
        );
    }
    world.heal();
    keeps_every_rule(&world);
}

#[test]
fn never_polling_one_of_two_subscriptions_stalls_nothing_else() {
    let mut world = world();
    let idle = world.subscribe(0, 0, KEYS[0], Pace::Never);
    let busy = world.subscribe(0, 0, KEYS[1], Pace::Each(0));
    world.run_for(50);
    publish(&mut world, 100);
    for _ in 0..20 {
        let (command, _) = world.submit(0, CONCURRENT);
        assert!(world.run_until(1_000, |world| world.finish(command, Answer::Ok(3))));
        assert!(
            world.run_until(1_000, |world| world.clients[0].core.outbox().0 == 0),
            "{}",
            world.trace.tail()
        );
    }
    let process = world.clients[0].process;
    assert!(world.run_until(1_000, |world| world.checkers.not_at_head(process, busy).is_none()));
    assert!(world.checkers.not_at_head(process, idle).is_some(), "its credit is used up");
    world.heal();
    keeps_every_rule(&world);
}

#[test]
fn a_handler_that_awaits_the_same_client_makes_progress() {
    let mut world = world();
    let sub = world.subscribe(0, 0, KEYS[0], Pace::Each(1));
    world.run_for(50);
    let (waiting, _) = world.submit(0, ORDERED);
    assert!(world.run_until(1_000, |world| world.held.iter().any(|held| held.command == waiting)));
    // It waits until its own client has read everything that is published meanwhile …
    publish(&mut world, 30);
    let process = world.clients[0].process;
    assert!(
        world.run_until(1_500, |world| world.checkers.not_at_head(process, sub).is_none()),
        "{}",
        world.trace.tail()
    );
    // … and has sent, and got the result of, its next concurrent command.
    let (next, _) = world.submit(0, CONCURRENT);
    assert!(
        world.run_until(200, |world| world.finish(next, Answer::Ok(1))),
        "{}",
        world.trace.tail()
    );
    assert!(
        world.run_until(200, |world| world.clients[0].core.outbox().0 == 1),
        "{}",
        world.trace.tail()
    );
    assert!(world.finish(waiting, Answer::Ok(0)));
    assert!(
        world.run_until(200, |world| world.clients[0].core.outbox().0 == 0),
        "{}",
        world.trace.tail()
    );
    world.heal();
    keeps_every_rule(&world);
}
