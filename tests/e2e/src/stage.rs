//! A server, a proxy in front of it, and clients: the stage of every end-to-end test.

use std::net::SocketAddr;
use std::time::Duration;

use steadfast::client::{Builder as ClientBuilder, ConnectionState};
use steadfast::server::{Builder as ServerBuilder, Decided, Server};
use steadfast_proxy::Proxy;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::{App, TallyClient, TallyCommand, TallyServer};

/// How long a condition may take to come true. It is far more than any takes: a test that fails
/// waits so long, one that passes does not.
const PATIENCE: Duration = Duration::from_secs(30);

/// A builder that has been told who may connect.
pub type Decidedly = ServerBuilder<TallyCommand, Decided>;

/// Waits for something that has to happen.
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

/// Waits until a condition holds that nothing announces, by looking again and again.
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

/// A server, and a proxy in front of it.
pub struct Stage {
    /// What the server does.
    pub app: App,
    /// The server to which the proxy leads.
    pub server: Server<TallyCommand>,
    /// The proxy in front of it.
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

    /// Lets the proxy lead to another server. The old one is out of reach, but not told so, and
    /// open links stay as they are.
    pub async fn replace_server(
        &mut self,
        settings: impl FnOnce(ServerBuilder<TallyCommand>) -> Decidedly,
    ) {
        self.server = settings(TallyServer::builder(self.app.clone())).build();
        (self.direct, self.serving) = serve(&self.server).await;
        self.proxy.retarget(self.direct);
    }

    /// A builder of a client that goes through the proxy.
    pub fn client(&self) -> ClientBuilder<TallyClient> {
        quick(TallyClient::builder(self.proxy.url("/")))
    }

    /// A client that goes through the proxy.
    pub async fn connect(&self) -> TallyClient {
        within(self.client().connect()).await.unwrap()
    }

    /// A client that has its lease before its first command, which then goes out at once.
    pub async fn connect_with_lease(&self) -> TallyClient {
        let builder = self.client().configure(|config| config.lease_at_once = true);
        within(builder.connect()).await.unwrap()
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

/// A client in a hurry: between dials it pauses only as long as a test should.
pub fn quick(builder: ClientBuilder<TallyClient>) -> ClientBuilder<TallyClient> {
    builder.configure(|config| {
        config.backoff.base = Duration::from_millis(20);
        config.backoff.cap = Duration::from_millis(100);
        (config.backoff.attempts, config.backoff.elapsed) = (None, None);
        config.dial_timeout = Duration::from_secs(3);
        config.welcome_timeout = Duration::from_secs(3);
    })
}

/// Waits for states of a connection.
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
