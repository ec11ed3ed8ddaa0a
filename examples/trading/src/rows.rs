//! The exchange's own tables, and each statement on them. Whether they stand in a transaction, and
//! which one, is their caller's to say.

use steadfast_sqlite::rusqlite::{Connection, OptionalExtension, Row, params};

use crate::book::{Change, Resting};
use crate::protocol::{
    AccountId, Depth, Execution, ExecutionReport, Level, Order, OrderNumber, PlaceOrder, Price,
    ReportId, RequestId, Side, Symbol, Trade,
};

pub(crate) type Sql<T> = steadfast_sqlite::rusqlite::Result<T>;

/// How many prices of each side a screen is shown.
pub(crate) const LEVELS: u32 = 10;
/// How many of the latest trades.
const TRADES: u32 = 20;

/// An order's `place` is the number of the report that put it at the end of its queue, so sorting
/// by it gives each queue as it is. Nothing is ever deleted: these are the exchange's records.
const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS books(symbol TEXT PRIMARY KEY, version INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS orders(
        number INTEGER PRIMARY KEY, account TEXT NOT NULL, id TEXT NOT NULL, symbol TEXT NOT NULL,
        side TEXT NOT NULL, price INTEGER NOT NULL, quantity INTEGER NOT NULL,
        filled INTEGER NOT NULL, open INTEGER NOT NULL, place INTEGER NOT NULL,
        UNIQUE(account, id));
    CREATE INDEX IF NOT EXISTS open_by_price ON orders(symbol, side, price) WHERE open;
    CREATE INDEX IF NOT EXISTS open_by_account ON orders(account, number) WHERE open;
    CREATE TABLE IF NOT EXISTS reports(
        id INTEGER PRIMARY KEY, number INTEGER NOT NULL, execution TEXT NOT NULL,
        price INTEGER NOT NULL, quantity INTEGER NOT NULL, filled INTEGER NOT NULL);
    CREATE TABLE IF NOT EXISTS trades(
        id INTEGER PRIMARY KEY, symbol TEXT NOT NULL, price INTEGER NOT NULL,
        quantity INTEGER NOT NULL, taker TEXT NOT NULL);
    CREATE INDEX IF NOT EXISTS trades_by_symbol ON trades(symbol, id);
";

const ORDER: &str = "id, number, symbol, side, price, quantity, filled, open";

/// Makes the tables, and a book for each symbol.
pub(crate) fn make(db: &Connection, symbols: &[&str]) -> Sql<()> {
    db.execute_batch(TABLES)?;
    for symbol in symbols {
        db.execute("INSERT OR IGNORE INTO books(symbol, version) VALUES (?1, 0)", [symbol])?;
    }
    Ok(())
}

/// How often a book has changed; `None` if there is no such book.
pub(crate) fn version(db: &Connection, symbol: &Symbol) -> Sql<Option<u64>> {
    let mut query = db.prepare_cached("SELECT version FROM books WHERE symbol = ?1")?;
    query.query_row([&symbol.0], |row| unsigned(row, 0)).optional()
}

/// A book has changed once more; how often it has.
pub(crate) fn count_change(db: &Connection, symbol: &Symbol) -> Sql<u64> {
    let sql = "UPDATE books SET version = version + 1 WHERE symbol = ?1 RETURNING version";
    db.prepare_cached(sql)?.query_row([&symbol.0], |row| unsigned(row, 0))
}

/// The open orders of a book, in the order in which they queued.
pub(crate) fn resting(db: &Connection, symbol: &Symbol) -> Sql<Vec<Resting>> {
    let sql = format!("SELECT {ORDER} FROM orders WHERE symbol = ?1 AND open ORDER BY place");
    let mut query = db.prepare_cached(&sql)?;
    let orders = query.query_map([&symbol.0], |row| {
        let Order { number, side, price, quantity, filled, .. } = order(row)?;
        Ok(Resting { number, side, price, quantity, filled })
    })?;
    orders.collect()
}

/// Gives a new order its number; `None` if the account has used its name. It is not open until it
/// is reported.
pub(crate) fn insert(
    db: &Connection,
    account: &AccountId,
    new: &PlaceOrder,
) -> Sql<Option<OrderNumber>> {
    let sql = "INSERT INTO orders(account, id, symbol, side, price, quantity, filled, open, place)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 0) ON CONFLICT DO NOTHING";
    let PlaceOrder { order, symbol, side, price, quantity } = new;
    let values = params![account.0, order.0, symbol.0, side_name(*side), price.0, quantity];
    let inserted = db.prepare_cached(sql)?.execute(values)?;
    Ok((inserted > 0).then(|| OrderNumber(db.last_insert_rowid().cast_unsigned())))
}

/// An account's open order of this name.
pub(crate) fn find_open(
    db: &Connection,
    account: &AccountId,
    id: &RequestId,
) -> Sql<Option<(OrderNumber, Symbol)>> {
    let sql = "SELECT number, symbol FROM orders WHERE account = ?1 AND id = ?2 AND open";
    let mut query = db.prepare_cached(sql)?;
    let found = |row: &Row<'_>| Ok((OrderNumber(unsigned(row, 0)?), Symbol(row.get(1)?)));
    query.query_row([&account.0, &id.0], found).optional()
}

/// How many open orders an account has.
pub(crate) fn count_open(db: &Connection, account: &AccountId) -> Sql<u32> {
    let sql = "SELECT count(*) FROM orders WHERE account = ?1 AND open";
    db.prepare_cached(sql)?.query_row([&account.0], |row| row.get(0))
}

/// An account's open orders, oldest first.
pub(crate) fn open_orders(db: &Connection, account: &AccountId) -> Sql<Vec<Order>> {
    let sql = format!("SELECT {ORDER} FROM orders WHERE account = ?1 AND open ORDER BY number");
    db.prepare_cached(&sql)?.query_map([&account.0], order)?.collect()
}

/// Writes one change of an order: the report, and the order as it is after it.
pub(crate) fn report(db: &Connection, change: &Change) -> Sql<ExecutionReport> {
    let Change { order: Resting { number, price, quantity, filled, .. }, execution, queued } =
        *change;
    let (name, at, traded) = match execution {
        Execution::Placed => ("placed", price, quantity),
        Execution::Filled { price, quantity } => ("filled", price, quantity),
        Execution::Canceled => ("canceled", price, quantity),
        Execution::Replaced => ("replaced", price, quantity),
    };
    let number = number.0.cast_signed();
    let sql = "INSERT INTO reports(number, execution, price, quantity, filled)
               VALUES (?1, ?2, ?3, ?4, ?5)";
    db.prepare_cached(sql)?.execute(params![number, name, at.0, traded, filled])?;
    let id = db.last_insert_rowid();
    let sql = format!(
        "UPDATE orders SET price = ?2, quantity = ?3, filled = ?4, open = ?5,
                           place = CASE WHEN ?6 THEN ?7 ELSE place END
         WHERE number = ?1 RETURNING {ORDER}, account"
    );
    let after = params![number, price.0, quantity, filled, change.open(), queued, id];
    let (order, account) =
        db.prepare_cached(&sql)?.query_row(after, |row| Ok((order(row)?, row.get(8)?)))?;
    let id = ReportId(id.cast_unsigned());
    Ok(ExecutionReport { id, account: AccountId(account), execution, order })
}

/// The number of the last report.
pub(crate) fn last_report(db: &Connection) -> Sql<ReportId> {
    let sql = "SELECT coalesce(max(id), 0) FROM reports";
    db.prepare_cached(sql)?.query_row([], |row| unsigned(row, 0)).map(ReportId)
}

/// Writes that two orders have met.
pub(crate) fn write_trade(db: &Connection, trade: &Trade) -> Sql<()> {
    let Trade { symbol, id, price, quantity, taker } = trade;
    let sql = "INSERT INTO trades(id, symbol, price, quantity, taker) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![id.0.cast_signed(), symbol.0, price.0, quantity, side_name(*taker)];
    db.prepare_cached(sql)?.execute(values).map(|_| ())
}

/// The latest trades, oldest first.
pub(crate) fn trades(db: &Connection, symbol: &Symbol) -> Sql<Vec<Trade>> {
    let sql = "SELECT id, price, quantity, taker FROM trades WHERE symbol = ?1
               ORDER BY id DESC LIMIT ?2";
    let mut query = db.prepare_cached(sql)?;
    let trades = query.query_map(params![symbol.0, TRADES], |row| {
        let (id, price) = (ReportId(unsigned(row, 0)?), Price(row.get(1)?));
        let (quantity, taker) = (row.get(2)?, side(row, 3)?);
        Ok(Trade { symbol: symbol.clone(), id, price, quantity, taker })
    })?;
    let mut trades: Vec<Trade> = trades.collect::<Sql<_>>()?;
    trades.reverse();
    Ok(trades)
}

/// The best prices of a book; `None` if there is no such book.
pub(crate) fn depth(db: &Connection, symbol: &Symbol) -> Sql<Option<Depth>> {
    let Some(version) = version(db, symbol)? else { return Ok(None) };
    let (bids, asks) = (levels(db, symbol, Side::Buy)?, levels(db, symbol, Side::Sell)?);
    Ok(Some(Depth { symbol: symbol.clone(), version, bids, asks }))
}

fn levels(db: &Connection, symbol: &Symbol, side: Side) -> Sql<Vec<Level>> {
    let best_first = if side == Side::Buy { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT price, sum(quantity - filled) FROM orders WHERE symbol = ?1 AND side = ?2 AND open
         GROUP BY price ORDER BY price {best_first} LIMIT ?3"
    );
    let mut query = db.prepare_cached(&sql)?;
    let level =
        |row: &Row<'_>| Ok(Level { price: Price(row.get(0)?), quantity: unsigned(row, 1)? });
    query.query_map(params![symbol.0, side_name(side), LEVELS], level)?.collect()
}

fn order(row: &Row<'_>) -> Sql<Order> {
    Ok(Order {
        id: RequestId(row.get(0)?),
        number: OrderNumber(unsigned(row, 1)?),
        symbol: Symbol(row.get(2)?),
        side: side(row, 3)?,
        price: Price(row.get(4)?),
        quantity: row.get(5)?,
        filled: row.get(6)?,
        open: row.get(7)?,
    })
}

const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
    }
}

fn side(row: &Row<'_>, column: usize) -> Sql<Side> {
    let name: String = row.get(column)?;
    Ok(if name == side_name(Side::Buy) { Side::Buy } else { Side::Sell })
}

fn unsigned(row: &Row<'_>, column: usize) -> Sql<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}
