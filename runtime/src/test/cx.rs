//! Contexts for handlers and hooks without a server: what they are given is made up, what they
//! publish can be looked at. Nothing is committed.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::{ServerEnum, TopicKey};
use crate::server::{self, Alone, AloneParts, Attempt, Build, Principal, Recipient, Verdict};
use crate::session::node::StagedPublish;
use crate::session::store::MessageId;
use crate::wire::{Body, Codec, CommandNo, Epoch, LeaseId, Name, Position, TopicSeq};

/// The context of a command, for a test of its handler alone: dereferences to
/// [`server::Cx`](crate::server::Cx), which handlers take.
///
/// ```
/// # use steadfast::{UnknownMessage, WsProtocol};
/// # #[derive(Debug, Clone, WsProtocol)]
/// # #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
/// # pub enum ChatCommand {
/// #     #[ws(command)]
/// #     Post { room: u32, text: String },
/// # }
/// # #[derive(Debug, Clone, WsProtocol)]
/// # #[ws(server, protocol = "chat", topic(Room, key = room: u32, replay = 100, ttl = "10m"))]
/// # pub enum ChatEvent {
/// #     #[ws(event(Room))]
/// #     Posted { room: u32, from: String, text: String },
/// #     #[ws(unknown)]
/// #     Unknown(UnknownMessage),
/// # }
/// # struct Chat;
/// # impl ChatHandler for Chat {
/// #     async fn post(
/// #         &self,
/// #         cx: &steadfast::server::Cx,
/// #         room: u32,
/// #         text: String,
/// #     ) -> Result<(), steadfast::NoError> {
/// #         cx.publish(ChatEventPosted { room, from: cx.principal().user().to_owned(), text });
/// #         Ok(())
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let cx = steadfast::test::Cx::of("ada");
/// Chat.post(&cx, 7, "hello".into()).await.unwrap();
/// let published = cx.published::<ChatEvent>();
/// assert!(matches!(&published[..], [ChatEvent::Posted { from, .. }] if from == "ada"));
/// # }
/// ```
///
/// A handler that ends in a transaction of its store (`cx.transact`) panics here, since there is no
/// store: test it with a [`Net`](super::Net), whose server has one.
#[derive(Debug)]
pub struct Cx {
    parts: AloneParts,
    alone: Alone,
}

impl Cx {
    /// A command of this user's: the first one of a client, in JSON, with 10 s left.
    #[must_use]
    pub fn of(user: &str) -> Self {
        Self::by(Principal::new(user))
    }

    /// The same, for a principal with attributes.
    #[must_use]
    pub fn by(principal: Principal) -> Self {
        Self::from_parts(AloneParts {
            principal,
            client: Arc::default(),
            lease: LeaseId(1),
            n: CommandNo(1),
            id: None,
            attempt: Attempt::First,
            timeout: Duration::from_secs(10),
            codec: Codec::Json,
            is_command: true,
        })
    }

    fn from_parts(parts: AloneParts) -> Self {
        Self { alone: Alone::new(parts.clone()), parts }
    }

    fn with(mut self, change: impl FnOnce(&mut AloneParts)) -> Self {
        change(&mut self.parts);
        Self::from_parts(self.parts)
    }

    /// Which client it comes from, in place of 1: what `sender()` names. A user may have several.
    #[must_use]
    pub fn from_client(self, client: u64) -> Self {
        self.with(|parts| parts.lease = LeaseId(u128::from(client)))
    }

    /// Which command of its client it is, in place of 1. The idempotency key names client and
    /// number: two contexts with the same ones are the same command, run twice.
    #[must_use]
    pub fn as_command(self, n: u64) -> Self {
        self.with(|parts| parts.n = CommandNo(n))
    }

    /// The version that its client was built with, and how that fits the server: what `client()`
    /// says, in place of no version and [`Verdict::Unknown`].
    #[must_use]
    pub fn with_version(self, version: &str, verdict: Verdict) -> Self {
        let client = Build { version: version.into(), verdict, ..Build::default() };
        self.with(|parts| parts.client = Arc::new(client))
    }

    /// It carries this id of the application's, of a message with `id = ..`: the idempotency key
    /// names message, user and id, whichever client it comes from.
    ///
    /// # Panics
    /// When `message` is no wire name (PROTOCOL.md 3.4).
    #[must_use]
    pub fn with_id(self, message: &'static str, id: &str) -> Self {
        let message = Name::from_static(message).expect("a message's wire name");
        self.with(|parts| {
            let principal = parts.principal.id();
            parts.id = Some(MessageId { principal, message, text: id.into() });
        })
    }

    /// Whether it may have run before.
    #[must_use]
    pub fn with_attempt(self, attempt: Attempt) -> Self {
        self.with(|parts| parts.attempt = attempt)
    }

    /// How long the handler may run from now on, in place of 10 s.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        self.with(|parts| parts.timeout = timeout)
    }

    /// What its client speaks, in place of JSON, and what is published is encoded in.
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Self {
        self.with(|parts| parts.codec = codec)
    }

    /// It is of a volatile, which has no record.
    #[must_use]
    pub fn as_volatile(self) -> Self {
        self.with(|parts| parts.is_command = false)
    }

    /// The caller cancels the command: `cancelled()` comes to its end.
    pub fn cancel(&self) {
        self.alone.cancel();
    }

    /// What was published so far, events and volatiles, in order: what would be committed if the
    /// handler returned `Ok` now.
    ///
    /// # Panics
    /// When something was published or sent that can't be: the command would end with `internal`.
    #[must_use]
    pub fn published<E: ServerEnum>(&self) -> Vec<E> {
        self.staged().into_iter().filter_map(|staged| self.decode(&staged)).collect()
    }

    /// Those in one topic: `cx.published_in(&Room(7))`.
    ///
    /// # Panics
    /// As for [`Cx::published`], and when the key can't be written.
    #[must_use]
    pub fn published_in<T: TopicKey>(&self, topic: &T) -> Vec<T::Events> {
        let name = T::Events::DESCRIPTION.topics.get(usize::from(T::TOPIC)).map(|topic| topic.name);
        let key = topic.key().expect("a topic's key has a text");
        let is_there = |staged: &StagedPublish| {
            let topic = match staged {
                StagedPublish::Event(event) => &event.topic,
                StagedPublish::Volatile(volatile) => &volatile.topic,
                StagedPublish::Direct(_) => return false,
            };
            Some(topic.name.as_str()) == name && *topic.key == *key
        };
        let there = self.staged().into_iter().filter(is_there);
        there.filter_map(|staged| self.decode(&staged)).collect()
    }

    /// What was sent directly so far, in order, and to whom.
    ///
    /// # Panics
    /// As for [`Cx::published`].
    #[must_use]
    pub fn sent<E: ServerEnum>(&self) -> Vec<(Recipient, E)> {
        let sent = |staged| match staged {
            StagedPublish::Direct(direct) => {
                Some((direct.to, self.read(&direct.name, &direct.bodies)?))
            }
            StagedPublish::Event(_) | StagedPublish::Volatile(_) => None,
        };
        self.staged().into_iter().filter_map(sent).collect()
    }

    fn staged(&self) -> Vec<StagedPublish> {
        let staged = self.alone.staged();
        assert!(staged.is_ok(), "the command would end with `internal`: {staged:?}");
        staged.unwrap_or_default()
    }

    /// `None` of what is no publication.
    fn decode<E: ServerEnum>(&self, staged: &StagedPublish) -> Option<E> {
        match staged {
            StagedPublish::Event(event) => self.read(&event.name, &event.bodies),
            StagedPublish::Volatile(volatile) => self.read(&volatile.name, &volatile.bodies),
            StagedPublish::Direct(_) => None,
        }
    }

    fn read<E: ServerEnum>(&self, name: &Name, bodies: &[(Codec, Body)]) -> Option<E> {
        let (codec, body) = bodies.first()?;
        Some(E::decode(name.as_str(), body.as_bytes(), *codec))
    }
}

impl Deref for Cx {
    type Target = server::Cx;

    fn deref(&self) -> &server::Cx {
        self.alone.cx()
    }
}

/// The context of a snapshot hook, for a test of that alone: dereferences to
/// [`server::TopicCx`](crate::server::TopicCx), which hooks take.
#[derive(Debug)]
pub struct TopicCx(server::TopicCx);

impl TopicCx {
    /// The state is to have every event up to the one with this number (0: it may be empty).
    #[must_use]
    pub fn at(ts: u64) -> Self {
        let position = Position { epoch: Epoch(1), ts: TopicSeq(ts) };
        Self(server::topic_cx(position, vec![Codec::Json]))
    }
}

impl Deref for TopicCx {
    type Target = server::TopicCx;

    fn deref(&self) -> &server::TopicCx {
        &self.0
    }
}
