//! The chat's server: who may do what, and how it is served until Ctrl-C. What was said is in
//! `rooms.rs`, what goes over the wire in `protocol.rs`.

#[cfg(test)]
mod tests;

use std::io;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};
use steadfast::Codec;
use steadfast::server::Heartbeat;
use steadfast::server::{Cx, Denied, IdempotencyKey, Principal, Server, TopicCx, bearer};
use steadfast::store::{MemoryStore, StoreAdmin};
use steadfast_sqlite::LocalStore;
use tokio::io::{AsyncBufReadExt, BufReader, stdin};
use tokio::net::TcpListener;

use crate::cli::Kept;
use crate::protocol::{
    ChatCommand, ChatError, ChatEventHistory, ChatEventPosted, ChatEventRead, ChatEventTyping,
    ChatHandler, ChatServer, ChatTopics, Member, MessageId, RoomId, UserId,
};
use crate::rooms::Rooms;

/// What a controlled server prints when it listens, followed by its address.
pub(crate) const LISTENING: &str = "listening on ";
/// What makes a controlled server drain and listen again.
pub(crate) const RESTART: &str = "restart";

/// How long a server that leaves waits for what is running.
const DRAIN: Duration = Duration::from_secs(3);

/// The chat: it keeps nothing but what its store keeps.
#[derive(Debug)]
struct Chat<S>(Rooms<S>);

fn check_name(room: &RoomId) -> Result<(), ChatError> {
    if (1..=64).contains(&room.0.chars().count()) { Ok(()) } else { Err(ChatError::BadRoomName) }
}

fn user(who: &Principal) -> UserId {
    UserId(who.user().to_owned())
}

/// A message's id is that of its command, so a handler that runs again posts the same message. It
/// is hashed, because the key contains the name of the sender's lease.
fn message_id(key: &IdempotencyKey) -> MessageId {
    let hash = Sha256::digest(key.to_string());
    MessageId(hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect())
}

impl<S: StoreAdmin> ChatHandler for Chat<S> {
    async fn post(&self, cx: &Cx, room: RoomId, text: String) -> Result<MessageId, ChatError> {
        check_name(&room)?;
        if text.trim().is_empty() {
            return Err(ChatError::Empty);
        }
        let (id, from) = (message_id(&cx.idempotency_key()), user(cx.principal()));
        cx.publish(ChatEventPosted { room, id: id.clone(), from, text });
        Ok(id)
    }

    async fn mark_read(&self, cx: &Cx, room: RoomId, upto: MessageId) -> Result<(), ChatError> {
        check_name(&room)?;
        cx.publish(ChatEventRead { room, who: user(cx.principal()), upto });
        Ok(())
    }

    async fn latest(&self, _cx: &Cx, room: RoomId) -> Result<Option<MessageId>, ChatError> {
        check_name(&room)?;
        self.0.latest_message(&room).await
    }

    async fn members(&self, _cx: &Cx, room: RoomId) -> Result<Vec<Member>, ChatError> {
        check_name(&room)?;
        self.0.members(&room).await
    }

    async fn typing(&self, cx: &Cx, room: RoomId) {
        cx.publish(ChatEventTyping { room, who: user(cx.principal()) });
    }
}

fn may_enter(room: &RoomId) -> Result<(), Denied> {
    check_name(room).map_err(|_| Denied::new("the name of a room has 1 to 64 characters"))
}

impl<S: StoreAdmin> ChatTopics for Chat<S> {
    async fn may_subscribe_room(&self, _who: &Principal, room: &RoomId) -> Result<(), Denied> {
        may_enter(room)
    }

    async fn room_snapshot(
        &self,
        _cx: &TopicCx,
        room: &RoomId,
    ) -> Result<ChatEventHistory, ChatError> {
        let messages = self.0.history(room).await?;
        Ok(ChatEventHistory { room: room.clone(), messages })
    }

    async fn may_subscribe_reading(&self, _who: &Principal, room: &RoomId) -> Result<(), Denied> {
        may_enter(room)
    }
}

/// Serves on loopback until Ctrl-C, and then drains.
///
/// # Errors
/// When it can't listen on the port, or open its file.
pub(crate) async fn serve(port: u16, kept: Kept) -> io::Result<()> {
    match kept {
        Kept::Memory => {
            let note = "Nothing is kept (--memory): what was said ends with this server.";
            serve_people(port, MemoryStore::default(), note).await
        }
        Kept::File(path) => {
            let store = open(&path)?;
            let note = format!("What is said is kept in {}.", store.path().display());
            serve_people(port, store, &note).await
        }
    }
}

async fn serve_people<S: StoreAdmin + Clone>(port: u16, store: S, note: &str) -> io::Result<()> {
    let server = build(store, |builder| {
        builder.limits(|limits| limits.drain_spread = Duration::from_secs(1))
    });
    let listener = bind(port).await?;
    let port = listener.local_addr()?.port();
    println!("The chat is served on ws://127.0.0.1:{port}. {note}\nIn two other terminals:\n");
    let server_option = if port == crate::cli::DEFAULT_PORT {
        String::new()
    } else {
        format!(" --server ws://127.0.0.1:{port}")
    };
    for name in ["ada", "bo"] {
        println!("    cargo run -p chat -- join lobby --as {name}{server_option}");
    }
    println!(
        "\nThen stop this server with Ctrl-C, or with kill -9, and start it again: both notice, \
         wait, and go on."
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

/// Opens the file, in a directory that is made if there is none.
fn open(path: &Path) -> io::Result<LocalStore> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    LocalStore::open(path).map_err(io::Error::other)
}

/// Serves as the demo's child process: says where it listens, and obeys the lines of its input
/// until that ends. When it drains and listens again it keeps the store, as a rolling restart
/// would.
///
/// # Errors
/// When it can't listen on the port, or open its file.
pub(crate) async fn serve_controlled(port: u16, kept: Kept) -> io::Result<()> {
    match kept {
        Kept::Memory => obey(port, MemoryStore::default()).await,
        Kept::File(path) => obey(port, open(&path)?).await,
    }
}

async fn obey<S: StoreAdmin + Clone>(mut port: u16, store: S) -> io::Result<()> {
    let mut orders = BufReader::new(stdin()).lines();
    loop {
        let server = build(store.clone(), |builder| {
            // Fast enough for the demo to find dead peers and to see clients come back.
            builder
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

fn build<S: StoreAdmin + Clone>(
    store: S,
    settings: impl FnOnce(Builder) -> Builder,
) -> Server<ChatCommand> {
    settings(builder(store)).build()
}

/// Everybody is believed to be who they say, because this is an example. A real server checks a
/// signature here.
fn builder<S: StoreAdmin + Clone>(store: S) -> Builder {
    let chat = Chat(Rooms::of(store.clone()));
    let builder = ChatServer::builder(chat).store(store).codecs(Codec::ALL);
    builder.authenticate(bearer(|name| async move {
        if (1..=32).contains(&name.chars().count()) {
            Ok(Principal::new(name))
        } else {
            Err(Denied::new("a name has 1 to 32 characters"))
        }
    }))
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
