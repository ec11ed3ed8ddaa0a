//! How much memory the memory store takes for a thing beside the bytes that its bounds count: what
//! the bounds say of that is about true. Alone in its program, because it counts what the whole
//! program allocates.

use std::alloc::System;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use steadfast::session::Now;
use steadfast::session::store::{
    Append, AppendKey, Commit, CommitId, Holder, LogEntry, MessageId, Outcome, Record, Retention,
    StoreOp, StoreTime, TopicId,
};
use steadfast::store::{MemoryLimits, MemoryState};
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name, TopicSeq};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Not a power of two, at which collections that double are full.
const THINGS: u64 = 12_000;

/// What an allocation takes beside what was asked for, at most.
const PER_ALLOCATION: usize = 16;

/// The test harness has threads of its own.
const TRIES: usize = 3;

/// Bytes per thing.
fn taken(act: impl Fn(&mut MemoryState, u64)) -> u64 {
    let one = || {
        let mut limits = MemoryLimits::default();
        limits.direct_keys = 0;
        let mut store = MemoryState::new(limits);
        let open = StoreOp::OpenLease {
            id: LeaseId(0),
            as_of: StoreTime::default(),
            holder: holder(),
            principal: "ann".into(),
            codec: Codec::Json,
            ttl_ms: 1_000,
            unused_ttl_ms: 1_000,
            max_per_principal: u32::MAX,
            held_ms: 1_000,
        };
        store.apply(Now(0), open);
        act(&mut store, 0);
        let region = Region::new(ALLOCATOR);
        (1..=THINGS).for_each(|n| act(&mut store, n));
        let change = region.change();
        let beside = (change.allocations - change.deallocations) * PER_ALLOCATION;
        (change.bytes_allocated - change.bytes_deallocated + beside) as u64 / THINGS
    };
    (0..TRIES).map(|_| one()).min().unwrap_or_default()
}

fn holder() -> Holder {
    Holder { node: 1, instance: InstanceId(1), dial: Dial(1) }
}

fn name() -> Name {
    Name::from_static("said").expect("a legal name")
}

/// Longer than what a body keeps in place.
fn body() -> Body {
    Body::from("x".repeat(64))
}

fn commit(n: u64, id: Option<CommitId>) -> StoreOp {
    let record =
        Record { hash: n, outcome: Outcome::Ok(Body::UNIT), publishes: Vec::new(), settled: true };
    let commit = Commit {
        n: CommandNo(n),
        record,
        settle: true,
        retention: Vec::new(),
        fresh_epochs: Vec::new(),
        id: id.map(Box::new),
        decide: None,
    };
    StoreOp::Commit { lease: LeaseId(0), low: CommandNo(1), commits: vec![commit] }
}

fn append(n: u64) -> StoreOp {
    let key = AppendKey::Direct { node: 1, count: n };
    let append = Append { key, as_of: None, name: name(), bodies: vec![(Codec::Json, body())] };
    StoreOp::Append {
        topic: TopicId { name: name(), key: "a".into() },
        appends: vec![append],
        retention: Retention::new(u32::MAX, Duration::from_secs(60)),
        fresh_epoch: Epoch(7),
    }
}

#[test]
fn what_the_bounds_leave_out_is_about_what_they_say() {
    let entry = LogEntry { ts: TopicSeq(1), name: name(), bodies: vec![(Codec::Json, body())] };
    let entries = taken(|store, n| drop(store.apply(Now(0), append(n)))) - entry.bytes();
    let records = taken(|store, n| drop(store.apply(Now(0), commit(n + 1, None))));
    let ids = taken(|store, n| {
        let text = format!("{n:016}").into();
        let id = MessageId { principal: "ann".into(), message: name(), text };
        drop(store.apply(Now(0), commit(n + 1, Some(CommitId { id, hash: n, keep_ms: 1_000 }))));
    });
    let ids = ids - records - 3 - 4 - 16 - 2;
    let leases = taken(|store, n| {
        let open = StoreOp::OpenLease {
            id: LeaseId(u128::from(n) + 1),
            as_of: StoreTime::default(),
            holder: holder(),
            principal: format!("user {n:08}").into(),
            codec: Codec::Json,
            ttl_ms: 1_000,
            unused_ttl_ms: 1_000,
            max_per_principal: 1,
            held_ms: 1_000,
        };
        drop(store.apply(Now(0), open));
    });
    // As the documentation of `MemoryLimits` says it.
    let table = [
        ("an entry", entries, LogEntry::BYTES_BESIDE),
        ("a record", records, 150),
        ("an id", ids, 500),
        ("a lease", leases, 700),
    ];
    let about = |(_, taken, said): &(&str, u64, u64)| (said / 2..=*said).contains(taken);
    assert!(table.iter().all(about), "what, bytes taken, bytes said: {table:?}");
}
