//! From a server's index of a message or topic to the handler that the application wrote, and back
//! from its result to an outcome. Knows no order, no deadline and no record.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};
use steadfast_schema as schema;

use crate::protocol::{
    ClientEnum, DecodeError, Message, Reply, ServerEnum, decode_topic_key, encode_body,
};
use crate::server::{
    self, BoxFuture, CommandHooks, Cx, Service, SnapshotOutcome, TopicCx, TopicHooks, Transacts,
    Unauthorized,
};
use crate::session::node::{Denied, Principal, ReadId};
use crate::session::store::Outcome;
use crate::wire::{Codec, Name, ResumeFailure};

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

    fn read_id(&self) -> ReadId {
        C::message_id
    }

    fn transacts(&self) -> Transacts {
        C::transacts()
    }

    fn returned(&self, who: &Principal, session: Result<(), ResumeFailure>) {
        C::returned(&self.handler, who, session);
    }

    fn execute(
        &self,
        message: u16,
        body: &[u8],
        cx: Cx,
    ) -> Result<BoxFuture<Outcome>, DecodeError> {
        C::execute(Arc::clone(&self.handler), message, body, cx)
    }

    fn volatile(&self, message: u16, body: &[u8], cx: Cx) -> Result<BoxFuture<()>, DecodeError> {
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

/// What the caller is told.
pub fn reply<R: Reply, C: ClientEnum>(codec: Codec, result: Result<R, C::Error>) -> Outcome {
    server::answer(codec, result)
}

/// A snapshot as its hook returned it, in each codec.
///
/// # Errors
/// The hook's error, or why the state can't be encoded, for a log.
pub fn snapshot_outcome<S: Message, E: Debug>(
    codecs: &[Codec],
    result: Result<S, E>,
) -> SnapshotOutcome {
    let state = result.map_err(|error| format!("{error:?}"))?;
    let encode = |codec: &Codec| encode_body(&state, *codec).map(|body| (*codec, body));
    let bodies = codecs.iter().map(encode).collect::<Result<_, _>>();
    let bodies = bodies.map_err(|error| error.to_string())?;
    let name = Name::from_static(S::NAME).ok_or_else(|| format!("`{}` is not a name", S::NAME))?;
    Ok((name, bodies))
}

/// The key of the topic whose state is asked for.
///
/// # Errors
/// When it does not fit the key type, for a log.
pub fn snapshot_key<K: Serialize + DeserializeOwned>(key: &str) -> Result<K, String> {
    decode_topic_key(key).map_err(|error| format!("the topic's key {error}"))
}

/// The text of a message's id, for the node; `None` if the body does not fit.
pub fn message_id<M: DeserializeOwned, K: Serialize + DeserializeOwned>(
    body: &[u8],
    codec: Codec,
    id: impl FnOnce(M) -> K,
) -> Option<String> {
    server::message_id(body, codec, id)
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Mutex, PoisonError};

    use super::*;
    use crate::protocol::{EncodeError, WsError};
    use crate::wire::Body;

    #[derive(Debug)]
    struct Untold;

    impl WsError for Untold {
        const DESCRIPTION: &'static schema::ErrorEnum = &schema::ErrorEnum::EMPTY;

        fn encode(self, codec: Codec) -> Result<(Name, Body), EncodeError> {
            encode_body(&7, codec).map(|body| (Name::EMPTY, body))
        }

        fn decode(_: &str, _: &[u8], _: Codec) -> Result<Self, DecodeError> {
            Ok(Self)
        }
    }

    struct Commands;

    impl ClientEnum for Commands {
        const DESCRIPTION: &'static schema::ClientEnum = &schema::ClientEnum {
            protocol: "",
            version: "",
            rust_name: "",
            docs: "",
            messages: &[],
            reserved: &[],
        };
        type ServerEnum = Events;
        type Error = Untold;
    }

    struct Events;

    impl ServerEnum for Events {
        const DESCRIPTION: &'static schema::ServerEnum = &schema::ServerEnum::EMPTY;

        fn decode(_: &str, _: &[u8], _: Codec) -> Self {
            Self
        }
    }

    /// What was logged.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_error_that_cant_be_encoded_is_logged_with_its_type() {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone()).finish();
        let outcome = tracing::subscriber::with_default(subscriber, || {
            reply::<u64, Commands>(Codec::Json, Err(Untold))
        });
        assert_eq!(outcome, Outcome::internal());
        let text = log.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("ERROR") && text.contains("Untold"), "{text}");
        assert!(text.contains("wrap the value in a struct"), "{text}");
    }
}
