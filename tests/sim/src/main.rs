//! Long runs and replays: `cargo run --release -p steadfast-sim -- --help`.

#![expect(clippy::print_stdout, reason = "a program for a person at a terminal")]

use std::collections::BTreeSet;
use std::fmt::Display;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use steadfast_sim::shorten::Deed;
use steadfast_sim::trace::Recording;
use steadfast_sim::{Progress, Rule, Variant, attempt, run_many};

const HELP: &str = "\
steadfast-sim [--seeds N] [--first SEED] [--threads N]    many seeds; 0 threads: one per core
steadfast-sim --replay SEED [--only w1,f2,…] [--ease store,…]    one run, line by line";

#[derive(Default)]
struct Arguments {
    seeds: u64,
    first: u64,
    threads: usize,
    replay: Option<u64>,
    variant: Variant,
}

fn number<T: FromStr>(text: &str) -> Result<T, String>
where
    T::Err: Display,
{
    text.replace('_', "").parse().map_err(|error| format!("{text:?}: {error}"))
}

fn list<T: FromStr<Err = String>, C: FromIterator<T>>(text: &str) -> Result<C, String> {
    text.split(',').filter(|part| !part.is_empty() && *part != "none").map(str::parse).collect()
}

fn arguments(mut given: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments { seeds: 100_000, ..Arguments::default() };
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| HELP.to_owned())?;
        match name.as_str() {
            "--seeds" => arguments.seeds = number(&value)?,
            "--first" => arguments.first = number(&value)?,
            "--threads" => arguments.threads = number(&value)?,
            "--replay" => arguments.replay = Some(number(&value)?),
            "--only" => arguments.variant.only = Some(Arc::new(list::<Deed, BTreeSet<_>>(&value)?)),
            "--ease" => arguments.variant.ease = list(&value)?,
            _ => return Err(HELP.to_owned()),
        }
    }
    Ok(arguments)
}

fn replay(seed: u64, variant: &Variant) -> ExitCode {
    match attempt(seed, variant, Recording::Print) {
        Ok(success) => {
            println!("seed {seed} keeps every rule in {} steps", success.steps);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!(
                "\nseed {seed} broke the rule: {}\n  {}",
                failure.violation.rule, failure.violation.detail
            );
            ExitCode::FAILURE
        }
    }
}

fn report(progress: Progress) {
    let Progress { seeds, of, steps, seconds, failures } = progress;
    let speed = steps as f64 / seconds;
    println!("{seeds} of {of} seeds, {steps} steps, {speed:.0} steps/s, {failures} failures");
}

fn main() -> ExitCode {
    let arguments = match arguments(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(why) => {
            println!("{why}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = arguments.replay {
        return replay(seed, &arguments.variant);
    }
    let summary = run_many(arguments.first, arguments.seeds, arguments.threads, report);
    print!("{}", summary.sometimes.report());
    for failure in &summary.failures {
        println!("\n{failure}");
    }
    let missing = summary.sometimes.missing();
    if !missing.is_empty() {
        println!("never happened: {missing:?}");
    }
    println!(
        "{} invariants, {} seeds, {} steps in {:.1} s, {:.0} steps/s, {} failures",
        Rule::ALL.len(),
        summary.seeds,
        summary.steps,
        summary.seconds,
        summary.steps_per_second(),
        summary.failures.len()
    );
    if summary.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
