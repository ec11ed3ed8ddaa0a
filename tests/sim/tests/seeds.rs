//! Random runs: every seed keeps every rule, and together they reach every corner that the checkers
//! know of.

use steadfast_sim::trace::Recording;
use steadfast_sim::{Variant, attempt, run_many, run_seed};

const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_seeds_keep_every_rule() {
    let seeds = number("STEADFAST_SEEDS").unwrap_or(SEEDS);
    let first = number("STEADFAST_FIRST").unwrap_or(0);
    let summary = run_many(first, seeds, 0, |progress| {
        eprintln!("{} of {} seeds, {} steps", progress.seeds, progress.of, progress.steps);
    });
    let failures: Vec<String> = summary.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    let (steps, speed, report) =
        (summary.steps, summary.steps_per_second(), summary.sometimes.report());
    eprintln!(
        "{seeds} seeds, {steps} steps in {:.1} s, {speed:.0} steps/s\n{report}",
        summary.seconds
    );
    if seeds >= SEEDS {
        assert_eq!(
            summary.sometimes.missing(),
            Vec::<&str>::new(),
            "never happened in {seeds} seeds:\n{report}"
        );
    }
}

#[test]
fn replay() {
    let Some(seed) = number("STEADFAST_SEED") else { return };
    if let Err(failure) = attempt(seed, &Variant::default(), Recording::Print) {
        panic!("{failure}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        let hash = || {
            run_seed(seed, Recording::Tail).map(|success| success.trace_hash).map_err(|f| f.trace)
        };
        assert_eq!(hash(), hash(), "seed {seed}");
    }
}
