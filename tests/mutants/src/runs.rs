//! One run of a seed, with whatever is planted in this thread. Every fourth seed is the simulator's
//! own run, but that clients with journals die more often; the others have more of what its chance
//! gives rarely: takeovers with records half settled, HELLOs that arrive long after their client has
//! gone on, topics that end while somebody reads. It knows these kinds of run, and searches for
//! nothing itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use steadfast_sim_mutated::Rule;
use steadfast_sim_mutated::checkers::Violation;
use steadfast_sim_mutated::network::Route;
use steadfast_sim_mutated::plan::Plan;
use steadfast_sim_mutated::rng::Rng;
use steadfast_sim_mutated::trace::Recording;
use steadfast_sim_mutated::world::World;

/// The rule that a core breaks when it panics.
pub const NO_PANIC: &str = Rule::NoCorePanics.name();

/// Dials of a run whose way is drawn here, not by the simulator.
const DIALS: u32 = 40;

/// The rule that a seed breaks.
#[must_use]
pub fn broken_rule(seed: u64) -> Option<String> {
    match catch_unwind(AssertUnwindSafe(|| run(seed, Recording::Off))) {
        Ok(violation) => violation.map(|violation| violation.rule.to_string()),
        Err(_) => Some(NO_PANIC.to_owned()),
    }
}

/// Runs a seed; `None` if it keeps every rule.
///
/// # Panics
/// When a core does.
#[must_use]
pub fn run(seed: u64, recording: Recording) -> Option<Violation> {
    let mut rng = Rng::new(seed / 4);
    let mut plan = Plan::random(&mut rng);
    let routes = match seed % 4 {
        0 => {
            if plan.journal.on {
                clients_die_while_they_save(&mut plan);
            }
            Vec::new()
        }
        1 => many_takeovers(&mut plan, &mut rng),
        2 => late_hellos(&mut plan, &mut rng),
        _ => topics_come_and_go(&mut plan, &mut rng),
    };
    let mut world = World::new(plan, rng.next_u64(), recording);
    world.routes.extend(routes);
    world.run();
    world.checkers.violation().cloned()
}

/// Disks are slow, full at times, and many a save is a client's last.
fn clients_die_while_they_save(plan: &mut Plan) {
    (plan.journal.delay_ms, plan.journal.dies) = ((5, 200), 60);
    plan.handlers.other_user = 0;
}

/// Clients move between nodes while records wait for their publications, and leases live long
/// enough to be taken over.
fn many_takeovers(plan: &mut Plan, rng: &mut Rng) -> Vec<Route> {
    plan.nodes = 2;
    plan.faults_ms = Some(rng.pick(&[(20, 200), (50, 800)]));
    plan.store.settles = 0;
    plan.store.before_ms = (1, rng.pick(&[20, 60, 200]));
    plan.store.after_ms = (1, rng.pick(&[20, 60, 400]));
    plan.handlers.publishes = rng.within((1, 3));
    plan.handlers.delay_ms = rng.pick(&[(0, 0), (0, 10), (5, 200), (50, 900)]);
    plan.handlers.other_user = 0;
    let node = Arc::make_mut(&mut plan.node);
    node.lease_ttl = Duration::from_secs(3_600);
    node.leases_per_principal = 16;
    node.session_ttl = Duration::from_millis(rng.pick(&[5, 200, 30_000]));
    Arc::make_mut(&mut plan.client).backoff.base = Duration::from_millis(20);
    (0..DIALS).map(|_| Route::To(rng.below(2) as usize)).collect()
}

/// One node, and a network that holds up every other HELLO until about the time at which its client
/// has a newer socket.
fn late_hellos(plan: &mut Plan, rng: &mut Rng) -> Vec<Route> {
    plan.nodes = 1;
    plan.latency_ms = (5, 80);
    plan.faults_ms = Some((50, 800));
    plan.handlers.delay_ms = (0, 0);
    plan.handlers.other_user = 0;
    let client = Arc::make_mut(&mut plan.client);
    client.welcome_timeout = Duration::from_millis(300);
    client.backoff.base = Duration::from_millis(20);
    Arc::make_mut(&mut plan.node).session_ttl = Duration::from_secs(30);
    let route =
        |_| if rng.chance(500) { Route::To(0) } else { Route::SlowUp(0, rng.within((300, 700))) };
    (0..DIALS).map(route).collect()
}

/// A store that soon forgets topics: each has many epochs, and applications are in the middle of an
/// earlier one.
fn topics_come_and_go(plan: &mut Plan, rng: &mut Rng) -> Vec<Route> {
    plan.store.topic_memory_ms = 100;
    plan.work_ms = Some(rng.pick(&[(5, 60), (20, 400)]));
    let node = Arc::make_mut(&mut plan.node);
    for topic in node.topics_mut() {
        topic.retention.ttl = Duration::from_millis(rng.pick(&[100, 500]));
    }
    Vec::new()
}
