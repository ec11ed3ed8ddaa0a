//! A keyed topic as a client's screen shows it: the latest event of each item, kept up to date
//! (PROTOCOL.md 7.23). What is put together how is the core's.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::error::SubscriptionEnd;
use super::subscription::Subscription;
use crate::protocol::{KeyedTopic, ServerEnum, topic_key};
use crate::session::client::{self as core, MirrorChange, MirrorLimits};
use crate::wire::{Name, Position};

const NOT_WHOLE: &str = "a mirror is made of a subscription that begins with the topic's state: \
                         without `from`, `last` and `tail`, and before anything is taken of it";

/// The state of a keyed topic, item by item: each item has its latest event. It is kept by asking
/// for what changes, with [`Mirror::changed`] or as a [`Stream`]; between two changes it stays as
/// it is.
///
/// While [`Mirror::is_live`], it is the topic's state. It is not at the beginning, while the items
/// come one by one; after the connection was lost, until what has changed meanwhile is here; and
/// when the client is so slow that the server leaves out events that later ones have superseded.
/// Each time it says so ([`MirrorChange::Behind`], [`MirrorChange::Live`]), so that a screen never
/// shows half a book as the whole one.
///
/// An item leaves it when an event removes it, and when nobody has told of it for as long as the
/// topic keeps it (`ttl`, `items`). One that is too old is gone when the server has looked, every
/// few seconds.
///
/// # Cancellation
/// A `changed()` that is dropped before it is ready has taken nothing. Dropping the mirror
/// unsubscribes.
///
/// # Example
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use steadfast::WsProtocol;
/// use steadfast::client::{Mirror, MirrorChange};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, WsProtocol)]
/// #[ws(
///     server,
///     protocol = "market",
///     topic(Book, key = symbol: String, latest_by = price: u64, items = 1_000, ttl = "1h")
/// )]
/// pub enum MarketEvent {
///     #[ws(event(Book))]
///     Level { symbol: String, price: u64, size: u64 },
///     #[ws(removal(Book))]
///     LevelGone { symbol: String, price: u64 },
///     #[ws(unknown)]
///     #[serde(skip)]
///     Unknown(steadfast::UnknownMessage),
/// }
///
/// // let book = market.subscribe(Book("ACME".into())).await?.mirror();
/// async fn show(mut book: Mirror<Book>) {
///     while let Some(change) = book.changed().await {
///         match change {
///             MirrorChange::Item { old, new } => println!("{old:?} is now {new:?}"),
///             MirrorChange::Reset(gap) => println!("the book begins anew: {gap:?}"),
///             MirrorChange::Live => println!("this is the book: {} levels", book.iter().count()),
///             MirrorChange::Behind => println!("the book may have changed"),
///         }
///     }
///     println!("{:?}", book.end());
/// }
/// ```
#[must_use = "dropping a mirror unsubscribes"]
pub struct Mirror<T: KeyedTopic> {
    topic: Subscription<T>,
    items: core::Mirror<T::Events>,
}

impl<T: KeyedTopic> Subscription<T> {
    /// Keeps the topic's state, item by item, within [`MirrorLimits`]' defaults.
    ///
    /// Make it of a subscription that has yielded nothing yet, and was not asked for
    /// [`from`](super::Subscribe::from) a position or with the [`last`](super::Subscribe::last)
    /// events: it would show a part of the state as the whole. One that is made of such a
    /// subscription ends at once, see [`SubscriptionEnd::Unreadable`].
    pub fn mirror(self) -> Mirror<T> {
        self.mirror_within(MirrorLimits::default())
    }

    /// The same, with other limits. A mirror that would hold more ends, see
    /// [`SubscriptionEnd::Unreadable`].
    pub fn mirror_within(mut self, limits: MirrorLimits) -> Mirror<T> {
        if !self.is_whole() {
            self.stop(NOT_WHOLE.to_owned());
        }
        Mirror { topic: self, items: core::Mirror::new(limits) }
    }
}

// Nothing in it is pinned.
impl<T: KeyedTopic> Unpin for Mirror<T> {}

impl<T: KeyedTopic> Mirror<T> {
    /// The topic.
    pub const fn topic(&self) -> &T {
        self.topic.topic()
    }

    /// Whether this is the topic's state, as far as the server has told.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.items.live().is_some()
    }

    /// Up to where this is the topic's state; `None` while it is not live.
    #[must_use]
    pub const fn position(&self) -> Option<Position> {
        self.items.live()
    }

    /// The latest event of an item; `None` if the item is not there.
    #[must_use]
    pub fn get(&self, item: &T::Item) -> Option<&T::Events> {
        // What has no text of its own nobody can have published.
        let item = topic_key(item).ok()?;
        self.items.get(&item).map(Arc::as_ref)
    }

    /// The latest event of each item, in the order of the texts that name them: as a topic's key is
    /// written, so 10 comes before 9. Sort them by what they hold.
    pub fn iter(&self) -> impl Iterator<Item = &T::Events> {
        self.items.iter().map(|(_, event)| &**event)
    }

    /// The next change, when it is in the mirror; `None` after the last one.
    pub async fn changed(&mut self) -> Option<MirrorChange<T::Events>> {
        std::future::poll_fn(|cx| self.poll_changed(cx)).await
    }

    fn poll_changed(&mut self, cx: &mut Context<'_>) -> Poll<Option<MirrorChange<T::Events>>> {
        loop {
            if let Some(change) = self.items.poll_change() {
                return Poll::Ready(Some(change));
            }
            match ready!(self.topic.poll_any(cx)) {
                Some(item) => self.take(item),
                None => return Poll::Ready(None),
            }
        }
    }

    /// Why no more changes come; `None` while they do.
    #[must_use]
    pub fn end(&self) -> Option<SubscriptionEnd> {
        self.topic.end()
    }

    fn take(&mut self, item: core::Item) {
        match item {
            core::Item::Event { position, name, body } => {
                let codec = self.topic.codec();
                let event = T::Events::decode(name.as_str(), body.as_bytes(), codec);
                if let Err(reason) = self.event(position, &name, event, body.len() as u64) {
                    self.topic.stop(reason);
                }
            }
            core::Item::Standing(standing) => self.items.standing(standing),
            core::Item::Gap(gap) => self.items.reset(gap),
            core::Item::Snapshot { name, .. } => {
                self.topic.stop(format!("a keyed topic has no state `{name}`"));
            }
            // It is no event, and changes no item.
            core::Item::Volatile { .. } => {}
        }
    }

    fn event(
        &mut self,
        position: Position,
        name: &Name,
        event: T::Events,
        bytes: u64,
    ) -> Result<(), String> {
        let change = T::change(&event)
            .ok_or_else(|| format!("it is not known what item the event `{name}` is about"))?;
        let (item, removes) = change.map_err(|error| format!("the event `{name}` {error}"))?;
        let event = (!removes).then_some(event);
        let full = self.items.event(position, item.into(), event, bytes);
        full.map_err(|full| full.to_string())
    }
}

impl<T: KeyedTopic> Stream for Mirror<T> {
    type Item = MirrorChange<T::Events>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_changed(cx)
    }
}

impl<T: KeyedTopic + fmt::Debug> fmt::Debug for Mirror<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mirror")
            .field("topic", self.topic())
            .field("live", &self.is_live())
            .finish_non_exhaustive()
    }
}
