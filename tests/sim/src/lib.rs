//! The simulator: production cores of client and node in virtual time, on a network, a store and
//! applications that misbehave as a seed says, watched by checkers. It decides chance and time, and
//! nothing that the cores decide.

pub mod checkers;
pub mod journal;
mod many;
pub mod mistake;
pub mod network;
pub mod plan;
pub mod rng;
pub mod shorten;
pub mod store_plan;
pub mod trace;
pub mod world;

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use checkers::{Sometimes, Violation};
use mistake::Mistake;
use plan::Plan;
use rng::Rng;
use shorten::{Deed, Ease};
use trace::Recording;
use world::World;

pub use many::{Progress, Summary, run_many};
pub use steadfast_rig::Rule;

/// How a run differs from the one of its seed.
#[derive(Debug, Clone, Default)]
pub struct Variant {
    /// What the harness does wrong.
    pub mistake: Option<Mistake>,
    /// The only deeds that are done.
    pub only: Option<Arc<BTreeSet<Deed>>>,
    /// Troubles that are taken away.
    pub ease: Vec<Ease>,
}

/// A run that broke a rule.
#[derive(Debug, Clone)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// What makes it differ from the seed's own run.
    pub variant: Variant,
    /// What it broke.
    pub violation: Violation,
    /// What chance did in it.
    pub deeds: Vec<Deed>,
    /// The last lines of its trace.
    pub trace: String,
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(",")
}

impl Failure {
    /// The command that shows this run, line by line.
    #[must_use]
    pub fn replay(&self) -> String {
        let mut command = format!("cargo run --release -p steadfast-sim -- --replay {}", self.seed);
        if let Some(only) = &self.variant.only {
            command += &format!(
                " --only {}",
                if only.is_empty() { "none".to_owned() } else { list(only.iter()) }
            );
        }
        if !self.variant.ease.is_empty() {
            command += &format!(" --ease {}", list(&self.variant.ease));
        }
        command
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, violation: Violation { rule, detail }, trace, deeds, .. } = self;
        writeln!(f, "seed {seed} broke the rule: {rule}\n  {detail}")?;
        writeln!(
            f,
            "{} deeds of chance are enough for it; the last lines of its trace:\n{trace}",
            deeds.len()
        )?;
        write!(f, "replay: {}", self.replay())
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
/// When a rule was broken; the failure is shortened.
pub fn run_seed(seed: u64, recording: Recording) -> Result<Success, Box<Failure>> {
    run_with(seed, None, recording)
}

/// Runs a seed in a world that makes a mistake.
///
/// # Errors
/// When a rule was broken, as it should be.
pub fn run_with(
    seed: u64,
    mistake: Option<Mistake>,
    recording: Recording,
) -> Result<Success, Box<Failure>> {
    let variant = Variant { mistake, ..Variant::default() };
    let outcome = attempt(seed, &variant, recording);
    // A mistake is planted to be caught: nobody reads how.
    if mistake.is_some() || recording == Recording::Print {
        outcome
    } else {
        outcome.map_err(shorten::shorten)
    }
}

/// Runs a variant of a seed as it is.
///
/// # Errors
/// When a rule was broken, or something panicked.
pub fn attempt(
    seed: u64,
    variant: &Variant,
    recording: Recording,
) -> Result<Success, Box<Failure>> {
    catch_unwind(AssertUnwindSafe(|| run_through(seed, variant, recording))).unwrap_or_else(
        |panic| {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            let violation = Violation {
                rule: Rule::NoCorePanics,
                detail: text.unwrap_or("without a message").to_owned(),
            };
            // The trace went with the world; a replay prints it line by line.
            let (deeds, trace) = (Default::default(), String::new());
            Err(Box::new(Failure { seed, variant: variant.clone(), violation, deeds, trace }))
        },
    )
}

fn run_through(
    seed: u64,
    variant: &Variant,
    recording: Recording,
) -> Result<Success, Box<Failure>> {
    let mut rng = Rng::new(seed);
    let mut plan = Plan::random(&mut rng);
    plan.mistake = variant.mistake;
    plan.only.clone_from(&variant.only);
    variant.ease.iter().for_each(|ease| plan.ease(*ease));
    let mut world = World::new(plan, rng.next_u64(), recording);
    world.run();
    match world.checkers.violation() {
        None => Ok(Success {
            sometimes: world.checkers.sometimes.clone(),
            trace_hash: world.trace.hash(),
            steps: world.steps(),
        }),
        Some(violation) => Err(Box::new(Failure {
            seed,
            variant: variant.clone(),
            violation: violation.clone(),
            deeds: std::mem::take(&mut world.deeds),
            trace: world.trace.tail(),
        })),
    }
}
