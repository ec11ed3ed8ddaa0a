//! The server as a process of its own, so that it can be killed. Orders go in and addresses come
//! out, a line each; the child ends when its input does, so it can't outlive the demo.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::server::{LISTENING, RESTART};

/// How long a server may take until it listens, or has drained and listens again.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct ServerProcess {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    addr: SocketAddr,
}

impl ServerProcess {
    /// Starts this program once more, as a server on a free port, which keeps what is said in a
    /// file, or nowhere.
    ///
    /// # Errors
    /// When it can't be started, or does not listen in time.
    pub(crate) async fn start(file: Option<&Path>) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--port", "0", "--controlled"]);
        match file {
            Some(file) => command.arg("--file").arg(file),
            None => command.arg("--memory"),
        };
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the server's pipes are missing"));
        };
        let mut answers = BufReader::new(answers).lines();
        let addr = listening(&mut answers).await?;
        Ok(Self { child, orders, answers, addr })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Lets it drain, and then serve again in the same process with the same store.
    ///
    /// # Errors
    /// When it does not listen again in time.
    pub(crate) async fn restart_listener(&mut self) -> io::Result<SocketAddr> {
        self.orders.write_all(format!("{RESTART}\n").as_bytes()).await?;
        self.addr = listening(&mut self.answers).await?;
        Ok(self.addr)
    }

    /// Ends it at once with SIGKILL: it gets no chance to say or save anything.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }
}

async fn listening(answers: &mut Lines<BufReader<ChildStdout>>) -> io::Result<SocketAddr> {
    let line = timeout(PATIENCE, answers.next_line())
        .await
        .map_err(|_| io::Error::other("the server does not listen"))??;
    let line = line.ok_or_else(|| io::Error::other("the server has ended"))?;
    let addr = line.strip_prefix(LISTENING).and_then(|addr| addr.trim().parse().ok());
    addr.ok_or_else(|| io::Error::other(format!("the server said `{line}`")))
}
