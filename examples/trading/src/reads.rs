//! Reading of what is committed, on a connection of its own beside the one that writes. Nothing is
//! read here that a transaction has not finished.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use steadfast_sqlite::rusqlite::{Connection, OpenFlags};

use crate::protocol::{AccountId, AccountState, Depth, MarketState, Rejection, Symbol};
use crate::rows::{self, Sql};

/// A connection that reads. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Reads(Arc<Mutex<Connection>>);

impl Reads {
    /// Of a file that a store has open.
    ///
    /// # Errors
    /// Those of SQLite.
    pub(crate) fn open(path: &Path) -> Sql<Self> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Self(Arc::new(Mutex::new(db))))
    }

    /// An account's open orders.
    ///
    /// # Errors
    /// [`Rejection::NotNow`].
    pub(crate) async fn account(&self, account: AccountId) -> Result<AccountState, Rejection> {
        self.read(move |db| {
            let (upto, orders) = (rows::last_report(db)?, rows::open_orders(db, &account)?);
            Ok(AccountState { account, upto, orders })
        })
        .await
    }

    /// A symbol's market.
    ///
    /// # Errors
    /// [`Rejection::UnknownSymbol`], [`Rejection::NotNow`].
    pub(crate) async fn market(&self, symbol: Symbol) -> Result<MarketState, Rejection> {
        let market = self.read(move |db| {
            let Some(depth) = rows::depth(db, &symbol)? else { return Ok(None) };
            let trades = rows::trades(db, &symbol)?;
            Ok(Some(MarketState { symbol, depth, trades }))
        });
        market.await?.ok_or(Rejection::UnknownSymbol)
    }

    /// A symbol's best prices, unless its book is still of this version.
    ///
    /// # Errors
    /// [`Rejection::NotNow`].
    pub(crate) async fn depth_after(
        &self,
        symbol: Symbol,
        version: Option<u64>,
    ) -> Result<Option<Depth>, Rejection> {
        self.read(move |db| match rows::version(db, &symbol)? {
            present if present == version => Ok(None),
            _ => rows::depth(db, &symbol),
        })
        .await
    }

    /// Reads one state of the file, on the thread that asks.
    ///
    /// # Errors
    /// Those of SQLite.
    pub(crate) fn now<T>(&self, what: impl FnOnce(&Connection) -> Sql<T>) -> Sql<T> {
        let db = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        what(&*db.unchecked_transaction()?)
    }

    /// Reads one state of the file, on a thread that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Connection) -> Sql<T> + Send + 'static,
    ) -> Result<T, Rejection> {
        let reads = self.clone();
        match tokio::task::spawn_blocking(move || reads.now(what)).await {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(error)) => {
                eprintln!("the exchange's rows can't be read: {error}");
                Err(Rejection::NotNow)
            }
            // The server is leaving.
            Err(_) => Err(Rejection::NotNow),
        }
    }
}
