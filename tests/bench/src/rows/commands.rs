//! The commands of P10, as a node commits them to a store: a record without a reply, and one event
//! of a hundred bytes. Who asks for them, and how often, is not said here.

use std::time::Duration;

use steadfast::session::store::{
    Commit, Holder, OpId, Outcome, Publication, Record, Retention, StoreOp, StoreOutcome,
    StoreTime, TopicId,
};
use steadfast::store::Store;
use steadfast::wire::{Body, Codec, CommandNo, Dial, Epoch, InstanceId, LeaseId, Name};
use steadfast_sqlite::LocalStore;

use crate::Failure;

/// Entries that the log keeps.
pub const ENTRIES: u32 = 64;
pub const TOPIC: &str = "feed";
pub const KEY: &str = "1";
pub const EVENT: &str = "ticked";

/// The body of each event, 100 bytes.
pub const EVENT_JSON: &str = concat!(
    r#"{"feed":1,"text":""#,
    "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee",
    r#""}"#
);

const KEPT: Retention = Retention::new(ENTRIES, Duration::from_secs(600));

/// The principal of a client.
pub fn principal(client: u64) -> String {
    format!("client-{client}")
}

/// The hash of a command, which is how a store tells it from another one with its number.
pub const fn hash(n: u64) -> u64 {
    n.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

pub async fn ask(store: &LocalStore, op: StoreOp) -> Result<(), Failure> {
    match store.execute(vec![(OpId(0), op)]).await.pop() {
        Some((_, StoreOutcome::Committed { .. } | StoreOutcome::Lease { .. })) => Ok(()),
        other => Err(format!("the store answers {other:?}").into()),
    }
}

pub fn open(client: u64) -> StoreOp {
    StoreOp::OpenLease {
        id: LeaseId(u128::from(client)),
        as_of: StoreTime::default(),
        holder: Holder { node: 1, instance: InstanceId(1), dial: Dial(1) },
        principal: principal(client).into(),
        codec: Codec::Json,
        ttl_ms: 3_600_000,
        unused_ttl_ms: 3_600_000,
        max_per_principal: 8,
        held_ms: 60_000,
    }
}

/// What a node commits for [`BenchClient::burst`](crate::protocol::BenchClient) with one event.
/// The client has resolved every command before, as one has that waits for each.
pub fn command(client: u64, n: u64) -> StoreOp {
    let name = |name| Name::from_static(name).expect("a legal name");
    let topic = TopicId { name: name(TOPIC), key: KEY.into() };
    let bodies = vec![(Codec::Json, Body::copy_from(EVENT_JSON.as_bytes()))];
    let publishes = vec![Publication { topic, name: name(EVENT), bodies }];
    let outcome = Outcome::Ok(Body::copy_from(b""));
    StoreOp::Commit {
        lease: LeaseId(u128::from(client)),
        low: CommandNo(n),
        commits: vec![Commit {
            n: CommandNo(n),
            record: Record { hash: hash(n), outcome, publishes, settled: false },
            settle: true,
            retention: vec![KEPT],
            fresh_epochs: vec![Epoch(7)],
            id: None,
            decide: None,
        }],
    }
}
