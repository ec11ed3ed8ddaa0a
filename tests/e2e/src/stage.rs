//! A server, a proxy before it, and clients: the stage of every end-to-end test.

use std::net::SocketAddr;
use std::time::Duration;

use steadfast::client::{Builder as ClientBuilder, ConnectionState};
use steadfast::server::{Builder as ServerBuilder, Decided, Server};
use steadfast_proxy::Proxy;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{App, TallyClient, TallyCommand, TallyServer};

/// How long a condition may take to come true. Far beyond what it takes: a test that fails waits,
/// one that passes does not.
const PATIENCE: Duration = Duration::from_secs(30);

/// A builder that could build.
pub type Decidedly = ServerBuilder<TallyCommand, Decided>;

/// Waits for something that must happen.
///
/// # Panics
/// If it does not happen in time.
#[track_caller]
pub fn within<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        let Ok(output) = tokio::time::timeout(PATIENCE, future).await else {
            panic!("did not happen in {} s: {caller}", PATIENCE.as_secs())
        };
        output
    }
}

/// Waits until a condition holds that nothing announces: looks again and again.
///
/// # Panics
/// If it does not hold in time.
#[track_caller]
pub fn eventually(mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    within(async move {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}

/// A server, and a proxy before it.
pub struct Stage {
    /// What the server does.
    pub app: App,
    /// The server that the proxy leads to.
    pub server: Server<TallyCommand>,
    /// The way to it.
    pub proxy: Proxy,
    direct: SocketAddr,
    serving: JoinHandle<()>,
}

impl Stage {
    /// A server that everybody may use.
    pub async fn new() -> Self {
        Self::with(|builder| builder.allow_anonymous()).await
    }

    /// A server with other settings.
    pub async fn with(settings: impl FnOnce(ServerBuilder<TallyCommand>) -> Decidedly) -> Self {
        let app = App::default();
        let server = settings(TallyServer::builder(app.clone())).build();
        let (direct, serving) = serve(&server).await;
        let proxy = Proxy::start(direct).await.unwrap();
        Self { app, server, proxy, direct, serving }
    }

    /// Puts another server at the end of the way; the old one is out of reach, but not told so.
    /// Open links stay as they are.
    pub async fn replace_server(
        &mut self,
        settings: impl FnOnce(ServerBuilder<TallyCommand>) -> Decidedly,
    ) {
        self.server = settings(TallyServer::builder(self.app.clone())).build();
        (self.direct, self.serving) = serve(&self.server).await;
        self.proxy.retarget(self.direct);
    }

    /// A client through the proxy, not built yet.
    pub fn client(&self) -> ClientBuilder<TallyClient> {
        quick(TallyClient::builder(self.proxy.url("/")))
    }

    /// A client through the proxy.
    pub async fn connect(&self) -> TallyClient {
        within(self.client().connect()).await.unwrap()
    }

    /// A client that no fault of the proxy reaches.
    pub async fn connect_directly(&self) -> TallyClient {
        within(quick(TallyClient::builder(self.direct_url())).connect()).await.unwrap()
    }

    /// The server's own address.
    #[must_use]
    pub fn direct_url(&self) -> String {
        format!("ws://{}/", self.direct)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(server: &Server<TallyCommand>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = server.clone();
    let serving = tokio::spawn(async move {
        server.serve_listener(listener).await.unwrap();
    });
    (addr, serving)
}

/// The usual client, but in a hurry: the pauses between dials are those of a test.
pub fn quick(builder: ClientBuilder<TallyClient>) -> ClientBuilder<TallyClient> {
    builder.configure(|config| {
        config.backoff.base = Duration::from_millis(20);
        config.backoff.cap = Duration::from_millis(100);
        (config.backoff.attempts, config.backoff.elapsed) = (None, None);
        config.dial_timeout = Duration::from_secs(3);
        config.welcome_timeout = Duration::from_secs(3);
    })
}

/// Waiting for a connection's state.
pub trait Watch {
    /// Waits until the state is as wanted, and returns it.
    fn reaches(
        &self,
        wanted: impl FnMut(&ConnectionState) -> bool,
    ) -> impl Future<Output = ConnectionState>;

    /// Waits until it is connected.
    fn is_up(&self) -> impl Future<Output = ConnectionState> {
        self.reaches(|state| matches!(state, ConnectionState::Connected { .. }))
    }
}

impl Watch for TallyClient {
    #[track_caller]
    fn reaches(
        &self,
        wanted: impl FnMut(&ConnectionState) -> bool,
    ) -> impl Future<Output = ConnectionState> {
        let mut state = self.state();
        within(async move { state.wait_for(wanted).await.unwrap().clone() })
    }
}
