//! What a generated client is to the driver.

use serde::Serialize;

use super::body::{EncodeError, encode_body};
use super::message::ClientEnum;
use crate::client::{Call, Client};

/// A generated client: a name for [`Client`] with a method per message.
pub trait ClientStub: Sized {
    /// What it sends.
    type Commands: ClientEnum;

    /// Wraps a connected client.
    fn from_inner(inner: Client<Self::Commands>) -> Self;
}

/// Sends the request or command of this index. Asks nothing of `R`, so that a reply that can't
/// travel is reported once, by the server's half of the expansion or by whoever awaits the call.
pub fn call<R, C: ClientEnum>(
    client: &Client<C>,
    index: u16,
    message: &impl Serialize,
) -> Call<R, C::Error> {
    client.call(index, encode_body(message, client.codec()))
}

/// Sends the volatile of this index if there is a connection now; `false` says that it was dropped.
pub fn volatile<C: ClientEnum>(
    client: &Client<C>,
    index: u16,
    conflation: Result<String, EncodeError>,
    message: &impl Serialize,
) -> bool {
    client.volatile(index, conflation, encode_body(message, client.codec()))
}
