//! What a method of a generated client calls. Sends one message; what becomes of it is the
//! client's.

use serde::Serialize;

use crate::client::{Call, Client};
use crate::protocol::{ClientEnum, encode_body};

/// Sends the request or command of this index. Asks nothing of `R`, so that a reply that can't
/// travel is reported once, by the server's half of the expansion or by whoever awaits the call.
pub fn call<R, C: ClientEnum>(
    client: &Client<C>,
    index: u16,
    message: &impl Serialize,
) -> Call<R, C::Error> {
    client.call(index, encode_body(message, client.codec()))
}
