//! The adapter of our server (ADAPTER.md, "For a server"). Each server has a runtime of its own, so
//! that it can be killed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use steadfast::Codec;
use steadfast::server::{Denied, Identity, NodeConfig, Principal, Server, bearer};
use steadfast::session::store::{OpId, StoreOp, StoreOutcome};
use steadfast::store::{MemoryStore, Store};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::application::{App, ConformanceCommand, ConformanceServer};
use super::relay::{Mistake, Relay};
use super::{Ends, lines};

/// A store that can lose everything while a server uses it.
#[derive(Clone, Default)]
struct Losable(Arc<Mutex<MemoryStore>>);

impl Losable {
    fn now(&self) -> MemoryStore {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lose(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = MemoryStore::default();
    }
}

impl Store for Losable {
    async fn execute(&self, batch: Vec<(OpId, StoreOp)>) -> Vec<(OpId, StoreOutcome)> {
        self.now().execute_now(batch)
    }
}

/// A server and everything that it runs on.
struct Running {
    server: Server<ConformanceCommand>,
    runtime: Option<Runtime>,
    url: String,
}

impl Running {
    async fn start(app: &App, store: &Losable, settings: &Value) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (app, store, settings) = (app.clone(), store.clone(), settings.clone());
        let started = runtime.spawn(async move {
            let server = ConformanceServer::builder(app)
                .store(store)
                .codecs(Codec::ALL)
                .configure(|config| configure(config, &settings))
                .limits(|limits| limits.drain_spread = Duration::from_millis(10))
                .authenticate(bearer(|token| async move { identity(&token) }))
                .build();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("ws://{}/", listener.local_addr().unwrap());
            let serving = server.clone();
            tokio::spawn(async move { serving.serve_listener(listener).await });
            (server, url)
        });
        let (server, url) = started.await.unwrap();
        Self { server, runtime: Some(runtime), url }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn identity(token: &str) -> Result<Identity, Denied> {
    match token {
        "ann" | "bob" => Ok(Principal::new(token).into()),
        "brief" => Ok(Identity::expiring(Principal::new(token), Duration::from_millis(300))),
        _ => Err(Denied::new("no such token")),
    }
}

/// The settings of ADAPTER.md.
const SETTINGS: &[&str] = &[
    "frame_bytes",
    "handshake_ms",
    "heartbeat",
    "queue_bytes",
    "retry_ms",
    "session_ttl_ms",
    "sessions",
    "span",
    "window",
];

fn configure(config: &mut NodeConfig, settings: &Value) {
    let number = |path: &str| settings.pointer(path).and_then(Value::as_u64);
    let small = |path: &str| number(path).map(|number| u32::try_from(number).unwrap());
    config.live_entries = 8;
    // A run against one server leaves behind many clients of few principals.
    config.leases_per_principal = 1_000;
    if let Some(value) = small("/frame_bytes") {
        config.frame_bytes = value;
        // No message may be declared longer than a frame can carry.
        for message in config.messages_mut() {
            message.max_bytes = message.max_bytes.min(steadfast::wire::body_limit(value));
        }
    }
    small("/queue_bytes").into_iter().for_each(|value| config.lease_queue_bytes = value);
    small("/sessions").into_iter().for_each(|value| config.sessions = value);
    small("/span").into_iter().for_each(|value| config.span = value);
    small("/window/frames").into_iter().for_each(|value| config.window.frames = value);
    small("/window/bytes").into_iter().for_each(|value| config.window.bytes = value);
    small("/heartbeat/missed").into_iter().for_each(|value| config.heartbeat.missed = value);
    let time = |path: &str| number(path).map(Duration::from_millis);
    time("/heartbeat/interval_ms").into_iter().for_each(|value| config.heartbeat.interval = value);
    time("/heartbeat/timeout_ms").into_iter().for_each(|value| config.heartbeat.timeout = value);
    time("/handshake_ms").into_iter().for_each(|value| config.handshake = value);
    time("/retry_ms").into_iter().for_each(|value| config.retry_after = value);
    time("/session_ttl_ms").into_iter().for_each(|value| config.session_ttl = value);
}

/// Runs the adapter. If there is a mistake, a relay in front of the server makes it.
pub async fn adapt(ends: Ends, mistake: Option<Mistake>) {
    let (mut questions, answers) = lines::of(ends);
    let (mut app, store, mut settings) = (App::default(), Losable::default(), json!({}));
    let mut running: Option<(Running, Option<Relay>)> = None;
    while let Some(question) = lines::next(&mut questions).await {
        match (question["do"].as_str().unwrap(), &running) {
            ("start", _) => {
                settings = question["settings"].clone();
                let unknown = settings
                    .as_object()
                    .unwrap()
                    .keys()
                    .find(|name| !SETTINGS.contains(&name.as_str()));
                if let Some(name) = unknown {
                    answers.unsupported(&question, &format!("the setting `{name}`"));
                    continue;
                }
            }
            ("restart", Some(_)) => {
                drop(running.take());
                if question["keep"] == false {
                    store.lose();
                    app = App::default();
                }
            }
            ("drain", Some((server, _))) => {
                let (leaving, deadline_ms) =
                    (server.server.clone(), question["deadline_ms"].as_u64().unwrap());
                let runtime = server.runtime.as_ref().unwrap();
                runtime.spawn(
                    async move { leaving.shutdown(Duration::from_millis(deadline_ms)).await },
                );
                answers.ok(&question, json!({}));
                continue;
            }
            ("open", _) => {
                app.open_gate(question["gate"].as_str().unwrap());
                answers.ok(&question, json!({}));
                continue;
            }
            ("lose_topics", _) => {
                store.lose();
                answers.ok(&question, json!({}));
                continue;
            }
            (other, _) => {
                answers.unsupported(&question, &format!("`{other}`"));
                continue;
            }
        }
        let started = Running::start(&app, &store, &settings).await;
        let (url, relay) = match &mistake {
            Some(mistake) => {
                let relay = Relay::start(started.url.clone(), mistake.clone()).await;
                (relay.url.clone(), Some(relay))
            }
            None => (started.url.clone(), None),
        };
        running = Some((started, relay));
        answers.ok(&question, json!({ "url": url }));
    }
}
