//! What a decision works in: the store's connection, in the savepoint of one command. What it may
//! not do there is for the guard to say.

use std::ops::Deref;

use rusqlite::{Connection, Error};

/// The savepoint of one command, as a decision of a [`LocalStore`](crate::LocalStore) has it: a
/// connection on which it reads and writes rows of its own. An application has it as a `Tx`.
#[derive(Debug)]
pub struct Savepoint<'t> {
    db: &'t Connection,
    /// Why the decision can't be made, if SQLite has refused something.
    pub(crate) refused: Option<Error>,
}

impl<'t> Savepoint<'t> {
    pub(crate) const fn new(db: &'t Connection) -> Self {
        Self { db, refused: None }
    }

    #[cfg(feature = "server")]
    pub(crate) const fn connection(&self) -> &'t Connection {
        self.db
    }
}

impl Deref for Savepoint<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}
