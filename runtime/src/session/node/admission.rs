//! Who is let in before there is a session: what a request for a WebSocket is answered
//! (PROTOCOL.md 2.1, RFC 6455 4.2). Knows no HTTP library and no socket: a driver says what it has
//! read, and writes the answer.

use crate::session::{Close, CloseCode};
use crate::wire::Codec;

/// The longest first message, in bytes (PROTOCOL.md 2.3).
pub const HELLO_BYTES: usize = 64 * 1024;

/// A request, as far as the answer depends on it.
#[derive(Debug, Clone, Default)]
pub struct UpgradeRequest<'a> {
    /// It is a GET over HTTP/1.1.
    pub get: bool,
    /// `Connection` and `Upgrade` ask for a WebSocket.
    pub websocket: bool,
    /// `Sec-WebSocket-Version` is 13.
    pub version_13: bool,
    /// `Sec-WebSocket-Key`; empty if there is none.
    pub key: &'a [u8],
    /// `Origin`, which browsers send.
    pub origin: Option<&'a [u8]>,
    /// `Sec-WebSocket-Protocol`, in the client's order of preference; without the header, what the
    /// query names (PROTOCOL.md 2.9).
    pub subprotocols: Vec<&'a str>,
}

/// What a server lets in.
#[derive(Debug, Clone)]
pub struct Door<'a> {
    /// Codecs that it speaks.
    pub codecs: &'a [Codec],
    /// Origins that may connect; any if `None`.
    pub origins: Option<&'a [String]>,
    /// It is leaving (PROTOCOL.md 8.2).
    pub leaving: bool,
}

/// Why a request is not upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// There is nothing at that path.
    Elsewhere,
    /// Not GET over HTTP/1.1.
    Method,
    /// It asks for no WebSocket.
    NoUpgrade,
    /// It asks for another version of WebSocket.
    Version,
    /// Its key is missing, or is not one.
    Key,
    /// Its origin may not connect.
    Origin,
    /// It offers no subprotocol that this server speaks.
    Subprotocol,
    /// This server is leaving.
    Leaving,
    /// The connection that it came by can't be upgraded.
    Connection,
    /// There are as many sockets as there may be.
    Full,
}

impl Door<'_> {
    /// The codec to speak: the first of the client's offers that this server knows.
    ///
    /// # Errors
    /// Why it is not upgraded. That there is room is the last thing to ask, see [`has_room`].
    pub fn admit(&self, request: &UpgradeRequest<'_>) -> Result<Codec, Refusal> {
        check_handshake(request)?;
        self.check_origin(request.origin)?;
        let mut offered =
            request.subprotocols.iter().filter_map(|name| Codec::from_subprotocol(name));
        let codec =
            offered.find(|codec| self.codecs.contains(codec)).ok_or(Refusal::Subprotocol)?;
        if self.leaving { Err(Refusal::Leaving) } else { Ok(codec) }
    }

    fn check_origin(&self, origin: Option<&[u8]>) -> Result<(), Refusal> {
        let (Some(allowed), Some(origin)) = (self.origins, origin) else { return Ok(()) };
        let may = allowed.iter().any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin));
        if may { Ok(()) } else { Err(Refusal::Origin) }
    }
}

impl<'a> UpgradeRequest<'a> {
    /// For a page, which can't see why an upgrade is refused: the close that tells it, and the
    /// subprotocol to name until then (PROTOCOL.md 2.8). `None` for other clients, and for what
    /// can't be upgraded at all.
    #[must_use]
    pub fn refused_by_close(&self, refusal: Refusal) -> Option<(Close, Option<&'a str>)> {
        let close = refusal.close().filter(|_| self.origin.is_some())?;
        check_handshake(self).ok()?;
        let known = self.subprotocols.iter().find(|name| Codec::from_subprotocol(name).is_some());
        Some((close, known.or(self.subprotocols.first()).copied()))
    }
}

fn check_handshake(request: &UpgradeRequest<'_>) -> Result<(), Refusal> {
    // 16 bytes in base64 (RFC 6455 4.1).
    let key = request.key.len() == 24 && request.key.ends_with(b"==");
    match (request.get, request.websocket, request.version_13, key) {
        (false, ..) => Err(Refusal::Method),
        (_, false, ..) => Err(Refusal::NoUpgrade),
        (_, _, false, _) => Err(Refusal::Version),
        (.., false) => Err(Refusal::Key),
        _ => Ok(()),
    }
}

/// Whether one more socket may be beside `sockets`.
#[must_use]
pub const fn has_room(sockets: usize, limit: u32) -> bool {
    sockets < limit as usize
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Key | Self::Subprotocol => 400,
            Self::Origin => 403,
            Self::Elsewhere => 404,
            Self::Method => 405,
            Self::NoUpgrade | Self::Version | Self::Connection => 426,
            Self::Leaving | Self::Full => 503,
        }
    }

    /// The close that says the same to a page.
    const fn close(self) -> Option<Close> {
        let code = match self {
            Self::Origin => CloseCode::FORBIDDEN,
            Self::Elsewhere | Self::Subprotocol => CloseCode::UNSUPPORTED,
            Self::Leaving => CloseCode::DRAINING,
            Self::Full => CloseCode::OVERLOADED,
            Self::Method | Self::NoUpgrade | Self::Version | Self::Key | Self::Connection => {
                return None;
            }
        };
        Some(Close::new(code, self.reason()))
    }

    /// What the body says.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Elsewhere => "the WebSocket endpoint is at /",
            Self::Method => "a WebSocket begins with GET over HTTP/1.1",
            Self::NoUpgrade => "this is a WebSocket endpoint",
            Self::Version => "Sec-WebSocket-Version: 13 is needed",
            Self::Key => "Sec-WebSocket-Key is missing or not one",
            Self::Origin => "this origin may not connect",
            Self::Subprotocol => {
                "no subprotocol that this server speaks, which are steadfast.v1.json, \
                 steadfast.v1.bin or one of them"
            }
            Self::Leaving => "this server is leaving",
            Self::Connection => "this connection can't be upgraded",
            Self::Full => "this server has as many connections as it may",
        }
    }

    /// Whether the same request may be let in later, so that `Retry-After` says when to ask again.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        self.status() == 503
    }

    /// Whether the answer names what to upgrade to (RFC 9110 15.5.22).
    #[must_use]
    pub const fn names_upgrade(self) -> bool {
        self.status() == 426
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Door<'_> = Door { codecs: &[Codec::Json], origins: None, leaving: false };

    fn request() -> UpgradeRequest<'static> {
        UpgradeRequest {
            get: true,
            websocket: true,
            version_13: true,
            key: b"dGhlIHNhbXBsZSBub25jZQ==",
            origin: None,
            subprotocols: vec!["mqtt", "steadfast.v1.json"],
        }
    }

    #[test]
    fn each_fault_of_a_request_has_its_answer() {
        let origins = ["https://chat.example".to_owned()];
        let guarded = Door { origins: Some(&origins), ..OPEN };
        let leaving = Door { leaving: true, ..OPEN };
        let table: [(&Door<'_>, UpgradeRequest<'_>, Result<Codec, Refusal>); 12] = [
            (&OPEN, request(), Ok(Codec::Json)),
            (&OPEN, UpgradeRequest { get: false, ..request() }, Err(Refusal::Method)),
            (&OPEN, UpgradeRequest { websocket: false, ..request() }, Err(Refusal::NoUpgrade)),
            (&OPEN, UpgradeRequest { version_13: false, ..request() }, Err(Refusal::Version)),
            (&OPEN, UpgradeRequest { key: b"", ..request() }, Err(Refusal::Key)),
            (
                &OPEN,
                UpgradeRequest { key: b"dGhlIHNhbXBsZSBub25jZQab", ..request() },
                Err(Refusal::Key),
            ),
            (
                &OPEN,
                UpgradeRequest { subprotocols: vec!["mqtt"], ..request() },
                Err(Refusal::Subprotocol),
            ),
            (&guarded, request(), Ok(Codec::Json)),
            (
                &guarded,
                UpgradeRequest { origin: Some(b"HTTPS://chat.example"), ..request() },
                Ok(Codec::Json),
            ),
            (
                &guarded,
                UpgradeRequest { origin: Some(b"https://evil.example"), ..request() },
                Err(Refusal::Origin),
            ),
            (&leaving, request(), Err(Refusal::Leaving)),
            (&leaving, UpgradeRequest { key: b"", ..request() }, Err(Refusal::Key)),
        ];
        for (door, request, answer) in table {
            assert_eq!(door.admit(&request), answer, "{request:?}");
        }
    }

    /// PROTOCOL.md 2.1: 5xx is like a lost connection to a client, and other refusals stop it.
    #[test]
    fn a_client_comes_back_only_to_a_server_that_may_let_it_in_later() {
        for refusal in [Refusal::Leaving, Refusal::Full] {
            assert!(refusal.may_pass() && refusal.status() >= 500, "{refusal:?}");
        }
        for refusal in [
            Refusal::Elsewhere,
            Refusal::Method,
            Refusal::NoUpgrade,
            Refusal::Version,
            Refusal::Key,
            Refusal::Origin,
            Refusal::Subprotocol,
            Refusal::Connection,
        ] {
            assert!(!refusal.may_pass() && (400..500).contains(&refusal.status()), "{refusal:?}");
        }
    }

    /// PROTOCOL.md 2.8
    #[test]
    fn a_page_is_refused_by_close_and_others_by_status() {
        let page = UpgradeRequest { origin: Some(b"https://chat.example"), ..request() };
        let named = Some("steadfast.v1.json");
        for (refusal, code) in [
            (Refusal::Origin, 4403),
            (Refusal::Elsewhere, 4401),
            (Refusal::Leaving, 4010),
            (Refusal::Full, 4004),
        ] {
            let close = Close::new(CloseCode(code), refusal.reason());
            assert_eq!(page.refused_by_close(refusal), Some((close, named)), "{refusal:?}");
            assert_eq!(request().refused_by_close(refusal), None, "{refusal:?}");
        }
        let other = UpgradeRequest { subprotocols: vec!["mqtt", "stomp"], ..page.clone() };
        let close = other.refused_by_close(Refusal::Subprotocol);
        assert_eq!(
            close.map(|(close, named)| (close.code, named)),
            Some((Some(CloseCode(4401)), Some("mqtt")))
        );
        let broken = UpgradeRequest { key: b"", ..page };
        assert_eq!(broken.refused_by_close(Refusal::Full), None, "it can't be upgraded");
    }

    #[test]
    fn there_is_room_up_to_the_limit() {
        assert!(has_room(0, 1) && !has_room(1, 1) && !has_room(0, 0));
    }
}
