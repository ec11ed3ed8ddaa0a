//! Handlers that leave their outcome to the server's store: what the store is given, where a handler
//! ends, and what is taken back when the node has gone on without it. What a store does with it is
//! not tested here.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use steadfast::client::CallError;
use steadfast::server::{Cx, Transacts};
use steadfast::session::store::{DecisionId, News, OpId, StoreOp, StoreOutcome, TopicId};
use steadfast::store::{Deciding, Decision, MemoryStore, Store};
use steadfast::{NoError, UnknownMessage, WsProtocol};
use tokio::net::TcpListener;
use tokio::sync::watch;

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "sums", version = "1", server = SumEvent)]
pub enum SumCommand {
    /// The reply is what the store decides.
    #[ws(request(reply = u64))]
    Add { one: u64, other: u64 },
    /// The same, of a handler that has little time.
    #[ws(request(reply = u64), timeout = "300ms")]
    AddSoon { one: u64, other: u64 },
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

/// A memory store that counts what it holds to decide, and what it has decided.
struct Counting {
    store: MemoryStore,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    held: watch::Sender<usize>,
    made: AtomicUsize,
    /// What commits are answered with, instead of being carried out, and how many.
    answer: Mutex<Option<(StoreOutcome, usize)>>,
    /// The next decision is taken once something comes here.
    gate: Mutex<Option<mpsc::Receiver<()>>>,
}

impl Counts {
    fn held(&self) -> usize {
        *self.held.borrow()
    }

    /// Waits until the store holds nothing to decide.
    async fn let_go(&self) {
        let mut held = self.held.subscribe();
        held.wait_for(|held| *held == 0).await.expect("it counts for as long as the test");
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    fn answer_commits(&self, with: StoreOutcome, how_many: usize) {
        *self.answer.lock().unwrap() = Some((with, how_many));
    }

    fn answer(&self) -> Option<StoreOutcome> {
        let mut answer = self.answer.lock().unwrap();
        let (with, left) = answer.as_mut().filter(|(_, left)| *left > 0)?;
        *left -= 1;
        Some(with.clone())
    }
}

impl Store for Counting {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        let is_commit = |(_, op): &(OpId, StoreOp)| matches!(op, StoreOp::Commit { .. });
        let (commits, batch): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_commit);
        let mut outcomes = self.store.execute(batch).await;
        for (id, commit) in commits {
            match self.counts.answer() {
                Some(answer) => outcomes.push((id, answer)),
                None => outcomes.extend(self.store.execute(vec![(id, commit)]).await),
            }
        }
        outcomes
    }

    async fn news(&self) -> News {
        self.store.news().await
    }

    fn interest(&self, topic: &TopicId, interested: bool) {
        self.store.interest(topic, interested);
    }
}

/// Counts for as long as it is there.
struct Counted(Arc<Counts>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.held.send_modify(|held| *held -= 1);
    }
}

impl Deciding for Counting {
    type Tx<'t> = ();

    fn hand_over(&self, id: DecisionId, mut decide: Decision<Self>) {
        let gate = self.counts.gate.lock().unwrap().take();
        if let Some(gate) = gate {
            tokio::task::block_in_place(|| gate.recv()).expect("the test opens it");
        }
        self.counts.held.send_modify(|held| *held += 1);
        let counted = Counted(Arc::clone(&self.counts));
        self.store.hand_over(
            id,
            Box::new(move |tx| {
                counted.0.made.fetch_add(1, Ordering::SeqCst);
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

    async fn add_soon(&self, cx: &Cx, one: u64, other: u64) -> Result<u64, NoError> {
        self.add(cx, one, other).await
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

async fn stage() -> (SumsClient, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let store = Counting { store: MemoryStore::default(), counts: Arc::clone(&counts) };
    let server = SumsServer::builder(Sums).allow_anonymous().store(store).configure(|config| {
        config.store_patience = Duration::from_millis(200);
        config.store_retry = Duration::from_millis(2);
    });
    let server = server.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { server.serve_listener(listener).await });
    let client = SumsClient::builder(url)
        .configure(|config| config.backoff.base = Duration::from_millis(10))
        .connect();
    (client.await.unwrap(), counts)
}

#[tokio::test]
async fn what_the_store_decides_is_the_handlers_result_and_is_let_go() {
    let (client, counts) = stage().await;
    for n in 0..20 {
        assert_eq!(client.add(n, 1).await.unwrap(), n + 1);
    }
    assert_eq!((counts.held(), counts.made()), (0, 20));
}

#[tokio::test]
async fn a_panic_in_what_a_handler_holds_where_it_ends_fails_its_command() {
    let (client, counts) = stage().await;
    let told = client.fragile().await;
    assert!(matches!(told, Err(CallError::HandlerFailed)), "{told:?}");
    assert_eq!(client.add(1, 1).await.unwrap(), 2);
    assert_eq!(counts.held(), 0);
}

/// Its handler has ended, and the store is being given what decides, when its time is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_comes_when_its_command_has_timed_out_is_taken_back() {
    let (client, counts) = stage().await;
    let (open, gate) = mpsc::channel();
    *counts.gate.lock().unwrap() = Some(gate);
    // On a busy machine its time may be over before it has come so far.
    while counts.gate.lock().unwrap().is_some() {
        let told = client.add_soon(1, 1).settled().await;
        assert!(matches!(told, Err(CallError::HandlerTimedOut)), "{told:?}");
    }
    let mut held = counts.held.subscribe();
    open.send(()).unwrap();
    held.changed().await.unwrap();
    counts.let_go().await;
    assert_eq!(client.add(2, 2).await.unwrap(), 4);
    assert_eq!((counts.held(), counts.made()), (0, 1), "what timed out was never decided");
}

/// A store that fails for longer than the node asks: its caller is told that nobody knows, and
/// nothing happens behind that.
#[tokio::test]
async fn a_decision_that_waits_at_a_store_that_is_given_up_is_taken_back() {
    for failure in [StoreOutcome::Failed, StoreOutcome::Unknown] {
        let (client, counts) = stage().await;
        counts.answer_commits(failure.clone(), usize::MAX);
        let told = client.add(1, 1).await;
        assert!(matches!(told, Err(CallError::OutcomeUnknown)), "{told:?}");
        counts.let_go().await;
        counts.answer_commits(failure, 0);
        assert_eq!(client.add(2, 2).await.unwrap(), 4);
        assert_eq!((counts.held(), counts.made()), (0, 1), "what is unknown was never decided");
    }
}

#[tokio::test]
async fn a_decision_whose_lease_is_gone_is_taken_back() {
    let (client, counts) = stage().await;
    assert_eq!(client.add(1, 1).await.unwrap(), 2);
    counts.answer_commits(StoreOutcome::LeaseGone, 1);
    // The store has the lease in fact, so the client goes on with it, and asks once more.
    assert_eq!(client.add(1, 1).await.unwrap(), 2);
    assert_eq!((counts.held(), counts.made()), (0, 2));
}
