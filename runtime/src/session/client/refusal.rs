//! What an HTTP answer to the upgrade means to a client (PROTOCOL.md 2.1). Reads no headers: what
//! the answer said comes as a value.

use std::borrow::Cow;

use crate::session::{Close, CloseCode};

/// The server's end answered the upgrade, and there is no socket.
///
/// | Status | As | So the client |
/// |---|---|---|
/// | 401 | 4201 | asks for new credentials; stops after a bounded number in a row |
/// | 403 | 4403 | stops |
/// | 408, 425, 429, 5xx | lost | backs off, or comes when `Retry-After` says |
/// | any other, before the first connection | 4401 | stops |
/// | any other, later | lost | backs off: a proxy in the middle of a deployment may answer so |
/// | none, but the subprotocol was changed | 4401 | stops |
/// | none | lost | backs off |
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HttpRefusal {
    /// The status; `None` if the answer was none that can be read, or was an upgrade that can't be
    /// used.
    pub status: Option<u16>,
    /// What `Retry-After` said, in milliseconds. Heeded where the client backs off, up to
    /// [`super::ClientConfig::retry_after_cap`].
    pub retry_after_ms: Option<u64>,
    /// Whether something on the way changed the subprotocol.
    pub subprotocol_changed: bool,
    /// For logs and people.
    pub reason: Cow<'static, str>,
}

impl HttpRefusal {
    /// The close that it amounts to. `known` if this client was connected before.
    pub(super) fn into_close(self, known: bool) -> Close {
        let code = match self.status {
            Some(401) => Some(CloseCode::CREDENTIALS_REFUSED),
            Some(403) => Some(CloseCode::FORBIDDEN),
            Some(408 | 425 | 429 | 500..=599) => None,
            Some(_) if !known => {
                let reason = format!("{}: no steadfast server here", self.reason).into();
                return Close { code: Some(CloseCode::UNSUPPORTED), reason };
            }
            None if self.subprotocol_changed => Some(CloseCode::UNSUPPORTED),
            Some(_) | None => None,
        };
        Close { code, reason: self.reason }
    }
}
