//! The channel to the program that makes the implementation under test do things (ADAPTER.md): one
//! JSON object per line, in each direction. It pairs answers with questions; what they mean it does
//! not know.

use std::collections::VecDeque;
use std::fmt;
use std::process::Stdio;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::case::{Step, Stop};
use crate::exchange::Exchange;
use crate::within;

/// Both directions to an adapter, as bytes.
pub struct Pipes {
    /// What the adapter writes and the suite reads.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// What the suite writes and the adapter reads.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
}

impl fmt::Debug for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipes").finish_non_exhaustive()
    }
}

/// Makes the pipes to a new adapter in this process.
pub type Connect = Arc<dyn Fn() -> BoxFuture<'static, Pipes> + Send + Sync>;

/// Where adapters come from. Each case that needs one gets its own.
#[derive(Clone)]
pub enum Adapter {
    /// A program with its arguments, started for each case. Its standard input and output are the
    /// pipes.
    Program(Vec<String>),
    /// Something in this process.
    Inside(Connect),
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(words) => f.debug_tuple("Program").field(words).finish(),
            Self::Inside(_) => f.debug_tuple("Inside").finish_non_exhaustive(),
        }
    }
}

impl Adapter {
    /// Starts an adapter. Returns the channel to it.
    pub(crate) async fn connect(&self, exchange: &Exchange) -> Step<Channel> {
        let (pipes, child) = match self {
            Self::Inside(connect) => (connect().await, None),
            Self::Program(words) => start(words)?,
        };
        let lines = BufReader::new(pipes.reader).lines();
        let (writer, exchange) = (pipes.writer, exchange.clone());
        Ok(Channel { lines, writer, _child: child, exchange, asked: 0, events: VecDeque::new() })
    }
}

fn start(words: &[String]) -> Step<(Pipes, Option<Child>)> {
    let (program, arguments) =
        words.split_first().ok_or_else(|| Stop::trouble("no program is named"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(|error| Stop::trouble(format!("`{program}` can't be started: {error}")))?;
    match (child.stdout.take(), child.stdin.take()) {
        (Some(out), Some(into)) => {
            Ok((Pipes { reader: Box::new(out), writer: Box::new(into) }, Some(child)))
        }
        _ => Err(Stop::trouble("the adapter has no standard input and output")),
    }
}

/// The channel to one adapter, which ends when this is dropped.
pub(crate) struct Channel {
    lines: tokio::io::Lines<BufReader<Box<dyn AsyncRead + Send + Unpin>>>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    _child: Option<Child>,
    exchange: Exchange,
    asked: u64,
    /// Reports that arrived while an answer was awaited.
    events: VecDeque<Value>,
}

impl Channel {
    /// Asks for something, and waits for the answer. `unsupported` makes the case not applicable.
    pub(crate) async fn ask(&mut self, what: &str, mut members: Value) -> Step<Value> {
        self.asked += 1;
        members["id"] = json!(self.asked);
        members["do"] = json!(what);
        let line = members.to_string();
        self.exchange.note("adapter ←", &line);
        self.writer.write_all(format!("{line}\n").as_bytes()).await.map_err(Stop::trouble)?;
        self.writer.flush().await.map_err(Stop::trouble)?;
        loop {
            let late = || Stop::trouble(format!("no answer to `{what}` from the adapter in time"));
            let answer = within(self.line()).await.ok_or_else(late)??;
            if answer["id"] != members["id"] {
                self.events.push_back(answer);
            } else if let Some(reason) = answer["unsupported"].as_str() {
                return Err(Stop::NotApplicable(format!("the adapter can't {what}: {reason}")));
            } else if let Some(error) = answer["error"].as_str() {
                return Err(Stop::trouble(format!("the adapter failed to {what}: {error}")));
            } else {
                return Ok(answer["ok"].clone());
            }
        }
    }

    /// The next report that fits, or `None` if none arrives in time. Others are kept for later.
    pub(crate) async fn event(
        &mut self,
        fits: impl Fn(&Value) -> bool + Send,
    ) -> Step<Option<Value>> {
        if let Some(at) = self.events.iter().position(&fits) {
            return Ok(self.events.remove(at));
        }
        let wait = async {
            loop {
                let event = self.line().await?;
                if fits(&event) {
                    return Ok(event);
                }
                self.events.push_back(event);
            }
        };
        within(wait).await.transpose()
    }

    /// Whether a report that fits has already arrived.
    pub(crate) fn has(&self, fits: impl Fn(&Value) -> bool) -> bool {
        self.events.iter().any(fits)
    }

    async fn line(&mut self) -> Step<Value> {
        let line = self.lines.next_line().await.map_err(Stop::trouble)?;
        let line = line.ok_or_else(|| Stop::trouble("the adapter has ended"))?;
        self.exchange.note("adapter →", &line);
        serde_json::from_str(&line)
            .map_err(|error| Stop::trouble(format!("not a line of JSON: {error}: {line}")))
    }
}
