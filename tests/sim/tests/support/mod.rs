//! Worlds for named scenarios, and waits with a bound.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use steadfast_sim::network::{Route, SocketId};
use steadfast_sim::plan::Plan;
use steadfast_sim::trace::Recording;
use steadfast_sim::world::World;

pub fn manual() -> Plan {
    let mut plan = Plan::calm();
    plan.handlers.manual = true;
    plan
}

pub fn connected(plan: Plan) -> World {
    let mut world = World::new(plan, 7, Recording::Tail);
    world.connect();
    world
}

pub fn two_nodes(plan: Plan) -> World {
    let mut world = World::new(Plan { nodes: 2, clients: 0, ..plan }, 7, Recording::Tail);
    world.routes.push_back(Route::To(0));
    world.add_client();
    world.connect();
    world
}

#[track_caller]
pub fn soon(world: &mut World, what: &str, done: impl FnMut(&mut World) -> bool) {
    let happened = world.run_until(10_000, done);
    assert!(
        happened,
        "{what} never comes; {:?}\n{}",
        world.checkers.violation(),
        world.trace.tail()
    );
}

#[track_caller]
pub fn begun(world: &mut World, command: u64) {
    soon(world, "the handler", |world| world.held.iter().any(|held| held.command == command));
}

#[track_caller]
pub fn resolved(world: &mut World) {
    soon(world, "the outcome", |world| world.clients[0].core.outbox().0 == 0);
}

#[track_caller]
pub fn ends_well(mut world: World) -> World {
    world.heal();
    assert_eq!(world.checkers.violation(), None, "{}", world.trace.tail());
    world
}

pub fn count(world: &World, what: &str) -> u64 {
    world.checkers.sometimes.of(what)
}

/// Steps until a WELCOME is on its way on a socket other than `before`, and gives that socket.
#[track_caller]
pub fn welcomed_again(world: &mut World, before: SocketId) -> SocketId {
    let resumed = count(world, "resume ok");
    soon(world, "a second WELCOME", |world| count(world, "resume ok") > resumed);
    let socket = world.socket(0);
    assert_ne!(socket, before);
    socket
}
