//! A process under load is killed at random moments, and everything that it had acknowledged is
//! there, once and in order. `STEADFAST_KILLS=200` kills it so many times.
//!
//! This program has no test harness: it starts itself again as the process that is killed.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "a program that says what it does")]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use steadfast_sqlite::LocalStore;
use support::Place;
use support::load::{Acked, Client, acked_is_there, highest};

const CLIENTS: u64 = 16;
/// Kills in the test command.
const KILLS: u32 = 12;
/// Acknowledgements that are heard before the process is killed: at least so many, at most so many.
const HEARD: std::ops::Range<usize> = 20..1_500;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    match &arguments[..] {
        [_, word, path] if word == "under-load" => runtime.block_on(under_load(Path::new(path))),
        _ => runtime.block_on(kill_again_and_again()),
    }
}

/// The process that is killed: it says each command that was acknowledged.
async fn under_load(path: &Path) {
    let store = Arc::new(LocalStore::open(path).expect("the file can be opened"));
    let last = highest(&*store).await.expect("a whole log");
    let out = Arc::new(Mutex::new(std::io::stdout()));
    let clients = (0..CLIENTS).map(|number| {
        let (store, out) = (Arc::clone(&store), Arc::clone(&out));
        let mut client = Client::at(number, last.get(&number).copied().unwrap_or(0));
        tokio::spawn(async move {
            loop {
                if let Some(Acked { client, n, .. }) = client.command(&*store).await {
                    let mut out = out.lock().expect("nobody panics");
                    writeln!(out, "{client} {n}").expect("the parent reads");
                }
            }
        })
    });
    futures_util::future::join_all(clients).await;
}

async fn kill_again_and_again() {
    let kills = std::env::var("STEADFAST_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills: u32 = kills.unwrap_or(KILLS);
    let place = Place::new();
    let mut rng = fastrand::Rng::new();
    let mut heard: BTreeMap<u64, u64> = BTreeMap::new();
    println!("killing {kills} times");
    for kill in 1..=kills {
        for Acked { client, n, .. } in killed_after(&place.file(), rng.usize(HEARD)) {
            let before = heard.insert(client, n).unwrap_or(0);
            // The line of an acknowledgement may be lost with the process.
            assert!(n > before, "kill {kill}: client {client} hears {n} after {before}");
        }
        let store = LocalStore::open(place.file()).expect("the file can be opened again");
        let acked: Vec<Acked> =
            heard.iter().map(|(&client, &n)| Acked { mark: 0, client, n }).collect();
        let came = acked_is_there(&store, &acked).await;
        assert_eq!(came, Ok(()), "kill {kill}");
    }
    let acked: u64 = heard.values().sum();
    assert!(acked > u64::from(kills) * HEARD.start as u64, "there was a load: {acked}");
    println!("{kills} kills, {acked} commands acknowledged, none lost, doubled or out of order");
}

/// Lets the process work until it has acknowledged so many commands, kills it in the middle of the
/// others, and gives all that it said.
fn killed_after(path: &Path, heard: usize) -> Vec<Acked> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .arg("under-load")
        .arg(path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut acked = Vec::new();
    for line in lines {
        let line = line.expect("lines are text");
        let (client, n) = line.split_once(' ').expect("a client and a number");
        let number = |text: &str| text.parse().expect("a number");
        acked.push(Acked { mark: 0, client: number(client), n: number(n) });
        if acked.len() == heard {
            child.kill().expect("it runs");
        }
    }
    let ended = child.wait().expect("it was killed");
    assert!(!ended.success(), "it would go on for ever");
    acked
}
