//! What the exchange's file holds, read with SQL of its own: the demo judges by what is there, not
//! by what the server says of it.

use std::path::Path;

use steadfast_sqlite::rusqlite::{Connection, OpenFlags, Result, Row};

/// An order's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OrderRow {
    pub(crate) number: u64,
    pub(crate) account: String,
    pub(crate) id: String,
    pub(crate) symbol: String,
    pub(crate) side: String,
    pub(crate) price: u32,
    pub(crate) quantity: u32,
    pub(crate) filled: u32,
    pub(crate) open: bool,
}

/// A report's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReportRow {
    pub(crate) id: u64,
    pub(crate) number: u64,
    pub(crate) execution: String,
    pub(crate) quantity: u32,
    pub(crate) filled: u32,
}

/// All rows, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) orders: Vec<OrderRow>,
    pub(crate) reports: Vec<ReportRow>,
    /// How often each symbol's book has changed.
    pub(crate) versions: Vec<(String, u64)>,
}

impl Records {
    /// Reads them all.
    ///
    /// # Errors
    /// Those of SQLite.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let db = db.unchecked_transaction()?;
        let sql = "SELECT number, account, id, symbol, side, price, quantity, filled, open
                   FROM orders ORDER BY number";
        let orders = all(&db, sql, |row| {
            Ok(OrderRow {
                number: unsigned(row, 0)?,
                account: row.get(1)?,
                id: row.get(2)?,
                symbol: row.get(3)?,
                side: row.get(4)?,
                price: row.get(5)?,
                quantity: row.get(6)?,
                filled: row.get(7)?,
                open: row.get(8)?,
            })
        })?;
        let sql = "SELECT id, number, execution, quantity, filled FROM reports ORDER BY id";
        let reports = all(&db, sql, |row| {
            Ok(ReportRow {
                id: unsigned(row, 0)?,
                number: unsigned(row, 1)?,
                execution: row.get(2)?,
                quantity: row.get(3)?,
                filled: row.get(4)?,
            })
        })?;
        let version = |row: &Row<'_>| Ok((row.get(0)?, unsigned(row, 1)?));
        let versions = all(&db, "SELECT symbol, version FROM books", version)?;
        Ok(Self { orders, reports, versions })
    }
}

fn all<T>(db: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
    db.prepare(sql)?.query_map([], read)?.collect()
}

fn unsigned(row: &Row<'_>, column: usize) -> Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}
