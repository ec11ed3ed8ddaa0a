//! Close codes and what a client does about them: the one table of PROTOCOL.md 8.1.

use crate::wire::CloseCode;

/// Why a socket ends: a WebSocket close code and a short reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Close {
    /// The code; `None` when the socket went away without one.
    pub code: Option<CloseCode>,
    /// For logs and people, at most 123 bytes.
    pub reason: std::borrow::Cow<'static, str>,
}

/// What a client does when its socket ends (PROTOCOL.md 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reaction {
    /// Back off, dial again, resume the session.
    Resume,
    /// Back off, dial again, start a new session with the same lease.
    NewSession,
    /// Ask for new credentials, then resume; bounded.
    RefreshCredentials,
    /// Stop for good.
    Stop,
    /// Only this socket was meant; a newer one exists.
    DropSocket,
}

impl Close {
    /// A close with a code.
    #[must_use]
    pub const fn new(code: CloseCode, reason: &'static str) -> Self {
        Self { code: Some(code), reason: std::borrow::Cow::Borrowed(reason) }
    }

    /// A socket that went away without a word.
    #[must_use]
    pub const fn lost(reason: &'static str) -> Self {
        Self { code: None, reason: std::borrow::Cow::Borrowed(reason) }
    }

    /// What the client does about it.
    #[must_use]
    pub fn reaction(&self) -> Reaction {
        match self.code.map(|code| code.0) {
            Some(4001 | 4002) => Reaction::DropSocket,
            Some(4410 | 4100..=4199) => Reaction::NewSession,
            Some(4200..=4299) => Reaction::RefreshCredentials,
            // A handshake that took too long says nothing about the client: the network, or a hook,
            // was slow.
            Some(4408) => Reaction::Resume,
            Some(1000 | 4300..=4499) => Reaction::Stop,
            _ => Reaction::Resume,
        }
    }

    /// Whether the dial after it backs off: not where the server, or the network, was well and one
    /// socket had to be replaced. Such a dial still comes at a random moment.
    #[must_use]
    pub fn backs_off(&self) -> bool {
        !matches!(self.code.map(|code| code.0), Some(4001..=4003 | 4200..=4299 | 4410))
    }

    /// A message was longer than the client takes; browsers have a code of their own for it.
    #[must_use]
    pub fn is_too_large_for_client(&self) -> bool {
        matches!(
            self.code,
            Some(CloseCode::TOO_LARGE_FOR_CLIENT | CloseCode::TOO_LARGE_FOR_BROWSER)
        )
    }
}

impl std::fmt::Display for Close {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code {
            Some(code) if self.reason.is_empty() => write!(f, "close code {code}"),
            Some(code) => write!(f, "{} (close code {code})", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}
