//! Commands per second and their latency: the store with 1, 16 and 128 writers, beside bare SQLite
//! that commits rows like theirs in batches of the same size. It passes or fails nothing.
//!
//! `cargo run --release -p steadfast-sqlite --example group_commit [seconds] [rounds] [directory]`
#![allow(clippy::print_stdout, reason = "a program that prints a table")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures time")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use steadfast::session::store::{
    Commit, Holder, OpId, Outcome, Publication, Record, Retention, StoreOp, StoreOutcome, TopicId,
};
use steadfast::store::Store;
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name};
use steadfast_sqlite::LocalStore;
use steadfast_sqlite::rusqlite::{Connection, params};

const BODY: &str =
    r#"{"room":"den","from":"ann","text":"a hundred bytes or so of what somebody has to say"}"#;
const KEPT: Retention = Retention::new(500, Duration::from_secs(3_600));

struct Measured {
    per_second: f64,
    group: f64,
    p50: Duration,
    p99: Duration,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, default| {
        arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (seconds, rounds) = (number(1, 3), number(2, 3));
    let directory = arguments.get(3).map_or_else(std::env::temp_dir, PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("writers | store/s (per COMMIT) p50 p99 | bare/s at the same size | ratio");
    for writers in [1, 16, 128] {
        for _ in 0..rounds {
            let time = Duration::from_secs(seconds);
            let path = directory.join(format!("steadfast-group-{}.db", std::process::id()));
            let store = runtime.block_on(with_store(&path, writers, time))?;
            remove(&path);
            let bare = with_bare_sqlite(&path, store.group.round().max(1.0) as u64, time)?;
            remove(&path);
            println!(
                "{writers:7} | {:8.0} ({:5.1}) {:?} {:?} | {bare:8.0} | {:.2}",
                store.per_second,
                store.group,
                store.p50,
                store.p99,
                store.per_second / bare
            );
        }
    }
    Ok(())
}

fn remove(path: &Path) {
    for end in ["", "-wal", "-shm", "-lock"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let _ = std::fs::remove_file(name);
    }
}

async fn with_store(
    path: &Path,
    writers: u64,
    time: Duration,
) -> Result<Measured, Box<dyn std::error::Error>> {
    let store = LocalStore::open(path)?;
    let end = Arc::new(AtomicBool::new(false));
    for writer in 0..writers {
        ask(&store, open(writer)).await;
    }
    let (groups, begun) = (store.metrics().groups, Instant::now());
    let tasks: Vec<_> = (0..writers)
        .map(|writer| tokio::spawn(write(store.clone(), writer, Arc::clone(&end))))
        .collect();
    tokio::time::sleep(time).await;
    end.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await?);
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let groups = store.metrics().groups - groups;
    latencies.sort_unstable();
    let count = latencies.len();
    Ok(Measured {
        per_second: count as f64 / elapsed,
        group: count as f64 / groups.max(1) as f64,
        p50: latencies[count / 2],
        p99: latencies[count * 99 / 100],
    })
}

async fn write(store: LocalStore, writer: u64, end: Arc<AtomicBool>) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut n = 0;
    while !end.load(Ordering::Relaxed) {
        n += 1;
        let begun = Instant::now();
        let outcome = ask(&store, command(writer, n)).await;
        assert!(matches!(outcome, StoreOutcome::Committed { .. }), "{outcome:?}");
        latencies.push(begun.elapsed());
    }
    latencies
}

async fn ask(store: &LocalStore, op: StoreOp) -> StoreOutcome {
    store.execute(vec![(OpId(0), op)]).await.remove(0).1
}

fn open(writer: u64) -> StoreOp {
    StoreOp::OpenLease {
        id: LeaseId(u128::from(writer)),
        holder: Holder { node: 1, instance: InstanceId(1), dial: Dial(1) },
        principal: format!("writer-{writer}").into(),
        codec: Codec::Json,
        ttl_ms: 3_600_000,
        unused_ttl_ms: 3_600_000,
        max_per_principal: 8,
        held_ms: 60_000,
    }
}

/// A chat's command: a short reply, and one event in one of 16 rooms.
fn command(writer: u64, n: u64) -> StoreOp {
    let name = |name| Name::from_static(name).expect("a legal name");
    let topic = TopicId { name: name("room"), key: (writer % 16).to_string().into() };
    let bodies = vec![(Codec::Json, Body::copy_from(BODY.as_bytes()))];
    let publishes = vec![Publication { topic, name: name("posted"), bodies }];
    let record =
        Record { hash: n, outcome: Outcome::Ok(Body::copy_from(b"17")), publishes, settled: false };
    StoreOp::Commit {
        lease: LeaseId(u128::from(writer)),
        low: CommandNo(n),
        commits: vec![Commit {
            n: CommandNo(n),
            record,
            settle: true,
            retention: vec![KEPT],
            fresh_epochs: vec![Epoch(7)],
            id: None,
            decide: None,
        }],
    }
}

/// The least that keeps the same promise: a record and an entry per command, in batches, flushed.
fn with_bare_sqlite(
    path: &Path,
    batch: u64,
    time: Duration,
) -> Result<f64, Box<dyn std::error::Error>> {
    let db = Connection::open(path)?;
    db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    db.execute_batch(
        "PRAGMA synchronous=FULL;
         CREATE TABLE records(lease INTEGER, n INTEGER, reply TEXT, PRIMARY KEY (lease, n))
             WITHOUT ROWID;
         CREATE TABLE log(topic INTEGER, ts INTEGER, body TEXT, PRIMARY KEY (topic, ts))
             WITHOUT ROWID;",
    )?;
    let (mut count, begun) = (0, Instant::now());
    while begun.elapsed() < time {
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for _ in 0..batch {
            count += 1;
            db.prepare_cached("INSERT INTO records VALUES (?1, ?2, '17')")?
                .execute(params![count % 128, count])?;
            db.prepare_cached("INSERT INTO log VALUES (?1, ?2, ?3)")?.execute(params![
                count % 16,
                count,
                BODY
            ])?;
        }
        db.prepare_cached("COMMIT")?.execute([])?;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}
