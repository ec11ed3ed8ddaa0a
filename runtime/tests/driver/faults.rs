//! What goes wrong beside the protocol: half-open sockets, slow stores, handlers that outlive their
//! connection, old builds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;

use steadfast::client::{CallError, ConnectionState, Item, SubscriptionEnd};
use steadfast::session::Now;
use steadfast::session::store::{OpId, Outcome, StoreOp, StoreOutcome};
use steadfast::store::{MemoryLimits, MemoryStore, Store};
use steadfast::wire::FailureCode;
use steadfast::{UnknownMessage, WsProtocol};

use super::chat::*;
use super::proxy::Proxy;

#[tokio::test]
async fn both_ends_give_up_a_half_open_socket() {
    let running = serve_with(|builder| {
        builder.configure(|config| {
            config.heartbeat.interval = Duration::from_millis(50);
            config.heartbeat.timeout = Duration::from_millis(50);
            config.heartbeat.missed = 2;
        })
    })
    .await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    let mut state = chat.state();
    // Silence that is answered is no reason to leave.
    let before = proxy.answers.load(Ordering::SeqCst);
    until(|| proxy.answers.load(Ordering::SeqCst) >= before + 16).await;
    assert!(!state.has_changed().unwrap(), "{:?}", state.borrow());
    proxy.stall();
    within(state.wait_for(|state| matches!(state, ConnectionState::Reconnecting { .. })))
        .await
        .unwrap();
    until(|| running.server.connections() == 0).await;
    proxy.heal();
    within(chat.post(RoomId(1), "back".into())).await.unwrap();
}

#[tokio::test]
async fn a_handler_outlives_the_connection_that_brought_its_command() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    let call = chat.slow(4);
    until(|| running.chat.log.lock().unwrap().slow.len() == 1).await;
    proxy.refuse();
    proxy.cut();
    until(|| running.server.connections() == 0).await;
    running.chat.gate.add_permits(1);
    until(|| running.server.load().executions == 0).await;
    proxy.heal();
    chat.reconnect_now();
    assert_eq!(within(call.settled()).await, Ok(8));
    assert_eq!(running.chat.log.lock().unwrap().slow.len(), 1);
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline_though_a_handler_does_not() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let _call = chat.slow(1);
    until(|| running.chat.log.lock().unwrap().slow.len() == 1).await;
    within(running.server.shutdown(Duration::from_millis(100))).await;
    assert_eq!(running.server.connections(), 0);
}

#[tokio::test]
async fn serving_returns_after_a_shutdown() {
    let server = ChatServer::builder(Chat::new()).allow_anonymous().build();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.clone();
    let task = tokio::spawn(async move { serving.serve_listener(listener).await });
    let _chat = connect(address).await;
    within(server.shutdown(Duration::from_secs(5))).await;
    within(task).await.unwrap().unwrap();
}

#[tokio::test]
async fn waiting_may_be_broken_off_and_taken_up_again() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let mut call = chat.slow(5);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut call).await.is_err());
    let mut events = within(chat.subscribe(Ticker(1))).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(20), events.next()).await.is_err());
    running.chat.gate.add_permits(1);
    assert_eq!(within(&mut call).await, Ok(10));
    let tick = ChatEventTick { feed: 1, price: 9, padding: String::new() };
    within(running.server.publish(&tick)).await.unwrap();
    assert!(matches!(
        within(events.next()).await,
        Some(Item::Event(ChatEvent::Tick { price: 9, .. }))
    ));
}

/// A store that never answers at once, fails every seventh batch, and panics on every eleventh.
struct Late {
    store: MemoryStore,
    batches: AtomicUsize,
}

impl Store for Late {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        let count = self.batches.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        match count % 77 {
            n if n % 7 == 6 => {
                batch.into_iter().map(|(id, _)| (id, StoreOutcome::Failed)).collect()
            }
            n if n % 11 == 10 => {
                let _ = self.store.execute_now(batch);
                panic!("as the test asked")
            }
            _ => self.store.execute_now(batch),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_store_that_waits_fails_and_panics_costs_time_only() {
    let begin = tokio::time::Instant::now();
    let clock = Arc::new(move || Now(u64::try_from(begin.elapsed().as_millis()).unwrap()));
    let store = Late {
        store: MemoryStore::new(MemoryLimits::default(), clock),
        batches: AtomicUsize::new(0),
    };
    let running = serve_with(|builder| {
        builder.store(store).configure(|config| config.store_retry = Duration::from_millis(2))
    })
    .await;
    let chat = connect(running.address).await;
    let mut events = within(chat.subscribe(Room(RoomId(1)))).await.unwrap();
    assert!(matches!(within(events.next()).await, Some(Item::Snapshot { .. })));
    for round in 0..10 {
        let calls: Vec<_> = (0..10).map(|i| chat.post(RoomId(1), format!("{round}.{i}"))).collect();
        for call in calls {
            within(call).await.unwrap();
        }
        for i in 0..10 {
            match within(events.next()).await {
                Some(Item::Event(ChatEvent::Posted { text, .. })) => {
                    assert_eq!(text, format!("{round}.{i}"))
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(running.chat.log.lock().unwrap().keys.values().all(|count| *count == 1));
}

/// A store that answers at once, and panics every third time: sometimes before it has done what was
/// asked, sometimes after.
struct Brittle {
    store: MemoryStore,
    asked: AtomicUsize,
}

impl Store for Brittle {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.store.execute_now(batch)
    }

    fn execute_at_once(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        let count = self.asked.fetch_add(1, Ordering::SeqCst);
        assert!(count % 6 != 2, "as the test asked");
        let outcome = self.store.execute_at_once(op);
        assert!(count % 6 != 5, "as the test asked");
        outcome
    }
}

#[tokio::test]
async fn a_store_that_panics_at_once_costs_time_only() {
    let store = Brittle { store: MemoryStore::default(), asked: AtomicUsize::new(0) };
    let running = serve_with(|builder| {
        builder.store(store).configure(|config| config.store_retry = Duration::from_millis(2))
    })
    .await;
    let chat = connect(running.address).await;
    let mut events = within(chat.subscribe(Room(RoomId(1)))).await.unwrap();
    assert!(matches!(within(events.next()).await, Some(Item::Snapshot { .. })));
    for i in 0..30 {
        within(chat.post(RoomId(1), i.to_string())).await.unwrap();
        match within(events.next()).await {
            Some(Item::Event(ChatEvent::Posted { text, .. })) => assert_eq!(text, i.to_string()),
            other => panic!("{other:?}"),
        }
    }
    assert!(running.chat.log.lock().unwrap().keys.values().all(|count| *count == 1));
}

/// A store that tells when a timeout is committed.
struct Telling {
    store: MemoryStore,
    stuck: Arc<Stuck>,
}

impl Store for Telling {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.store.execute_now(batch)
    }

    fn execute_at_once(&self, op: StoreOp) -> Result<StoreOutcome, StoreOp> {
        let timed_out = |outcome: &Outcome| outcome.failure() == Some(FailureCode::Timeout);
        if let StoreOp::Commit { commits, .. } = &op
            && commits.iter().any(|commit| timed_out(&commit.record.outcome))
        {
            self.stuck.open();
        }
        self.store.execute_at_once(op)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_whose_time_is_over_within_its_first_poll_is_dropped() {
    let chat = Chat::new();
    let store = Telling { store: MemoryStore::default(), stuck: Arc::clone(&chat.stuck) };
    let running = serve_chat(chat, |builder| builder.store(store)).await;
    let client = connect(running.address).await;
    let call = client.slow(STUCK);
    until(|| !running.chat.log.lock().unwrap().slow.is_empty()).await;
    // Another turn of the node arms the timer, which commits the timeout while the handler still
    // blocks its thread.
    within(connect(running.address).await.post(RoomId(1), "now".into())).await.unwrap();
    assert_eq!(within(call.settled()).await, Err(CallError::HandlerTimedOut));
    until(|| running.chat.stuck.holders() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_clients_on_many_threads_lose_and_repeat_nothing() {
    const CLIENTS: usize = 8;
    const TASKS: usize = 4;
    const POSTS: usize = 50;
    let running = serve().await;
    let proxy = Arc::new(Proxy::to(running.address).await);
    let followed = Arc::new(Mutex::new(Vec::new()));
    let follower = connect(proxy.address).await;
    let mut events = within(follower.subscribe(Room(RoomId(1)))).await.unwrap();
    assert!(matches!(within(events.next()).await, Some(Item::Snapshot { .. })));
    let seen = Arc::clone(&followed);
    let following = tokio::spawn(async move {
        while seen.lock().unwrap().len() < CLIENTS * TASKS * POSTS {
            match within(events.next()).await {
                Some(Item::Event(ChatEvent::Posted { text, .. })) => {
                    seen.lock().unwrap().push(text)
                }
                Some(Item::Event(other)) => panic!("{other:?}"),
                // Everything before is in the state; identity tells what was seen.
                Some(Item::Snapshot { state, .. }) => *seen.lock().unwrap() = state.messages,
                None => panic!("{:?}", events.end()),
            }
        }
    });
    let mut tasks = Vec::new();
    for client in 0..CLIENTS {
        let chat = connect(proxy.address).await;
        for task in 0..TASKS {
            let chat = chat.clone();
            tasks.push(tokio::spawn(async move {
                for post in 0..POSTS {
                    within(chat.post(RoomId(1), format!("{client}.{task}.{post}")).settled())
                        .await
                        .unwrap();
                }
            }));
        }
    }
    let cutting = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(40)).await;
                proxy.cut();
            }
        }
    });
    for task in tasks {
        tokio::time::timeout(Duration::from_secs(60), task).await.unwrap().unwrap();
    }
    cutting.abort();
    within(following).await.unwrap();
    let mut posts = running.chat.log.lock().unwrap().posts.clone();
    assert_eq!(posts.len(), CLIENTS * TASKS * POSTS);
    posts.sort();
    posts.dedup();
    assert_eq!(posts.len(), CLIENTS * TASKS * POSTS);
}

mod old {
    use super::*;

    /// An earlier build of the same protocol.
    #[derive(Debug, Clone, WsProtocol)]
    #[serde(rename_all = "snake_case")]
    #[ws(client, protocol = "chat", version = "0.9", server = OldEvent, error = OldError)]
    pub enum OldCommand {
        #[ws(request(reply = String))]
        Post { room: u64, text: String },
        #[ws(command)]
        Forgotten,
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[serde(rename_all = "snake_case")]
    #[ws(server, protocol = "chat", topic(Room, key = room: u64, replay = 500, ttl = "10m"),
         topic(Ticker, key = feed: u64, replay = 4, ttl = "10m"))]
    pub enum OldEvent {
        #[ws(snapshot(Room))]
        History { room: u64, messages: u64 },
        #[ws(event(Room))]
        Renamed { room: u64 },
        #[ws(event(Ticker))]
        Tick { feed: u64, price: String },
        #[ws(unknown)]
        Unknown(UnknownMessage),
    }

    #[derive(Debug, Clone, PartialEq, WsProtocol)]
    #[ws(error)]
    pub enum OldError {
        Other,
        #[ws(unknown)]
        Unknown(UnknownMessage),
    }
}

#[tokio::test]
async fn a_build_that_can_not_read_something_is_told_and_never_hangs() {
    let running = serve().await;
    let url = format!("ws://{}/", running.address);
    let chat = within(old::ChatClient::builder(url).connect())
        .await
        .unwrap_or_else(|error| panic!("{error}"));

    // A reply of another type, an error that it does not know, a message that the server does not
    // know.
    assert!(matches!(
        within(chat.post(1, "hello".into())).await,
        Err(CallError::Undecodable { .. })
    ));
    match within(chat.post(1, "muted".into())).await {
        Err(CallError::App(old::OldError::Unknown(unknown))) => assert_eq!(unknown.name, "Muted"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(within(chat.forgotten()).await, Err(CallError::Refused { .. })));

    // An event of another shape arrives as unknown, with the error.
    let mut ticks = within(chat.subscribe(old::Ticker(1))).await.unwrap();
    let tick = ChatEventTick { feed: 1, price: 9, padding: String::new() };
    within(running.server.publish(&tick)).await.unwrap();
    match within(ticks.next()).await {
        Some(Item::Event(old::OldEvent::Unknown(unknown))) => {
            assert_eq!(unknown.name, "tick");
            assert!(unknown.error.is_some());
        }
        other => panic!("{other:?}"),
    }

    // A state of another shape ends the subscription, with the reason.
    let mut room = within(chat.subscribe(old::Room(1))).await.unwrap();
    assert!(within(room.next()).await.is_none());
    assert!(within(room.next()).await.is_none());
    assert!(matches!(room.end(), Some(SubscriptionEnd::Unreadable { .. })), "{:?}", room.end());
}
