//! The conformance suite as a program. README.md says how to use it.

#![allow(clippy::print_stdout, reason = "it is a program, and its report goes to standard output")]

use std::process::ExitCode;

use steadfast_conformance::{
    Adapter, Codec, Ending, Report, Selection, Subject, Verdict, clauses, coverage,
    run_client_suite, run_server_suite,
};

const USAGE: &str = "\
steadfast-conformance: holds a server or a client against the clauses of PROTOCOL.md

  --url ws://…              a running server with the application of ADAPTER.md
  --server PROGRAM [ARGS…]  an adapter that starts servers; everything after it belongs to it
  --client PROGRAM [ARGS…]  an adapter that runs a client; the suite listens on 127.0.0.1
  --clause ID               only the cases of this clause; may be repeated
  --case TEXT               only the cases whose name contains this
  --except TEXT             not those whose name contains this; may be repeated
  --codec CODEC             `json`, which is the default, or `binary`
  --jobs N                  how many cases run at a time; 12 if not given, fewer on a slow machine
  --coverage                which clauses have a case; runs nothing

Whatever selects cases comes before --server and --client. The program ends with 0 if no clause was
seen broken and every case was carried out, with 1 if a clause was seen broken, and with 3 if none
was but some case could not be carried out.
";

/// What is to be done.
enum Task {
    Coverage,
    Server(Subject),
    Client(Adapter),
}

#[tokio::main]
async fn main() -> ExitCode {
    let Some((task, selection)) = read(std::env::args().skip(1)) else {
        print!("{USAGE}");
        return ExitCode::from(2);
    };
    let report = match task {
        Task::Coverage => return show_coverage(),
        Task::Server(subject) => run_server_suite(subject, &selection).await,
        Task::Client(adapter) => run_client_suite(adapter, &selection).await,
    };
    print!("{report}");
    print_covered(&report);
    let shown = report.outcomes.iter().any(|outcome| outcome.ending == Ending::Passed);
    match (report.has_failures(), report.has_trouble()) {
        (false, true) => ExitCode::from(3),
        (false, false) if shown => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn read(mut arguments: impl Iterator<Item = String>) -> Option<(Task, Selection)> {
    let (mut task, mut selection) = (None, Selection::default());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--clause" => selection.clauses.push(arguments.next()?),
            "--case" => selection.name = Some(arguments.next()?),
            "--except" => selection.except.push(arguments.next()?),
            "--codec" => selection.codec = codec(&arguments.next()?)?,
            "--jobs" => selection.jobs = Some(arguments.next()?.parse().ok()?),
            "--coverage" => task = Some(Task::Coverage),
            "--url" => task = Some(Task::Server(Subject::Url(arguments.next()?))),
            "--server" => {
                return Some((Task::Server(Subject::Adapter(program(arguments)?)), selection));
            }
            "--client" => return Some((Task::Client(program(arguments)?), selection)),
            _ => return None,
        }
    }
    task.map(|task| (task, selection))
}

fn codec(name: &str) -> Option<Codec> {
    match name {
        "json" => Some(Codec::Json),
        "binary" => Some(Codec::Binary),
        _ => None,
    }
}

fn program(arguments: impl Iterator<Item = String>) -> Option<Adapter> {
    let words: Vec<String> = arguments.collect();
    (!words.is_empty()).then_some(Adapter::Program(words))
}

fn print_covered(report: &Report) {
    let shown =
        clauses().iter().filter(|clause| report.verdict(clause.id) == Verdict::Pass).count();
    let coverage = coverage();
    println!(
        "{shown} clauses shown; {} of {} have a case at all",
        coverage.covered, coverage.clauses
    );
}

fn show_coverage() -> ExitCode {
    let coverage = coverage();
    println!(
        "{} of {} clauses have a case ({} for servers, {} for clients); {} are definitions",
        coverage.covered,
        coverage.clauses,
        coverage.of_servers,
        coverage.of_clients,
        coverage.definitions
    );
    for clause in clauses() {
        if let Some(why) = clause.definition {
            println!("  definition {}: {why}", clause.id);
        }
    }
    for id in &coverage.uncovered {
        println!("  without a case: {id}");
    }
    if coverage.uncovered.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
