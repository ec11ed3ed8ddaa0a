//! What a server is told before it starts, and the node's configuration from what its enums
//! declare. There is no server before it was said who may connect.

use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use steadfast_schema::{Contract, Kind};

use super::auth::{self, AuthHook, Credentials};
use super::declared;
use super::env::Env;
use super::handle::Server;
use super::service::Service;
use super::settings::Limits;
use crate::host::Clock;
use crate::protocol::{self, ClientEnum};
use crate::session::node::{
    Denied, IdSpec, Identity, MessageKind, MessageSpec, NodeConfig, TopicSpec,
};
use crate::session::store::Retention;
use crate::store::{DynStore, MemoryLimits, MemoryStore, Store};
use crate::transport::TransportConfig;
use crate::wire::{Codec, Name};

/// Nothing was said yet about who may connect.
#[derive(Debug)]
pub struct Undecided(());

/// Who may connect is decided.
#[derive(Debug)]
pub struct Decided(());

/// A builder that can build.
#[diagnostic::on_unimplemented(
    message = "it is not said who may connect",
    label = "not yet",
    note = "call `.authenticate(bearer(|token| async move {{ .. }}))`, or, if everybody may, `.allow_anonymous()`"
)]
pub trait AccessDecided {}

impl AccessDecided for Decided {}

/// Builds a [`Server`]; generated code begins it with `ChatServer::builder(handler)`.
#[must_use = "a builder does nothing until `build`"]
pub struct Builder<C, A = Undecided> {
    parts: Parts,
    protocol: PhantomData<fn() -> (C, A)>,
}

/// Everything that was said.
struct Parts {
    service: Arc<dyn Service>,
    config: NodeConfig,
    transport: TransportConfig,
    limits: Limits,
    store: Option<Arc<dyn DynStore>>,
    authenticate: AuthHook,
    origins: Option<Vec<String>>,
    seed: Option<u64>,
}

impl<C: ClientEnum> Builder<C> {
    /// Starts with the defaults of [`NodeConfig`] and what the enums declare.
    ///
    /// # Panics
    /// When a description holds a wire name that breaks PROTOCOL.md 3.4. The derive never makes
    /// one.
    pub fn new(service: Arc<dyn Service>) -> Self {
        let mut config = node_config(service.as_ref());
        config.contracts = protocol::contracts::<C>();
        let parts = Parts {
            config,
            service,
            transport: TransportConfig::default(),
            limits: Limits::default(),
            store: None,
            authenticate: auth::hook(|_| {
                std::future::ready(Err::<Identity, _>(Denied::new("nobody may connect")))
            }),
            origins: None,
            seed: None,
        };
        Self { parts, protocol: PhantomData }
    }
}

impl<C: ClientEnum, A> Builder<C, A> {
    /// Asks `check` on every connection who is there. It gets what the client showed and answers
    /// with a [`Principal`](super::Principal), or with an [`Identity`] that says for how long it is
    /// good; a no closes the connection with 4201. See [`bearer`](super::bearer).
    ///
    /// # Cancellation
    /// The future is dropped when [`NodeConfig::handshake`] is over, or the connection is.
    pub fn authenticate<F, R, I>(mut self, check: F) -> Builder<C, Decided>
    where
        F: Fn(Credentials) -> R + Send + Sync + 'static,
        R: Future<Output = Result<I, Denied>> + Send + 'static,
        I: Into<Identity> + 'static,
    {
        self.parts.authenticate = auth::hook(check);
        Builder { parts: self.parts, protocol: PhantomData }
    }

    /// Lets everybody in. Each client process gets a principal of its own, `anonymous-…`, stable
    /// across its reconnects.
    pub fn allow_anonymous(self) -> Builder<C, Decided> {
        self.authenticate(|credentials| {
            std::future::ready(Ok::<_, Denied>(auth::anonymous(&credentials)))
        })
    }

    /// Where records and topic logs are kept. Without it, in memory: a restart then makes outcomes
    /// unknown and topics begin anew, both reported.
    pub fn store(mut self, store: impl Store) -> Self {
        self.parts.store = Some(Arc::new(store));
        self
    }

    /// Codecs that clients may speak; JSON alone without it. Every event and every topic's state is
    /// encoded once in each, before it is committed, and kept so. A client of a codec that is
    /// enabled later misses what was published before, and is told of the gap.
    ///
    /// # Panics
    /// When there is none.
    pub fn codecs(mut self, codecs: impl IntoIterator<Item = Codec>) -> Self {
        let mut enabled: Vec<Codec> = codecs.into_iter().collect();
        enabled.sort_unstable();
        enabled.dedup();
        assert!(!enabled.is_empty(), "a server speaks some codec");
        self.parts.config.codecs = enabled;
        self
    }

    /// A contract that clients in use were built with: the text that `assert_contract!` keeps, as it
    /// was when they were released (`include_str!("../contracts/chat-1.0.contract")`). May be said for
    /// each of them. A client that tells its fingerprint is then known exactly, and is told how it
    /// fits: [`Verdict::Compatible`] if it finds everything here that it knows of, else
    /// [`Verdict::ClientOutdated`]. Of others only the versions speak. It refuses nobody, and costs
    /// nothing while the server runs: contracts are compared here.
    ///
    /// # Panics
    /// When the text is no contract of this protocol, or in a format of another version of
    /// steadfast.
    ///
    /// [`Verdict::Compatible`]: super::Verdict::Compatible
    /// [`Verdict::ClientOutdated`]: super::Verdict::ClientOutdated
    pub fn released(mut self, contract: &str) -> Self {
        let contracts = &mut self.parts.config.contracts;
        protocol::released::<C>(contracts, contract, |earlier, own| {
            Contract::missing(earlier, own)
        });
        self
    }

    /// Web pages of these origins only may connect (`https://chat.example`); others are refused
    /// with 403. Without it every origin may. Programs that are not browsers send no origin and are
    /// not concerned.
    pub fn allow_origins<O: Into<String>>(mut self, origins: impl IntoIterator<Item = O>) -> Self {
        self.parts.origins = Some(origins.into_iter().map(Into::into).collect());
        self
    }

    /// Changes what the node is configured with.
    pub fn configure(mut self, change: impl FnOnce(&mut NodeConfig)) -> Self {
        change(&mut self.parts.config);
        self
    }

    /// Changes how sockets are read and written.
    pub fn transport(mut self, change: impl FnOnce(&mut TransportConfig)) -> Self {
        change(&mut self.parts.transport);
        self
    }

    /// Changes the limits before the upgrade, and of draining.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.parts.limits);
        self
    }

    /// For tests that must be repeatable, such as simulations: ids, tokens and epochs follow from
    /// `seed` instead of from the operating system's random numbers. A restarted server needs
    /// another seed, as it would make the same epochs again.
    ///
    /// Never in production: whoever knows the seed can take over any session.
    pub const fn insecure_seed(mut self, seed: u64) -> Self {
        self.parts.seed = Some(seed);
        self
    }

    /// The test kit's way to be between the server and its store.
    #[cfg(feature = "test")]
    pub(crate) fn store_behind(
        mut self,
        between: impl FnOnce(Arc<dyn DynStore>) -> Arc<dyn DynStore>,
    ) -> Self {
        let store = self.parts.store.take();
        self.parts.store = Some(between(store.unwrap_or_else(|| Arc::new(MemoryStore::default()))));
        self
    }

    /// The server. Nothing runs until it is served or its router is mounted.
    ///
    /// A reply that may be longer than what our client takes by default
    /// ([`NodeConfig::reply_bytes`]) is no contradiction, since clients may take more: it is logged
    /// as a warning.
    ///
    /// # Panics
    /// When declared limits and settings contradict each other: a message may be longer, as it is
    /// declared (`max_bytes`), than a frame lets through ([`NodeConfig::frame_bytes`], less 160
    /// bytes for its head), so that nobody could send it; an event may be longer than what a
    /// command may publish ([`NodeConfig::publish_bytes_per_command`]); or one topic's state may be
    /// longer than all together ([`NodeConfig::snapshot_bytes`], [`NodeConfig::snapshots_bytes`]).
    ///
    /// When the handler's commands end in transactions of a store (`const TRANSACTS`), and the
    /// server has another one.
    #[must_use]
    pub fn build(self) -> Server<C>
    where
        A: AccessDecided,
    {
        let topics = self.parts.service.server_enum().topics;
        let contradiction = declared::contradiction(&self.parts.config, topics);
        assert!(contradiction.is_none(), "{}", contradiction.unwrap_or_default());
        let client_takes = TransportConfig::default().message_bytes;
        if let Some(beyond) = declared::beyond_clients(&self.parts.config, client_takes) {
            tracing::warn!("{beyond}");
        }
        let (seed, env) = (self.parts.seed, self.parts.env());
        let missing = env.transacts.missing(env.store.as_ref());
        assert!(
            missing.is_none(),
            "the handler's transactions are those of {}, and the server's store is another one: \
             give it one with `.store(..)`",
            missing.unwrap_or_default()
        );
        Server::new(env, seed)
    }
}

impl<C, A> std::fmt::Debug for Builder<C, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("config", &self.parts.config).finish_non_exhaustive()
    }
}

impl Parts {
    fn env(self) -> Env {
        let clock = Clock::new();
        let store = self.store.unwrap_or_else(|| {
            Arc::new(MemoryStore::new(MemoryLimits::default(), Arc::new(move || clock.now())))
        });
        Env {
            transacts: self.service.transacts(),
            service: self.service,
            config: Arc::new(self.config),
            transport: self.transport,
            limits: self.limits,
            store,
            authenticate: self.authenticate,
            origins: self.origins,
            clock,
        }
    }
}

fn node_config(service: &dyn Service) -> NodeConfig {
    let commands = service.client_enum();
    let mut config = NodeConfig::new(commands.protocol);
    for (index, message) in (0..).zip(commands.messages) {
        let (kind, timeout_ms, max_bytes) = match message.kind {
            Kind::Request { ordered, timeout_ms, max_bytes, .. }
            | Kind::Command { ordered, timeout_ms, max_bytes } => {
                (MessageKind::Command { ordered }, timeout_ms, max_bytes)
            }
            Kind::ClientVolatile { timeout_ms, max_bytes, .. } => {
                (MessageKind::Volatile, timeout_ms, max_bytes)
            }
            Kind::Event { .. }
            | Kind::Snapshot { .. }
            | Kind::TopicVolatile { .. }
            | Kind::Direct { .. }
            | Kind::Error => continue,
        };
        for text in std::iter::once(&message.name).chain(message.aliases) {
            let mut spec = MessageSpec::new(wire_name(text), index, kind);
            if let Some(id) = message.id {
                let (name, keep) = (wire_name(message.name), Duration::from_millis(id.keep_ms));
                spec = spec.with_ids(IdSpec::new(name, keep, service.read_id()));
            }
            config.add_message(spec.with_limits(Duration::from_millis(timeout_ms), max_bytes));
        }
    }
    for topic in service.server_enum().topics {
        config.add_topic(topic_spec(topic));
    }
    config
}

fn topic_spec(topic: &steadfast_schema::Topic) -> TopicSpec {
    let retention = Retention::new(topic.replay, Duration::from_millis(topic.ttl_ms));
    TopicSpec::new(wire_name(topic.name), retention, topic.has_snapshot)
}

fn wire_name(text: &'static str) -> Name {
    Name::from_static(text).expect("the derive checks wire names")
}
