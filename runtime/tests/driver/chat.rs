//! The protocol of the tests, with a server whose state a test can look into.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use steadfast::server::{Cx, Denied, Principal, Server, TopicCx};
use steadfast::{UnknownMessage, WsProtocol};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoomId(pub u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageId(pub u64);

/// What a chat client may say.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent, error = ChatError, timeout = "10s")]
pub enum ChatCommand {
    /// Post a message to a room.
    #[ws(request(reply = MessageId), max_bytes = "16KiB")]
    Post { room: RoomId, text: String },
    /// Answered when the test says so.
    #[ws(request(reply = u64), timeout = "300ms")]
    Slow { count: u64 },
    /// Goes wrong.
    #[ws(command)]
    Break { how: String },
    /// Everything up to this message has been read.
    #[ws(command)]
    MarkRead { room: RoomId, upto: MessageId },
    /// Answered with the product.
    #[ws(request(reply = f64))]
    Scale { by: f64, value: f64 },
    /// Shown while somebody types; lost when offline, and nobody minds.
    #[ws(volatile(latest_by = room))]
    Typing { room: RoomId },
}

/// What the server tells its clients.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "chat", error = ChatError,
     topic(Room, key = room: RoomId, replay = 500, ttl = "10m"),
     topic(Ticker, key = feed: u64, replay = 4, ttl = "10m"))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: RoomId, id: MessageId, from: String, text: String },
    #[ws(snapshot(Room))]
    History { room: RoomId, messages: Vec<String> },
    #[ws(volatile(Room, latest_by = who))]
    Typing { room: RoomId, who: String },
    #[ws(event(Ticker))]
    Tick { feed: u64, price: u64, padding: String },
    #[ws(event(Ticker))]
    Rated { feed: u64, rate: f64 },
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[ws(error)]
pub enum ChatError {
    RoomFull {
        limit: u32,
    },
    Muted,
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

/// What the handlers have done.
#[derive(Default)]
pub struct Log {
    pub posts: Vec<String>,
    pub keys: BTreeMap<String, u32>,
    pub slow: Vec<u64>,
}

#[derive(Clone)]
pub struct Chat {
    pub log: Arc<Mutex<Log>>,
    /// `slow` waits for a permit.
    pub gate: Arc<Semaphore>,
    /// `slow(STUCK)` blocks its thread until it opens, and then waits for ever.
    pub stuck: Arc<Stuck>,
}

/// See [`Chat::stuck`].
pub const STUCK: u64 = 1_000;

/// Opened once. Counts those who have not been dropped.
#[derive(Default)]
pub struct Stuck {
    open: Mutex<bool>,
    changed: Condvar,
    held: Arc<()>,
}

impl Stuck {
    pub fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn block(&self) {
        let open = self.open.lock().unwrap();
        drop(
            self.changed.wait_timeout_while(open, Duration::from_secs(10), |open| !*open).unwrap(),
        );
    }

    pub fn holders(&self) -> usize {
        Arc::strong_count(&self.held) - 1
    }
}

impl Chat {
    pub fn new() -> Self {
        Self { log: Arc::default(), gate: Arc::new(Semaphore::new(0)), stuck: Arc::default() }
    }
}

impl ChatHandler for Chat {
    async fn post(&self, cx: &Cx, room: RoomId, text: String) -> Result<MessageId, ChatError> {
        if text == "muted" {
            return Err(ChatError::Muted);
        }
        let id = {
            let mut log = self.log.lock().unwrap();
            *log.keys.entry(cx.idempotency_key().to_string()).or_default() += 1;
            log.posts.push(text.clone());
            MessageId(log.posts.len() as u64)
        };
        if text.starts_with("later") {
            tokio::task::yield_now().await;
        }
        cx.publish(ChatEventPosted { room, id, from: cx.principal().user().to_owned(), text });
        Ok(id)
    }

    async fn slow(&self, _: &Cx, count: u64) -> Result<u64, ChatError> {
        self.log.lock().unwrap().slow.push(count);
        if count == STUCK {
            let _held = Arc::clone(&self.stuck.held);
            tokio::task::block_in_place(|| self.stuck.block());
            return std::future::pending().await;
        }
        self.gate.acquire().await.unwrap().forget();
        Ok(count * 2)
    }

    async fn break_(&self, cx: &Cx, how: String) -> Result<(), ChatError> {
        match how.as_str() {
            "wait" | "block and wait" => {
                if how.starts_with("block") {
                    let _held = Arc::clone(&self.stuck.held);
                    tokio::task::block_in_place(|| self.stuck.block());
                }
                tokio::join!(cx.cancelled(), cx.cancelled());
                assert!(cx.is_cancelled());
                return Err(ChatError::Muted);
            }
            "panic" => panic!("as the test asked"),
            "panic late" => {
                tokio::task::yield_now().await;
                panic!("as the test asked")
            }
            "publish too much" => {
                let text = "x".repeat(300 * 1024);
                cx.publish(ChatEventPosted {
                    room: RoomId(1),
                    id: MessageId(0),
                    from: String::new(),
                    text,
                });
            }
            _ => {}
        }
        Ok(())
    }

    async fn mark_read(&self, _: &Cx, _: RoomId, _: MessageId) -> Result<(), ChatError> {
        Ok(())
    }

    async fn scale(&self, _: &Cx, by: f64, value: f64) -> Result<f64, ChatError> {
        Ok(by * value)
    }

    async fn typing(&self, cx: &Cx, room: RoomId) {
        cx.publish(ChatEventTyping { room, who: cx.principal().user().to_owned() });
    }
}

impl ChatTopics for Chat {
    async fn may_subscribe_room(&self, _: &Principal, room: &RoomId) -> Result<(), Denied> {
        if room.0 == 13 { Err("nobody enters that room".into()) } else { Ok(()) }
    }

    async fn room_snapshot(
        &self,
        _: &TopicCx,
        room: &RoomId,
    ) -> Result<ChatEventHistory, ChatError> {
        Ok(ChatEventHistory { room: *room, messages: self.log.lock().unwrap().posts.clone() })
    }

    async fn may_subscribe_ticker(&self, _: &Principal, _: &u64) -> Result<(), Denied> {
        Ok(())
    }
}

pub struct Running {
    pub server: Server<ChatCommand>,
    pub chat: Chat,
    pub address: SocketAddr,
}

pub async fn serve() -> Running {
    serve_with(|builder| builder).await
}

pub type ChatBuilder = steadfast::server::Builder<ChatCommand>;

pub async fn serve_with(change: impl FnOnce(ChatBuilder) -> ChatBuilder) -> Running {
    serve_chat(Chat::new(), change).await
}

pub async fn serve_chat(chat: Chat, change: impl FnOnce(ChatBuilder) -> ChatBuilder) -> Running {
    let server = change(ChatServer::builder(chat.clone())).allow_anonymous().build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve_listener(listener).await });
    Running { server, chat, address }
}

pub fn client(address: SocketAddr) -> steadfast::client::Builder<ChatClient> {
    ChatClient::builder(format!("ws://{address}/")).configure(|config| {
        config.backoff.base = Duration::from_millis(20);
        config.backoff.cap = Duration::from_millis(200);
    })
}

pub async fn connect(address: SocketAddr) -> ChatClient {
    within(client(address).connect()).await.expect("a connection")
}

/// Nothing in these tests takes this long; a hang becomes a failure that names its line.
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(Duration::from_secs(10), future).await {
            Ok(output) => output,
            Err(_) => panic!("took too long at {caller}"),
        }
    }
}

/// Looks again and again until it holds.
#[track_caller]
pub fn until(mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        for _ in 0..2000 {
            if condition() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("did not come about at {caller}");
    }
}
