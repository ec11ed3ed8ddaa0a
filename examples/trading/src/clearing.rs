//! What a request does inside its transaction: it goes through the book, and each change is written
//! and told. The books are kept in memory, and are believed only as long as the rows agree.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use steadfast_sqlite::Abort;
use steadfast_sqlite::rusqlite::Connection;

use crate::book::{Book, Change};
use crate::protocol::{
    AccountId, CancelOrder, Execution, ExecutionReport, PlaceOrder, Rejection, ReplaceOrder,
    ReportId, Symbol, Trade,
};
use crate::rows::{self, Sql};

/// How many open orders an account may have: its state is one message of the protocol.
pub(crate) const OPEN_ORDERS: u32 = 200;

/// What a request has caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caused {
    /// The first report, which is about the order that was asked for.
    pub(crate) first: ReportId,
    pub(crate) reports: Vec<ExecutionReport>,
    pub(crate) trades: Vec<Trade>,
}

type Cleared = Result<Caused, Abort<Rejection>>;

/// The books of all symbols.
///
/// A transaction may be undone after it has changed a book here. So each book has the version of
/// the rows that it stands for, which grows in the same transaction. A book of another version than
/// that in the rows is forgotten, and made anew from them.
#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<BTreeMap<Symbol, Kept>>);

#[derive(Debug)]
struct Kept {
    version: u64,
    book: Book,
}

impl Books {
    /// Makes all books from the rows; how many orders are open.
    pub(crate) fn rebuild(&self, db: &Connection, symbols: &[&str]) -> Sql<usize> {
        let mut open = 0;
        for symbol in symbols {
            let symbol = Symbol((*symbol).to_owned());
            if let Some(version) = rows::version(db, &symbol)? {
                let book = Book::of(rows::resting(db, &symbol)?);
                open += book.len();
                self.keep(&symbol, Kept { version, book });
            }
        }
        Ok(open)
    }

    /// Places an order.
    ///
    /// # Errors
    /// Why it is turned down, or what SQLite has refused.
    pub(crate) fn place(&self, db: &Connection, account: &AccountId, new: &PlaceOrder) -> Cleared {
        if rows::count_open(db, account)? >= OPEN_ORDERS {
            return Err(Abort::App(Rejection::TooManyOrders { limit: OPEN_ORDERS }));
        }
        let number = rows::insert(db, account, new)?;
        let number = number.ok_or(Abort::App(Rejection::DuplicateOrder))?;
        let PlaceOrder { side, price, quantity, .. } = *new;
        let order = crate::book::Resting { number, side, price, quantity, filled: 0 };
        self.change(db, &new.symbol, |book| book.place(order))
    }

    /// Takes back what is open of an order.
    ///
    /// # Errors
    /// As [`Books::place`].
    pub(crate) fn cancel(
        &self,
        db: &Connection,
        account: &AccountId,
        CancelOrder { order, .. }: &CancelOrder,
    ) -> Cleared {
        let open = rows::find_open(db, account, order)?;
        let (number, symbol) = open.ok_or(Abort::App(Rejection::NotOpen))?;
        self.change(db, &symbol, |book| book.cancel(number))
    }

    /// Gives an order another price or quantity.
    ///
    /// # Errors
    /// As [`Books::place`].
    pub(crate) fn replace(
        &self,
        db: &Connection,
        account: &AccountId,
        ReplaceOrder { order, price, quantity, .. }: &ReplaceOrder,
    ) -> Cleared {
        let open = rows::find_open(db, account, order)?;
        let (number, symbol) = open.ok_or(Abort::App(Rejection::NotOpen))?;
        self.change(db, &symbol, |book| book.replace(number, *price, *quantity))
    }

    fn change(
        &self,
        db: &Connection,
        symbol: &Symbol,
        request: impl FnOnce(&mut Book) -> Result<Vec<Change>, Rejection>,
    ) -> Cleared {
        let version = rows::version(db, symbol)?;
        let version = version.ok_or(Abort::App(Rejection::UnknownSymbol))?;
        // It is out of the map while it changes: where this ends early, with an error or a panic,
        // no book is left that is neither the one before nor the one after.
        let kept = self.kept().remove(symbol).filter(|kept| kept.version == version);
        let mut book = match kept {
            Some(kept) => kept.book,
            None => Book::of(rows::resting(db, symbol)?),
        };
        match request(&mut book) {
            Ok(changes) => {
                let caused = write(db, symbol, &changes)?;
                let version = rows::count_change(db, symbol)?;
                self.keep(symbol, Kept { version, book });
                Ok(caused)
            }
            Err(rejection) => {
                self.keep(symbol, Kept { version, book });
                Err(Abort::App(rejection))
            }
        }
    }

    fn keep(&self, symbol: &Symbol, kept: Kept) {
        self.kept().insert(symbol.clone(), kept);
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<Symbol, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes each change, and each trade among them.
fn write(db: &Connection, symbol: &Symbol, changes: &[Change]) -> Sql<Caused> {
    let (mut reports, mut trades) = (Vec::with_capacity(changes.len()), Vec::new());
    let mut first = None;
    for change in changes {
        let report = rows::report(db, change)?;
        let (first, taker) = *first.get_or_insert((report.id, change.order.number));
        if let Execution::Filled { price, quantity } = change.execution
            && change.order.number == taker
        {
            debug_assert!(report.id > first, "an order is placed before it is filled");
            let taker = change.order.side;
            let trade = Trade { symbol: symbol.clone(), id: report.id, price, quantity, taker };
            rows::write_trade(db, &trade)?;
            trades.push(trade);
        }
        reports.push(report);
    }
    let (first, _) = first.expect("a request that is not turned down changes its order");
    Ok(Caused { first, reports, trades })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Price, RequestId, Side};

    const ACME: &[&str] = &["ACME"];

    fn exchange() -> (Connection, Books) {
        let db = Connection::open_in_memory().unwrap();
        rows::make(&db, ACME).unwrap();
        (db, Books::default())
    }

    fn order(name: &str, side: Side, price: u32, quantity: u32) -> PlaceOrder {
        let (order, symbol) = (RequestId(name.into()), Symbol("ACME".into()));
        PlaceOrder { order, symbol, side, price: Price(price), quantity }
    }

    fn ann() -> AccountId {
        AccountId("ann".into())
    }

    fn rejection(told: Cleared) -> Rejection {
        match told {
            Err(Abort::App(rejection)) => rejection,
            other => panic!("{other:?}"),
        }
    }

    fn kept(books: &Books) -> Book {
        books.kept()[&Symbol("ACME".into())].book.clone()
    }

    fn rebuilt(db: &Connection) -> Book {
        let books = Books::default();
        books.rebuild(db, ACME).unwrap();
        kept(&books)
    }

    #[test]
    fn a_book_that_was_changed_in_a_transaction_that_is_undone_is_made_anew() {
        let (mut db, books) = exchange();
        books.place(&db, &ann(), &order("a", Side::Sell, 10, 5)).unwrap();
        let undone = db.savepoint().unwrap();
        books.place(&undone, &ann(), &order("b", Side::Buy, 10, 5)).unwrap();
        drop(undone); // which rolls it back
        let caused = books.place(&db, &ann(), &order("c", Side::Buy, 10, 2)).unwrap();
        assert_eq!(caused.trades.len(), 1, "the order a is there again");
        assert_eq!(kept(&books), rebuilt(&db));
        // Run once more, as the closure of a transaction may be.
        let again = db.savepoint().unwrap();
        books.place(&again, &ann(), &order("d", Side::Buy, 9, 2)).unwrap();
        drop(again);
        books.place(&db, &ann(), &order("d", Side::Buy, 9, 2)).unwrap();
        assert_eq!(kept(&books), rebuilt(&db));
    }

    #[test]
    fn a_book_made_from_the_rows_has_each_queue_in_its_order() {
        let (db, books) = exchange();
        for name in ["a", "b", "c"] {
            books.place(&db, &ann(), &order(name, Side::Sell, 10, 5)).unwrap();
        }
        let (request, order) = (RequestId("r".into()), RequestId("a".into()));
        let grown = ReplaceOrder { request, order, price: Price(10), quantity: 6 };
        books.replace(&db, &ann(), &grown).unwrap();
        assert_eq!(kept(&books), rebuilt(&db));
        let numbers = |book: &Book| -> Vec<u64> {
            book.best_first(Side::Sell).map(|order| order.number.0).collect()
        };
        assert_eq!(numbers(&rebuilt(&db)), [2, 3, 1]);
    }

    #[test]
    fn both_sides_of_a_trade_have_one_report_each_and_the_trade_is_told_once() {
        let (db, books) = exchange();
        let bo = AccountId("bo".into());
        books.place(&db, &ann(), &order("a", Side::Sell, 10, 5)).unwrap();
        let caused = books.place(&db, &bo, &order("a", Side::Buy, 11, 8)).unwrap();
        let told: Vec<(&str, u32, bool)> = caused
            .reports
            .iter()
            .map(|told| (told.account.0.as_str(), told.order.filled, told.order.open))
            .collect();
        assert_eq!(told, [("bo", 0, true), ("ann", 5, false), ("bo", 5, true)]);
        let trade = (caused.trades[0].price, caused.trades[0].quantity, caused.trades[0].taker);
        assert_eq!(trade, (Price(10), 5, Side::Buy));
        assert_eq!(rows::trades(&db, &Symbol("ACME".into())).unwrap(), caused.trades);
    }

    #[test]
    fn what_is_turned_down_says_why() {
        let (db, books) = exchange();
        books.place(&db, &ann(), &order("a", Side::Sell, 10, 5)).unwrap();
        let again = books.place(&db, &ann(), &order("a", Side::Sell, 11, 5));
        assert_eq!(rejection(again), Rejection::DuplicateOrder);
        let nowhere = PlaceOrder { symbol: Symbol("X".into()), ..order("b", Side::Buy, 1, 1) };
        assert_eq!(rejection(books.place(&db, &ann(), &nowhere)), Rejection::UnknownSymbol);
        let cancel = CancelOrder { request: RequestId("r".into()), order: RequestId("a".into()) };
        let other = books.cancel(&db, &AccountId("bo".into()), &cancel);
        assert_eq!(rejection(other), Rejection::NotOpen, "an order is its account's alone");
        books.cancel(&db, &ann(), &cancel).unwrap();
        assert_eq!(rejection(books.cancel(&db, &ann(), &cancel)), Rejection::NotOpen);
    }

    #[test]
    fn an_account_has_as_many_open_orders_as_its_state_has_room_for() {
        let (db, books) = exchange();
        for number in 0..OPEN_ORDERS {
            books.place(&db, &ann(), &order(&number.to_string(), Side::Sell, 10, 1)).unwrap();
        }
        let one_more = books.place(&db, &ann(), &order("more", Side::Sell, 10, 1));
        assert_eq!(rejection(one_more), Rejection::TooManyOrders { limit: OPEN_ORDERS });
        assert_eq!(rows::open_orders(&db, &ann()).unwrap().len(), OPEN_ORDERS as usize);
    }
}
