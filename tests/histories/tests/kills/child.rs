//! A child process: this program again, as a server or a client. Its lines come with its number;
//! what they mean is for the run.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child as Process, ChildStdin, Command};
use tokio::sync::mpsc;

/// What is heard of a child.
pub enum Heard {
    /// A line of its output.
    Line(String),
    /// It has ended, and there are no more lines.
    End,
}

/// Where the lines of all children come, with the number of each child.
pub type Ears = mpsc::Sender<(u64, Heard)>;

/// A running child, which is killed when this is dropped.
pub struct Child {
    pub number: u64,
    process: Process,
    input: ChildStdin,
}

impl Child {
    pub fn start(number: u64, arguments: &[String], ears: Ears) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("this program can be started again");
        let input = process.stdin.take().expect("it is piped");
        let mut lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if ears.send((number, Heard::Line(line))).await.is_err() {
                    return;
                }
            }
            // Nobody may listen any more.
            let _ = ears.send((number, Heard::End)).await;
        });
        Self { number, process, input }
    }

    /// Gives it an order. It may be dead, which is heard of otherwise.
    pub async fn order(&mut self, line: &str) {
        let _ = self.input.write_all(format!("{line}\n").as_bytes()).await;
    }

    /// SIGKILL.
    pub async fn kill(&mut self) {
        self.process.kill().await.expect("it is our child");
    }
}
