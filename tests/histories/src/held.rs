//! What a server's file holds, read with SQLite from its tables as they are documented in the file
//! itself. What ought to be there is not known here.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};
use serde::Deserialize;

/// The topic whose logs are judged.
const TOPIC: &str = "room";

/// A command that has been carried out, as the log of its room has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number in the log.
    pub ts: u64,
    /// The command's name.
    pub name: String,
    /// What its caller was told, or was to be told.
    pub receipt: u64,
}

/// A room's log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// In which life of its own it is.
    pub epoch: u64,
    /// The number of the latest entry, as the topic's row has it.
    pub head: u64,
    /// The entries, by their numbers.
    pub entries: Vec<Entry>,
}

/// What a file holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Held {
    /// The logs, by room.
    pub logs: BTreeMap<String, Log>,
    /// What is kept for commands that their callers have named: the reply, by that name.
    pub replies: BTreeMap<String, String>,
    /// Events that are in no log yet.
    pub owed: u64,
    /// What SQLite says of the file; empty if it is in order.
    pub damage: String,
}

/// The body of an event.
#[derive(Deserialize)]
struct Body {
    name: String,
    receipt: u64,
}

impl Held {
    /// Reads a file, which nobody else has open.
    ///
    /// # Errors
    /// What is not as the tables' comments say.
    pub fn read(path: &Path) -> Result<Self, String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|error| error.to_string())?;
        let mut held = Self::default();
        held.fill(&db).map_err(|error| error.to_string())?;
        Ok(held)
    }

    fn fill(&mut self, db: &Connection) -> Result<(), Box<dyn std::error::Error>> {
        let found: String = db.query_row("PRAGMA integrity_check(5)", [], |row| row.get(0))?;
        if found != "ok" {
            self.damage = found;
        }
        let mut topics = db.prepare("SELECT key, epoch, head FROM sf_topics WHERE name = ?1")?;
        let mut rows = topics.query([TOPIC])?;
        while let Some(row) = rows.next()? {
            let epoch = number(row, 1)?;
            let log = Log { epoch, head: number(row, 2)?, entries: Vec::new() };
            self.logs.insert(row.get(0)?, log);
        }
        let mut entries = db.prepare(
            "SELECT t.key, l.ts, l.body FROM sf_log l JOIN sf_topics t ON t.no = l.topic \
             WHERE t.name = ?1 ORDER BY t.key, l.ts",
        )?;
        let mut rows = entries.query([TOPIC])?;
        while let Some(row) = rows.next()? {
            let (room, ts, body): (String, u64, String) =
                (row.get(0)?, number(row, 1)?, row.get(2)?);
            let Body { name, receipt } = serde_json::from_str(&body)?;
            self.logs.entry(room).or_default().entries.push(Entry { ts, name, receipt });
        }
        let mut ids = db.prepare("SELECT id, body FROM sf_ids WHERE outcome = 'ok'")?;
        let mut rows = ids.query([])?;
        while let Some(row) = rows.next()? {
            self.replies.insert(row.get(0)?, row.get(1)?);
        }
        self.owed = db.query_row("SELECT count(*) FROM sf_owed", [], |row| number(row, 0))?;
        Ok(())
    }
}

/// A number of 64 bits, which SQLite keeps with a sign.
fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(i64::cast_unsigned)
}
