//! From a typed message to what the node publishes: encoded once in every enabled codec
//! (PROTOCOL.md 7.1). A body is never transcoded.

use std::sync::Arc;

use crate::protocol::{Direct, EncodeError, Message, Publish, ServerEnum, encode_body};
use crate::session::node::{DirectMessage, NodeConfig, Recipient, StagedPublish, TopicVolatile};
use crate::session::store::{Publication, TopicId};
use crate::wire::{Body, Codec, Name};

/// Why a message is not a publication: its own fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct EncodeFailure {
    pub(super) reason: String,
}

impl From<EncodeError> for EncodeFailure {
    fn from(error: EncodeError) -> Self {
        Self { reason: error.to_string() }
    }
}

/// What one command has published so far, within what one may.
#[derive(Debug, Default)]
pub(super) struct Staged {
    publishes: Vec<StagedPublish>,
    bytes: usize,
    failure: Option<String>,
}

impl Staged {
    /// Adds what was published before, within the same bounds.
    pub(super) fn after(events: &[Publication]) -> Self {
        let bytes = events.iter().map(Publication::bytes).sum();
        let publishes = events.iter().cloned().map(StagedPublish::Event).collect();
        Self { publishes, bytes, failure: None }
    }

    pub(super) fn publish<P: Publish>(&mut self, config: &NodeConfig, message: &P) {
        let made = || staged(config, message).map(|(publish, bytes)| (publish.into(), bytes));
        self.take_in(config, "publishing", <P as Message>::NAME, made);
    }

    pub(super) fn send<M: Direct>(&mut self, config: &NodeConfig, to: &Recipient, message: &M) {
        let made = || {
            direct(config, to, message)
                .map(|(direct, bytes)| (StagedPublish::Direct(direct), bytes))
        };
        self.take_in(config, "sending", <M as Message>::NAME, made);
    }

    /// Adds what is made, unless something before it has failed.
    fn take_in(
        &mut self,
        config: &NodeConfig,
        doing: &str,
        name: &str,
        made: impl FnOnce() -> Result<(StagedPublish, usize), EncodeFailure>,
    ) {
        if self.failure.is_some() {
            return;
        }
        match made() {
            Ok((publish, bytes)) => self.add(config, publish, bytes),
            Err(EncodeFailure { reason }) => self.fail(format!("{doing} `{name}`: {reason}")),
        }
    }

    fn add(&mut self, config: &NodeConfig, publish: StagedPublish, bytes: usize) {
        let bytes = self.bytes.saturating_add(bytes);
        if self.publishes.len() >= config.publishes_per_command as usize {
            return self.fail(format!(
                "more than {} publications in one command",
                config.publishes_per_command
            ));
        }
        if bytes > config.publish_bytes_per_command as usize {
            return self.fail(format!(
                "more than {} bytes published in one command",
                config.publish_bytes_per_command
            ));
        }
        self.bytes = bytes;
        self.publishes.push(publish);
    }

    /// What it published; from here on it has published nothing.
    ///
    /// # Errors
    /// Why something could not be published.
    pub(super) fn take(&mut self) -> Result<Vec<StagedPublish>, String> {
        match self.failure.take() {
            None => Ok(std::mem::take(&mut self.publishes)),
            Some(failure) => Err(failure),
        }
    }

    /// The same, and it stays.
    #[cfg(feature = "test")]
    pub(super) fn look(&self) -> Result<Vec<StagedPublish>, String> {
        self.failure.clone().map_or_else(|| Ok(self.publishes.clone()), Err)
    }

    fn fail(&mut self, reason: String) {
        self.failure = Some(reason);
        self.publishes = Vec::new();
    }
}

impl EncodeFailure {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// What is published in a topic.
pub(super) enum Published {
    Event(Publication),
    Volatile(TopicVolatile),
}

impl From<Published> for StagedPublish {
    fn from(published: Published) -> Self {
        match published {
            Published::Event(event) => Self::Event(event),
            Published::Volatile(volatile) => Self::Volatile(volatile),
        }
    }
}

/// A message for a session or principal, and the bytes of its bodies.
pub(super) fn direct<M: Direct>(
    config: &NodeConfig,
    to: &Recipient,
    message: &M,
) -> Result<(DirectMessage, usize), EncodeFailure> {
    let (bodies, bytes) = bodies(config, message, M::MAX_BYTES)?;
    let name = name(<M as Message>::NAME)?;
    Ok((DirectMessage { to: to.clone(), name, bodies }, bytes))
}

/// The publication of a message, and the bytes of its bodies.
pub(super) fn staged<P: Publish>(
    config: &NodeConfig,
    message: &P,
) -> Result<(Published, usize), EncodeFailure> {
    let topics = <P::Events as ServerEnum>::DESCRIPTION.topics;
    let declared = topics
        .get(usize::from(P::TOPIC))
        .ok_or_else(|| EncodeFailure::new("its topic is not declared"))?;
    let topic = TopicId { name: name(declared.name)?, key: Arc::from(key(config, message)?) };
    let (bodies, bytes) = bodies(config, message, declared.max_bytes)?;
    let name = name(<P as Message>::NAME)?;
    let publish = match message.conflation_key()? {
        None => Published::Event(Publication { topic, name, bodies }),
        Some(conflation) => Published::Volatile(TopicVolatile { topic, conflation, name, bodies }),
    };
    Ok((publish, bytes))
}

fn name(text: &'static str) -> Result<Name, EncodeFailure> {
    Name::from_static(text)
        .ok_or_else(|| EncodeFailure::new(format!("`{text}` breaks the rule for names")))
}

fn key<P: Publish>(config: &NodeConfig, message: &P) -> Result<String, EncodeFailure> {
    let key = message.topic_key()?;
    if key.len() > config.topic_key_bytes as usize {
        return Err(EncodeFailure::new(format!("its topic key has {} bytes", key.len())));
    }
    Ok(key)
}

fn bodies<M: Message>(
    config: &NodeConfig,
    message: &M,
    max_bytes: u32,
) -> Result<(Vec<(Codec, Body)>, usize), EncodeFailure> {
    let mut bodies = Vec::with_capacity(config.codecs.len());
    let mut total = 0;
    for &codec in &config.codecs {
        let body = encode_body(message, codec)?;
        if body.len() > max_bytes as usize {
            return Err(EncodeFailure::new(format!(
                "its body has {} bytes, {max_bytes} are allowed",
                body.len()
            )));
        }
        total += body.len();
        bodies.push((codec, body));
    }
    Ok((bodies, total))
}
