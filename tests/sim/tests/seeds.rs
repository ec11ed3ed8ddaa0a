//! Random runs: every seed keeps every rule, and together they reach every corner that the checkers know of.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast_sim::checkers::Sometimes;
use steadfast_sim::trace::Recording;
use steadfast_sim::{Failure, run_seed};

const SEEDS: u64 = 10_000;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_seeds_keep_every_rule() {
    let seeds = number("STEADFAST_SEEDS").unwrap_or(SEEDS);
    let first = number("STEADFAST_FIRST").unwrap_or(0);
    let (next, steps) = (AtomicU64::new(0), AtomicU64::new(0));
    let (sometimes, failures) = (Mutex::new(Sometimes::default()), Mutex::new(Vec::<Box<Failure>>::new()));
    let most = if number("STEADFAST_KEEP_GOING").is_some() { usize::MAX } else { 3 };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= seeds || failures.lock().unwrap().len() >= most {
                        return;
                    }
                    if at > 0 && at % 10_000 == 0 {
                        eprintln!("{at} of {seeds} seeds, {} steps", steps.load(Ordering::Relaxed));
                    }
                    match run_seed(first + at, Recording::Off) {
                        Ok(success) => {
                            steps.fetch_add(success.steps, Ordering::Relaxed);
                            sometimes.lock().unwrap().add(&success.sometimes);
                        }
                        Err(failure) => failures.lock().unwrap().push(failure),
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort_by_key(|failure| failure.seed);
    if most > 3 {
        let rules = failures.iter().map(|f| format!("{:>9} {}: {}\n", f.seed, f.violation.rule, f.violation.detail));
        assert!(failures.is_empty(), "{}", rules.collect::<String>());
    }
    assert!(failures.is_empty(), "{}", failures.iter().map(|failure| format!("{failure}\n\n")).collect::<String>());
    let sometimes = sometimes.into_inner().unwrap();
    eprintln!("{seeds} seeds, {} steps\n{}", steps.into_inner(), sometimes.report());
    if seeds >= SEEDS {
        assert_eq!(sometimes.missing(), Vec::<&str>::new(), "never happened in {seeds} seeds:\n{}", sometimes.report());
    }
}

#[test]
fn replay() {
    let Some(seed) = number("STEADFAST_SEED") else { return };
    if let Err(failure) = run_seed(seed, Recording::Print) {
        panic!("{failure}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..20 {
        let hash = || run_seed(seed, Recording::Tail).map(|success| success.trace_hash).map_err(|f| f.trace);
        assert_eq!(hash(), hash(), "seed {seed}");
    }
}
