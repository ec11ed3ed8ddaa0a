//! A client for a protocol: typed calls and subscriptions over a connection that heals itself. What
//! is here moves bytes, wakes and decodes; every decision is made in [`crate::session::client`].

mod builder;
mod call;
mod dial;
mod error;
#[cfg(feature = "outbox")]
mod file;
mod handle;
mod inbox;
#[cfg(feature = "outbox")]
mod recovered;
#[cfg(feature = "outbox")]
mod saves;
mod shared;
mod slot;
mod state;
mod stub;
mod subscription;
mod task;
mod view;

pub use builder::{Builder, IntoToken};
pub use call::{Call, Fates, Settled};
pub use dial::Target;
pub use error::{CallError, ConnectError, SubscribeError, SubscriptionEnd};
#[cfg(feature = "outbox")]
pub use file::{Damage, Flush, OutboxError, OutboxFile, OutboxSettings};
pub use handle::Client;
pub use inbox::{Inbox, InboxItem, Missed};
#[cfg(feature = "outbox")]
pub use recovered::RecoveredCall;
pub use state::{ConnectionState, Status};
pub use stub::ClientStub;
pub use subscription::{Item, SnapshotReason, Subscribe, Subscription, TopicItem};
pub use view::{Handling, TopicView};

pub use crate::session::Build;
pub use crate::session::client::{Backoff, ClientConfig, DialReason, Fate, Gap, JournalConfig};
pub use crate::transport::TransportConfig;
pub use crate::wire::{Position, Verdict};
