//! Direct messages as the application takes them (PROTOCOL.md 4.16): a stream of what the server
//! sends to this client alone, waited for and decoded. What is missing is told.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use super::shared::SharedClient;
use crate::protocol::ServerEnum;
use crate::session::client::Direct;

pub use crate::session::client::Missed;

/// What an [`Inbox`] yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InboxItem<E> {
    /// A message. One that this build can't read arrives as the enum's unknown variant.
    Message(E),
    /// Here some may be missing: what the application shows is to be asked for anew.
    Missed(Missed),
}

/// The direct messages of a client: a stream that ends when the client is closed or has failed.
///
/// Messages come in the order in which the server sent them, each once, whether the connection was
/// lost meanwhile or not. If the session was lost, too, an [`InboxItem::Missed`] stands where some
/// may be missing. What nobody takes waits, within
/// [`ClientConfig::inbox_messages`](super::ClientConfig::inbox_messages), and holds nothing else up.
///
/// All inboxes of a client are one: each item goes to whoever takes it first.
///
/// # Cancellation
/// A `next()` that is dropped before it is ready has taken nothing. Dropping the inbox drops no
/// message: another one finds what waits.
#[must_use = "messages wait until somebody takes them"]
pub struct Inbox<E> {
    shared: Arc<SharedClient>,
    reader: u64,
    messages: PhantomData<fn() -> E>,
}

impl<E> Inbox<E> {
    pub(super) fn new(shared: Arc<SharedClient>) -> Self {
        let reader = shared.new_reader();
        Self { shared, reader, messages: PhantomData }
    }
}

impl<E> Drop for Inbox<E> {
    fn drop(&mut self) {
        self.shared.reader_gone(self.reader);
    }
}

impl<E: ServerEnum> Stream for Inbox<E> {
    type Item = InboxItem<E>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = ready!(self.shared.poll_inbox(self.reader, cx));
        Poll::Ready(next.map(|next| match next {
            Direct::Message { name, body } => {
                let codec = self.shared.codec();
                InboxItem::Message(E::decode(name.as_str(), body.as_bytes(), codec))
            }
            Direct::Missed(missed) => InboxItem::Missed(missed),
        }))
    }
}

impl<E> fmt::Debug for Inbox<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
