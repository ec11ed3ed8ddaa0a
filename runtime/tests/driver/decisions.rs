//! Handlers that leave their outcome to the server's store: what the store is given, and where a
//! handler ends. What a store does with it is not tested here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use steadfast::client::CallError;
use steadfast::server::{Cx, Transacts};
use steadfast::session::store::{DecisionId, News, OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::store::{Deciding, Decision, MemoryStore, Store};
use steadfast::{NoError, UnknownMessage, WsProtocol};
use tokio::net::TcpListener;

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "sums", version = "1", server = SumEvent)]
pub enum SumCommand {
    /// The reply is what the store decides.
    #[ws(request(reply = u64))]
    Add { one: u64, other: u64 },
    /// The same, and what the handler holds panics when it is let go.
    #[ws(request(reply = u64))]
    Fragile {},
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "sums", topic(Sum, key = of: u8, replay = 1, ttl = "1m"))]
pub enum SumEvent {
    #[ws(event(Sum))]
    Added { of: u8 },
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

/// A memory store that counts what it holds to decide.
struct Counting {
    store: MemoryStore,
    held: Arc<AtomicUsize>,
}

impl Store for Counting {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.store.execute(batch).await
    }

    async fn news(&self) -> News {
        self.store.news().await
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.store.interest(topic, interested);
    }
}

/// Counts for as long as it is there.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Deciding for Counting {
    type Tx<'t> = ();

    fn hand_over(&self, id: DecisionId, mut decide: Decision<Self>) {
        self.held.fetch_add(1, Ordering::SeqCst);
        let counted = Counted(Arc::clone(&self.held));
        self.store.hand_over(
            id,
            Box::new(move |tx| {
                let _ = &counted;
                decide(tx)
            }),
        );
    }

    fn withdraw(&self, id: DecisionId) {
        self.store.withdraw(id);
    }
}

struct Fragile;

impl Drop for Fragile {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

struct Sums;

impl SumsHandler for Sums {
    const TRANSACTS: Transacts = Transacts::on::<Counting>();

    async fn add(&self, cx: &Cx, one: u64, other: u64) -> Result<u64, NoError> {
        // On a task of its own from here on.
        tokio::task::yield_now().await;
        cx.leave_to::<Counting, _, _, _, _>(move |(), _| Some(Ok(one + other))).await
    }

    async fn fragile(&self, cx: &Cx) -> Result<u64, NoError> {
        let _fragile = Fragile;
        cx.leave_to::<Counting, _, _, _, _>(|(), _| Some(Ok(1))).await
    }
}

impl SumsTopics for Sums {
    async fn may_subscribe_sum(
        &self,
        _: &steadfast::server::Principal,
        _: &u8,
    ) -> Result<(), steadfast::server::Denied> {
        Ok(())
    }
}

async fn stage() -> (SumsClient, Arc<AtomicUsize>) {
    let held = Arc::new(AtomicUsize::new(0));
    let store = Counting { store: MemoryStore::default(), held: Arc::clone(&held) };
    let server = SumsServer::builder(Sums).allow_anonymous().store(store).build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { server.serve_listener(listener).await });
    (SumsClient::builder(url).connect().await.unwrap(), held)
}

#[tokio::test]
async fn what_the_store_decides_is_the_handlers_result_and_is_let_go() {
    let (client, held) = stage().await;
    for n in 0..20 {
        assert_eq!(client.add(n, 1).await.unwrap(), n + 1);
    }
    assert_eq!(held.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_panic_in_what_a_handler_holds_where_it_ends_fails_its_command() {
    let (client, held) = stage().await;
    let told = client.fragile().await;
    assert!(matches!(told, Err(CallError::HandlerFailed)), "{told:?}");
    assert_eq!(client.add(1, 1).await.unwrap(), 2);
    assert_eq!(held.load(Ordering::SeqCst), 0);
}
