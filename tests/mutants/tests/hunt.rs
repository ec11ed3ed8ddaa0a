//! Every mutant is found out within a bounded number of seeds; without one the same seeds keep
//! every rule.

#![expect(clippy::print_stdout, reason = "a replay is for a person at a terminal")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use steadfast_mutants::runs::{broken_rule, run};
use steadfast_mutants::scripts::script;
use steadfast_mutants::{Hunt, Mutant, all, search};
use steadfast_sim_mutated::trace::Recording;

/// Seeds after which a mutant counts as one that the simulator can't find. The slowest needs less
/// than a third.
const SEEDS: u64 = 15_000;
/// Seeds that must keep every rule while nothing is planted.
const CLEAN_SEEDS: u64 = 3_000;

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn on_all_cores(work: impl Fn() + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&work);
        }
    });
}

/// All of them, or the one that `STEADFAST_MUTANT` names.
fn wanted() -> Vec<Mutant> {
    let only: Option<String> = variable("STEADFAST_MUTANT");
    let is_wanted =
        |mutant: &Mutant| only.as_ref().is_none_or(|only| format!("{mutant:?}") == *only);
    all().iter().copied().filter(is_wanted).collect()
}

fn hunt_all() -> Vec<(Mutant, Hunt)> {
    let (wanted, next, found) = (wanted(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    on_all_cores(|| {
        while let Some(&mutant) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let hunt = search(mutant, SEEDS);
            found.lock().expect("no hunt panics").push((mutant, hunt));
        }
    });
    let mut found = found.into_inner().expect("no hunt panics");
    found.sort_by_key(|(mutant, _)| *mutant);
    found
}

fn table(hunts: &[(Mutant, Hunt)]) -> String {
    let mut table = format!("\n{:<26} {:>7}  caught by\n", "mutant", "seeds");
    for (mutant, Hunt { caught, reached }) in hunts {
        let name = format!("{mutant:?}");
        match caught {
            Some(caught) if caught.seeds_tried == 0 => {
                writeln!(table, "{name:<26} {:>7}  {}", "script", caught.rule)
            }
            Some(caught) => {
                writeln!(table, "{name:<26} {:>7}  {}", caught.seeds_tried, caught.rule)
            }
            None => writeln!(table, "{name:<26} {SEEDS:>7}  NOBODY; reached {reached} times"),
        }
        .expect("a string takes everything");
    }
    table
}

#[test]
fn every_mutant_is_caught() {
    let hunts = hunt_all();
    // Not `println!`: the runner keeps that to itself while all is well.
    std::io::stdout().write_all(table(&hunts).as_bytes()).expect("somebody reads");
    let escaped: Vec<Mutant> =
        hunts.iter().filter(|(_, hunt)| hunt.caught.is_none()).map(|(m, _)| *m).collect();
    assert_eq!(escaped, [], "the simulator does not find these in {SEEDS} seeds");
    for (mutant, caught) in
        hunts.iter().filter_map(|(mutant, hunt)| Some((mutant, hunt.caught.as_ref()?)))
    {
        let clean = if caught.seeds_tried == 0 { None } else { broken_rule(caught.seed) };
        assert_eq!(clean, None, "without {mutant:?} seed {} breaks a rule too", caught.seed);
    }
    // What was never reached was caught for something else.
    let unreached: Vec<Mutant> =
        hunts.iter().filter(|(_, hunt)| hunt.reached == 0).map(|(m, _)| *m).collect();
    assert_eq!(unreached, []);
}

#[test]
fn without_a_mutant_every_rule_is_kept() {
    let next = AtomicU64::new(0);
    on_all_cores(|| {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= variable("STEADFAST_SEEDS").unwrap_or(CLEAN_SEEDS) {
                return;
            }
            assert_eq!(broken_rule(seed), None, "seed {seed}");
        }
    });
    for script in all().iter().filter_map(|mutant| script(*mutant)) {
        assert_eq!(script(), None);
    }
}

#[test]
fn a_mutant_is_gone_when_its_guard_is() {
    let mutant = Mutant::OutboxLeavesOnAck;
    let hunt = search(mutant, 100);
    let seed = hunt.caught.expect("it is caught within a few seeds").seed;
    assert_eq!(broken_rule(seed), None, "it was the mutant that broke the rule");
    let planted = mutant.plant();
    std::thread::spawn(move || assert_eq!(broken_rule(seed), None, "another thread has none"))
        .join()
        .expect("that thread keeps every rule");
    assert!(broken_rule(seed).is_some());
    drop(planted);
}

/// `STEADFAST_MUTANT=<name> STEADFAST_SEED=<seed> cargo test -p steadfast-mutants replay --
/// --nocapture`
#[test]
fn replay() {
    let Some(seed) = variable("STEADFAST_SEED") else { return };
    let _planted = variable::<String>("STEADFAST_MUTANT")
        .and_then(|_| wanted().first().map(|mutant| mutant.plant()));
    if let Some(violation) = run(seed, Recording::Print) {
        println!("broke the rule: {}\n  {}", violation.rule, violation.detail);
    }
}
