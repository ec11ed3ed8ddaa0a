//! Enums that a whole crate sees, with documentation and every kind of message.

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;

/// A struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// Number.
    pub n: u8,
}

/// Commands.
#[derive(Debug, Clone, PartialEq, Eq, WsProtocol)]
#[ws(client, protocol = "guest", version = "1", server = GuestEvent, error = GuestError)]
pub enum GuestCommand {
    /// Ask.
    #[ws(request(reply = u64))]
    Ask {
        /// A.
        a: u8,
        /// B.
        b: Vec<String>,
        /// C.
        c: Option<u8>,
        /// D.
        d: u8,
        /// E.
        e: u8,
        /// F.
        f: u8,
        /// G.
        g: u8,
    },
    /// Go.
    #[ws(command)]
    Go,
    /// Own.
    #[ws(command)]
    Mine(Own),
    /// Old.
    #[deprecated(note = "use `Go`")]
    #[ws(command)]
    Stop {
        /// A.
        a: u8,
        /// Old field.
        #[deprecated(note = "never read")]
        old: u8,
    },
    /// Old.
    #[deprecated]
    #[ws(volatile(latest_by = a))]
    Hint {
        /// A.
        a: u8,
    },
}

/// Events.
#[derive(Debug, Clone, PartialEq, Eq, WsProtocol)]
#[ws(server, protocol = "guest", error = GuestError, topic(Room, key = room: String))]
pub enum GuestEvent {
    /// Asked.
    #[ws(event(Room))]
    Asked {
        /// Room.
        room: String,
    },
    /// Asked once.
    #[deprecated]
    #[ws(event(Room))]
    AskedOnce {
        /// Room.
        room: String,
    },
    /// State.
    #[ws(snapshot(Room))]
    State {
        /// Room.
        room: String,
    },
    /// Hint.
    #[ws(volatile(Room))]
    Hint {
        /// Room.
        room: String,
    },
    /// Unknown.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// Errors.
#[derive(Debug, Clone, PartialEq, Eq, WsProtocol)]
#[ws(error)]
pub enum GuestError {
    /// Full.
    Full {
        /// Limit.
        limit: u8,
    },
    /// Gone.
    #[deprecated]
    Gone,
    /// Own.
    #[deprecated]
    Mine(Own),
    /// Unknown.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}
