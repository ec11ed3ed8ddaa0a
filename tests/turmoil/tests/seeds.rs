//! Random runs: whatever happens to the network and the processes, every seed keeps the promise,
//! and repeats itself.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use steadfast_turmoil::plan::Plan;
use steadfast_turmoil::stage::World;

const SEEDS: u64 = 60;

/// What must have happened at least once in this many seeds.
const EXPECTED: [&str; 4] = [
    "a gap by a new epoch",
    "a gap within an epoch",
    "a session was resumed",
    "an outcome was unknown",
];

struct Run {
    trace: Vec<String>,
    mistakes: Vec<String>,
    sometimes: BTreeMap<&'static str, u64>,
}

fn run(seed: u64) -> Run {
    let mut world = World::new(seed);
    world.carry_out(&Plan::random(seed));
    let ledger = &world.stage.ledger;
    Run { trace: ledger.trace(), mistakes: ledger.mistakes(), sometimes: ledger.sometimes() }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_seeds_keep_the_promise() {
    let seeds = number("STEADFAST_TURMOIL_SEEDS").unwrap_or(SEEDS);
    let first = number("STEADFAST_TURMOIL_FIRST").unwrap_or(0);
    let next = AtomicU64::new(first);
    let (sometimes, failures) =
        (Mutex::new(BTreeMap::<&str, u64>::new()), Mutex::new(BTreeMap::new()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || failures.lock().unwrap().len() >= 3 {
                        return;
                    }
                    let run = run(seed);
                    for (what, times) in run.sometimes {
                        *sometimes.lock().unwrap().entry(what).or_default() += times;
                    }
                    if !run.mistakes.is_empty() {
                        failures.lock().unwrap().insert(seed, run.mistakes);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let replay = "STEADFAST_TURMOIL_SEED=<seed> \
                  cargo test -p steadfast-turmoil --test seeds replay -- --nocapture";
    assert!(failures.is_empty(), "{failures:#?}\nthe whole trace of one: {replay}");
    let sometimes = sometimes.into_inner().unwrap();
    eprintln!("{seeds} seeds: {sometimes:#?}");
    if seeds >= SEEDS {
        let missing: Vec<&str> =
            EXPECTED.into_iter().filter(|what| !sometimes.contains_key(what)).collect();
        assert!(missing.is_empty(), "never happened in {seeds} seeds: {missing:?}");
    }
}

#[test]
fn replay() {
    let Some(seed) = number("STEADFAST_TURMOIL_SEED") else { return };
    let run = run(seed);
    run.trace.iter().for_each(|line| eprintln!("{line}"));
    assert!(run.mistakes.is_empty(), "{:#?}", run.mistakes);
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..10 {
        let (one, other) = (run(seed).trace, run(seed).trace);
        if let Some(at) = (0..one.len().max(other.len())).find(|at| one.get(*at) != other.get(*at))
        {
            let from = at.saturating_sub(3);
            let end =
                |lines: &[String]| lines.iter().skip(from).take(8).cloned().collect::<Vec<_>>();
            panic!("seed {seed}, line {at}:\n{:#?}\n{:#?}", end(&one), end(&other));
        }
        assert!(one.len() > 100, "seed {seed} did nothing: {} lines", one.len());
    }
}
