//! The client in `tests/python` was written from PROTOCOL.md alone. Here it meets our server:
//! connected, cut, resumed, away for longer than a topic retains, and drained.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step is a failed test, and it says what was done"
)]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast::server::{Cx, Denied, IdempotencyKey, Principal, Server, TopicCx, bearer};
use steadfast::store::MemoryStore;
use steadfast::{NoError, WsProtocol};
use steadfast_proxy::Proxy;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;

/// What the scenario's clients may say.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
enum ChatCommand {
    #[ws(request(reply = String))]
    Post { room: String, text: String },
}

/// What the clients are told. Fewer events are retained than the scenario misses.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "chat", topic(Room, key = room: String, replay = 256, ttl = "10m"))]
enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: String, id: String, from: String, text: String },
    #[ws(snapshot(Room))]
    History { room: String, messages: Vec<Message> },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Message {
    id: String,
    from: String,
    text: String,
}

/// Keeps everything once per command, and outlives any number of servers.
#[derive(Clone, Default)]
struct Rooms(Arc<Mutex<BTreeMap<String, Room_>>>);

#[derive(Default)]
struct Room_ {
    messages: Vec<Message>,
    by_command: BTreeMap<IdempotencyKey, String>,
}

impl ChatHandler for Rooms {
    async fn post(&self, cx: &Cx, room: String, text: String) -> Result<String, NoError> {
        let from = cx.principal().user().to_owned();
        let id = {
            let mut rooms = self.0.lock().unwrap();
            let kept = rooms.entry(room.clone()).or_default();
            match kept.by_command.get(&cx.idempotency_key()) {
                Some(id) => id.clone(),
                None => {
                    let id = format!("m{}", kept.messages.len() + 1);
                    kept.messages.push(Message {
                        id: id.clone(),
                        from: from.clone(),
                        text: text.clone(),
                    });
                    kept.by_command.insert(cx.idempotency_key(), id.clone());
                    id
                }
            }
        };
        cx.publish(ChatEventPosted { room, id: id.clone(), from, text });
        Ok(id)
    }
}

impl ChatTopics for Rooms {
    async fn may_subscribe_room(&self, _: &Principal, _: &String) -> Result<(), Denied> {
        Ok(())
    }

    async fn room_snapshot(&self, _: &TopicCx, room: &String) -> Result<ChatEventHistory, NoError> {
        let messages =
            self.0.lock().unwrap().get(room).map(|kept| kept.messages.clone()).unwrap_or_default();
        Ok(ChatEventHistory { room: room.clone(), messages })
    }
}

/// A server on top of what outlives it: the rooms, and the store with its leases and logs.
fn server(rooms: &Rooms, store: &MemoryStore) -> Server<ChatCommand> {
    let users = bearer(|token: String| async move { Ok::<_, Denied>(Principal::new(token)) });
    ChatServer::builder(rooms.clone()).store(store.clone()).authenticate(users).build()
}

async fn serve(server: &Server<ChatCommand>) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = server.clone();
    tokio::spawn(async move { server.serve_listener(listener).await });
    addr
}

/// One line in, one line out: on `drain` the server drains, and another one takes its place.
async fn control(
    listener: TcpListener,
    rooms: Rooms,
    store: MemoryStore,
    mut old: Server<ChatCommand>,
    proxy: Proxy,
) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut order = String::new();
        stream.read_line(&mut order).await.unwrap();
        assert_eq!(order, "drain\n");
        let next = server(&rooms, &store);
        proxy.retarget(serve(&next).await);
        let leaving = std::mem::replace(&mut old, next);
        stream.write_all(b"draining\n").await.unwrap();
        leaving.shutdown(Duration::from_secs(5)).await;
    }
}

/// The interpreter that the test command prepared.
fn interpreter(root: &Path) -> PathBuf {
    let prepared = std::env::var_os("STEADFAST_PYTHON")
        .map_or_else(|| root.join("target/python/bin/python"), Into::into);
    assert!(prepared.exists(), "{} is missing: `bash tests/run` prepares it", prepared.display());
    prepared
}

async fn run(script: &str, arguments: &[String]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .expect("tests/e2e is two below the root");
    let mut command = Command::new(interpreter(root));
    command.arg(root.join("tests/python").join(script)).args(arguments).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(240), command.output()).await;
    let output = output.expect("the scenario bounds itself").expect("the interpreter starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{script}:\n{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    println!("{text}");
}

#[tokio::test]
async fn a_client_written_from_the_specification_alone_loses_and_doubles_nothing() {
    let (rooms, store) = (Rooms::default(), MemoryStore::default());
    let first = server(&rooms, &store);
    let proxy = Proxy::start(serve(&first).await).await.unwrap();
    let url = proxy.url("/");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(control(listener, rooms, store, first, proxy));
    run("scenario.py", &[url, port.to_string()]).await;
}

#[tokio::test]
async fn that_client_keeps_the_rules_towards_a_server_that_checks_them() {
    run("test_client.py", &[]).await;
}
