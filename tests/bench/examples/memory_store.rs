//! Commits per second of the memory store from 1 and from 2 threads, beside the same state behind
//! one lock: how much a second thread adds, and how often one has to wait for the other. It passes
//! or fails nothing.
//!
//! What a second thread adds can be seen where a core is free for it. How often threads wait can be
//! seen on a busy machine, too: Linux counts how often each gave up its core by itself.
//!
//! `cargo run --release -p steadfast-bench --example memory_store [milliseconds] [rounds]`
#![allow(clippy::print_stdout, reason = "a program that prints a table")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures time")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use steadfast::session::Now;
use steadfast::session::store::{
    Commit, Holder, Outcome, Publication, Record, Retention, StoreOp, StoreOutcome, StoreTime,
    TopicId,
};
use steadfast::store::{MemoryLimits, MemoryState, MemoryStore, Store};
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name};

const BODY: &str =
    r#"{"room":"den","from":"ann","text":"a hundred bytes or so of what somebody has to say"}"#;
const KEPT: Retention = Retention::new(500, Duration::from_secs(3_600));
/// Leases of one thread, each of a principal of its own.
const LEASES: u64 = 64;

type Ask<'a> = &'a (dyn Fn(StoreOp) -> StoreOutcome + Sync);

fn open(thread: u64, lease: u64) -> StoreOp {
    StoreOp::OpenLease {
        id: LeaseId(u128::from(thread << 32 | lease)),
        as_of: StoreTime::default(),
        holder: Holder { node: 1, instance: InstanceId(1), dial: Dial(1) },
        principal: format!("user {thread} {lease}").into(),
        codec: Codec::Json,
        ttl_ms: 3_600_000,
        unused_ttl_ms: 3_600_000,
        max_per_principal: 4,
        held_ms: 3_600_000,
    }
}

/// A command with a reply and one publication, which the store settles.
fn commit(thread: u64, lease: u64, n: u64) -> StoreOp {
    let topic = TopicId {
        name: Name::from_static("room").expect("a legal name"),
        key: format!("{thread}/{lease}").into(),
    };
    let body = Body::copy_from(BODY.as_bytes());
    let name = Name::from_static("said").expect("a legal name");
    let publication = Publication { topic, name, bodies: vec![(Codec::Json, body.clone())] };
    let outcome = Outcome::Ok(body);
    let record = Record { hash: n, outcome, publishes: vec![publication], settled: false };
    let commit = Commit {
        n: CommandNo(n),
        record,
        settle: true,
        retention: vec![KEPT],
        fresh_epochs: vec![Epoch(1)],
        id: None,
        decide: None,
    };
    let low = CommandNo(n.saturating_sub(16));
    StoreOp::Commit { lease: LeaseId(u128::from(thread << 32 | lease)), low, commits: vec![commit] }
}

/// What came of a run.
#[derive(Clone, Copy)]
struct Measured {
    per_second: f64,
    /// Waits per million commits.
    waits: f64,
}

/// How often this thread gave up its core by itself; 0 where that is not told.
fn waits() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

/// Runs so many threads.
fn measured(threads: u64, time: Duration, ask: Ask<'_>) -> Measured {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let waited = AtomicU64::new(0);
    let act = |thread| {
        (0..LEASES).for_each(|lease| drop(ask(open(thread, lease))));
        let (mut n, before) = (0, waits());
        while !stop.load(Ordering::Relaxed) {
            n += 1;
            for lease in 0..LEASES {
                let outcome = ask(commit(thread, lease, n));
                assert!(matches!(outcome, StoreOutcome::Committed { .. }), "{outcome:?}");
            }
            done.fetch_add(LEASES, Ordering::Relaxed);
        }
        waited.fetch_add(waits() - before, Ordering::Relaxed);
    };
    let (act, begun) = (&act, Instant::now());
    thread::scope(|scope| {
        (0..threads).for_each(|thread| drop(scope.spawn(move || act(thread))));
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    let done = done.load(Ordering::Relaxed) as f64;
    let waits = waited.load(Ordering::Relaxed) as f64 / done * 1e6;
    Measured { per_second: done / begun.elapsed().as_secs_f64(), waits }
}

fn clock() -> impl Fn() -> Now + Send + Sync {
    let begun = Instant::now();
    move || Now(begun.elapsed().as_millis() as u64)
}

fn shards(threads: u64, time: Duration) -> Measured {
    let store = MemoryStore::new(MemoryLimits::default(), Arc::new(clock()));
    let ask = |op| store.execute_at_once(op).expect("it answers at once");
    measured(threads, time, &ask)
}

fn one_lock(threads: u64, time: Duration) -> Measured {
    let (state, clock) = (Mutex::new(MemoryState::new(MemoryLimits::default())), clock());
    let ask = |op| state.lock().unwrap_or_else(PoisonError::into_inner).apply(clock(), op);
    measured(threads, time, &ask)
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize, default| {
        arguments.get(at).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let (time, rounds) = (Duration::from_millis(number(1, 500)), number(2, 9));
    println!("round | shards: 1, 2 threads, ratio, waits | one lock: 1, 2 threads, ratio, waits");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let ratio = |run: fn(u64, Duration) -> Measured| {
            let (one, two) = (run(1, time), run(2, time));
            let ratio = two.per_second / one.per_second;
            let (one, per_second) = (one.per_second, two.per_second);
            let told = format!("{one:.0}/s {per_second:.0}/s {ratio:.2} {:.1}", two.waits);
            ((ratio, two.waits), told)
        };
        let ((our, our_told), (their, their_told)) = (ratio(shards), ratio(one_lock));
        println!("{round} | {our_told} | {their_told}");
        ours.push(our);
        theirs.push(their);
    }
    for (name, of) in [("shards", ours), ("one lock", theirs)] {
        let (ratios, waits) = of.into_iter().unzip();
        let (ratio, waits) = (median(ratios), median(waits));
        println!("{name}: median ratio {ratio:.2}, {waits:.1} waits per million commits");
    }
}
