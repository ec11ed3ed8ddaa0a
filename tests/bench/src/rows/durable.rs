//! P10: durable commands per second and their latency, beside bare SQLite that writes the same rows
//! in batches of the same size, in the same round (`bare_sqlite.rs` says what it does and why). The
//! store is asked as a node asks it, and then by a server with clients on sockets, all in this
//! process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use steadfast_sqlite::LocalStore;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::Failure;
use crate::machine::{self, Cores};
use crate::ours;
use crate::protocol::{BenchClient, event_text};
use crate::report;
use crate::rows::bare_sqlite::Bare;
use crate::rows::commands::{ask, command, open};
use crate::settings::{DURABLE_CLIENTS, DURABLE_TARGET, EVENT_BODY, Settings, WORKERS};

/// What a load came to.
pub struct Load {
    pub per_second: f64,
    /// Commands per COMMIT.
    pub group: f64,
    /// Of all commands, in milliseconds.
    pub p50: f64,
    pub p99: f64,
}

/// A load, and bare SQLite with batches of its size.
pub struct Round {
    pub ours: Load,
    pub bare_per_second: f64,
}

/// Who asks the store.
#[derive(Clone, Copy)]
enum Asked {
    AsANodeDoes,
    OverSockets,
}

/// What is measured.
#[derive(Clone, Copy)]
struct Scene<'a> {
    settings: &'a Settings,
    place: &'a Place,
    asked: Asked,
    clients: u64,
}

/// Here there are no two sides that would need cores of their own.
pub fn run(settings: &Settings, cores: &Cores) -> Result<Vec<String>, Failure> {
    machine::pin(&[&cores.server[..], &cores.client].concat());
    let lines = rows(&machine::runtime(WORKERS)?, settings);
    machine::pin(&cores.client);
    lines
}

fn rows(runtime: &Runtime, settings: &Settings) -> Result<Vec<String>, Failure> {
    let place = Place::new(&settings.directory)?;
    let mut lines = Vec::new();
    for (asked, what, target) in [
        (Asked::AsANodeDoes, "the store alone", Some(DURABLE_TARGET)),
        (Asked::OverSockets, "a server over sockets", None),
    ] {
        for clients in DURABLE_CLIENTS {
            let scene = Scene { settings, place: &place, asked, clients };
            let mut load = || runtime.block_on(load(scene));
            let mut rounds: Vec<Round> = Vec::with_capacity(settings.rounds);
            let mut group = load()?.group;
            for _ in 0..settings.rounds {
                let round = round(scene, group, &mut load)?;
                group = round.ours.group;
                rounds.push(round);
            }
            let title = format!("{what}, {clients} clients with 1 command under way");
            lines.push(report::durable(&title, &rounds, target));
        }
    }
    Ok(lines)
}

/// Bare SQLite for half of its time before and half of it after, since a disk changes its mood.
fn round(
    scene: Scene<'_>,
    group: f64,
    load: &mut impl FnMut() -> Result<Load, Failure>,
) -> Result<Round, Failure> {
    let before = with_bare_sqlite(scene, group)?;
    let ours = load()?;
    let after = with_bare_sqlite(scene, ours.group)?;
    Ok(Round { ours, bare_per_second: f64::midpoint(before, after) })
}

fn with_bare_sqlite(scene: Scene<'_>, group: f64) -> Result<f64, Failure> {
    let Scene { settings, place, clients, .. } = scene;
    place.clear();
    let db = Bare::make(&place.file(), clients)?;
    let (mut bare, mut count, begun) = (Bare::new(&db, clients)?, 0, Instant::now());
    while begun.elapsed() < settings.window / 2 {
        count += bare.commit(group.round().max(1.0) as u64)?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

async fn load(scene: Scene<'_>) -> Result<Load, Failure> {
    let Scene { settings, place, asked, clients } = scene;
    place.clear();
    // A node has one handle, for all of its clients.
    let store = Arc::new(LocalStore::open(place.file())?);
    let end = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    match asked {
        Asked::AsANodeDoes => {
            for client in 0..clients {
                ask(&store, open(client)).await?;
                tasks.spawn(write(Arc::clone(&store), client, Arc::clone(&end)));
            }
        }
        Asked::OverSockets => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let url = format!("ws://{}/", listener.local_addr()?);
            tasks.spawn(serve(listener, (*store).clone(), Arc::clone(&end)));
            for _ in 0..clients {
                let client = BenchClient::builder(url.clone()).connect().await?;
                tasks.spawn(call(client, Arc::clone(&end)));
            }
        }
    }
    tokio::time::sleep(settings.warm_up).await;
    let (begun, groups) = (Instant::now(), store.metrics().groups);
    tokio::time::sleep(settings.window).await;
    let elapsed = begun.elapsed();
    let groups = store.metrics().groups - groups;
    end.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    while let Some(task) = tasks.join_next().await {
        let during = |(at, took): (Instant, Duration)| {
            (at >= begun && at < begun + elapsed).then_some(took.as_secs_f64() * 1_000.0)
        };
        latencies.extend(task??.into_iter().filter_map(during));
    }
    latencies.sort_by(f64::total_cmp);
    let Some(last) = latencies.len().checked_sub(1) else { return Err("nothing was done".into()) };
    let count = latencies.len() as f64;
    Ok(Load {
        per_second: count / elapsed.as_secs_f64(),
        group: count / groups.max(1) as f64,
        p50: latencies[last / 2],
        p99: latencies[last * 99 / 100],
    })
}

/// When each command ended, and how long it took.
type Latencies = Result<Vec<(Instant, Duration)>, Failure>;

async fn write(store: Arc<LocalStore>, client: u64, end: Arc<AtomicBool>) -> Latencies {
    let mut latencies = Vec::new();
    for n in 1.. {
        if end.load(Ordering::Relaxed) {
            break;
        }
        let begun = Instant::now();
        ask(&store, command(client, n)).await?;
        latencies.push((Instant::now(), begun.elapsed()));
    }
    Ok(latencies)
}

async fn call(client: BenchClient, end: Arc<AtomicBool>) -> Latencies {
    let mut latencies = Vec::new();
    let text = event_text(EVENT_BODY);
    while !end.load(Ordering::Relaxed) {
        let begun = Instant::now();
        client.burst(1, text.clone()).await?;
        latencies.push((Instant::now(), begun.elapsed()));
    }
    client.close().await;
    Ok(latencies)
}

/// Serves until the end.
async fn serve(listener: TcpListener, store: LocalStore, end: Arc<AtomicBool>) -> Latencies {
    let ended = async {
        while !end.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Whoever waits for an answer gets it.
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    tokio::select! {
        served = ours::serve_with(listener, store) => served?,
        () = ended => {}
    }
    Ok(Vec::new())
}

/// A directory for the file, which is deleted with this.
struct Place(PathBuf);

impl Place {
    fn new(directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(format!("steadfast-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn file(&self) -> PathBuf {
        self.0.join("store.db")
    }

    fn clear(&self) {
        for end in ["", "-wal", "-shm", "-lock"] {
            let _ = std::fs::remove_file(self.0.join(format!("store.db{end}")));
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
