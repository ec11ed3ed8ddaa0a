//! Topics as types: keys, snapshots, gaps and what may be published. What a topic holds, and how a
//! key is written, is elsewhere.

use std::convert::Infallible;

use super::body::{DecodeError, EncodeError};
use super::message::{Message, ServerEnum};
use crate::wire::{Codec, Gap};

/// Names one topic: the key type that `topic(Room, key = room: RoomId, ..)` declares, as in
/// `chat.subscribe(Room(room))`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a topic",
    note = "a topic is named by the key type that `#[ws(server, topic(Room, key = room: RoomId))]` declares: `Room(room)`"
)]
pub trait TopicKey: Clone + Send + Sync + 'static {
    /// The server enum that declares it.
    type Events: ServerEnum;
    /// Its snapshot message; [`Infallible`] if it has none.
    type Snapshot: SnapshotState;
    /// [`Infallible`] if it has a snapshot, which heals every gap; else [`Gap`].
    type Gap: GapItem;
    /// Index into the topics of the server enum's description.
    const TOPIC: u16;

    /// The key's text.
    ///
    /// # Errors
    /// When the key can't be serialized, or has no text of its own.
    fn key(&self) -> Result<String, EncodeError>;
}

/// A topic's state.
pub trait SnapshotState: Sized + Send + 'static {
    /// Reads it.
    ///
    /// # Errors
    /// When the name is another one's, or the body does not fit.
    fn decode(name: &str, body: &[u8], codec: Codec) -> Result<Self, DecodeError>;
}

impl SnapshotState for Infallible {
    fn decode(name: &str, _: &[u8], _: Codec) -> Result<Self, DecodeError> {
        Err(DecodeError::new(format!(
            "the topic declares no snapshot, and the server sent `{name}`"
        )))
    }
}

/// What a subscription yields for events that were missed.
pub trait GapItem: Sized + Send + 'static {
    /// `None` where a snapshot heals it.
    fn from_gap(gap: Gap) -> Option<Self>;
}

impl GapItem for Infallible {
    fn from_gap(_: Gap) -> Option<Self> {
        None
    }
}

impl GapItem for Gap {
    fn from_gap(gap: Gap) -> Option<Self> {
        Some(gap)
    }
}

/// A message that may be sent to one session or principal: the struct of a `#[ws(direct)]` variant.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be sent to a session or principal",
    label = "not the struct of a direct message",
    note = "send structs of variants marked `#[ws(direct)]`: `ChatEventWarned {{ .. }}`; events and volatiles are published"
)]
pub trait Direct: Message {
    /// The longest body, in bytes.
    const MAX_BYTES: u32;
    /// The server enum that declares it.
    type Events: ServerEnum;
}

/// A message that may be published: the struct of an event or of a volatile.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be published",
    label = "not the struct of an event or a volatile",
    note = "publish message structs: `ChatEventPosted {{ .. }}`, not `ChatEvent::Posted {{ .. }}`; a snapshot is what a topic's hook returns"
)]
pub trait Publish: Message {
    /// Index into the topics of the server enum's description.
    const TOPIC: u16;
    /// The server enum that declares it.
    type Events: ServerEnum;

    /// The text of its topic's key.
    ///
    /// # Errors
    /// When the key can't be serialized, or has no text of its own.
    fn topic_key(&self) -> Result<String, EncodeError>;

    /// `None` for an event; for a volatile, what a later one replaces it by.
    ///
    /// # Errors
    /// When a field can't be serialized.
    fn conflation_key(&self) -> Result<Option<String>, EncodeError> {
        Ok(None)
    }
}
