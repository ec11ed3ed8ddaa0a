//! What a decision works in: the store's connection, in the savepoint of one command. What it may
//! not do there is for the guard to say.

use std::ops::Deref;

use rusqlite::{Connection, Error};

/// The savepoint of one command, as a decision of a [`LocalStore`](crate::LocalStore) has it: a
/// connection on which it reads and writes rows of its own. The application has it as a
/// [`Tx`](crate::Tx).
#[derive(Debug)]
pub struct Savepoint<'t> {
    db: &'t Connection,
    /// Why the decision can't be made.
    pub(crate) refused: Option<Error>,
}

impl<'t> Savepoint<'t> {
    pub(crate) const fn new(db: &'t Connection) -> Self {
        Self { db, refused: None }
    }
}

impl Deref for Savepoint<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}
