//! The tables of a store and the versions of their format. What their rows mean is in the comments
//! of the tables, so that whoever opens the file with `sqlite3` can read it, too.

use rusqlite::{Connection, OptionalExtension};

/// The format that this version writes.
pub(crate) const FORMAT: i64 = 1;

/// Every table of a store.
pub(crate) const TABLES: [&str; 9] = [
    "sf_store",
    "sf_leases",
    "sf_records",
    "sf_owed",
    "sf_ids",
    "sf_id_owners",
    "sf_topics",
    "sf_log",
    "sf_append_keys",
];

/// Makes the tables of format 1. Times (`_ms`) are milliseconds for which the store was open.
/// Hashes and epochs are numbers of 64 bits with a sign.
const FORMAT_1: &str = "
CREATE TABLE sf_store(
    one INTEGER PRIMARY KEY CHECK (one = 1), -- there is one row
    format INTEGER NOT NULL,       -- of these tables
    incarnation INTEGER NOT NULL,  -- random; another one after a restore
    opened INTEGER NOT NULL,       -- how many times
    served_ms INTEGER NOT NULL     -- for how long the store was open in all; 10 years more if it
                                   -- was filled from an export
);
CREATE TABLE sf_leases(
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    principal TEXT NOT NULL,
    codec TEXT NOT NULL,
    generation INTEGER NOT NULL,   -- of the latest claim
    holder TEXT NOT NULL,          -- whose it is: node, instance and dial of the client
    low INTEGER NOT NULL,          -- the client has resolved everything below
    contact_ms INTEGER NOT NULL,
    let_go_ms INTEGER,             -- since when nobody holds it
    ttl_ms INTEGER NOT NULL,
    unused_ttl_ms INTEGER NOT NULL,
    ran INTEGER NOT NULL,          -- whether a command has run
    ended_ms INTEGER,              -- ended; until then, what it owes is kept
    due_ms INTEGER NOT NULL        -- at or before the time at which it expires
);
CREATE INDEX sf_leases_of ON sf_leases(principal, id) WHERE ended_ms IS NULL;
CREATE INDEX sf_leases_due ON sf_leases(due_ms);
CREATE INDEX sf_leases_let_go ON sf_leases(let_go_ms, id) WHERE let_go_ms IS NOT NULL;
CREATE TABLE sf_records(
    lease INTEGER NOT NULL,        -- sf_leases.no
    n INTEGER NOT NULL,            -- the command's number
    hash INTEGER NOT NULL,
    outcome TEXT NOT NULL,         -- ok, expired, or the code of a failure
    error TEXT,                    -- wire name of the application's error
    body TEXT,                     -- the reply, or the error's fields
    reply_bytes INTEGER NOT NULL,
    settled INTEGER NOT NULL,      -- 0: its publications are in sf_owed, not in their logs
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (lease, n)
) WITHOUT ROWID;
CREATE TABLE sf_owed(
    lease TEXT NOT NULL,           -- sf_leases.id
    n INTEGER NOT NULL,
    place INTEGER NOT NULL,        -- among the command's publications, from 0
    topic TEXT NOT NULL,
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (lease, n, place)
) WITHOUT ROWID;
CREATE TABLE sf_ids(               -- the application's own ids of commands
    principal TEXT NOT NULL,
    message TEXT NOT NULL,
    id TEXT NOT NULL,
    hash INTEGER NOT NULL,         -- of message and body
    outcome TEXT NOT NULL,         -- as in sf_records
    error TEXT,
    body TEXT,
    bytes INTEGER NOT NULL,        -- of names, id and body
    due_ms INTEGER NOT NULL,       -- until when it is kept
    PRIMARY KEY (principal, message, id)
) WITHOUT ROWID;
CREATE INDEX sf_ids_due ON sf_ids(due_ms);
CREATE TABLE sf_id_owners(
    principal TEXT NOT NULL PRIMARY KEY,
    ids INTEGER NOT NULL,          -- how many of sf_ids are its own
    bytes INTEGER NOT NULL         -- of these
) WITHOUT ROWID;
CREATE TABLE sf_topics(
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    head INTEGER NOT NULL,         -- number of the latest entry
    oldest INTEGER NOT NULL,       -- the oldest entry in sf_log; head + 1 if there is none
    bytes INTEGER NOT NULL,        -- of the entries
    used_ms INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,       -- at or before the time at which something is to go
    keep_entries INTEGER NOT NULL,
    keep_bytes INTEGER NOT NULL,
    keep_ms INTEGER NOT NULL,
    UNIQUE (name, key)
);
CREATE INDEX sf_topics_used ON sf_topics(used_ms);
CREATE INDEX sf_topics_empty ON sf_topics(used_ms) WHERE head = 0;
CREATE INDEX sf_topics_due ON sf_topics(due_ms);
CREATE TABLE sf_log(
    topic INTEGER NOT NULL,        -- sf_topics.no
    ts INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    bytes INTEGER NOT NULL,        -- of name and body
    PRIMARY KEY (topic, ts)
) WITHOUT ROWID;
CREATE TABLE sf_append_keys(
    no INTEGER PRIMARY KEY,
    key TEXT NOT NULL,             -- c:lease:n:place, or d:node:count
    topic INTEGER NOT NULL,        -- sf_topics.no
    ts INTEGER NOT NULL,           -- where it landed
    at_ms INTEGER NOT NULL,
    UNIQUE (key, topic)
);
";

/// What brings the tables from each format to the next one: the first brings format 1 to format 2.
const STEPS: [&str; (FORMAT - 1) as usize] = [];

/// Makes the tables in an empty file.
pub(crate) fn create(db: &Connection, incarnation: u64) -> rusqlite::Result<()> {
    db.execute_batch(FORMAT_1)?;
    STEPS.iter().try_for_each(|step| db.execute_batch(step))?;
    db.execute(
        "INSERT INTO sf_store(one, format, incarnation, opened, served_ms) \
         VALUES (1, ?1, ?2, 0, 0)",
        (FORMAT, incarnation.cast_signed()),
    )?;
    Ok(())
}

/// Brings the tables of an older format to the present one.
pub(crate) fn migrate(db: &Connection, from: i64) -> rusqlite::Result<()> {
    take_steps(db, &STEPS, from)
}

/// Takes the steps that lead on from a format, of all that there are.
fn take_steps(db: &Connection, steps: &[&str], from: i64) -> rusqlite::Result<()> {
    for step in steps.iter().skip((from - 1) as usize) {
        db.execute_batch(step)?;
    }
    db.execute("UPDATE sf_store SET format = ?1", [steps.len() as i64 + 1])?;
    Ok(())
}

/// What a file has of a store.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No table of one.
    Nothing,
    /// All tables, of this format.
    Format(i64),
    /// Some tables, or none that says which format.
    Parts(String),
}

/// Looks for the tables.
pub(crate) fn look(db: &Connection) -> rusqlite::Result<Found> {
    let mut query = db.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND substr(name, 1, 3) = 'sf_'",
    )?;
    let there: Vec<String> =
        query.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    if there.is_empty() {
        return Ok(Found::Nothing);
    }
    if !there.iter().any(|table| table == "sf_store") {
        return Ok(Found::Parts("the table sf_store is missing".to_owned()));
    }
    let format: Option<i64> =
        db.query_row("SELECT format FROM sf_store", [], |row| row.get(0)).optional()?;
    let Some(format) = format else {
        return Ok(Found::Parts("the table sf_store is empty".to_owned()));
    };
    let missing = TABLES.iter().find(|table| !there.iter().any(|name| name == *table));
    match missing {
        // Another format may have other tables.
        Some(table) if format == FORMAT => {
            Ok(Found::Parts(format!("the table {table} is missing")))
        }
        _ if format < 1 => Ok(Found::Parts(format!("there is no format {format}"))),
        _ => Ok(Found::Format(format)),
    }
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Formats that there may be: the second has a column more, the third another one.
    const LATER: [&str; 2] = [
        "ALTER TABLE sf_topics ADD COLUMN two INTEGER NOT NULL DEFAULT 2;",
        "ALTER TABLE sf_topics ADD COLUMN three INTEGER NOT NULL DEFAULT 3;",
    ];

    fn of_format_1() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        create(&db, 7).unwrap();
        db.execute_batch(
            "INSERT INTO sf_topics VALUES (1, 'room', 'den', 7, 0, 1, 0, 0, 0, 9, 9, 9)",
        )
        .unwrap();
        db
    }

    #[test]
    fn the_format_is_as_many_steps_from_the_first_as_there_are() {
        assert_eq!(look(&of_format_1()), Ok(Found::Format(STEPS.len() as i64 + 1)));
    }

    #[test]
    fn an_older_file_takes_each_step_that_it_lacks_and_keeps_its_rows() {
        let db = of_format_1();
        take_steps(&db, &LATER[..1], 1).unwrap();
        // The first step would fail if it were taken again.
        take_steps(&db, &LATER, 2).unwrap();
        let sql = "SELECT key, two, three, (SELECT format FROM sf_store) FROM sf_topics";
        let row: (String, i64, i64, i64) = db
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .unwrap();
        assert_eq!(row, ("den".to_owned(), 2, 3, 3));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        let db = of_format_1();
        let step = db.unchecked_transaction().unwrap();
        assert!(take_steps(&step, &[LATER[0], "ALTER TABLE sf_nothing ADD COLUMN x"], 1).is_err());
        drop(step);
        assert_eq!(look(&db), Ok(Found::Format(FORMAT)));
        assert!(db.prepare("SELECT two FROM sf_topics").is_err());
    }
}
