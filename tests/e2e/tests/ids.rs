//! Commands that the application names itself, from two devices of one user.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use steadfast::client::CallError;
use steadfast::server::{Credentials, Denied, Principal};
use steadfast::session::store::{OpId, StoreOp, StoreOutcome};
use steadfast::store::{MemoryStore, Store};
use steadfast_e2e::{Stage, TallyClient, TallyError, within};

const LIST: &str = "list";
const OPEN: &str = "open";

/// All devices are those of one user.
async fn ann(_: Credentials) -> Result<Principal, Denied> {
    Ok(Principal::new("ann"))
}

async fn stage_of_ann() -> Stage {
    let stage = Stage::with(|builder| builder.authenticate(ann)).await;
    stage.app.open(OPEN);
    stage
}

async fn pay(client: &TallyClient, order: &str, value: u64) -> Result<u64, CallError<TallyError>> {
    within(client.pay(order.into(), LIST.into(), value, OPEN.into())).await
}

#[tokio::test]
async fn another_device_that_asks_again_gets_the_first_outcome() {
    let stage = stage_of_ann().await;
    let (phone, desk) = (stage.connect().await, stage.connect().await);
    assert_eq!(pay(&phone, "order 7", 10).await, Ok(1));
    assert_eq!(pay(&phone, "order 8", 20).await, Ok(2));
    assert_eq!(pay(&desk, "order 7", 10).await, Ok(1));
    assert_eq!(stage.app.list(LIST), [10, 20]);
    let reused = pay(&desk, "order 7", 99).await.unwrap_err();
    assert_eq!(reused, CallError::IdReused);
    assert!(!reused.maybe_executed());
    assert_eq!(stage.app.list(LIST), [10, 20]);
}

#[tokio::test]
async fn two_devices_at_a_time_are_answered_by_one_handler() {
    let stage = stage_of_ann().await;
    let (phone, desk) = (stage.connect().await, stage.connect().await);
    let first = phone.pay("order 7".into(), LIST.into(), 10, "gate".into());
    within(stage.app.has_come("gate", 1)).await;
    let second = desk.pay("order 7".into(), LIST.into(), 10, "gate".into());
    assert_eq!(within(desk.echo("on its way before".into())).await.unwrap(), "on its way before");
    stage.app.open("gate");
    assert_eq!(within(first).await, Ok(1));
    assert_eq!(within(second).await, Ok(1));
    assert_eq!((stage.app.came("gate"), stage.app.list(LIST)), (1, vec![10]));
}

/// A store that commits, and while it is in doubt does not say so.
#[derive(Clone)]
struct InDoubt {
    store: Arc<MemoryStore>,
    doubts: Arc<AtomicBool>,
}

impl Store for InDoubt {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        let doubts = self.doubts.load(Ordering::Relaxed);
        let commits: Vec<OpId> = batch
            .iter()
            .filter(|(_, op)| doubts && matches!(op, StoreOp::Commit { .. }))
            .map(|(id, _)| *id)
            .collect();
        let mut outcomes = self.store.execute(batch).await;
        for (id, outcome) in &mut outcomes {
            if commits.contains(id) {
                *outcome = StoreOutcome::Unknown;
            }
        }
        outcomes
    }
}

#[tokio::test]
async fn who_was_told_that_the_outcome_is_unknown_asks_again_and_learns_it() {
    let doubts = Arc::new(AtomicBool::new(true));
    let store = InDoubt { store: Arc::default(), doubts: Arc::clone(&doubts) };
    let stage = Stage::with(|builder| {
        let patience = |config: &mut steadfast::server::NodeConfig| {
            config.store_patience = Duration::from_millis(50);
        };
        builder.store(store).configure(patience).authenticate(ann)
    })
    .await;
    stage.app.open(OPEN);
    let phone = stage.connect().await;
    assert_eq!(pay(&phone, "order 7", 10).await, Err(CallError::OutcomeUnknown));
    doubts.store(false, Ordering::Relaxed);
    assert_eq!(pay(&phone, "order 7", 10).await, Ok(1));
    let desk = stage.connect().await;
    assert_eq!(pay(&desk, "order 7", 10).await, Ok(1));
    assert_eq!(stage.app.list(LIST), [10], "it was executed once");
}
