//! The program as somebody uses it: separate processes, and lines. What happens inside is for other
//! tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(90);

/// A running `trading`, which is killed when this is dropped.
struct Program {
    child: Child,
    _input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_trading"))
            .args(arguments)
            // A server that is killed leaves what it has there.
            .env("TMPDIR", env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _input: child.stdin.take().unwrap(), output, child }
    }

    /// The next line, if there is one.
    async fn line(&mut self) -> Option<String> {
        timeout(PATIENCE, self.output.next_line()).await.unwrap().unwrap()
    }

    /// How it ends, and everything that it says until then.
    async fn ends(mut self) -> (Option<i32>, Vec<String>) {
        let mut lines = Vec::new();
        while let Some(line) = self.line().await {
            lines.push(line);
        }
        (timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code(), lines)
    }
}

/// A directory of a test's own, which is deleted with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn file(&self) -> String {
        self.0.join("trading.db").to_str().unwrap().to_owned()
    }

    /// Serves its file. What is said first, and where.
    async fn serve(&self) -> (Program, String, String) {
        let mut server = Program::start(&["serve", "--port", "0", "--file", &self.file()]);
        let line = server.line().await.unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("ws://"));
        let url = url.unwrap_or_else(|| panic!("no address: {line}"));
        (server, url.trim_end_matches('.').to_owned(), line)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn the_demo_loses_and_doubles_nothing_though_its_server_is_killed_twice() {
    let (code, lines) = Program::start(&["demo", "--seconds", "5", "--seed", "1"]).ends().await;
    let last = lines.last().cloned().unwrap_or_default();
    let figure = |name: &str| -> u64 {
        let word = last.split(' ').find_map(|word| word.strip_prefix(&format!("{name}=")));
        word.and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("no {name}: {lines:#?}"))
    };
    assert!(last.starts_with("demo: orders="), "{lines:#?}");
    assert_eq!((figure("lost"), figure("doubled"), figure("unknown")), (0, 0, 0), "{lines:#?}");
    assert_eq!(figure("restarts"), 2, "{lines:#?}");
    assert!(figure("executed_once") > 0 && figure("conflated") > 0, "{lines:#?}");
    assert_eq!(code, Some(0), "{lines:#?}");
}

#[tokio::test]
async fn a_server_that_was_killed_makes_its_books_from_its_file() {
    let place = Place::new("killed");
    let (mut server, url, said) = place.serve().await;
    assert!(said.ends_with("; 0 are open."), "{said}");
    let load = ["load", "--clients", "2", "--seconds", "1", "--server", &url];
    let (code, lines) = Program::start(&load).ends().await;
    assert_eq!(code, Some(0), "{lines:#?}");
    assert!(lines.last().is_some_and(|line| line.starts_with("load: answered=")), "{lines:#?}");
    server.child.kill().await.unwrap();
    let (_server, _, said) = place.serve().await;
    assert!(said.ends_with(" are open.") && !said.contains("; 0 are open"), "{said}");
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_told_so() {
    let place = Place::new("second");
    let (_first, ..) = place.serve().await;
    let second = Command::new(env!("CARGO_BIN_EXE_trading"))
        .args(["serve", "--port", "0", "--file", &place.file()])
        .output();
    let output = timeout(PATIENCE, second).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("trading.db") && said.contains("one process at a time"), "{said}");
}

#[tokio::test]
async fn without_a_file_orders_end_with_their_server() {
    let mut server = Program::start(&["serve", "--port", "0", "--memory"]);
    let line = server.line().await.unwrap();
    assert!(line.contains("Nothing is kept"), "{line}");
    let url = line.split_whitespace().find(|word| word.starts_with("ws://")).unwrap();
    let url = url.trim_end_matches('.');
    let load = ["load", "--clients", "2", "--seconds", "1", "--server", url];
    let (code, lines) = Program::start(&load).ends().await;
    assert_eq!(code, Some(0), "{lines:#?}");
}

#[tokio::test]
async fn a_mistyped_command_is_explained() {
    let program = Command::new(env!("CARGO_BIN_EXE_trading")).arg("sreve").output();
    let output = timeout(PATIENCE, program).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no command `sreve`"));
}
