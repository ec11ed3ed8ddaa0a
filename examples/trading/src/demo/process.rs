//! The server as a process of its own, so that it can be killed. It ends when its input does, so it
//! can't outlive the demo.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::server::LISTENING;

/// How long a server may take until it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server.
pub(crate) struct ServerProcess {
    child: Child,
    addr: SocketAddr,
    _input: ChildStdin,
}

impl ServerProcess {
    /// Starts this program once more, as a server of this file on a free port.
    ///
    /// # Errors
    /// When it can't be started, or does not listen in time.
    pub(crate) async fn start(file: &Path) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--port", "0", "--controlled", "--file"])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the server's pipes are missing"));
        };
        let mut lines = BufReader::new(output).lines();
        let line = timeout(PATIENCE, lines.next_line())
            .await
            .map_err(|_| io::Error::other("the server does not listen"))??;
        let line = line.ok_or_else(|| io::Error::other("the server has ended"))?;
        let addr = line.strip_prefix(LISTENING).and_then(|addr| addr.trim().parse().ok());
        let addr = addr.ok_or_else(|| io::Error::other(format!("the server said `{line}`")))?;
        Ok(Self { child, addr, _input: input })
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Ends it at once with SIGKILL: it gets no chance to say or save anything.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.child.kill().await
    }
}
