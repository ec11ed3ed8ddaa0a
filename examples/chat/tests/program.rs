//! The program as somebody uses it: separate processes, lines in, lines out. What happens inside is
//! for other tests.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(60);

/// A running `chat`, which is killed when this is dropped.
struct Program {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
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
        Self { input: child.stdin.take().unwrap(), output, child }
    }

    async fn says(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Reads until a line contains the text.
    async fn shows(&mut self, text: &str) -> String {
        let mut before = Vec::new();
        loop {
            match timeout(PATIENCE, self.output.next_line()).await {
                Ok(Ok(Some(line))) if line.contains(text) => return line,
                Ok(Ok(Some(line))) => before.push(line),
                other => panic!("{other:?} instead of `{text}`, after {before:#?}"),
            }
        }
    }

    async fn ends(mut self) -> (Option<i32>, Vec<String>) {
        drop(self.input);
        let mut rest = Vec::new();
        while let Some(line) = timeout(PATIENCE, self.output.next_line()).await.unwrap().unwrap() {
            rest.push(line);
        }
        (timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().code(), rest)
    }
}

#[tokio::test]
async fn two_people_talk_and_outlive_a_restart_of_the_listener() {
    let mut server = Program::start(&["serve", "--port", "0", "--controlled"]);
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
    ada.shows("-- connected again").await;
    ada.says("still here").await;
    bo.shows("<ada> still here").await;
    ada.says("/who").await;
    // Whether bo has read it by then depends on whose command comes first.
    ada.shows("   bo: ").await;
    ada.says("/quit").await;
    assert_eq!(ada.ends().await.0, Some(0));
    assert_eq!(bo.ends().await.0, Some(0), "the end of the input is a way to leave, too");
}

#[tokio::test]
async fn the_demo_keeps_its_promise() {
    let (code, lines) = Program::start(&["demo", "--seconds", "5", "--seed", "1"]).ends().await;
    let last = lines.last().cloned().unwrap_or_default();
    assert!(
        last.starts_with("demo: sent=") && last.contains(" lost=0 doubled=0 reordered=0 "),
        "{lines:#?}"
    );
    assert_eq!(code, Some(0), "{lines:#?}");
}

#[tokio::test]
async fn a_mistyped_command_is_explained() {
    let program = Command::new(env!("CARGO_BIN_EXE_chat")).args(["jion", "lobby"]).output();
    let output = timeout(PATIENCE, program).await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no command `jion`"));
}
