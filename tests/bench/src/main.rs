//! Benchmarks against `raw`, a plain tokio-tungstenite server that is measured in the same run:
//! `cargo run --release -p steadfast-bench`. The two are separate processes on separate cores,
//! rounds are interleaved, and ratios are taken within a round. This is not a test: nothing fails
//! when a row is missed, because timings move with the machine's mood.
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that measures time and prints what it found"
)]
#![allow(
    unreachable_pub,
    missing_docs,
    reason = "a program: its items are for itself, and the derive's are public"
)]

mod lean;
mod machine;
mod ours;
mod peer;
mod protocol;
mod raw;
mod report;
mod rows;
mod settings;
mod statistics;

use std::process::ExitCode;

use peer::Peer;
use rows::Row;
use settings::Settings;

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let done = match args.first().map(String::as_str) {
        Some(peer::SUBCOMMAND) => peer::serve(&args[1..]),
        _ => Settings::parse(&args).and_then(measure),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("steadfast-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(settings: Settings) -> Result<(), Failure> {
    let cores = machine::halves();
    report::configuration(&settings, &cores);
    machine::pin(&cores.client);
    let runtime = machine::runtime(settings::WORKERS)?;
    let mut lines = Vec::new();
    for row in &settings.rows {
        report::begin(*row);
        lines.extend(match row {
            Row::P1 => rows::requests::run(&runtime, &settings, &cores, settings::P1)?,
            Row::P2 => rows::requests::run(&runtime, &settings, &cores, settings::P2)?,
            Row::P5 => rows::fan_out::run(&runtime, &settings, &cores)?,
            Row::P6 => rows::memory::run(&runtime, &settings, &cores)?,
            Row::P10 => rows::durable::run(&settings, &cores)?,
        });
    }
    println!();
    lines.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Both peers; the one that begins changes from round to round.
fn in_turn(round: usize, only: Option<Peer>) -> Vec<Peer> {
    let mut peers = vec![Peer::Raw, Peer::Ours];
    peers.rotate_left(round % 2);
    peers.retain(|peer| only.is_none_or(|only| only == *peer));
    peers
}
