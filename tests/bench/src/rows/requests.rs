//! P1 and P2: the server's CPU time per request and reply.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::{Sample, connect, failure, sample};
use crate::lean::{Ours, Raw, Speaker, Tally};
use crate::machine::Cores;
use crate::peer::{Peer, Process, Role};
use crate::report::Comparison;
use crate::settings::{Requests, Settings};
use crate::{Failure, in_turn};

pub fn run(
    runtime: &Runtime,
    settings: &Settings,
    cores: &Cores,
    row: Requests,
) -> Result<Vec<String>, Failure> {
    let title = format!("{} connections × {} requests under way", row.connections, row.window);
    let mut comparison = Comparison::new(row.name, title, row.target);
    for round in 0..settings.rounds {
        for peer in in_turn(round, settings.only) {
            let process = Process::start(peer, Role::Post, cores)?;
            let sample = match peer {
                Peer::Raw => runtime.block_on(load::<Raw>(&process, settings, row)),
                Peer::Ours => runtime.block_on(load::<Ours>(&process, settings, row)),
            };
            comparison.add(peer, sample?);
        }
    }
    Ok(vec![comparison.print()])
}

async fn load<S: Speaker>(
    process: &Process,
    settings: &Settings,
    row: Requests,
) -> Result<Sample, Failure> {
    let tally = Arc::new(Tally::default());
    let mut tasks = JoinSet::new();
    for client in connect::<S>(process.port, row.connections).await? {
        tasks.spawn(client.post(row.window, Arc::clone(&tally)));
    }
    let heard = || (tally.heard(), tally.batches());
    tokio::select! {
        error = failure(&mut tasks) => Err(error),
        sample = sample(process, settings.warm_up, settings.window, heard) => sample,
    }
}
