//! A store that is away for a while: what was sent waits, nothing new runs, and all of it comes
//! through when the store is back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use steadfast::client::{Builder, Item};
use steadfast::session::store::{OpId, StoreOp, StoreOutcome};
use steadfast::store::{MemoryStore, Store};

use super::chat::*;

/// A store that fails while it is away, in both ways.
#[derive(Clone, Default)]
struct Away {
    store: MemoryStore,
    away: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
}

impl Away {
    fn set(&self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }

    /// So many more operations fail.
    async fn fails(&self, times: usize) {
        let before = self.failed.load(Ordering::SeqCst);
        until(|| self.failed.load(Ordering::SeqCst) >= before + times).await;
    }
}

impl Store for Away {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        if !self.away.load(Ordering::SeqCst) {
            return self.store.execute_now(batch);
        }
        let fail = |(id, _)| match self.failed.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => (id, StoreOutcome::Failed),
            _ => (id, StoreOutcome::Unknown),
        };
        batch.into_iter().map(fail).collect()
    }
}

/// A client whose lease is there before it has anything to command.
fn with_lease(address: SocketAddr) -> Builder<ChatClient> {
    client(address).configure(|config| config.lease_at_once = true)
}

async fn served(store: &Away) -> Running {
    serve_with(|builder| {
        builder.store(store.clone()).configure(|config| {
            config.store_retry = Duration::from_millis(2);
            config.store_failing_after = Duration::ZERO;
            config.retry_after = Duration::from_millis(10);
        })
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn commands_of_a_store_that_is_away_wait_and_all_come_through() {
    let store = Away::default();
    let running = served(&store).await;
    let chat = within(with_lease(running.address).connect()).await.unwrap();
    let other = within(with_lease(running.address).connect()).await.unwrap();
    let mut events = within(chat.subscribe(Room(RoomId(1)))).await.unwrap();
    assert!(matches!(within(events.next()).await, Some(Item::Snapshot { .. })));
    store.set(true);
    // Some of these run before the node has heard that the store fails, and some wait in it.
    let first: Vec<_> = (0..10).map(|i| chat.post(RoomId(1), format!("later {i}"))).collect();
    until(|| {
        let load = running.server.load();
        load.commits_failing > 0 && load.executions == 0
    })
    .await;
    let posts = || running.chat.log.lock().unwrap().posts.len();
    let before = posts();
    let late: Vec<_> = (10..20).map(|i| chat.post(RoomId(1), i.to_string())).collect();
    let theirs = other.post(RoomId(2), "theirs".into());
    store.fails(20).await;
    assert_eq!(posts(), before, "nothing begins");
    store.set(false);
    for call in first.into_iter().chain(late).chain([theirs]) {
        within(call).await.unwrap();
    }
    for i in 0..20 {
        match within(events.next()).await {
            Some(Item::Event(ChatEvent::Posted { text, .. })) => {
                assert_eq!(text.trim_start_matches("later "), i.to_string());
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(running.chat.log.lock().unwrap().keys.values().all(|count| *count == 1));
    assert_eq!(running.server.load().commits_failing, 0);
}

/// Whoever comes while the store is away is served when it is back.
#[tokio::test]
async fn who_comes_while_the_store_is_away_waits_for_it() {
    let store = Away::default();
    let running = served(&store).await;
    store.set(true);
    let chat = with_lease(running.address);
    let connecting = tokio::spawn(async move { chat.connect().await });
    store.fails(5).await;
    assert!(!connecting.is_finished());
    store.set(false);
    let chat = within(connecting).await.unwrap().unwrap();
    within(chat.post(RoomId(1), "here".into())).await.unwrap();
}
