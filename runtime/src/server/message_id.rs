//! Reads the application's own id out of a message's body, for the node. What an id stands for is
//! not known here.

use serde::{Serialize, de::DeserializeOwned};

use crate::host::guarded;
use crate::protocol::{decode_body, id_text};
use crate::wire::Codec;

/// The text of a message's id, if the body fits. It is read inside the node, where nothing may
/// panic: a `Deserialize` that does counts as a body that does not fit.
pub(crate) fn message_id<M: DeserializeOwned, K: Serialize + DeserializeOwned>(
    body: &[u8],
    codec: Codec,
    id: impl FnOnce(M) -> K,
) -> Option<String> {
    let read = || id_text(&id(decode_body(body, codec).ok()?)).ok();
    guarded(read).ok().flatten()
}
