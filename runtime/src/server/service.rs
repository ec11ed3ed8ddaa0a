//! A server's application as the driver sees it: an object-safe trait whose messages and topics go
//! by number, and the traits that generated code implements for it. Knows no order, no deadline and
//! no record.

use std::pin::Pin;
use std::sync::Arc;

use steadfast_schema as schema;

use super::cx::{Cx, TopicCx};
use super::transacts::Transacts;
use crate::protocol::{ClientEnum, DecodeError};
use crate::session::node::{Denied, Principal, ReadId};
use crate::session::store::Outcome;
use crate::wire::{Body, Codec, Name, ResumeFailure, UnsubscribeCode};

/// A boxed future of a handler.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A snapshot's wire name and body, or why there is none; the reason is for a log.
pub type SnapshotOutcome = Result<(Name, Vec<(Codec, Body)>), String>;

/// Why a subscription is not allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unauthorized {
    /// The hook said no.
    Denied(Denied),
    /// The key does not fit the topic's key type.
    InvalidKey(DecodeError),
    /// The server enum has no topic of this index.
    UnknownTopic,
}

impl Unauthorized {
    /// What the client is told (PROTOCOL.md 7.10).
    #[must_use]
    pub const fn code(&self) -> UnsubscribeCode {
        match self {
            Self::Denied(_) => UnsubscribeCode::Forbidden,
            Self::InvalidKey(_) => UnsubscribeCode::Invalid,
            Self::UnknownTopic => UnsubscribeCode::Unsupported,
        }
    }
}

impl From<DecodeError> for Unauthorized {
    fn from(error: DecodeError) -> Self {
        Self::InvalidKey(error)
    }
}

/// A protocol with its handlers, as the driver sees it. Messages and topics go by their index in
/// the descriptions. The driver may drop any of its futures: their time is over, or nobody waits
/// for them.
pub trait Service: Send + Sync + 'static {
    /// What clients send.
    fn client_enum(&self) -> &'static schema::ClientEnum;
    /// What the server sends.
    fn server_enum(&self) -> &'static schema::ServerEnum;
    /// Reads the ids of those of its messages that declare one. The default is for a protocol in
    /// which none does.
    fn read_id(&self) -> ReadId {
        |_, _, _| None
    }
    /// On which store's transactions its commands end. The default is for a service in which none
    /// does.
    fn transacts(&self) -> Transacts {
        Transacts::NEVER
    }
    /// A client has come back: whether its session goes on, or why it could not. Called on a
    /// connection's task; the default does nothing.
    fn returned(&self, _: &Principal, _: Result<(), ResumeFailure>) {}
    /// Decodes a request or command and starts its handler.
    ///
    /// # Errors
    /// When the body does not fit: the handler does not run.
    fn execute(&self, message: u16, body: &[u8], cx: Cx)
    -> Result<BoxFuture<Outcome>, DecodeError>;
    /// Decodes a volatile and starts its handler.
    ///
    /// # Errors
    /// When the body does not fit: the handler does not run.
    fn volatile(&self, message: u16, body: &[u8], cx: Cx) -> Result<BoxFuture<()>, DecodeError>;
    /// Asks whether somebody may subscribe.
    fn authorize(
        self: Arc<Self>,
        who: Principal,
        topic: u16,
        key: String,
    ) -> BoxFuture<Result<(), Unauthorized>>;
    /// Reads a topic's state, in the codecs of `cx`.
    fn snapshot(
        self: Arc<Self>,
        cx: TopicCx,
        topic: u16,
        key: String,
    ) -> BoxFuture<SnapshotOutcome>;
}

/// Answers a client enum's messages with a handler `H`. Implemented for the enum, so that a crate
/// may implement it for any `H`.
pub trait CommandHooks<H>: ClientEnum {
    /// Reads the id of a message that declares one. `None` if the body does not fit.
    fn message_id(_: u16, _: &[u8], _: Codec) -> Option<String> {
        None
    }
    /// See [`Service::transacts`].
    #[must_use]
    fn transacts() -> Transacts {
        Transacts::NEVER
    }
    /// See [`Service::returned`].
    fn returned(_: &H, _: &Principal, _: Result<(), ResumeFailure>) {}
    /// See [`Service::execute`].
    ///
    /// # Errors
    /// When the body does not fit.
    fn execute(
        _: Arc<H>,
        message: u16,
        _: &[u8],
        _: Cx,
    ) -> Result<BoxFuture<Outcome>, DecodeError> {
        Err(DecodeError::unknown_message(message))
    }
    /// See [`Service::volatile`].
    ///
    /// # Errors
    /// When the body does not fit.
    fn volatile(_: Arc<H>, message: u16, _: &[u8], _: Cx) -> Result<BoxFuture<()>, DecodeError> {
        Err(DecodeError::unknown_message(message))
    }
}

/// Answers for a server enum's topics with a handler `H`. Asks no more of the enum, so that one
/// that is none is reported once.
pub trait TopicHooks<H> {
    /// See [`Service::authorize`].
    fn authorize(
        _: &H,
        _: Principal,
        _: u16,
        _: String,
    ) -> impl Future<Output = Result<(), Unauthorized>> + Send {
        std::future::ready(Err(Unauthorized::UnknownTopic))
    }
    /// See [`Service::snapshot`].
    fn snapshot(
        _: &H,
        _: TopicCx,
        topic: u16,
        _: String,
    ) -> impl Future<Output = SnapshotOutcome> + Send {
        std::future::ready(no_snapshot(topic))
    }
}

/// The answer of a topic that declares no snapshot.
pub(crate) fn no_snapshot(topic: u16) -> SnapshotOutcome {
    Err(format!("topic {topic} declares no snapshot"))
}
