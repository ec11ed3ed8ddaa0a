//! P6: the server's resident memory per idle connection, fresh and after a burst to each, and per
//! session whose socket is gone.

use std::time::Duration;

use tokio::runtime::Runtime;

use super::connect;
use crate::lean::{Client, Ours, Raw, Speaker};
use crate::machine::Cores;
use crate::peer::{Peer, Process, Role};
use crate::report;
use crate::settings::{
    BURST_REPLIES, BURST_REPLY_BYTES, DETACHED_TARGET_KIB, IDLE_TARGET_KIB, Settings,
};
use crate::{Failure, in_turn};

/// How long the server gets to finish what it does after the clients are done.
const REST: Duration = Duration::from_millis(2_000);

/// How many waves of connections come and go, and leave sessions behind.
const WAVES: usize = 2;

/// KiB per connection or session.
#[derive(Debug, Clone, Copy)]
struct Footprint {
    fresh: f64,
    after_burst: f64,
    detached: f64,
}

pub fn run(runtime: &Runtime, settings: &Settings, cores: &Cores) -> Result<Vec<String>, Failure> {
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    for round in 0..settings.idle_rounds {
        for peer in in_turn(round, settings.only) {
            let process = Process::start(peer, Role::Fetch, cores)?;
            match peer {
                Peer::Raw => raw.push(runtime.block_on(grow::<Raw>(&process, settings, 0))?),
                Peer::Ours => ours.push(runtime.block_on(grow::<Ours>(&process, settings, WAVES))?),
            }
        }
    }
    let of = |field: fn(&Footprint) -> f64| {
        (raw.iter().map(field).collect::<Vec<_>>(), ours.iter().map(field).collect::<Vec<_>>())
    };
    let (raw_fresh, ours_fresh) = of(|it| it.fresh);
    let (raw_burst, ours_burst) = of(|it| it.after_burst);
    let (_, detached) = of(|it| it.detached);
    Ok(vec![
        report::memory("idle connection, fresh", &raw_fresh, &ours_fresh, None),
        report::memory(
            "idle connection after a burst of 100 kB",
            &raw_burst,
            &ours_burst,
            Some(IDLE_TARGET_KIB),
        ),
        report::memory("detached session", &[], &detached, Some(DETACHED_TARGET_KIB)),
    ])
}

async fn grow<S: Speaker>(
    process: &Process,
    settings: &Settings,
    waves: usize,
) -> Result<Footprint, Failure> {
    let count = settings.idle_connections;
    // One connection comes first, so that what is allocated only once counts for none of the
    // others.
    let mut first = connect::<S>(process.port, 1).await?;
    burst(&mut first).await?;
    let empty = rest(process).await?;
    let mut clients = connect::<S>(process.port, count).await?;
    let fresh = rest(process).await?;
    burst(&mut clients).await?;
    let after_burst = rest(process).await?;
    let per =
        |kib: u64, since: u64, count: usize| (kib as f64 - since as f64) / count.max(1) as f64;
    // Each wave leaves its sessions behind and uses the memory of the sockets before it, so what
    // grows is the sessions.
    for _ in 0..waves {
        drop(clients);
        clients = wave(process, count).await?;
    }
    let grown = rest(process).await?;
    Ok(Footprint {
        fresh: per(fresh, empty, count),
        after_burst: per(after_burst, empty, count),
        detached: per(grown, after_burst, count * waves),
    })
}

async fn wave<S: Speaker>(process: &Process, count: usize) -> Result<Vec<Client<S>>, Failure> {
    tokio::time::sleep(REST).await;
    let mut clients = connect::<S>(process.port, count).await?;
    burst(&mut clients).await?;
    Ok(clients)
}

async fn burst<S: Speaker>(clients: &mut [Client<S>]) -> Result<(), Failure> {
    for client in clients {
        client.fetch(BURST_REPLIES, BURST_REPLY_BYTES).await?;
    }
    Ok(())
}

async fn rest(process: &Process) -> Result<u64, Failure> {
    tokio::time::sleep(REST).await;
    process.resident_kib()
}
