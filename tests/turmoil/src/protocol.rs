//! The protocol of the simulated applications: a board with a snapshot, and a feed without one.

use serde::{Deserialize, Serialize};
use steadfast::{NoError, WsProtocol};

/// Names a message for good: who made it, in which of its lives, and its number there. Servers are
/// numbered from 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tag {
    /// Which client or server.
    pub who: u32,
    /// How often it was started before.
    pub life: u32,
    /// From 1.
    pub number: u32,
}

impl Tag {
    /// Whether its order among its client's messages is kept: [`BoardCommand::Pin`] and the
    /// server's own news, not [`BoardCommand::PinLater`].
    #[must_use]
    pub const fn is_ordered(self) -> bool {
        self.number.is_multiple_of(2)
    }
}

impl std::fmt::Display for Tag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.who, self.life, self.number)
    }
}

/// What clients send.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "board", version = "1", server = BoardEvent, timeout = "10s")]
pub enum BoardCommand {
    /// Puts a note on the board, in the order of calls; the reply is how many there are.
    #[ws(request(reply = u64))]
    Pin {
        /// Which note.
        tag: Tag,
    },

    /// The same after a while, and concurrent with all others.
    #[ws(request(reply = u64, concurrent))]
    PinLater {
        /// Which note.
        tag: Tag,
        /// After how many milliseconds.
        ms: u64,
    },
}

/// What the server sends.
#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "board",
     topic(Board, key = board: u32, replay = 40, ttl = "10m"),
     topic(Feed, key = feed: u32, replay = 20, ttl = "10m"))]
pub enum BoardEvent {
    /// A note was pinned.
    #[ws(event(Board))]
    Pinned {
        /// Which board.
        board: u32,
        /// Which note.
        tag: Tag,
    },

    /// Every note on the board.
    #[ws(snapshot(Board))]
    Notes {
        /// Which board.
        board: u32,
        /// In the order of pinning.
        tags: Vec<Tag>,
    },

    /// Something happened: a note, or the server's own news. This topic has no snapshot.
    #[ws(event(Feed))]
    Happened {
        /// Which feed.
        feed: u32,
        /// What.
        tag: Tag,
    },

    /// From a newer server.
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// The handlers never fail.
pub type Never = NoError;
