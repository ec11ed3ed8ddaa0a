//! The application's own tables, made or changed when the file is opened. What they are is not known
//! here, only that they are not the store's.

use std::path::Path;

use rusqlite::Connection;

use crate::error::OpenError;
use crate::guard::Guard;
use crate::rows::Sql;

/// What makes them.
pub(crate) type OwnTables = Box<dyn FnOnce(&Connection) -> rusqlite::Result<()> + Send>;

/// Makes them in one transaction, or changes nothing.
pub(crate) fn make(
    db: &Connection,
    guard: &Guard,
    path: &Path,
    make: OwnTables,
) -> Result<(), OpenError> {
    let schema = |what: String| OpenError::Schema { path: path.into(), what };
    let sql = |error: rusqlite::Error| schema(error.to_string());
    db.execute_batch("BEGIN IMMEDIATE").map_err(sql)?;
    // What is left undone is rolled back when the connection is closed.
    let before = of_the_store(db).map_err(sql)?;
    guard.while_making(|| make(db)).map_err(sql)?;
    if db.is_autocommit() {
        return Err(schema("a statement has ended the transaction".to_owned()));
    }
    if of_the_store(db).map_err(sql)? != before {
        return Err(schema("names that begin with `sf_` belong to the store".to_owned()));
    }
    db.execute_batch("COMMIT").map_err(sql)
}

fn of_the_store(db: &Connection) -> Sql<Vec<String>> {
    let sql =
        "SELECT name FROM sqlite_schema WHERE lower(substr(name, 1, 3)) = 'sf_' ORDER BY name";
    db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}
