//! What P10 is held against: the rows that keep the same promise, written by hand with nothing but
//! SQLite and one thread. It knows none of the store's types, and asks and answers nobody.
//!
//! - Per command: its record goes in, the record that the client has resolved goes out, and its
//!   event goes into the log.
//! - Per batch: the entries that are not kept any more go out; where the topic stands, and the time
//!   served, which ages leases and entries.
//! - Once a second: what every client has resolved and when it was heard of, as the store does.
//!
//! The primary keys are those of the store, since without them a repetition is not found, nor an
//! entry. Columns that follow from others are left out, and so are indexes on times. Statements are
//! prepared once and numbers are kept in memory. It commits as durably as the store (WAL,
//! `synchronous=FULL`), in batches of the size that the store had in the same round.

use std::path::Path;
use std::time::{Duration, Instant};

use steadfast_sqlite::rusqlite::{Connection, Statement, params};

use crate::Failure;
use crate::rows::commands::{ENTRIES, EVENT, EVENT_JSON, KEY, TOPIC, hash, principal};

const TABLES: &str = "
PRAGMA synchronous=FULL;
CREATE TABLE store(one INTEGER PRIMARY KEY, served_ms INTEGER NOT NULL);
CREATE TABLE leases(
    no INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    principal TEXT NOT NULL,
    low INTEGER NOT NULL,
    contact_ms INTEGER NOT NULL
);
CREATE TABLE records(
    lease INTEGER NOT NULL,
    n INTEGER NOT NULL,
    hash INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    body TEXT,
    settled INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (lease, n)
) WITHOUT ROWID;
CREATE TABLE topics(
    no INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    key TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    head INTEGER NOT NULL,
    oldest INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    UNIQUE (name, key)
);
CREATE TABLE log(
    topic INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    name TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (topic, ts)
) WITHOUT ROWID;
INSERT INTO store VALUES (1, 0);
";

/// How often the store writes what need not be durable at once.
const ALONG: Duration = Duration::from_secs(1);

/// The statements, and the numbers that they take.
pub struct Bare<'db> {
    begin: Statement<'db>,
    record: Statement<'db>,
    resolved: Statement<'db>,
    entry: Statement<'db>,
    dropped: Statement<'db>,
    topic: Statement<'db>,
    served: Statement<'db>,
    lease: Statement<'db>,
    commit: Statement<'db>,
    /// The latest command of each client.
    latest: Vec<i64>,
    next: usize,
    head: i64,
    begun: Instant,
    along: Instant,
}

impl<'db> Bare<'db> {
    /// Makes a file with a topic, and a lease for each client.
    pub fn make(file: &Path, clients: u64) -> Result<Connection, Failure> {
        let db = Connection::open(file)?;
        db.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
        db.execute_batch(TABLES)?;
        let sql = "INSERT INTO topics VALUES (1, ?1, ?2, 7, 0, 1, 0)";
        db.execute(sql, params![TOPIC, KEY])?;
        for client in 0..clients {
            let sql = "INSERT INTO leases(id, principal, low, contact_ms) VALUES (?1, ?2, 1, 0)";
            db.execute(sql, params![format!("{client:032x}"), principal(client)])?;
        }
        Ok(db)
    }

    pub fn new(db: &'db Connection, clients: u64) -> Result<Self, Failure> {
        let prepare = |sql| db.prepare(sql);
        Ok(Self {
            begin: prepare("BEGIN IMMEDIATE")?,
            record: prepare("INSERT INTO records VALUES (?1, ?2, ?3, 'ok', '', 1, ?4)")?,
            resolved: prepare("DELETE FROM records WHERE lease = ?1 AND n < ?2 AND settled = 1")?,
            entry: prepare("INSERT INTO log VALUES (1, ?1, ?2, ?3, ?4)")?,
            dropped: prepare("DELETE FROM log WHERE topic = 1 AND ts < ?1")?,
            topic: prepare("UPDATE topics SET head = ?1, oldest = ?2, used_ms = ?3 WHERE no = 1")?,
            served: prepare("UPDATE store SET served_ms = ?1")?,
            lease: prepare("UPDATE leases SET low = ?2, contact_ms = ?3 WHERE no = ?1")?,
            commit: prepare("COMMIT")?,
            latest: vec![0; clients as usize],
            next: 0,
            head: 0,
            begun: Instant::now(),
            along: Instant::now(),
        })
    }

    /// So many commands in one transaction, of one client after the other.
    pub fn commit(&mut self, batch: u64) -> Result<u64, Failure> {
        let now = self.begun.elapsed().as_millis() as i64;
        self.begin.execute([])?;
        for _ in 0..batch {
            let lease = self.next as i64 + 1;
            self.latest[self.next] += 1;
            let n = self.latest[self.next];
            self.next = (self.next + 1) % self.latest.len();
            self.head += 1;
            self.resolved.execute([lease, n])?;
            self.record.execute([lease, n, hash(n as u64).cast_signed(), now])?;
            self.entry.execute(params![self.head, now, EVENT, EVENT_JSON])?;
        }
        let oldest = (self.head + 1 - i64::from(ENTRIES)).max(1);
        self.dropped.execute([oldest])?;
        self.topic.execute([self.head, oldest, now])?;
        self.served.execute([now])?;
        if self.along.elapsed() >= ALONG {
            self.along = Instant::now();
            for (lease, n) in (1_i64..).zip(&self.latest) {
                self.lease.execute([lease, *n, now])?;
            }
        }
        self.commit.execute([])?;
        Ok(batch)
    }
}
