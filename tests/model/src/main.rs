//! Explores configurations and says what was found: `cargo run --release -p steadfast-model --
//! [--large] [--threads N] [part of a name]`. Without `--large` the small ones, which the test
//! command explores too. Ends with 1 if a property does not hold.
#![expect(clippy::print_stdout, reason = "a program that prints what it found")]

use std::process::ExitCode;
use std::time::Duration;

use steadfast_model::{Configuration, Explored, Progress, Size, configurations};

/// What was asked for.
struct Wish {
    size: Size,
    threads: usize,
    name: String,
}

fn wish() -> Result<Wish, String> {
    let mut wish = Wish { size: Size::Small, threads: 2, name: String::new() };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--large" => wish.size = Size::Large,
            "--threads" => {
                let threads = arguments
                    .next()
                    .and_then(|number| number.parse().ok())
                    .filter(|threads| *threads > 0);
                wish.threads = threads.ok_or("--threads wants a number")?;
            }
            name if !name.starts_with('-') => name.clone_into(&mut wish.name),
            other => return Err(format!("{other} is unknown")),
        }
    }
    Ok(wish)
}

fn main() -> ExitCode {
    let wish = match wish() {
        Ok(wish) => wish,
        Err(error) => {
            eprintln!("steadfast-model: {error}");
            return ExitCode::from(2);
        }
    };
    let asked = |of: &Configuration| of.size == wish.size && of.name.contains(&wish.name);
    println!("| Configuration | states | generated | depth | seconds | properties | reached |");
    println!("|---|---|---|---|---|---|---|");
    let explored: Vec<Explored> =
        configurations().into_iter().filter(asked).map(|of| explore(&of, wish.threads)).collect();
    let holds =
        explored.iter().all(|of| of.exhaustive && of.sometimes.iter().all(|(_, reached)| *reached));
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn explore(configuration: &Configuration, threads: usize) -> Explored {
    eprintln!("{} …", configuration.name);
    let mut said = 0.0;
    let explored = configuration.explore_watched(threads, Duration::from_millis(50), |progress| {
        let Progress { unique_states, max_depth, seconds } = progress;
        if seconds - said >= 10.0 {
            said = seconds;
            eprintln!("  {unique_states} states, depth {max_depth}, {seconds:.0} s");
        }
    });
    row(&explored);
    for violation in &explored.violations {
        eprintln!("{} does not hold after\n{}", violation.property, violation.path);
    }
    explored
}

fn row(explored: &Explored) {
    let Explored {
        name,
        unique_states,
        generated_states,
        max_depth,
        seconds,
        exhaustive,
        sometimes,
        ..
    } = explored;
    let holds = if *exhaustive { "all hold" } else { "broken" };
    let missing: Vec<&str> =
        sometimes.iter().filter(|(_, reached)| !reached).map(|(name, _)| *name).collect();
    let reached =
        if missing.is_empty() { "all".to_owned() } else { format!("not: {}", missing.join(", ")) };
    println!(
        "| {name} | {unique_states} | {generated_states} | {max_depth} | {seconds:.1} | {holds} | {reached} |"
    );
}
