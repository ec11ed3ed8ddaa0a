//! What a generated client is to the driver: a name for [`Client`] with a method per message. Has
//! no behaviour of its own.

use super::Client;
use crate::protocol::ClientEnum;

/// A generated client: a name for [`Client`] with a method per message.
pub trait ClientStub: Sized {
    /// What it sends.
    type Commands: ClientEnum;

    /// Wraps a connected client.
    fn from_inner(inner: Client<Self::Commands>) -> Self;
}
