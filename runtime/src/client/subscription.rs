//! A topic as its follower sees it (PROTOCOL.md section 7): a stream that resumes by itself. Owns
//! waiting and decoding; refuses to hide a gap.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use futures_core::Stream;

use super::shared::Shared;
use crate::protocol::{EncodeError, GapItem, ServerEnum, SnapshotState, TopicKey};
use crate::session::client::{self as core, Gap, SubId, SubscriptionRequest};
use crate::sync::{Mutex, MutexGuard};
use crate::wire::{Name, Position, UnsubscribeCode};

/// What a subscription yields. Where a topic has a snapshot, `G` is [`std::convert::Infallible`]
/// and a `match` needs no arm for `Gap`; where it has none, the same goes for `Snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<E, S, G> {
    /// The topic's state: what came before is to be forgotten. Events that follow are applied by
    /// identity, as the state may contain some of them already (PROTOCOL.md 7.5).
    Snapshot {
        /// The state.
        state: S,
        /// Why it was sent.
        reason: SnapshotReason,
    },
    /// An event or a volatile. One that this build can't read arrives as the enum's unknown
    /// variant.
    Event(E),
    /// Events were missed for good, and the topic has no snapshot.
    Gap(G),
}

/// Why a snapshot was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotReason {
    /// The subscription began without a position.
    Initial,
    /// What was seen can't be continued.
    Gap(Gap),
}

/// Why a subscription could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// This client follows that topic already.
    #[error("this client already has a subscription of that topic")]
    Duplicate,
    /// As many as [`super::ClientConfig::subscriptions`].
    #[error("this client has {limit} subscriptions, which is its limit")]
    TooMany {
        /// The limit.
        limit: u32,
    },
    /// The server said no.
    #[error("the server refused the subscription: {code:?}")]
    Refused {
        /// Why.
        code: UnsubscribeCode,
    },
    /// The key can't be written as text.
    #[error("the topic's key {0}")]
    Key(#[from] EncodeError),
    /// The client was closed, or gave up.
    #[error("the client is closed")]
    Closed,
}

/// Why a subscription ended by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscriptionEnd {
    /// The server ended it, for good.
    Refused(UnsubscribeCode),
    /// The client was closed, or gave up.
    Closed,
    /// The server sent a state that this build can't read, or a gap where the topic has a snapshot:
    /// it is of another version. Going on would show the application a history with a hole.
    Unreadable {
        /// What was wrong.
        reason: String,
    },
}

impl fmt::Display for SubscriptionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "the server ended the subscription: {code:?}"),
            Self::Closed => f.write_str("the client is closed"),
            Self::Unreadable { reason } => write!(f, "the topic can't be read: {reason}"),
        }
    }
}

/// The item type of a topic's subscription.
pub type TopicItem<T> =
    Item<<T as TopicKey>::Events, <T as TopicKey>::Snapshot, <T as TopicKey>::Gap>;

/// A subscription that is being asked for: a future of the [`Subscription`], ready when the server
/// has answered. It waits as long as there is no connection.
///
/// # Cancellation
/// Dropping it takes the subscription back.
#[must_use = "nothing is asked for unless it is awaited"]
pub struct Subscribe<T> {
    shared: Arc<Shared>,
    topic: T,
    from: Option<Position>,
    feed: Option<Feed>,
}

/// A topic that is followed: a stream of [`Item`]s that ends only with a reason, see
/// [`Subscription::end`].
///
/// Asking for the next item says that the application has finished with the one before; how far
/// that has got is what a resume continues from, and what gives the server credit to send more. One
/// that is not polled holds a bounded number of items, and holds nothing else up.
///
/// # Cancellation
/// A `next()` that is dropped before it is ready has taken nothing. Dropping the subscription
/// unsubscribes.
#[must_use = "dropping a subscription unsubscribes"]
pub struct Subscription<T> {
    feed: Feed,
    topic: T,
    position: Option<Position>,
    unreadable: Option<String>,
}

/// What a subscription and the client share.
pub(super) struct SubSlot {
    state: Mutex<SubState>,
}

#[derive(Default)]
struct SubState {
    established: bool,
    end: Option<core::SubscriptionEnd>,
    waker: Option<Waker>,
}

impl SubSlot {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, SubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn establish(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.established = true;
        state.waker.take()
    }

    pub(super) fn readable(&self) -> Option<Waker> {
        self.lock().waker.take()
    }

    pub(super) fn end(&self, end: core::SubscriptionEnd) -> Option<Waker> {
        let mut state = self.lock();
        state.end = Some(end);
        state.waker.take()
    }

    /// The next item, by `look`; `None` if there is none and the subscription has ended.
    pub(super) fn poll_item<T>(
        &self,
        cx: &Context<'_>,
        look: impl FnOnce() -> Option<T>,
    ) -> Poll<Option<T>> {
        // Both before the look: what becomes readable in between wakes, and an end hides nothing
        // that came before it.
        let ended = {
            let mut state = self.lock();
            state.waker = Some(cx.waker().clone());
            state.end.is_some()
        };
        match look() {
            Some(item) => Poll::Ready(Some(item)),
            None if ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

/// A subscription of the core, ended when dropped.
struct Feed {
    shared: Arc<Shared>,
    sub: SubId,
    slot: Arc<SubSlot>,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.unsubscribe(self.sub);
    }
}

impl<T> Subscribe<T> {
    pub(super) fn new(shared: Arc<Shared>, topic: T) -> Self {
        Self { shared, topic, from: None, feed: None }
    }

    /// Goes on after a position that the application has stored ([`Subscription::position`]),
    /// instead of beginning with the topic's state. If that can't be continued, the first item says
    /// so.
    pub fn from(mut self, position: Position) -> Self {
        self.from = Some(position);
        self
    }
}

impl<T: TopicKey> Subscribe<T> {
    fn begin(&self) -> Result<Feed, SubscribeError> {
        let topics = T::Events::DESCRIPTION.topics;
        let unsupported = SubscribeError::Refused { code: UnsubscribeCode::Unsupported };
        let declared = topics.get(usize::from(T::TOPIC)).ok_or_else(|| unsupported.clone())?;
        let topic = Name::from_static(declared.name).ok_or(unsupported)?;
        let request = SubscriptionRequest { topic, key: self.topic.key()?, from: self.from };
        let slot = SubSlot::new();
        let sub = self.shared.subscribe(request, &slot).map_err(|error| match error {
            core::SubscribeError::Duplicate => SubscribeError::Duplicate,
            core::SubscribeError::TooMany { limit } => SubscribeError::TooMany { limit },
            core::SubscribeError::Closed => SubscribeError::Closed,
        })?;
        Ok(Feed { shared: Arc::clone(&self.shared), sub, slot })
    }
}

// Nothing in it is pinned.
impl<T> Unpin for Subscribe<T> {}
impl<T> Unpin for Subscription<T> {}

impl<T: TopicKey> Future for Subscribe<T> {
    type Output = Result<Subscription<T>, SubscribeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let feed = match self.feed.take() {
            Some(feed) => feed,
            None => self.begin()?,
        };
        {
            let mut state = feed.slot.lock();
            match &state.end {
                Some(core::SubscriptionEnd::Refused(code)) => {
                    return Poll::Ready(Err(SubscribeError::Refused { code: *code }));
                }
                Some(core::SubscriptionEnd::Closed) => {
                    return Poll::Ready(Err(SubscribeError::Closed));
                }
                None => {}
            }
            if !state.established {
                state.waker = Some(cx.waker().clone());
                drop(state);
                self.feed = Some(feed);
                return Poll::Pending;
            }
        }
        let (topic, position) = (self.topic.clone(), self.from);
        Poll::Ready(Ok(Subscription { feed, topic, position, unreadable: None }))
    }
}

impl<T: TopicKey> Subscription<T> {
    /// The topic.
    pub const fn topic(&self) -> &T {
        &self.topic
    }

    /// Where the last item stands that was taken: what an application stores, once it has finished
    /// with that item, to go on from there with [`Subscribe::from`] after a restart. `None` before
    /// the first one.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        self.position
    }

    /// Why the stream has ended; `None` while it has not.
    #[must_use]
    pub fn end(&self) -> Option<SubscriptionEnd> {
        if let Some(reason) = &self.unreadable {
            return Some(SubscriptionEnd::Unreadable { reason: reason.clone() });
        }
        self.feed.slot.lock().end.as_ref().map(|end| match end {
            core::SubscriptionEnd::Refused(code) => SubscriptionEnd::Refused(*code),
            core::SubscriptionEnd::Closed => SubscriptionEnd::Closed,
        })
    }

    fn read(&mut self, item: core::Item) -> Option<Item<T::Events, T::Snapshot, T::Gap>> {
        let codec = self.feed.shared.codec;
        match item {
            core::Item::Event { position, name, body } => {
                self.position = Some(position);
                Some(Item::Event(T::Events::decode(name.as_str(), &body.0, codec)))
            }
            core::Item::Volatile { name, body } => {
                Some(Item::Event(T::Events::decode(name.as_str(), &body.0, codec)))
            }
            core::Item::Snapshot { position, name, body, gap } => {
                match T::Snapshot::decode(name.as_str(), &body.0, codec) {
                    Ok(state) => {
                        self.position = Some(position);
                        let reason = gap.map_or(SnapshotReason::Initial, SnapshotReason::Gap);
                        Some(Item::Snapshot { state, reason })
                    }
                    Err(error) => self.stop(format!("the state `{name}` {error}")),
                }
            }
            core::Item::Gap(gap) => {
                let position = Position { epoch: gap.epoch, ts: gap.resumes_after };
                match T::Gap::from_gap(gap) {
                    Some(gap) => {
                        self.position = Some(position);
                        Some(Item::Gap(gap))
                    }
                    None => self.stop("the server reported a gap and sends no state".to_owned()),
                }
            }
        }
    }

    fn stop(&mut self, reason: String) -> Option<Item<T::Events, T::Snapshot, T::Gap>> {
        tracing::error!(reason, "a subscription has ended");
        self.feed.shared.unsubscribe(self.feed.sub);
        self.unreadable = Some(reason);
        None
    }
}

impl<T: TopicKey> Stream for Subscription<T> {
    type Item = Item<T::Events, T::Snapshot, T::Gap>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.unreadable.is_some() {
            return Poll::Ready(None);
        }
        let item =
            ready!(self.feed.slot.poll_item(cx, || self.feed.shared.next_item(self.feed.sub)));
        Poll::Ready(item.and_then(|item| self.read(item)))
    }
}

impl<T: fmt::Debug> fmt::Debug for Subscribe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("topic", &self.topic)
            .field("from", &self.from)
            .finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for Subscription<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("topic", &self.topic)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
