//! The rows of the table of targets, and what all of them need: connections, and a sample over a
//! window of time.

pub mod bare_sqlite;
pub mod commands;
pub mod durable;
pub mod fan_out;
pub mod memory;
pub mod requests;

use std::time::Duration;

use crate::lean::{Client, Speaker};
use crate::peer::Process;
use crate::{Failure, machine};

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    P1,
    P2,
    P5,
    P6,
    P10,
}

impl Row {
    pub const ALL: [Self; 5] = [Self::P1, Self::P2, Self::P5, Self::P6, Self::P10];

    pub const fn name(self) -> &'static str {
        match self {
            Self::P1 => "p1",
            Self::P2 => "p2",
            Self::P5 => "p5",
            Self::P6 => "p6",
            Self::P10 => "p10",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|row| row.name() == name)
    }
}

/// One measurement of one peer.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// The server's CPU time per message, in microseconds.
    pub server_us: f64,
    pub client_us: f64,
    pub per_second: f64,
    /// How many messages a client found per batch.
    pub batch: f64,
}

/// Opens connections, few enough at a time that the listener's queue does not overflow.
async fn connect<S: Speaker>(port: u16, count: usize) -> Result<Vec<Client<S>>, Failure> {
    const AT_A_TIME: usize = 64;
    let mut clients = Vec::with_capacity(count);
    while clients.len() < count {
        let batch = (count - clients.len()).min(AT_A_TIME);
        clients.extend(
            futures_util::future::try_join_all((0..batch).map(|_| Client::connect(port))).await?,
        );
    }
    Ok(clients)
}

/// Measures CPU time and messages over a window of time.
async fn sample(
    process: &Process,
    warm_up: Duration,
    window: Duration,
    heard: impl Fn() -> (u64, u64),
) -> Result<Sample, Failure> {
    tokio::time::sleep(warm_up).await;
    let read =
        || Ok::<_, Failure>((process.cpu_ns()?, machine::cpu_ns(std::process::id())?, heard()));
    let begun = std::time::Instant::now();
    let (server, client, (count, batches)) = read()?;
    tokio::time::sleep(window).await;
    let (server_then, client_then, (count_then, batches_then)) = read()?;
    let seconds = begun.elapsed().as_secs_f64();
    if count_then == count {
        return Err("nothing arrived".into());
    }
    let messages = (count_then - count) as f64;
    Ok(Sample {
        server_us: (server_then - server) as f64 / 1_000.0 / messages,
        client_us: (client_then - client) as f64 / 1_000.0 / messages,
        per_second: messages / seconds,
        batch: messages / (batches_then - batches).max(1) as f64,
    })
}

/// Waits for the first failure of tasks that should never end.
async fn failure(tasks: &mut tokio::task::JoinSet<Result<(), Failure>>) -> Failure {
    match tasks.join_next().await {
        Some(Ok(Err(error))) => error,
        _ => "a client ended early".into(),
    }
}
