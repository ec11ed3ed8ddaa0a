//! Runs written out by hand, for mistakes whose situation is too rare for chance. The situations
//! are here; the rules are those of the simulator.

use std::time::Duration;

use steadfast_mutated::mutant::Mutant;
use steadfast_sim_mutated::checkers::Violation;
use steadfast_sim_mutated::network::Route;
use steadfast_sim_mutated::plan::{KEYS, ORDERED, Plan};
use steadfast_sim_mutated::trace::Recording;
use steadfast_sim_mutated::world::{Answer, Cut, Pace, World};

/// A run that comes to the line of a mistake; the rule that it broke, if any.
pub type Script = fn() -> Option<Violation>;

/// The script for a mutant, if it needs one.
#[must_use]
pub fn script(mutant: Mutant) -> Option<Script> {
    match mutant {
        Mutant::EpochKeptOnRollback => Some(a_store_goes_back),
        Mutant::StaleClaimUsed => Some(a_commit_overtakes_a_claim),
        Mutant::WaitingSurvivesLaterClaim => Some(an_old_node_goes_on_after_a_takeover),
        Mutant::SweepSkipped => Some(a_node_and_its_client_end_before_an_append),
        Mutant::PublishesWithoutQuota => Some(a_client_publishes_more_than_the_log_takes),
        Mutant::RolledLeavesLeases => Some(an_idle_client_of_a_store_that_goes_back),
        Mutant::EndedLeaseOpensAgain => Some(a_lease_is_opened_late),
        Mutant::LateOpenBelieved => Some(a_forgotten_lease_is_opened_late),
        Mutant::StatesStandInTheWay => Some(two_topics_with_room_for_one_state),
        Mutant::TopicsKeptByStore => Some(one_topic_after_another),
        Mutant::LooseLeaseStays => Some(a_process_takes_the_place_of_its_predecessor),
        Mutant::StrangerReplaces => Some(another_user_names_the_lease_of_the_last_one),
        Mutant::LooseLeaseStaysForOthers => Some(a_process_takes_the_last_place_of_all),
        _ => None,
    }
}

fn world(plan: Plan) -> World {
    let mut world = World::new(plan, 7, Recording::Off);
    world.connect();
    world
}

fn outcome(mut world: World) -> Option<Violation> {
    world.heal();
    world.checkers.violation().cloned()
}

/// The store is restored from a backup while nobody is up; what was published since comes again
/// with other bytes.
fn a_store_goes_back() -> Option<Violation> {
    let mut plan = Plan::calm();
    plan.handlers.manual = true; // Everything is published to the first topic and key.
    let mut world = world(plan);
    world.subscribe(0, 0, KEYS[0], Pace::Each(0));
    world.run_for(100);
    publish_some(&mut world);
    let backup = world.shelf.state.clone();
    publish_some(&mut world);
    world.crash_node(0, 100);
    world.shelf.state = backup;
    let now = world.now;
    world.shelf.state.begin_incarnation(now, 1);
    world.run_for(2_000);
    publish_some(&mut world);
    outcome(world)
}

fn publish_some(world: &mut World) {
    for _ in 0..3 {
        world.publish(0);
        world.run_for(20);
    }
}

/// A client comes back with its lease to a node that has forgotten the session. While the store's
/// answer to the claim is under way, the handler of its command ends and its record is written.
fn a_commit_overtakes_a_claim() -> Option<Violation> {
    let mut plan = Plan::calm()
        .node(|config| config.session_ttl = Duration::from_millis(1))
        .client(|config| config.backoff.base = Duration::from_millis(10));
    plan.handlers.manual = true;
    let mut world = world(plan);
    let (command, _) = world.submit(0, ORDERED);
    world.run_until(1_000, |world| !world.held.is_empty());
    let operations =
        |world: &World| world.nodes[0].core.as_ref().map_or(0, |core| core.load().store_operations);
    world.plan.store.after_ms = (100, 100);
    world.cut(world.socket(0), Cut::CLEAN);
    // That nobody holds the lease, and then the claim.
    world.run_until(5_000, |world| operations(world) > 1);
    world.plan.store.after_ms = (0, 0);
    world.finish(command, Answer::Ok(1));
    world.run_for(1_000);
    outcome(world)
}

/// The store goes back while a client has nothing to do, and its lease would be renewed in an hour.
fn an_idle_client_of_a_store_that_goes_back() -> Option<Violation> {
    let hours = Duration::from_secs(3 * 3_600);
    let plan = Plan::calm()
        .node(|config| (config.lease_ttl, config.lease_unused_ttl) = (hours, hours))
        .client(|config| config.lease_at_once = true);
    let mut world = world(plan);
    world.run_for(2_000);
    world.back_up_store();
    world.roll_store_back();
    outcome(world)
}

/// Each command publishes three events, and by the time that the next one is committed the store has
/// taken one of them into the log.
fn a_client_publishes_more_than_the_log_takes() -> Option<Violation> {
    let mut plan = Plan::calm().node(|config| {
        (config.span, config.append_entries, config.publishes_waiting_per_principal) = (1, 1, 1);
    });
    plan.handlers.manual = true;
    plan.store.settles = 0;
    plan.store.before_ms = (20, 20);
    let mut world = world(plan);
    for _ in 0..8 {
        let (command, _) = world.submit(0, ORDERED);
        world.run_until(2_000, |world| !world.held.is_empty());
        world.finish(command, Answer::Ok(3));
    }
    outcome(world)
}

/// The store has room for one topic, and nobody follows two at a time.
fn one_topic_after_another() -> Option<Violation> {
    let mut plan = Plan::calm();
    plan.store.topics = 1;
    let mut world = world(plan);
    for key in KEYS {
        let sub = world.subscribe(0, 0, key, Pace::Each(0));
        world.run_for(1_000);
        world.unsubscribe(0, sub);
        world.run_for(1_000);
    }
    outcome(world)
}

/// A client dies, and the next one of its user finds that the user has as many leases as it may.
fn a_process_takes_the_place_of_its_predecessor() -> Option<Violation> {
    one_after_another(Plan::calm().node(|config| config.leases_per_principal = 1))
}

/// The same, and the store has as many as it may.
fn a_process_takes_the_last_place_of_all() -> Option<Violation> {
    let mut plan = Plan::calm();
    plan.store.leases = 1;
    one_after_another(plan)
}

/// No lease ends by itself in this time, and none is forgotten by its node.
fn one_after_another(plan: Plan) -> Option<Violation> {
    let hours = Duration::from_secs(3 * 3_600);
    let plan = plan
        .node(|config| (config.lease_ttl, config.lease_unused_ttl) = (hours, hours))
        .client(|config| config.lease_at_once = true);
    let mut world = world(plan);
    world.run_for(1_000);
    world.crash_client(0);
    outcome(world)
}

/// A client dies and starts again with what it has saved, for somebody else. The node still believes
/// in the old socket, and has room for one session.
fn another_user_names_the_lease_of_the_last_one() -> Option<Violation> {
    let mut plan = Plan::calm()
        .node(|config| config.sessions = 1)
        .client(|config| config.lease_at_once = true);
    plan.journal.on = true;
    let mut world = world(plan);
    world.run_for(100);
    world.cut(world.socket(0), Cut::HALF_OPEN);
    world.plan.handlers.other_user = 1_000;
    world.crash_client(0);
    world.plan.handlers.other_user = 0;
    world.run_for(500);
    outcome(world)
}

/// The state of one topic is here and would be fresh for hours when another one's is asked for.
fn two_topics_with_room_for_one_state() -> Option<Violation> {
    let plan = Plan::calm().node(|config| {
        config.snapshots_bytes = 20;
        config.snapshot_interval = Duration::from_secs(3 * 3_600);
    });
    let mut world = world(plan);
    for key in [KEYS[0], KEYS[1]] {
        world.subscribe(0, 1, key, Pace::Each(0));
        world.run_for(1_000);
    }
    outcome(world)
}

/// A node has committed a record and dies before the event is in its log; so does the client, whose
/// lease nobody takes over.
fn a_node_and_its_client_end_before_an_append() -> Option<Violation> {
    let mut plan = Plan::calm();
    plan.handlers.manual = true;
    plan.store.settles = 0;
    plan.store.before_ms = (20, 20);
    let mut world = world(plan);
    let (command, _) = world.submit(0, ORDERED);
    world.run_until(1_000, |world| !world.held.is_empty());
    world.finish(command, Answer::Ok(1));
    world.run_until(1_000, |world| !world.checkers.all_settled());
    world.crash_client(0);
    world.crash_node(0, 100);
    outcome(world)
}

/// The store answers "unknown" to who asks for a lease, and does it seconds later, when the lease has
/// come by a second try, run a command, and gone. Its client comes back with the command then.
fn a_lease_is_opened_late() -> Option<Violation> {
    opened_late(600_000)
}

/// The same, at a store that remembers no lease that has ended.
fn a_forgotten_lease_is_opened_late() -> Option<Violation> {
    opened_late(0)
}

fn opened_late(ended_memory_ms: u64) -> Option<Violation> {
    let mut plan = Plan::calm()
        .node(|config| config.lease_ttl = Duration::from_secs(600))
        .client(|config| config.lease_at_once = true);
    plan.handlers.manual = true;
    plan.store.unknown_late = 1_000;
    plan.store.ended = (ended_memory_ms, 1_000);
    let mut world = World::new(plan, 7, Recording::Off);
    let late = |world: &World| world.checkers.sometimes.of("operation after its report");
    // The first one is the sweep.
    world.run_until(1_000, |world| late(world) > 1);
    world.plan.store.unknown_late = 0;
    world.connect();
    let (command, _) = world.submit(0, ORDERED);
    world.run_until(1_000, |world| !world.held.is_empty());
    world.cut(world.socket(0), Cut::HALF_OPEN);
    world.finish(command, Answer::Ok(1));
    world.run_for(20);
    world.shelf.clock.jump(700_000);
    world.crash_node(0, 5_000);
    world.run_for(6_000);
    outcome(world)
}

/// A client moves to another node while its commands wait behind one that runs. The old node learns
/// of it when that one is committed.
fn an_old_node_goes_on_after_a_takeover() -> Option<Violation> {
    let mut plan = Plan { nodes: 2, clients: 0, ..Plan::calm() };
    plan.handlers.manual = true;
    let mut world = World::new(plan, 7, Recording::Off);
    world.routes.push_back(Route::To(0));
    world.add_client();
    world.connect();
    for _ in 0..3 {
        world.submit(0, ORDERED);
    }
    world.run_until(1_000, |world| !world.held.is_empty());
    world.run_for(10);
    world.routes.push_back(Route::To(1));
    world.cut(world.socket(0), Cut::HALF_OPEN);
    world.run_until(10_000, |world| world.held.len() == 2);
    // The second one begins before the store has told of the takeover; the third one does not.
    for _ in 0..2 {
        let at = world.held.iter().position(|held| held.node == 0)?;
        world.finish_held(at, Answer::Ok(1));
        world.run_for(10);
    }
    outcome(world)
}
