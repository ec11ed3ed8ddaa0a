//! Following a topic by the methods of a view: what happens calls one of them, one after the other.
//! The stream beneath is `subscription`'s, and which method it is, is generated code's.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::error::{SubscribeError, SubscriptionEnd};
use super::shared::SharedClient;
use super::subscription::{Happening, Item, SnapshotReason, Subscribe};
use crate::protocol::TopicKey;
use crate::session::client::Resumed;
use crate::wire::Position;

/// Hands what happens in a topic to a view `V`. Generated for the key type of each topic, and for
/// every `V` that implements the topic's view, such as `RoomView`.
#[diagnostic::on_unimplemented(
    message = "`{V}` is not a view of the topic `{Self}`",
    note = "implement the trait that is generated beside the topic's key: for `Room` it is `RoomView`"
)]
pub trait TopicView<V>: TopicKey {
    /// An event or a volatile.
    fn event(_: &mut V, _: Self::Events) -> impl Future<Output = ()> + Send {
        ready(())
    }
    /// The topic's state.
    fn snapshot(
        _: &mut V,
        _: Self::Snapshot,
        _: SnapshotReason,
    ) -> impl Future<Output = ()> + Send {
        ready(())
    }
    /// A gap, where there is no state.
    fn gap(_: &mut V, _: Self::Gap) -> impl Future<Output = ()> + Send {
        ready(())
    }
    /// The connection was lost and is back, and nothing was missed.
    fn resumed(_: &mut V, _: Position, _: u64) -> impl Future<Output = ()> + Send {
        ready(())
    }
}

/// A view that follows a topic, see `handle` of the generated client: a future that ends with the
/// subscription, and gives the view back and the reason.
///
/// # Errors
/// When the server refuses the subscription at the beginning, or the client is closed.
///
/// # Cancellation
/// Dropping it drops the view's method where it waits, and ends the subscription.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Handling<T, V> {
    begins: Option<(Subscribe<T>, V)>,
    goes_on: Option<BoxHandled<V>>,
}

/// How it ends.
type Handled<V> = Result<(V, SubscriptionEnd), SubscribeError>;

type BoxHandled<V> = Pin<Box<dyn Future<Output = Handled<V>> + Send>>;

impl<T, V> Handling<T, V> {
    pub(super) fn new(shared: Arc<SharedClient>, topic: T, view: V) -> Self {
        Self { begins: Some((Subscribe::new(shared, topic), view)), goes_on: None }
    }

    /// Goes on after a position that the application has stored, as
    /// [`Subscribe::from`] does.
    pub fn from(mut self, position: Position) -> Self {
        self.begins = self.begins.map(|(subscribe, view)| (subscribe.from(position), view));
        self
    }

    /// Begins with the latest `events` events instead of the topic's state, as
    /// [`Subscribe::last`] does.
    pub fn last(mut self, events: u32) -> Self {
        self.begins = self.begins.map(|(subscribe, view)| (subscribe.last(events), view));
        self
    }

    /// Begins with the next event that is published, as [`Subscribe::tail`] does.
    pub fn tail(self) -> Self {
        self.last(0)
    }
}

// Nothing in it is pinned.
impl<T, V> Unpin for Handling<T, V> {}

impl<T: TopicView<V>, V: Send + 'static> Future for Handling<T, V> {
    type Output = Handled<V>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some((subscribe, view)) = self.begins.take() {
            self.goes_on = Some(Box::pin(follow(subscribe, view)));
        }
        let future = self.goes_on.as_mut().expect("nobody polls a future after its end");
        let handled = std::task::ready!(future.as_mut().poll(cx));
        self.goes_on = None;
        Poll::Ready(handled)
    }
}

async fn follow<T: TopicView<V>, V: Send>(subscribe: Subscribe<T>, mut view: V) -> Handled<V> {
    let mut topic = subscribe.await?;
    while let Some(happening) = topic.happening().await {
        match happening {
            Happening::Resumed(Resumed { from, count }) => {
                T::resumed(&mut view, from, count).await;
            }
            Happening::Item(Item::Event(event)) => T::event(&mut view, event).await,
            Happening::Item(Item::Snapshot { state, reason }) => {
                T::snapshot(&mut view, state, reason).await;
            }
            Happening::Item(Item::Gap(gap)) => T::gap(&mut view, gap).await,
        }
    }
    // A stream that has ended says why; the client's own end is the one that says nothing more.
    Ok((view, topic.end().unwrap_or(SubscriptionEnd::Closed)))
}

impl<T, V> fmt::Debug for Handling<T, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handling").field("began", &self.begins.is_none()).finish_non_exhaustive()
    }
}
