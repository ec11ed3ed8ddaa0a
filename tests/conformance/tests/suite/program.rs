//! The suite as a program: with an address, with an adapter, and used wrongly.

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::json;
use steadfast_conformance::{Adapter, Connect};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

fn suite(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_steadfast-conformance")).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Our adapters as a program. cargo builds examples together with tests.
fn adapter() -> String {
    let tests = std::env::current_exe().unwrap();
    let path: PathBuf = tests.parent().unwrap().parent().unwrap().join("examples/adapter");
    assert!(path.exists(), "build it first: cargo build -p steadfast-conformance --examples");
    path.to_str().unwrap().to_owned()
}

#[test]
fn it_says_which_clauses_have_a_case() {
    let output = suite(&["--coverage"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("clauses have a case"), "{}", text(&output));
}

#[test]
fn a_wrong_use_is_explained() {
    for arguments in [&[][..], &["--url"], &["--server"], &["--nonsense"]] {
        let output = suite(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output).contains("--clause"), "{arguments:?}");
    }
}

#[test]
fn adapters_are_programs() {
    let output = suite(&["--clause", "4.9", "--clause", "8.2", "--server", &adapter(), "server"]);
    assert!(output.status.success() && text(&output).contains("pass  4.9"), "{}", text(&output));
    let output = suite(&["--clause", "5.9", "--client", &adapter(), "client"]);
    assert!(output.status.success() && text(&output).contains("pass  5.9"), "{}", text(&output));
}

#[test]
fn trouble_comes_with_its_exchange_and_is_no_failure() {
    // `cat` is an adapter that answers nothing: a repeated question is not an answer.
    let output = suite(&["--clause", "9.2", "--server", "cat"]);
    let report = text(&output);
    assert_eq!(output.status.code(), Some(3), "{report}");
    assert!(report.contains("?     9.2") && report.contains("adapter ←"), "{report}");
    assert!(!report.contains("FAIL"), "trouble of an adapter breaks no clause: {report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_runs_is_enough_for_most_clauses() {
    let Adapter::Inside(connect): Adapter =
        crate::ours::adapter(|ends| crate::ours::server::adapt(ends, None))
    else {
        unreachable!("it runs in this process")
    };
    let (url, _running) = started(connect).await;
    let output = tokio::task::spawn_blocking(move || suite(&["--url", &url])).await.unwrap();
    let report = text(&output);
    assert!(output.status.success(), "{report}");
    assert!(
        report.contains("n/a   5.11  it needs settings of its own, and there is no adapter"),
        "{report}"
    );
    let passed = report.lines().filter(|line| line.starts_with("  pass ")).count();
    assert!(passed > 50, "{report}");
}

/// A server with its own defaults, and whatever keeps it running.
async fn started(connect: Connect) -> (String, impl Sized) {
    let mut pipes = connect().await;
    let question = json!({ "id": 1, "do": "start", "settings": {} });
    pipes.writer.write_all(format!("{question}\n").as_bytes()).await.unwrap();
    let mut lines = BufReader::new(pipes.reader).lines();
    let answer: serde_json::Value =
        serde_json::from_str(&lines.next_line().await.unwrap().unwrap()).unwrap();
    (answer["ok"]["url"].as_str().unwrap().to_owned(), (lines, pipes.writer))
}
