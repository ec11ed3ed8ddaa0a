//! A topic as its follower sees it (PROTOCOL.md section 7): a stream that resumes by itself, waited
//! for and decoded. A gap is never hidden.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::error::{SubscribeError, SubscriptionEnd};
use super::shared::SharedClient;
use super::slot::SubscriptionSlot;
use crate::protocol::{GapItem, ServerEnum, SnapshotState, TopicKey};
use crate::session::client::{self as core, Gap, Resumed, SubId, SubscriptionRequest};
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
    shared: Arc<SharedClient>,
    topic: T,
    from: Option<Position>,
    last: Option<u32>,
    feed: Option<Registration>,
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
    feed: Registration,
    topic: T,
    position: Option<Position>,
    /// Taken, while whoever follows hears first that it was resumed.
    next: Option<core::Item>,
    unreadable: Option<String>,
}

/// What happens to a topic that is followed.
pub(super) enum Happening<T: TopicKey> {
    /// It goes on where it was.
    Resumed(Resumed),
    /// An item.
    Item(TopicItem<T>),
}

/// A subscription of the core, ended when dropped.
struct Registration {
    shared: Arc<SharedClient>,
    sub: SubId,
    slot: Arc<SubscriptionSlot>,
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.unsubscribe(self.sub);
    }
}

impl<T> Subscribe<T> {
    pub(super) fn new(shared: Arc<SharedClient>, topic: T) -> Self {
        Self { shared, topic, from: None, last: None, feed: None }
    }

    /// Goes on after a position that the application has stored ([`Subscription::position`]),
    /// instead of beginning with the topic's state. If that can't be continued, the first item says
    /// so.
    pub fn from(mut self, position: Position) -> Self {
        self.from = Some(position);
        self.last = None;
        self
    }

    /// Begins with the latest `events` events, or with as many as the server retains, instead of
    /// with the topic's state (PROTOCOL.md 7.25). That is how it begins, and no more: after a break
    /// it goes on where it was, and where it can't, the first item says so, with the state of a
    /// topic that has one.
    ///
    /// ```
    /// # use steadfast::WsProtocol;
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
    /// # pub enum ChatCommand { #[ws(command)] Ping }
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(server, protocol = "chat", topic(Room, key = room: u64))]
    /// # pub enum ChatEvent {
    /// #     #[ws(event(Room))] Posted { room: u64, text: String },
    /// #     #[ws(unknown)] Unknown(steadfast::UnknownMessage),
    /// # }
    /// # async fn f(chat: ChatClient) -> Result<(), Box<dyn std::error::Error>> {
    /// let history = chat.subscribe(Room(7)).last(50).await?;
    /// let only_new = chat.subscribe(Room(8)).tail().await?;
    /// # Ok(()) }
    /// ```
    pub fn last(mut self, events: u32) -> Self {
        self.from = None;
        self.last = Some(events);
        self
    }

    /// Begins with the next event that is published: [`Subscribe::last`] of none.
    pub fn tail(self) -> Self {
        self.last(0)
    }
}

impl<T: TopicKey> Subscribe<T> {
    fn begin(&self) -> Result<Registration, SubscribeError> {
        let topics = T::Events::DESCRIPTION.topics;
        let unsupported = SubscribeError::Refused { code: UnsubscribeCode::Unsupported };
        let declared = topics.get(usize::from(T::TOPIC)).ok_or_else(|| unsupported.clone())?;
        let topic = Name::from_static(declared.name).ok_or(unsupported)?;
        let (key, from, last) = (self.topic.key()?, self.from, self.last);
        let request = SubscriptionRequest { topic, key, from, last };
        let slot = SubscriptionSlot::new();
        let sub = self.shared.subscribe(request, &slot)?;
        Ok(Registration { shared: Arc::clone(&self.shared), sub, slot })
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
        match feed.slot.poll_established(cx) {
            Poll::Pending => {
                self.feed = Some(feed);
                return Poll::Pending;
            }
            Poll::Ready(Err(end)) => return Poll::Ready(Err(end.into())),
            Poll::Ready(Ok(())) => {}
        }
        let (topic, position) = (self.topic.clone(), self.from);
        Poll::Ready(Ok(Subscription { feed, topic, position, next: None, unreadable: None }))
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
        self.feed.slot.how_it_ended().map(SubscriptionEnd::from)
    }

    /// The next item, and before it that the subscription was resumed, if it was; `None` after the
    /// last one. Dropping the future loses neither.
    pub(super) async fn happening(&mut self) -> Option<Happening<T>> {
        std::future::poll_fn(|cx| self.poll_happening(cx)).await
    }

    fn poll_happening(&mut self, cx: &mut Context<'_>) -> Poll<Option<Happening<T>>> {
        let item = self.poll_item(cx);
        let seen = match &item {
            Poll::Ready(item) => item.as_ref(),
            Poll::Pending => None,
        };
        if let Some(resumed) = self.feed.slot.take_resumed(seen) {
            self.next = match item {
                Poll::Ready(item) => item,
                Poll::Pending => None,
            };
            return Poll::Ready(Some(Happening::Resumed(resumed)));
        }
        let item = ready!(item).and_then(|item| self.read(item));
        Poll::Ready(item.map(Happening::Item))
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<core::Item>> {
        if self.unreadable.is_some() {
            return Poll::Ready(None);
        }
        match self.next.take() {
            Some(item) => Poll::Ready(Some(item)),
            None => self.feed.slot.poll_item(cx, || self.feed.shared.next_item(self.feed.sub)),
        }
    }

    fn read(&mut self, item: core::Item) -> Option<Item<T::Events, T::Snapshot, T::Gap>> {
        let codec = self.feed.shared.codec();
        match item {
            core::Item::Event { position, name, body } => {
                self.position = Some(position);
                Some(Item::Event(T::Events::decode(name.as_str(), body.as_bytes(), codec)))
            }
            core::Item::Volatile { name, body } => {
                Some(Item::Event(T::Events::decode(name.as_str(), body.as_bytes(), codec)))
            }
            core::Item::Snapshot { position, name, body, gap } => {
                match T::Snapshot::decode(name.as_str(), body.as_bytes(), codec) {
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
        let item = ready!(self.poll_item(cx));
        Poll::Ready(item.and_then(|item| self.read(item)))
    }
}

impl<T: fmt::Debug> fmt::Debug for Subscribe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("topic", &self.topic)
            .field("from", &self.from)
            .field("last", &self.last)
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
