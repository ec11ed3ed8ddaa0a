//! The program as somebody uses it: separate processes, lines in, lines out. What happens inside is
//! for other tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use steadfast_proxy::{Proxy, Way};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running `chat`, which is killed when this is dropped.
struct Program {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    /// Every line that was read so far.
    shown: Vec<String>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_chat"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take().unwrap(), output, child, shown: Vec::new() }
    }

    async fn says(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Reads until a line contains the text.
    async fn shows(&mut self, text: &str) -> String {
        loop {
            match timeout(PATIENCE, self.output.next_line()).await {
                Ok(Ok(Some(line))) => self.shown.push(line.clone()),
                other => panic!("{other:?} instead of `{text}`, after {:#?}", self.shown),
            }
            if let Some(line) = self.shown.last().filter(|line| line.contains(text)) {
                return line.clone();
            }
        }
    }

    /// Closes its input; how it ends, and everything that it has shown.
    async fn ends(mut self) -> (Option<i32>, Vec<String>) {
        drop(self.input);
        while let Some(line) = timeout(PATIENCE, self.output.next_line()).await.unwrap().unwrap() {
            self.shown.push(line);
        }
        (timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code(), self.shown)
    }
}

#[tokio::test]
async fn two_people_talk_and_outlive_a_restart_of_the_listener() {
    let mut server = Program::start(&["serve", "--port", "0", "--controlled", "--memory"]);
    let address = server.shows("listening on ").await;
    let url = format!("ws://{}", address.trim_start_matches("listening on "));
    let mut ada = Program::start(&["join", "lobby", "--as", "ada", "--server", &url]);
    ada.shows("you are ada in lobby").await;
    ada.says("hello").await;
    ada.shows("<you> hello").await;
    let mut bo = Program::start(&["join", "lobby", "--as", "bo", "--server", &url]);
    bo.shows("<ada> hello").await;
    bo.says("I have something \\").await;
    ada.shows("bo is typing").await;
    bo.says("to say").await;
    ada.shows("<bo> I have something").await;
    ada.shows("to say").await;
    server.says("restart").await;
    server.shows("listening on ").await;
    ada.shows("-- resumed lobby after").await;
    ada.says("still here").await;
    bo.shows("<ada> still here").await;
    ada.says("/who").await;
    // Whether bo has read it by then depends on whose command comes first.
    ada.shows("   bo: ").await;
    ada.says("/quit").await;
    assert_eq!(ada.ends().await.0, Some(0));
    assert_eq!(bo.ends().await.0, Some(0), "the end of the input is a way to leave, too");
}

async fn demo_keeps_its_promise(arguments: &[&str]) -> String {
    let (code, lines) = Program::start(arguments).ends().await;
    let last = lines.last().cloned().unwrap_or_default();
    assert!(
        last.starts_with("demo: sent=") && last.contains(" lost=0 doubled=0 reordered=0 "),
        "{lines:#?}"
    );
    assert_eq!(code, Some(0), "{lines:#?}");
    last
}

#[tokio::test]
async fn the_demo_keeps_its_promise_and_a_killed_server_costs_nothing() {
    let last = demo_keeps_its_promise(&["demo", "--seconds", "5", "--seed", "1"]).await;
    assert!(last.contains(" unknown=0 gapped=0 "), "{last}");
}

#[tokio::test]
async fn the_demo_keeps_its_promise_though_the_store_dies_with_the_server() {
    demo_keeps_its_promise(&["demo", "--seconds", "5", "--seed", "1", "--memory"]).await;
}

#[tokio::test]
async fn a_mistyped_command_is_explained() {
    let program = Command::new(env!("CARGO_BIN_EXE_chat")).args(["jion", "lobby"]).output();
    let output = timeout(PATIENCE, program).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no command `jion`"));
}

/// A directory of a test's own, which is deleted with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("chat-{name}-{}", std::process::id());
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    /// Serves with a file in it; where, if it does not end at once.
    async fn serve(&self) -> (Program, SocketAddr) {
        let file = self.0.join("chat.db");
        let mut server =
            Program::start(&["serve", "--port", "0", "--file", file.to_str().unwrap()]);
        let line = server.shows("The chat is served on ws://").await;
        let addr = line.split("ws://").nth(1).and_then(|rest| rest.split(". ").next());
        let addr = addr.and_then(|addr| addr.parse().ok());
        (server, addr.unwrap_or_else(|| panic!("no address: {line}")))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn join(name: &str, proxy: &Proxy) -> Program {
    Program::start(&words(name, proxy.url("/").trim_end_matches('/')))
}

fn words<'a>(name: &'a str, url: &'a str) -> [&'a str; 6] {
    ["join", "lobby", "--as", name, "--server", url]
}

/// Joins as ada, with her outbox in a file.
fn join_with(outbox: &Path, proxy: &Proxy) -> Program {
    let url = proxy.url("/");
    let words = words("ada", url.trim_end_matches('/'));
    Program::start(&[&words[..], &["--outbox", outbox.to_str().unwrap()]].concat())
}

/// Kill -9, and the same file again: whoever was away is told what was said meanwhile, and how much
/// that is; whoever wrote while there was no server has written; nothing is shown twice.
#[tokio::test]
async fn a_server_that_is_killed_loses_nothing_and_shows_nothing_twice() {
    let place = Place::new("killed");
    let (mut server, addr) = place.serve().await;
    let (for_ada, for_bo) = (Proxy::start(addr).await.unwrap(), Proxy::start(addr).await.unwrap());
    let (mut ada, mut bo) = (join("ada", &for_ada), join("bo", &for_bo));
    ada.shows("you are ada").await;
    bo.shows("you are bo").await;
    bo.says("message 0").await;
    ada.shows("<bo> message 0").await;
    let mut said = vec!["message 0".to_owned()];
    for round in 1..=3 {
        for_ada.refuse(true);
        for_ada.cut_all();
        ada.shows("-- connection lost").await;
        for number in 1..=3 {
            bo.says(&format!("message {round}.{number}")).await;
            bo.shows(&format!("<you> message {round}.{number}")).await;
            said.push(format!("message {round}.{number}"));
        }
        for_bo.refuse(true);
        server.child.kill().await.unwrap();
        bo.shows("-- connection lost").await;
        bo.says(&format!("message {round}.4")).await;
        bo.shows("-- not sent yet").await;
        said.push(format!("message {round}.4"));
        let addr;
        (server, addr) = place.serve().await;
        for_ada.retarget(addr);
        for_bo.retarget(addr);
        for_ada.refuse(false);
        let resumed = ada.shows("-- resumed lobby after").await;
        assert!(resumed.ends_with("s (+3)"), "{resumed}, {:#?}", ada.shown);
        for_bo.refuse(false);
        bo.shows("-- resumed lobby after").await;
        ada.shows(&format!("<bo> message {round}.4")).await;
    }
    let mut cy = join("cy", &for_ada);
    cy.shows(said.last().unwrap()).await;
    let late = cy.ends().await.1;
    for (who, lines) in [("ada", ada.ends().await.1), ("bo", bo.ends().await.1), ("cy", late)] {
        let shown = lines.iter().filter_map(|line| line.split_once("> message "));
        let shown: Vec<String> = shown.map(|(_, text)| format!("message {text}")).collect();
        // Whoever comes late is shown the latest ones.
        let expected = if who == "cy" { &said[said.len() - 10..] } else { &said[..] };
        assert_eq!(shown, expected, "{who}: {lines:#?}");
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_told_so() {
    let place = Place::new("second");
    let (_first, _) = place.serve().await;
    let file = place.0.join("chat.db");
    let second = Command::new(env!("CARGO_BIN_EXE_chat"))
        .args(["serve", "--port", "0", "--file", file.to_str().unwrap()])
        .output();
    let output = timeout(PATIENCE, second).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("chat.db") && said.contains("one process at a time"), "{said}");
}

/// Kill -9 of a client: the next one posts once what the file has, and says what became of it.
#[tokio::test]
async fn a_client_that_is_killed_loses_nothing_that_it_has_kept() {
    let place = Place::new("client");
    let (_server, addr) = place.serve().await;
    let (for_ada, for_bo) = (Proxy::start(addr).await.unwrap(), Proxy::start(addr).await.unwrap());
    let outbox = place.0.join("ada.outbox");
    let (mut ada, mut bo) = (join_with(&outbox, &for_ada), join("bo", &for_bo));
    bo.shows("you are bo").await;
    ada.shows("you are ada").await;
    ada.says("hello").await;
    bo.shows("<ada> hello").await;
    // With the answer to what she asks she has heard that of what she wrote before.
    ada.says("/who").await;
    ada.shows("   ada: ").await;
    // It is posted, and ada does not hear of it.
    for_ada.stall(Way::Down);
    ada.says("in flight").await;
    bo.shows("<ada> in flight").await;
    for_ada.refuse(true);
    for_ada.cut_all();
    ada.shows("-- connection lost").await;
    ada.says("written offline").await;
    ada.shows("-- kept in ").await;
    ada.child.kill().await.unwrap();
    let mut ada = join_with(&outbox, &for_ada);
    ada.shows("ada.outbox has ").await;
    for_ada.resume();
    for_ada.refuse(false);
    ada.shows("-- posted: in flight").await;
    ada.shows("-- posted: written offline").await;
    bo.shows("<ada> written offline").await;
    ada.ends().await;
    let mut ada = join_with(&outbox, &for_ada);
    ada.shows("<you> written offline").await;
    let shown = ada.ends().await.1;
    assert!(!shown.iter().any(|line| line.contains("of before")), "told twice: {shown:#?}");
    let once = bo.ends().await.1;
    assert_eq!(once.iter().filter(|line| line.contains("<ada> ")).count(), 3, "{once:#?}");
}

#[tokio::test]
async fn a_second_client_with_the_same_outbox_is_told_so() {
    let place = Place::new("outbox");
    let (_server, addr) = place.serve().await;
    let proxy = Proxy::start(addr).await.unwrap();
    let outbox = place.0.join("ada.outbox");
    let mut first = join_with(&outbox, &proxy);
    first.shows("you are ada").await;
    let url = proxy.url("/");
    let second = Command::new(env!("CARGO_BIN_EXE_chat"))
        .args(words("ada", url.trim_end_matches('/')))
        .args(["--outbox", outbox.to_str().unwrap()])
        .stdin(Stdio::null())
        .output();
    let output = timeout(PATIENCE, second).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("ada.outbox") && said.contains("in use by another client"), "{said}");
}
