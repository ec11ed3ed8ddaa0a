//! What clients did, were told and saw: one line each, in the order in which it was heard of. What
//! it means is for the judge.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

/// A line of a history.
///
/// A command has a *name*, which its caller gives it, and which its event carries. Whoever asks
/// again under a name means the same command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case", deny_unknown_fields)]
pub enum Line {
    /// A command is about to be sent. `op` counts what `who` asks, from 1.
    Asked {
        /// Which writer.
        who: String,
        /// Its number at that writer.
        op: u64,
        /// In which room.
        room: String,
        /// The command's name.
        name: String,
        /// Whether it has its place in the order of `who`'s calls.
        ordered: bool,
    },
    /// What came of it.
    Told {
        /// Which writer.
        who: String,
        /// Its number at that writer.
        op: u64,
        /// What it was told.
        answer: Answer,
    },
    /// A follower begins to follow a room.
    Follows {
        /// Which follower. After it was killed, another process goes on under its name.
        who: String,
        /// Which room.
        room: String,
        /// After which event it goes on; `None` if it begins where the room stands.
        after: Option<u64>,
    },
    /// A follower saw an event.
    Saw {
        /// Which follower.
        who: String,
        /// In which room.
        room: String,
        /// In which life of the room's log.
        epoch: u64,
        /// The event's number in it.
        ts: u64,
        /// The name of the command that it is of.
        name: String,
        /// What its caller was told, or was to be told.
        receipt: u64,
    },
    /// A follower was told that it has missed something for good.
    Gap {
        /// Which follower.
        who: String,
        /// In which room.
        room: String,
        /// Why.
        reason: String,
    },
    /// A process was killed, with all writers whose names begin so.
    Killed {
        /// How they begin.
        prefix: String,
    },
    /// The server was killed.
    ServerKilled {
        /// How many times so far.
        times: u64,
    },
}

/// What a caller is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "was", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It was done.
    Done {
        /// What the handler gave out; its event carries the same.
        receipt: u64,
    },
    /// It was certainly not done.
    NotDone {
        /// Why.
        why: String,
    },
    /// It can't be known.
    Unknown,
}

/// A whole history.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History(pub Vec<Line>);

impl History {
    /// Reads one.
    ///
    /// # Errors
    /// Those of reading, and for a line that is none of a history, with its number.
    pub fn read(from: impl BufRead) -> io::Result<Self> {
        let mut lines = Vec::new();
        for (text, number) in from.lines().zip(1..) {
            let line = serde_json::from_str(&text?).map_err(|error| {
                let why = format!("line {number}: {error}");
                io::Error::new(io::ErrorKind::InvalidData, why)
            });
            lines.push(line?);
        }
        Ok(Self(lines))
    }
}

impl Line {
    /// Writes it, with its end, in one piece: a process that is killed leaves no part of a line.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.push(b'\n');
        to.write_all(&text)
    }
}
