//! A server on a file and its clients, each a process, are killed at random moments of their work;
//! then the checker of this crate judges what clients saw and what the file holds.
//!
//! `STEADFAST_KILLS=200` kills the server so many times, `STEADFAST_SEED` repeats the choices of a
//! run. This program has no test harness: it starts itself again as servers and clients.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(clippy::print_stdout, reason = "a program that says what it does")]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks and waits")]
#![allow(unreachable_pub, missing_docs, reason = "a program: what the derive makes is public")]

mod child;
mod client;
mod protocol;
mod run;
mod server;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use steadfast_histories::{Held, History, Kind, Verdict, judge};

use tokio::time::Instant;

use run::{Plan, Run};

/// Times that the server is killed in the test command: some seconds on two cores.
const KILLS: u64 = 50;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match &words[..] {
        ["server", file] => runtime.block_on(server::run(Path::new(file))),
        ["client", rest @ ..] => runtime.block_on(client::run(rest)),
        _ => {
            runtime.block_on(the_checker_finds_a_file_that_forgets());
            runtime.block_on(nothing_is_lost());
        }
    }
    // A thread may still wait for a line of the input.
    runtime.shutdown_background();
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().and_then(|number| number.parse().ok())
}

fn place(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("the target directory can be written");
    path
}

async fn judged(plan: Plan) -> Verdict {
    let (history, file) = (plan.history(), plan.file());
    Run::begin(plan).await.play().await;
    let history = History::read(BufReader::new(File::open(history).unwrap())).unwrap();
    let held = Held::read(&file).unwrap_or_else(|why| panic!("the file can't be read: {why}"));
    judge(&history, &held)
}

async fn nothing_is_lost() {
    let kills = number("STEADFAST_KILLS").unwrap_or(KILLS);
    let seed = number("STEADFAST_SEED").unwrap_or_else(|| fastrand::u64(..1_000_000));
    let place = place("histories");
    println!("histories: {kills} kills with seed {seed}, in {}", place.display());
    let begun = Instant::now();
    let verdict = judged(Plan { place: place.clone(), kills, seed, forgets: false }).await;
    println!("{verdict}\n{} s", begun.elapsed().as_secs());
    assert!(verdict.passed(), "seed {seed}; the history and the file are in {}", place.display());
    let figures = verdict.figures;
    assert_eq!(figures.server_kills, kills);
    // It has shown something: there was a load, and every way of it.
    if kills >= KILLS {
        assert!(figures.done > 10 * kills && figures.seen > figures.done, "{verdict}");
        assert!(figures.again > kills && figures.indefinite > 0, "{verdict}");
        assert!(figures.client_kills > 3, "{verdict}");
    }
    std::fs::remove_dir_all(place).unwrap();
}

/// The same with a file that is deleted once in between. It shows that the whole can fail.
async fn the_checker_finds_a_file_that_forgets() {
    let place = place("histories-forgets");
    let verdict = judged(Plan { place: place.clone(), kills: 2, seed: 1, forgets: true }).await;
    assert!(verdict.count(Kind::Lost) > 0 && verdict.count(Kind::Gap) > 0, "{verdict}");
    std::fs::remove_dir_all(place).unwrap();
}
