//! A server in a process of its own: this program again, with a hidden subcommand. It prints its
//! port, and ends when its standard input does, so that none is left behind.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use tokio::net::TcpListener;

use crate::machine::{self, Cores};
use crate::{Failure, ours, raw, settings};

/// Hidden, because it is not for people.
pub const SUBCOMMAND: &str = "serve";

/// Whose server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Raw,
    Ours,
}

/// What the server is to do. `raw` does one thing per process, so that it need not look what a
/// message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Post,
    Feed,
    Fetch,
}

impl Peer {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Ours => "ours",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        [Self::Raw, Self::Ours].into_iter().find(|peer| peer.name() == name)
    }
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Post => "post",
            Self::Feed => "feed",
            Self::Fetch => "fetch",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Post, Self::Feed, Self::Fetch].into_iter().find(|role| role.name() == name)
    }
}

/// A running server, which is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pub port: u16,
}

impl Process {
    pub fn start(peer: Peer, role: Role, cores: &Cores) -> Result<Self, Failure> {
        let cores: Vec<String> = cores.server.iter().map(usize::to_string).collect();
        let mut child = Command::new(std::env::current_exe()?)
            .args([SUBCOMMAND, peer.name(), role.name(), &cores.join(",")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let port =
            line.trim().parse().map_err(|_| format!("the {} server did not start", peer.name()))?;
        Ok(Self { child, port })
    }

    pub fn cpu_ns(&self) -> Result<u64, Failure> {
        machine::cpu_ns(self.child.id())
    }

    pub fn resident_kib(&self) -> Result<u64, Failure> {
        machine::resident_kib(self.child.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may already have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the hidden subcommand.
pub fn serve(args: &[String]) -> Result<(), Failure> {
    let [peer, role, cores] = args else { return Err("serve: peer, role, cores".into()) };
    let (Some(peer), Some(role)) = (Peer::parse(peer), Role::parse(role)) else {
        return Err("serve: who?".into());
    };
    let cores: Vec<usize> = cores.split(',').filter_map(|core| core.parse().ok()).collect();
    machine::pin(&cores);
    machine::runtime(settings::WORKERS)?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?.port());
        std::io::stdout().flush()?;
        std::thread::spawn(|| {
            let _ = std::io::stdin().read(&mut [0]);
            std::process::exit(0);
        });
        match peer {
            Peer::Raw => raw::serve(listener, role).await,
            Peer::Ours => ours::serve(listener).await,
        }
    })
}
