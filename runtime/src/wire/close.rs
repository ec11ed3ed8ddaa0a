//! The codes with which sockets end (PROTOCOL.md 8.1, 8.3). What a client does about each of them
//! is decided in `session/close.rs`.

use std::fmt;

/// A WebSocket close code (RFC 6455 7.4, PROTOCOL.md 8.1 and 8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloseCode(pub u16);

#[expect(missing_docs, reason = "the names are the rows of PROTOCOL.md 8.1 and 8.3")]
impl CloseCode {
    pub const NORMAL: Self = Self(1000);
    pub const GOING_AWAY: Self = Self(1001);
    pub const TOO_LARGE_FOR_CLIENT: Self = Self(1009);
    pub const STALE_DIAL: Self = Self(4001);
    pub const REPLACED: Self = Self(4002);
    pub const HEARTBEAT: Self = Self(4003);
    pub const OVERLOADED: Self = Self(4004);
    pub const SLOW: Self = Self(4005);
    pub const TOO_LARGE_FOR_BROWSER: Self = Self(4009);
    pub const DRAINING: Self = Self(4010);
    pub const SESSION_ENDED: Self = Self(4100);
    pub const CREDENTIALS_REFUSED: Self = Self(4201);
    pub const CREDENTIALS_EXPIRED: Self = Self(4202);
    pub const SUPERSEDED: Self = Self(4300);
    pub const MALFORMED: Self = Self(4400);
    pub const UNSUPPORTED: Self = Self(4401);
    pub const FORBIDDEN: Self = Self(4403);
    pub const NO_HELLO: Self = Self(4408);
    pub const NUMBER_REUSED: Self = Self(4409);
    pub const SEQUENCE: Self = Self(4410);
    pub const TOO_LARGE: Self = Self(4413);
}

impl CloseCode {
    /// What it is called here; `None` for a code that this version does not know.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::NORMAL => "normal",
            Self::GOING_AWAY => "going_away",
            Self::TOO_LARGE_FOR_CLIENT => "too_large_for_client",
            Self::STALE_DIAL => "stale_dial",
            Self::REPLACED => "replaced",
            Self::HEARTBEAT => "heartbeat",
            Self::OVERLOADED => "overloaded",
            Self::SLOW => "slow",
            Self::TOO_LARGE_FOR_BROWSER => "too_large_for_browser",
            Self::DRAINING => "draining",
            Self::SESSION_ENDED => "session_ended",
            Self::CREDENTIALS_REFUSED => "credentials_refused",
            Self::CREDENTIALS_EXPIRED => "credentials_expired",
            Self::SUPERSEDED => "superseded",
            Self::MALFORMED => "malformed",
            Self::UNSUPPORTED => "unsupported",
            Self::FORBIDDEN => "forbidden",
            Self::NO_HELLO => "no_hello",
            Self::NUMBER_REUSED => "number_reused",
            Self::SEQUENCE => "sequence",
            Self::TOO_LARGE => "too_large",
            _ => return None,
        })
    }
}

/// The number, and its name if it has one: `4010 draining`.
impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} {name}", self.0),
            None => write!(f, "{}", self.0),
        }
    }
}
