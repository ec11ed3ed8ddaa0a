//! From a server's index of a message or topic to the handler that the application wrote, and back
//! from its result to an outcome. Knows no order, no deadline and no record.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use steadfast_schema as schema;

use crate::protocol::{
    ClientEnum, DecodeError, Message, Reply, ServerEnum, WsError, decode_topic_key, encode_body,
    encode_reply,
};
use crate::server::{
    self, BoxFuture, CommandHooks, Cx, Service, SnapshotOutcome, TopicCx, TopicHooks, Unauthorized,
};
use crate::session::node::{Denied, Principal};
use crate::session::store::Outcome;
use crate::wire::{Body, Codec, FailureCode, Name};

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
    encoded.unwrap_or(Outcome::internal())
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
    server::no_snapshot(topic)
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
    DecodeError::unknown_message(message)
}
