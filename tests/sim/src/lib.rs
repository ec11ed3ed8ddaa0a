//! The simulator: production cores of client and node in virtual time, on a network, a store and applications that misbehave as a
//! seed says, watched by checkers. Owns chance and time; refuses to know better than the cores what they should do.

pub mod checkers;
pub mod mistake;
pub mod network;
pub mod plan;
pub mod rng;
pub mod store;
pub mod trace;
pub mod world;

use std::fmt;

use checkers::{Sometimes, Violation};
use mistake::Mistake;
use plan::Plan;
use rng::Rng;
use trace::Recording;
use world::World;

/// A run that broke a rule.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What it broke.
    pub violation: Violation,
    /// The last lines of its trace.
    pub trace: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, violation: Violation { rule, detail }, trace } = self;
        writeln!(f, "seed {seed} broke the rule: {rule}\n  {detail}\nthe last lines of its trace:\n{trace}")?;
        write!(f, "replay: STEADFAST_SEED={seed} cargo test -p steadfast-sim replay -- --nocapture")
    }
}

/// A run that kept every rule.
#[derive(Debug, Clone)]
pub struct Success {
    /// What happened in it.
    pub sometimes: Sometimes,
    /// A hash over its trace, if it was recorded.
    pub trace_hash: u64,
    /// Its length.
    pub steps: u64,
}

/// Runs a seed.
///
/// # Errors
/// When a rule was broken.
pub fn run_seed(seed: u64, recording: Recording) -> Result<Success, Box<Failure>> {
    run_with(seed, None, recording)
}

/// Runs a seed in a world that makes a mistake.
///
/// # Errors
/// When a rule was broken, as it should be.
pub fn run_with(seed: u64, mistake: Option<Mistake>, recording: Recording) -> Result<Success, Box<Failure>> {
    let mut rng = Rng::new(seed);
    let mut plan = Plan::random(&mut rng);
    plan.mistake = mistake;
    let mut world = World::new(plan, rng.next_u64(), recording);
    world.run();
    match world.checkers.violation() {
        None => Ok(Success {
            sometimes: world.checkers.sometimes.clone(),
            trace_hash: world.trace.hash(),
            steps: world.steps(),
        }),
        // The same seed makes the same run: the words are made only for a run that needs them.
        Some(_) if recording == Recording::Off => run_with(seed, mistake, Recording::Tail),
        Some(violation) => Err(Box::new(Failure { seed, violation: violation.clone(), trace: world.trace.tail() })),
    }
}
