//! A client with its outbox in a file is killed at random moments under load: what it called
//! accepted has an outcome in the end, nothing runs twice, and the order of calls is the order of
//! execution, across all its processes. `STEADFAST_KILLS=200` kills it so many times.
//!
//! This program has no test harness: it starts itself again as the process that is killed.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "a program that says what it does")]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use futures_util::future::join_all;
use steadfast::client::{Call, CallError, OutboxFile, OutboxSettings};
use steadfast::server::{Denied, Principal, bearer};
use steadfast_e2e::{App, ListName, TallyClient, TallyCommandAdd, TallyError, TallyServer};

/// Kills in the test command.
const KILLS: u64 = 12;
/// Lines that are heard before the process is killed: at least so many, at most so many.
const HEARD: std::ops::Range<usize> = 5..600;
/// Calls under way at a time.
const UNDER_WAY: usize = 32;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    match &arguments[..] {
        [_, word, url, path, first] if word == "under-load" => {
            runtime.block_on(under_load(url, Path::new(path), first.parse().unwrap()));
        }
        [_, word, url, path] if word == "goes-on" => {
            runtime.block_on(async { recover(&client(url, Path::new(path))).await });
        }
        _ => runtime.block_on(kill_again_and_again()),
    }
}

// ---- the process that is killed ----

fn client(url: &str, path: &Path) -> TallyClient {
    let file = OutboxFile::open(path, OutboxSettings::default()).expect("the outbox");
    if file.damage().is_some() {
        say("torn");
    }
    let builder = TallyClient::builder(url).token(|_| async { "ann" }).outbox(file);
    let builder = builder.configure(|config| {
        config.backoff.base = std::time::Duration::from_millis(20);
    });
    builder.connect_lazily().expect("an address")
}

/// One line for the parent.
fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("the parent reads");
}

/// Waits for an outcome, and holds the call until it was said.
async fn say_outcome(value: u64, mut call: Call<u64, TallyError>) {
    match (&mut call).await {
        Ok(_) => say(format_args!("done {value}")),
        Err(CallError::OutcomeUnknown) => say(format_args!("unknown {value}")),
        Err(error) => say(format_args!("failed {value} {error}")),
    }
    drop(call);
}

/// Waits for everything that an earlier process left.
async fn recover(tally: &TallyClient) {
    let recovered = tally.inner().recovered().into_iter().map(|call| {
        let value = call.read::<TallyCommandAdd>().expect("an `add`").expect("its fields").value;
        say_outcome(value, call.into_call())
    });
    join_all(recovered).await;
}

async fn under_load(url: &str, path: &Path, first: u64) {
    let tally = client(url, path);
    let recovered = tokio::spawn({
        let tally = tally.clone();
        async move { recover(&tally).await }
    });
    let mut under_way = VecDeque::new();
    for value in first.. {
        let call = tally.add(ListName::from("list"), value);
        under_way.push_back(tokio::spawn(async move {
            if call.accepted().await {
                say(format_args!("accepted {value}"));
            }
            say_outcome(value, call).await;
        }));
        if under_way.len() == UNDER_WAY
            && let Some(oldest) = under_way.pop_front()
        {
            oldest.await.expect("no task panics");
        }
    }
    recovered.await.expect("no task panics");
}

// ---- the process that kills ----

/// What the killed processes said.
#[derive(Default)]
struct Heard {
    accepted: BTreeSet<u64>,
    outcomes: BTreeMap<u64, String>,
    torn: u64,
    lines: usize,
}

impl Heard {
    fn hear(&mut self, line: &str) {
        self.lines += 1;
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let value = || rest.split(' ').next().unwrap().parse().unwrap();
        match word {
            "torn" => self.torn += 1,
            "accepted" => drop(self.accepted.insert(value())),
            outcome => {
                let before = self.outcomes.insert(value(), outcome.to_owned());
                assert!(before.is_none_or(|before| before == outcome), "another outcome: {line}");
            }
        }
    }
}

fn place() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("outbox-killed");
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder.join("outbox")
}

/// Runs this program with these words; kills it when it has said so many lines.
fn run(words: &[&str], kill_after: Option<usize>, heard: &mut Heard) {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(words)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let said = heard.lines;
    while let Some(Ok(line)) = lines.next() {
        heard.hear(&line);
        if kill_after.is_some_and(|lines| heard.lines == said + lines) {
            child.kill().expect("it runs");
        }
    }
    let ended = child.wait().expect("it has ended");
    assert!(kill_after.is_some() || ended.success(), "{ended}");
}

async fn serve(app: App) -> String {
    let users = bearer(|token: String| async move { Ok::<_, Denied>(Principal::new(token)) });
    let server = TallyServer::builder(app).authenticate(users).build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { server.serve_listener(listener).await });
    url
}

async fn kill_again_and_again() {
    let kills = std::env::var("STEADFAST_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills: u64 = kills.unwrap_or(KILLS);
    let (app, path) = (App::default(), place());
    let url = serve(app.clone()).await;
    println!("killing {kills} times");
    let killing = tokio::task::spawn_blocking(move || {
        let (mut heard, mut rng) = (Heard::default(), fastrand::Rng::new());
        let file = path.to_str().unwrap();
        for kill in 1..=kills {
            let first = (kill * 1_000_000).to_string();
            let lines = rng.usize(HEARD);
            run(&["under-load", &url, file, &first], Some(lines), &mut heard);
            if kill % 3 == 0 {
                tear(&path, &mut rng);
            }
        }
        run(&["goes-on", &url, file], None, &mut heard);
        heard
    });
    judge(&killing.await.expect("nobody panics"), &app.list("list"), kills);
}

/// Adds what a write leaves that the power cuts off.
fn tear(path: &Path, rng: &mut fastrand::Rng) {
    let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    let torn: Vec<u8> = (0..rng.usize(1..60)).map(|_| rng.u8(..)).collect();
    file.write_all(&torn).unwrap();
}

fn judge(heard: &Heard, executed: &[u64], kills: u64) {
    let disorder = executed.windows(2).find(|pair| pair[0] >= pair[1]);
    assert_eq!(disorder, None, "each runs once, in the order of calls");
    let executed: BTreeSet<u64> = executed.iter().copied().collect();
    for value in &heard.accepted {
        assert!(heard.outcomes.contains_key(value), "{value} was accepted, and has no outcome");
    }
    for (value, outcome) in &heard.outcomes {
        assert_eq!(outcome, "done", "the server knew everything: {value}");
        assert!(executed.contains(value), "{value} is done, and did not run");
    }
    for value in &executed {
        assert!(heard.outcomes.contains_key(value), "{value} ran, and nobody was told");
    }
    // A kill may tear a write, too.
    assert!(heard.torn >= kills / 3, "what is torn is told");
    assert!(heard.accepted.len() as u64 > kills, "there was a load");
    println!(
        "{kills} kills, {} commands accepted, each executed once, in order, and told",
        heard.accepted.len()
    );
}
