//! How a server reaches the application's handlers: one object-safe trait for the driver, two
//! traits that generated code implements. Owns the turn from a handler's result into an outcome;
//! refuses order, deadlines and records.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use steadfast_schema as schema;

use super::body::{DecodeError, encode_body, encode_reply};
use super::error::WsError;
use super::message::{ClientEnum, Message, Reply, ServerEnum};
use super::topic::decode_topic_key;
use crate::server::{Cx, TopicCx};
use crate::session::node::{Denied, Principal};
use crate::session::store::Outcome;
use crate::wire::{Body, Codec, FailureCode, Name, UnsubscribeCode};

/// A boxed future of a handler.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A snapshot's wire name and body, or why there is none; the reason is for a log.
pub type SnapshotOutcome = Result<(Name, Body), String>;

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
    /// Decodes a request or command and starts its handler.
    ///
    /// # Errors
    /// When the body does not fit: the handler does not run.
    fn execute(&self, message: u16, body: Bytes, cx: Cx)
    -> Result<BoxFuture<Outcome>, DecodeError>;
    /// Decodes a volatile and starts its handler.
    ///
    /// # Errors
    /// When the body does not fit: the handler does not run.
    fn volatile(&self, message: u16, body: Bytes, cx: Cx) -> Result<BoxFuture<()>, DecodeError>;
    /// Asks whether somebody may subscribe.
    fn authorize(
        self: Arc<Self>,
        who: Principal,
        topic: u16,
        key: String,
    ) -> BoxFuture<Result<(), Unauthorized>>;
    /// Reads a topic's state, in the codec of `cx`.
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
    /// See [`Service::execute`].
    ///
    /// # Errors
    /// When the body does not fit.
    fn execute(
        _: Arc<H>,
        message: u16,
        _: Bytes,
        _: Cx,
    ) -> Result<BoxFuture<Outcome>, DecodeError> {
        Err(unknown_message(message))
    }
    /// See [`Service::volatile`].
    ///
    /// # Errors
    /// When the body does not fit.
    fn volatile(_: Arc<H>, message: u16, _: Bytes, _: Cx) -> Result<BoxFuture<()>, DecodeError> {
        Err(unknown_message(message))
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
        std::future::ready(unknown_topic())
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

/// A handler together with the protocol that it answers.
#[derive(Debug)]
pub struct Dispatch<C, H> {
    handler: Arc<H>,
    protocol: PhantomData<fn() -> C>,
}

/// Makes a handler the service of a protocol.
pub fn service<C, H>(handler: H) -> Arc<Dispatch<C, H>> {
    Arc::new(Dispatch { handler: Arc::new(handler), protocol: PhantomData })
}

impl<C, H> Service for Dispatch<C, H>
where
    C: CommandHooks<H>,
    C::ServerEnum: TopicHooks<H>,
    H: Send + Sync + 'static,
{
    fn client_enum(&self) -> &'static schema::ClientEnum {
        C::DESCRIPTION
    }

    fn server_enum(&self) -> &'static schema::ServerEnum {
        C::ServerEnum::DESCRIPTION
    }

    fn execute(
        &self,
        message: u16,
        body: Bytes,
        cx: Cx,
    ) -> Result<BoxFuture<Outcome>, DecodeError> {
        C::execute(Arc::clone(&self.handler), message, body, cx)
    }

    fn volatile(&self, message: u16, body: Bytes, cx: Cx) -> Result<BoxFuture<()>, DecodeError> {
        C::volatile(Arc::clone(&self.handler), message, body, cx)
    }

    fn authorize(
        self: Arc<Self>,
        who: Principal,
        topic: u16,
        key: String,
    ) -> BoxFuture<Result<(), Unauthorized>> {
        Box::pin(async move { C::ServerEnum::authorize(&self.handler, who, topic, key).await })
    }

    fn snapshot(
        self: Arc<Self>,
        cx: TopicCx,
        topic: u16,
        key: String,
    ) -> BoxFuture<SnapshotOutcome> {
        Box::pin(async move { C::ServerEnum::snapshot(&self.handler, cx, topic, key).await })
    }
}

/// What the caller is told. A reply or error that can't be encoded is the server's fault:
/// `internal` (PROTOCOL.md 5.7).
pub fn reply<R: Reply, C: ClientEnum>(codec: Codec, result: Result<R, C::Error>) -> Outcome {
    let encoded = match result {
        Ok(reply) => encode_reply(&reply, codec).map(|body| Outcome::Ok(Body(body))),
        Err(error) => error.encode(codec).map(|(name, body)| Outcome::Failed {
            code: FailureCode::Error,
            name,
            body: Body(body),
        }),
    };
    encoded.unwrap_or(Outcome::Failed {
        code: FailureCode::Internal,
        name: Name::EMPTY,
        body: Body::UNIT,
    })
}

/// A snapshot as its hook returned it.
///
/// # Errors
/// The hook's error, or why the state can't be encoded, for a log.
pub fn snapshot_outcome<S: Message, E: Debug>(
    codec: Codec,
    result: Result<S, E>,
) -> SnapshotOutcome {
    let state = result.map_err(|error| format!("{error:?}"))?;
    let body = encode_body(&state, codec).map_err(|error| error.to_string())?;
    let name = Name::from_static(S::NAME).ok_or_else(|| format!("`{}` is not a name", S::NAME))?;
    Ok((name, Body(body)))
}

/// The key of the topic whose state is asked for.
///
/// # Errors
/// When it does not fit the key type, for a log.
pub fn snapshot_key<K: DeserializeOwned>(key: &str) -> Result<K, String> {
    decode_topic_key(key).map_err(|error| format!("the topic's key {error}"))
}

/// The answer of a topic that declares no snapshot.
///
/// # Errors
/// Always.
pub fn no_snapshot(topic: u16) -> SnapshotOutcome {
    Err(format!("topic {topic} declares no snapshot"))
}

/// A hook's answer, as the driver takes it.
///
/// # Errors
/// The hook's no.
pub fn authorized(answer: Result<(), Denied>) -> Result<(), Unauthorized> {
    answer.map_err(Unauthorized::Denied)
}

/// The answer for a topic that the server enum does not have.
///
/// # Errors
/// Always.
pub const fn unknown_topic() -> Result<(), Unauthorized> {
    Err(Unauthorized::UnknownTopic)
}

/// The answer for a message that the client enum does not have.
#[must_use]
pub fn unknown_message(message: u16) -> DecodeError {
    DecodeError::new(format!("the protocol has no message {message} of this kind"))
}
