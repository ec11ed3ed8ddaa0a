//! The chat's server: its rooms, who may do what, and how it is served until Ctrl-C. What it says
//! on the wire is `protocol.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use steadfast::server::Heartbeat;
use steadfast::server::{Cx, Denied, IdempotencyKey, Principal, Server, TopicCx, bearer};
use steadfast::store::MemoryStore;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpListener;

use crate::protocol::{
    ChatCommand, ChatError, ChatEventHistory, ChatEventPosted, ChatEventTyping, ChatHandler,
    ChatMessage, ChatServer, ChatTopics, Member, MessageId, RoomId, UserId,
};

/// What a controlled server prints when it listens, followed by its address.
pub(crate) const LISTENING: &str = "listening on ";
/// What makes a controlled server drain and listen again.
pub(crate) const RESTART: &str = "restart";

/// How many rooms there may be; a post to yet another one is an error.
const ROOMS: usize = 1_000;
/// How many messages of a room are remembered.
const HISTORY: usize = 200;
/// For how many people a room remembers what they have read; beyond, whoever has read least is
/// forgotten.
const READERS: usize = 1_000;
/// How long a server that leaves waits for what is running.
const DRAIN: Duration = Duration::from_secs(3);

/// The rooms. Clones are the same chat.
#[derive(Debug, Clone)]
pub(crate) struct Chat {
    /// Makes this run's message ids differ from those of another run, whose numbers also begin at
    /// 1.
    run: u64,
    rooms: Arc<Mutex<BTreeMap<RoomId, RoomState>>>,
}

#[derive(Debug, Default)]
struct RoomState {
    history: VecDeque<Entry>,
    posted: u64,
    /// The number of the latest message that each person has read.
    read: BTreeMap<UserId, u64>,
}

#[derive(Debug)]
struct Entry {
    number: u64,
    key: IdempotencyKey,
    message: ChatMessage,
}

impl Chat {
    pub(crate) fn new() -> Self {
        Self { run: fastrand::u64(..), rooms: Arc::default() }
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<RoomId, RoomState>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts once per key: if the server died before the record was kept, the command may run
    /// again.
    fn insert_once(
        &self,
        room: &RoomId,
        key: IdempotencyKey,
        from: UserId,
        text: String,
    ) -> Result<ChatMessage, ChatError> {
        let mut rooms = self.rooms();
        if rooms.len() >= ROOMS && !rooms.contains_key(room) {
            return Err(ChatError::TooManyRooms { limit: ROOMS as u32 });
        }
        let room = rooms.entry(room.clone()).or_default();
        if let Some(entry) = room.history.iter().rev().find(|entry| entry.key == key) {
            return Ok(entry.message.clone());
        }
        room.posted += 1;
        let id = MessageId(format!("{:016x}-{}", self.run, room.posted));
        let message = ChatMessage { id, from: from.clone(), text };
        room.history.push_back(Entry { number: room.posted, key, message: message.clone() });
        if room.history.len() > HISTORY {
            room.history.pop_front();
        }
        let posted = room.posted;
        room.reads(from, posted);
        Ok(message)
    }
}

impl RoomState {
    fn reads(&mut self, who: UserId, upto: u64) {
        let read = self.read.entry(who).or_default();
        *read = upto.max(*read);
        if self.read.len() > READERS
            && let Some(silent) =
                self.read.iter().min_by_key(|(_, upto)| **upto).map(|(who, _)| who.clone())
        {
            self.read.remove(&silent);
        }
    }

    fn members(&self) -> Vec<Member> {
        let unread =
            |upto: u64| self.history.iter().filter(|entry| entry.number > upto).count() as u32;
        self.read
            .iter()
            .map(|(user, upto)| Member { user: user.clone(), unread: unread(*upto) })
            .collect()
    }
}

fn check_name(room: &RoomId) -> Result<(), ChatError> {
    if (1..=64).contains(&room.0.chars().count()) { Ok(()) } else { Err(ChatError::BadRoomName) }
}

fn user(who: &Principal) -> UserId {
    UserId(who.user().to_owned())
}

impl ChatHandler for Chat {
    async fn post(&self, cx: &Cx, room: RoomId, text: String) -> Result<MessageId, ChatError> {
        check_name(&room)?;
        if text.trim().is_empty() {
            return Err(ChatError::Empty);
        }
        let from = user(cx.principal());
        let ChatMessage { id, from, text } =
            self.insert_once(&room, cx.idempotency_key(), from, text)?;
        cx.publish(ChatEventPosted { room, id: id.clone(), from, text });
        Ok(id)
    }

    async fn mark_read(&self, cx: &Cx, room: RoomId, upto: MessageId) -> Result<(), ChatError> {
        if let Some(room) = self.rooms().get_mut(&room)
            && let Some(number) =
                room.history.iter().find(|entry| entry.message.id == upto).map(|entry| entry.number)
        {
            room.reads(user(cx.principal()), number);
        }
        Ok(())
    }

    async fn members(&self, _cx: &Cx, room: RoomId) -> Result<Vec<Member>, ChatError> {
        Ok(self.rooms().get(&room).map(RoomState::members).unwrap_or_default())
    }

    async fn typing(&self, cx: &Cx, room: RoomId) {
        cx.publish(ChatEventTyping { room, who: user(cx.principal()) });
    }
}

impl ChatTopics for Chat {
    async fn may_subscribe_room(&self, _who: &Principal, room: &RoomId) -> Result<(), Denied> {
        check_name(room).map_err(|_| Denied::new("the name of a room has 1 to 64 characters"))
    }

    async fn room_snapshot(
        &self,
        _cx: &TopicCx,
        room: &RoomId,
    ) -> Result<ChatEventHistory, ChatError> {
        let rooms = self.rooms();
        let history = rooms.get(room).into_iter().flat_map(|room| &room.history);
        let messages = history.map(|entry| entry.message.clone()).collect();
        Ok(ChatEventHistory { room: room.clone(), messages })
    }
}

/// Serves on loopback until Ctrl-C, and then drains.
///
/// # Errors
/// When it can't listen on the port.
pub(crate) async fn serve(port: u16) -> io::Result<()> {
    let server = build(Chat::new(), |builder| {
        builder.limits(|limits| limits.drain_spread = Duration::from_secs(1))
    });
    let listener = bind(port).await?;
    let port = listener.local_addr()?.port();
    println!("The chat is served on ws://127.0.0.1:{port}. In two other terminals:\n");
    let server_option = if port == crate::cli::DEFAULT_PORT {
        String::new()
    } else {
        format!(" --server ws://127.0.0.1:{port}")
    };
    for name in ["ada", "bo"] {
        println!("    cargo run -p chat -- join lobby --as {name}{server_option}");
    }
    println!(
        "\nThen stop this server with Ctrl-C and start it again: both notice, wait, and go on."
    );
    tokio::select! {
        served = server.serve_listener(listener) => served,
        _ = tokio::signal::ctrl_c() => {
            println!("\nLeaving: what runs may finish, for at most {} s.", DRAIN.as_secs());
            server.shutdown(DRAIN).await;
            Ok(())
        }
    }
}

/// Serves as the demo's child process: says where it listens, and obeys the lines of its input
/// until that ends. When it drains and listens again it keeps the rooms and the store, as a rolling
/// restart with a durable store would.
///
/// # Errors
/// When it can't listen on the port.
pub(crate) async fn serve_controlled(mut port: u16) -> io::Result<()> {
    let (chat, store) = (Chat::new(), MemoryStore::default());
    let mut orders = BufReader::new(stdin()).lines();
    loop {
        let server = build(chat.clone(), |builder| {
            // Fast enough for the demo to find dead peers and to see clients come back.
            builder
                .store(store.clone())
                .configure(|config| {
                    config.heartbeat =
                        Heartbeat::new(Duration::from_millis(400), Duration::from_millis(200), 2)
                })
                .limits(|limits| limits.drain_spread = Duration::from_millis(200))
        });
        let listener = bind(port).await?;
        let addr = listener.local_addr()?;
        port = addr.port();
        println!("{LISTENING}{addr}");
        tokio::select! {
            served = server.serve_listener(listener) => return served,
            order = orders.next_line() => match order? {
                Some(order) if order == RESTART => server.shutdown(DRAIN).await,
                Some(other) => eprintln!("no such order: {other}"),
                None => return Ok(()),
            },
        }
    }
}

type Builder = steadfast::server::Builder<ChatCommand, steadfast::server::Decided>;

/// Everybody is believed to be who they say, because this is an example. A real server checks a
/// signature here.
fn build(chat: Chat, settings: impl FnOnce(Builder) -> Builder) -> Server<ChatCommand> {
    let builder = ChatServer::builder(chat).authenticate(bearer(|name| async move {
        if (1..=32).contains(&name.chars().count()) {
            Ok(Principal::new(name))
        } else {
            Err(Denied::new("a name has 1 to 32 characters"))
        }
    }));
    settings(builder).build()
}

async fn bind(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "; another program uses it: stop that one, or choose a port with --port"
            }
            _ => "",
        };
        io::Error::new(error.kind(), format!("can't listen on port {port}: {error}{hint}"))
    })
}
