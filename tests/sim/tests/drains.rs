//! Nodes that leave in order: who is owed nothing is told and let go in one moment of the run.

use steadfast::session::CloseCode;
use steadfast::wire::ServerFrame;
use steadfast_sim::network::Packet;
use steadfast_sim::plan::CONCURRENT;
use steadfast_sim::world::Answer;

mod support;

use support::{begun, connected, count, ends_well, manual, resolved};

/// GOAWAY, and right behind it the close.
#[track_caller]
fn is_told_and_closed<'p>(mut packets: impl Iterator<Item = &'p Packet>) {
    let told = packets.next();
    assert!(
        matches!(told, Some(Packet::ServerFrame(ServerFrame::GoAway { .. }, _))),
        "told to leave by {told:?}"
    );
    let closed = packets.next();
    assert!(
        matches!(closed, Some(Packet::Closed(close)) if close.code == Some(CloseCode::DRAINING)),
        "closed by {closed:?}"
    );
}

#[test]
fn an_idle_client_is_told_to_leave_and_closed_in_the_same_moment() {
    let mut world = connected(manual());
    world.run_for(2_000);
    let (socket, moment) = (world.socket(0), world.now);
    let before = world.sockets[&socket].down.queue.len();
    world.drain_node_for(0, 60_000, 0);
    is_told_and_closed(world.sockets[&socket].down.queue.iter().skip(before));
    assert_eq!((world.now, count(&world, "drain completed")), (moment, 1));
    ends_well(world);
}

#[test]
fn a_client_is_closed_in_the_moment_in_which_it_has_its_last_answer() {
    let mut world = connected(manual());
    let (command, _) = world.submit(0, CONCURRENT);
    begun(&mut world, command);
    world.drain_node_for(0, 60_000, 0);
    world.run_for(500);
    assert!(world.finish(command, Answer::Ok(0)));
    resolved(&mut world);
    assert_eq!(count(&world, "drain completed"), 0, "its ack is on the way");
    world.run_for(300);
    assert_eq!(count(&world, "drain completed"), 1, "{}", world.trace.tail());
    ends_well(world);
}
