//! One function per check: what it asks of the crate that makes it, what it tells a person
//! meanwhile, and what it adds to the verdict. No check is made here itself.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use steadfast_model::{Configuration, Explored, Size};
use steadfast_mutants::Mutant;
use steadfast_rig::Rule;

use crate::settings::Settings;
use crate::verdict::Verdict;

/// How often an exploration is asked whether it is over.
const LOOK: Duration = Duration::from_millis(20);

/// Runs seeds of the simulator.
pub(crate) fn simulate(settings: &Settings, verdict: &mut Verdict) {
    println!("simulator: {} seeds from {}", settings.seeds, settings.first);
    let summary =
        steadfast_sim::run_many(settings.first, settings.seeds, settings.threads, |progress| {
            println!(
                "  {} seeds, {} steps, {:.0} s",
                progress.seeds, progress.steps, progress.seconds
            );
        });
    for failure in &summary.failures {
        println!("\n{failure}");
    }
    verdict.seeds = summary.seeds;
    verdict.steps = summary.steps;
    verdict.violations += summary.failures.len();
    let speed = summary.steps_per_second();
    verdict.row("seeds of the simulator", summary.seeds.to_string());
    verdict.row("steps", format!("{} ({:.1} million a second)", summary.steps, speed / 1e6));
    verdict.row("invariants, checked after each step or at rest", Rule::ALL.len().to_string());
    verdict.row("violations", summary.failures.len().to_string());
    let missing = summary.sometimes.missing();
    if !missing.is_empty() {
        verdict.hole(format!(
            "in {} seeds these never happened: {}",
            summary.seeds,
            missing.join(", ")
        ));
    }
}

/// Explores the model's configurations to their ends.
pub(crate) fn explore(settings: &Settings, verdict: &mut Verdict) {
    let wanted = |of: &Configuration| of.size == Size::Small || !settings.quick;
    let configurations: Vec<Configuration> =
        steadfast_model::configurations().into_iter().filter(wanted).collect();
    println!("model checker: {} configurations", configurations.len());
    if settings.quick {
        verdict.skipped("the large configurations of the model checker");
    }
    let explored: Vec<Explored> =
        configurations.iter().map(|of| explore_one(of, settings.workers())).collect();
    let violations: usize = explored.iter().map(|of| of.violations.len()).sum();
    verdict.states = explored.iter().map(|of| of.unique_states).sum();
    verdict.violations += violations;
    for of in &explored {
        if !of.exhaustive {
            verdict.hole(format!("{} was not explored to its end", of.name));
        }
        for (mark, _) in of.sometimes.iter().filter(|(_, reached)| !reached) {
            verdict.hole(format!("{} never reaches: {mark}", of.name));
        }
    }
    let largest = explored.iter().max_by_key(|of| of.unique_states);
    let rules = steadfast_model::ledger::RULES.len();
    verdict.row("configurations of the model checker", explored.len().to_string());
    verdict.row("properties of each of their states", rules.to_string());
    verdict.row("states, each configuration to its end", verdict.states.to_string());
    if let Some(largest) = largest {
        verdict
            .row("states of the largest", format!("{} ({})", largest.unique_states, largest.name));
    }
    verdict.row("properties that do not hold", violations.to_string());
}

fn explore_one(configuration: &Configuration, threads: usize) -> Explored {
    let explored = configuration.explore_watched(threads, LOOK, |_| {});
    println!("  {}: {} states in {:.1} s", explored.name, explored.unique_states, explored.seconds);
    for violation in &explored.violations {
        println!("{} does not hold after\n{}", violation.property, violation.path);
    }
    explored
}

/// Plants each mistake, and lets the simulator search for it.
pub(crate) fn hunt(settings: &Settings, verdict: &mut Verdict) {
    let mutants = steadfast_mutants::all();
    println!("mutants: {} planted into the core, one at a time", mutants.len());
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..settings.workers() {
            scope.spawn(|| {
                while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let hunt = steadfast_mutants::search(*mutant, settings.mutant_seeds);
                    // A mutant that was never reached, or a seed that breaks a rule even without
                    // it, was caught for another reason.
                    let caught = hunt.caught.filter(|caught| {
                        let by_seed = caught.seeds_tried > 0;
                        hunt.reached > 0
                            && !(by_seed
                                && steadfast_mutants::runs::broken_rule(caught.seed).is_some())
                    });
                    table.lock().unwrap_or_else(PoisonError::into_inner).push((*mutant, caught));
                }
            });
        }
    });
    let mut table = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    table.sort_by_key(|(mutant, _)| *mutant);
    for (mutant, caught) in &table {
        match caught {
            Some(caught) => {
                println!("  {mutant:?}: {} seeds, “{}”", caught.seeds_tried, caught.rule)
            }
            None => verdict
                .hole(format!("nothing catches {mutant:?} in {} seeds", settings.mutant_seeds)),
        }
    }
    verdict.mutants = mutants.len();
    verdict.caught = table.iter().filter(|(_, caught)| caught.is_some()).count();
    verdict.row("mutants caught", format!("{} of {}", verdict.caught, verdict.mutants));
    let by_script = |(_, caught): &&(Mutant, Option<steadfast_mutants::Caught>)| {
        caught.as_ref().is_some_and(|caught| caught.seeds_tried == 0)
    };
    verdict.row(
        "of these by a script, not by seeds",
        table.iter().filter(by_script).count().to_string(),
    );
}

/// Runs every input that fuzzing has left.
pub(crate) fn replay_corpus(verdict: &mut Verdict) {
    println!("fuzzing: the committed corpus");
    match catch_unwind(steadfast_fuzz::replay) {
        Ok(Ok(replayed)) => {
            verdict.row("fuzz targets", replayed.per_target.len().to_string());
            verdict.row("inputs in their corpus, replayed", replayed.inputs.to_string());
            for (target, (name, inputs)) in
                steadfast_fuzz::targets().iter().zip(replayed.per_target)
            {
                println!("  {name}: {inputs} inputs");
                if inputs != target.inputs {
                    verdict.hole(format!(
                        "the fuzz target {name} has {inputs} inputs, not {}",
                        target.inputs
                    ));
                }
            }
        }
        Ok(Err(error)) => verdict.hole(format!("the corpus can't be read: {error}")),
        // The panic has said where.
        Err(_) => verdict.violations += 1,
    }
}

/// Counts the clauses of PROTOCOL.md that the conformance suite has a case for.
pub(crate) fn count_clauses(verdict: &mut Verdict) {
    let coverage = steadfast_conformance::coverage();
    println!("conformance: {} clauses", coverage.clauses);
    let row = format!(
        "{} of {} ({} for servers, {} for clients)",
        coverage.covered, coverage.clauses, coverage.of_servers, coverage.of_clients
    );
    verdict.row("clauses of PROTOCOL.md with a conformance case", row);
    if !coverage.uncovered.is_empty() {
        verdict.hole(format!("clauses without a case: {}", coverage.uncovered.join(", ")));
    }
}
