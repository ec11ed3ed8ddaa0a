//! The handlers: what is checked before a request reaches its transaction, what is told once it is
//! there, and who may follow what. How orders meet is said in `book`, what is written in
//! `clearing`.

use std::sync::Arc;

use steadfast::server::{Cx, Denied, Principal, TopicCx, Transacts};
use steadfast_sqlite::{Abort, LocalStore, Transact, Tx};

use crate::clearing::{Books, Caused};
use crate::protocol::{
    AccountId, AccountState, CancelOrder, MarketState, PlaceOrder, Price, Rejection, ReplaceOrder,
    ReportId, RequestId, Symbol, TradingHandler, TradingTopics,
};
use crate::reads::Reads;

/// What is traded here.
pub(crate) const SYMBOLS: &[&str] = &["ACME", "GLOBEX"];

/// The highest price, in cents.
const HIGHEST_PRICE: u32 = 100_000_000;
/// The largest quantity of an order.
const LARGEST_QUANTITY: u32 = 1_000_000;
/// How long the name of an order or a request may be.
const LONGEST_ID: usize = 64;

/// The exchange.
#[derive(Debug)]
pub(crate) struct Desk {
    books: Arc<Books>,
    reads: Reads,
}

impl Desk {
    pub(crate) fn new(books: Books, reads: Reads) -> Self {
        Self { books: Arc::new(books), reads }
    }
}

fn check_id(RequestId(id): &RequestId) -> Result<(), Rejection> {
    let fits = (1..=LONGEST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
    if fits { Ok(()) } else { Err(Rejection::BadId) }
}

fn check_terms(Price(price): Price, quantity: u32) -> Result<(), Rejection> {
    if !(1..=HIGHEST_PRICE).contains(&price) {
        Err(Rejection::BadPrice { highest: HIGHEST_PRICE })
    } else if !(1..=LARGEST_QUANTITY).contains(&quantity) {
        Err(Rejection::BadQuantity { largest: LARGEST_QUANTITY })
    } else {
        Ok(())
    }
}

/// Whose requests a connection makes.
fn account(who: &Principal) -> AccountId {
    AccountId(who.user().to_owned())
}

/// Tells everybody what their orders have come to. It is told if the transaction commits.
fn tell(tx: &Tx<'_>, caused: Caused) -> Result<ReportId, Abort<Rejection>> {
    for report in caused.reports {
        tx.publish(report);
    }
    for trade in caused.trades {
        tx.publish(trade);
    }
    Ok(caused.first)
}

impl TradingHandler for Desk {
    const TRANSACTS: Transacts = Transacts::on::<LocalStore>();

    async fn place(&self, cx: &Cx, new: PlaceOrder) -> Result<ReportId, Rejection> {
        check_id(&new.order)?;
        check_terms(new.price, new.quantity)?;
        let (books, account) = (Arc::clone(&self.books), account(cx.principal()));
        cx.transact(move |tx| tell(tx, books.place(tx, &account, &new)?)).await
    }

    async fn cancel(&self, cx: &Cx, asked: CancelOrder) -> Result<ReportId, Rejection> {
        check_id(&asked.request)?;
        let (books, account) = (Arc::clone(&self.books), account(cx.principal()));
        cx.transact(move |tx| tell(tx, books.cancel(tx, &account, &asked)?)).await
    }

    async fn replace(&self, cx: &Cx, asked: ReplaceOrder) -> Result<ReportId, Rejection> {
        check_id(&asked.request)?;
        check_terms(asked.price, asked.quantity)?;
        let (books, account) = (Arc::clone(&self.books), account(cx.principal()));
        cx.transact(move |tx| tell(tx, books.replace(tx, &account, &asked)?)).await
    }
}

impl TradingTopics for Desk {
    async fn may_subscribe_account(&self, who: &Principal, of: &AccountId) -> Result<(), Denied> {
        if account(who) == *of { Ok(()) } else { Err(Denied::new("it is somebody else's account")) }
    }

    async fn account_snapshot(
        &self,
        _cx: &TopicCx,
        of: &AccountId,
    ) -> Result<AccountState, Rejection> {
        self.reads.account(of.clone()).await
    }

    async fn may_subscribe_market(&self, _: &Principal, symbol: &Symbol) -> Result<(), Denied> {
        let traded = SYMBOLS.contains(&symbol.0.as_str());
        if traded { Ok(()) } else { Err(Denied::new("nothing of this name is traded")) }
    }

    async fn market_snapshot(
        &self,
        _cx: &TopicCx,
        symbol: &Symbol,
    ) -> Result<MarketState, Rejection> {
        self.reads.market(symbol.clone()).await
    }
}
