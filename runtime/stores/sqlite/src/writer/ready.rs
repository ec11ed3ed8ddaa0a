//! The writer's connection, with the statements that run for each command or group kept ready. The
//! others are looked up by their text, which takes about as long as running a short one. Nobody
//! else has these: a statement was authorized when it was prepared, and the application's code may
//! not run one that ends the transaction.

use std::cell::RefCell;
use std::ops::Deref;

use rusqlite::{Connection, Params, Statement};

use crate::rows::{Sql, count};

/// A statement that is kept ready.
#[derive(Debug, Clone, Copy)]
pub(super) enum Hot {
    Begin,
    Commit,
    /// Bytes of replies that [`Hot::ForgetResolved`] lets go of.
    ResolvedBytes,
    FreeResolved,
    ForgetResolved,
    InsertRecord,
    InsertEntry,
    /// Bytes of entries that [`Hot::DropEntries`] lets go of.
    DroppedBytes,
    DropEntries,
    WriteHead,
    WriteTopic,
    WriteLease,
    WriteServed,
    HasRecord,
    BeginDecision,
    UndoDecision,
    EndDecision,
}

/// How many there are.
const HOT: usize = Hot::EndDecision as usize + 1;

impl Hot {
    const fn sql(self) -> &'static str {
        match self {
            Self::Begin => "BEGIN IMMEDIATE",
            Self::Commit => "COMMIT",
            Self::ResolvedBytes => {
                "SELECT COALESCE(sum(reply_bytes), 0) FROM sf_records \
                 WHERE lease = ?1 AND n >= ?2 AND n < ?3 AND settled = 1"
            }
            Self::FreeResolved => {
                "UPDATE sf_records SET reply_bytes = 0 \
                 WHERE lease = ?1 AND n >= ?2 AND n < ?3 AND settled = 1 AND reply_bytes > 0"
            }
            Self::ForgetResolved => {
                "DELETE FROM sf_records WHERE lease = ?1 AND n < ?2 AND settled = 1"
            }
            Self::InsertRecord => {
                "INSERT OR IGNORE INTO sf_records(lease, n, hash, outcome, error, body, \
                 reply_bytes, settled, at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            }
            Self::InsertEntry => {
                "INSERT INTO sf_log(topic, ts, at_ms, name, body, bytes) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
            }
            Self::DroppedBytes => {
                "SELECT COALESCE(sum(bytes), 0) FROM sf_log WHERE topic = ?1 AND ts < ?2"
            }
            Self::DropEntries => "DELETE FROM sf_log WHERE topic = ?1 AND ts < ?2",
            Self::WriteHead => {
                "UPDATE sf_topics SET head = ?2, oldest = ?3, bytes = ?4 WHERE no = ?1"
            }
            Self::WriteTopic => {
                "UPDATE sf_topics SET head = ?2, oldest = ?3, bytes = ?4, used_ms = ?5, \
                 keep_entries = ?6, keep_bytes = ?7, keep_ms = ?8 WHERE no = ?1"
            }
            Self::WriteLease => {
                "UPDATE sf_leases SET low = ?2, contact_ms = ?3, let_go_ms = ?4, ran = ?5, \
                 ended_ms = ?6, generation = ?7, holder = ?8 WHERE no = ?1"
            }
            Self::WriteServed => {
                "UPDATE sf_store SET served_ms = max(served_ms, ?1) WHERE opened = ?2"
            }
            Self::HasRecord => "SELECT count(*) FROM sf_records WHERE lease = ?1 AND n = ?2",
            Self::BeginDecision => "SAVEPOINT sf_decision",
            Self::UndoDecision => "ROLLBACK TO sf_decision",
            Self::EndDecision => "RELEASE sf_decision",
        }
    }
}

/// The connection, as long as the writer works. Each statement is prepared when it is first run.
pub(super) struct Ready<'db> {
    db: &'db Connection,
    ready: [RefCell<Option<Statement<'db>>>; HOT],
}

impl<'db> Ready<'db> {
    pub(super) const fn new(db: &'db Connection) -> Self {
        Self { db, ready: [const { RefCell::new(None) }; HOT] }
    }

    /// The connection itself.
    pub(super) const fn connection(&self) -> &'db Connection {
        self.db
    }

    /// Runs a statement; how many rows it has changed.
    pub(super) fn run(&self, hot: Hot, params: impl Params) -> Sql<usize> {
        self.with(hot, |statement| statement.execute(params))
    }

    /// Runs a statement that gives one count.
    pub(super) fn count(&self, hot: Hot, params: impl Params) -> Sql<u64> {
        self.with(hot, |statement| statement.query_row(params, |row| count(row, 0)))
    }

    fn with<T>(&self, hot: Hot, act: impl FnOnce(&mut Statement<'db>) -> Sql<T>) -> Sql<T> {
        let mut ready = self.ready[hot as usize].borrow_mut();
        let statement = match &mut *ready {
            Some(statement) => statement,
            none => none.insert(self.db.prepare(hot.sql())?),
        };
        act(statement)
    }
}

impl Deref for Ready<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}
