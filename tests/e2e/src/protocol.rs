//! A protocol with one message of each kind. What the messages do is in `application.rs`.

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;

/// The name of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListName(pub String);

impl From<&str> for ListName {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

/// What clients send.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(
    client,
    protocol = "tally",
    version = "1",
    server = TallyEvent,
    error = TallyError,
    timeout = "30s"
)]
pub enum TallyCommand {
    /// Appends a number to a list; the reply is the list's new length.
    #[ws(request(reply = u64))]
    Add {
        /// Which list.
        list: ListName,
        /// The number.
        value: u64,
    },

    /// Appends a number under an id of the caller's own, once the application's gate of that name is
    /// open; the reply is the list's new length.
    #[ws(request(reply = u64, concurrent), id = order, keep = "1h")]
    Pay {
        /// Which payment this is.
        order: String,
        /// Which list.
        list: ListName,
        /// The number.
        value: u64,
        /// The gate.
        gate: String,
    },

    /// Returns the text, concurrent with all other commands.
    #[ws(request(reply = String, concurrent))]
    Echo {
        /// The text.
        text: String,
    },

    /// Returns a text of so many bytes, concurrent with all other commands.
    #[ws(request(reply = String, concurrent))]
    Fill {
        /// How many.
        bytes: u32,
    },

    /// Ends when the application's gate of that name is open.
    #[ws(command(concurrent))]
    Pass {
        /// The gate.
        gate: String,
    },

    /// The same, with a caller who is in a hurry.
    #[ws(command(concurrent), timeout = "300ms")]
    PassSoon {
        /// The gate.
        gate: String,
    },

    /// Says something to a user.
    #[ws(command)]
    Whisper {
        /// Whom.
        whom: String,
        /// What.
        text: String,
    },

    /// Says something to whoever sent this, once the application's gate of that name is open.
    #[ws(command(concurrent))]
    Remind {
        /// The gate.
        gate: String,
        /// What.
        text: String,
    },

    /// Panics.
    #[ws(command(concurrent))]
    Panic,

    /// Fails with an error of the application.
    #[ws(command(concurrent))]
    Fail,

    /// Passed on to whoever follows the list.
    #[ws(volatile(latest_by = list))]
    Nudge {
        /// Which list.
        list: ListName,
    },
}

/// What the server sends.
#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(
    server,
    protocol = "tally",
    error = TallyError,
    topic(List, key = list: ListName, replay = 1000, ttl = "10m"),
    topic(Tail, key = list: ListName, replay = 1000, ttl = "10m"),
)]
pub enum TallyEvent {
    /// A number was appended.
    #[ws(event(List))]
    Added {
        /// To which list.
        list: ListName,
        /// The number.
        value: u64,
    },

    /// A whole list.
    #[ws(snapshot(List))]
    Numbers {
        /// Which.
        list: ListName,
        /// Its numbers.
        values: Vec<u64>,
    },

    /// Somebody nudged.
    #[ws(volatile(List))]
    Nudged {
        /// Which list.
        list: ListName,
    },

    /// The same as `Added`, in a topic that has no snapshot.
    #[ws(event(Tail))]
    Appended {
        /// To which list.
        list: ListName,
        /// The number.
        value: u64,
    },

    /// For one user alone.
    #[ws(direct)]
    Whispered {
        /// What.
        text: String,
    },

    /// From another version.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// Why the application refuses.
#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[ws(error)]
pub enum TallyError {
    /// On request.
    Failed,
    /// From another version.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}
