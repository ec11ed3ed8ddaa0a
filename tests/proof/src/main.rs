//! The core's promise, checked by machines in one command:
//! `cargo run --release -p steadfast-proof`. This crate runs the checks in order and prints a
//! table; each check belongs to another crate. What needs drivers (turmoil, loom, the conformance
//! suite itself, sockets) is in the test command instead. Scripts read the exit code.

#![expect(clippy::print_stdout, reason = "a program for a person at a terminal")]

mod checks;
mod settings;
mod verdict;

use std::process::ExitCode;

use settings::Settings;
use verdict::Verdict;

fn main() -> ExitCode {
    let settings = match Settings::parse(std::env::args().skip(1)) {
        Ok(settings) => settings,
        Err(why) => {
            println!("{why}");
            return ExitCode::from(2);
        }
    };
    let mut verdict = Verdict::default();
    checks::simulate(&settings, &mut verdict);
    checks::explore(&settings, &mut verdict);
    checks::hunt(&settings, &mut verdict);
    checks::replay_corpus(&mut verdict);
    checks::count_clauses(&mut verdict);
    print!("{verdict}");
    if verdict.holds() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
