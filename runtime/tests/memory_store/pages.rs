//! Pages of what lies in many shards.

use std::sync::Arc;

use steadfast::session::Now;
use steadfast::session::store::{MessageId, Outcome, UsedId};
use steadfast::store::{Exported, ListedId, MemoryLimits, MemoryStore, StoreAdmin};
use steadfast::wire::{Body, Name};

fn id(principal: u64) -> ListedId {
    let message = Name::from_static("order").unwrap();
    let (principal, text) = (format!("p{principal:02}").into(), "x".into());
    let id = MessageId { principal, message, text };
    ListedId { id, used: UsedId { hash: 1, outcome: Outcome::Ok(Body::UNIT) }, keep_ms: 1_000 }
}

/// One that is too long for the rest of a page ends it, whatever other shards have behind it.
#[tokio::test]
async fn no_id_is_passed_over_by_shorter_ones_of_other_shards() {
    let store = MemoryStore::new(MemoryLimits::default(), Arc::new(|| Now(0)));
    let mut all: Vec<ListedId> = (0..60).map(id).collect();
    for long in all.iter_mut().step_by(7) {
        long.used.outcome = Outcome::Ok(Body::copy_from("1".repeat(150).as_bytes()));
    }
    let pieces = all.iter().cloned().map(Exported::Id).collect();
    store.import(1, pieces).await.unwrap();
    let (mut after, mut listed) = (None, Vec::new());
    loop {
        let page = store.list_ids(after, 9, 100).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        listed.extend(page);
    }
    assert_eq!(listed, all);
}
