//! A handler's end in a transaction: its own rows, its events and its record commit together, or
//! none does. When that happens is the writer's to say.

use std::ops::Deref;

use rusqlite::Connection;

use steadfast::protocol::{Publish, Reply, WsError};
use steadfast::server::{Cx, HandlerResult, Publishing};

use crate::LocalStore;

/// A command's transaction, inside the closure of [`Transact::transact`]. It is a
/// [`rusqlite::Connection`] for rows of the application's own.
///
/// What would reach around the transaction is denied: statements that begin, commit or roll back a
/// transaction (other savepoints may be used), `ATTACH`, pragmas except `user_version`, `ALTER
/// TABLE`, and the store's own tables, which begin with `sf_`.
#[derive(Debug)]
pub struct Tx<'t> {
    db: &'t Connection,
    publishing: &'t Publishing,
}

impl Tx<'_> {
    /// Publishes an event if the transaction commits, in the order of calls, behind what the
    /// handler published through its [`Cx`] before. The same bounds hold as for [`Cx::publish`]: an
    /// event that breaks one makes the command end with `internal`, and undoes its rows.
    pub fn publish<P: Publish>(&self, event: P) {
        self.publishing.publish(&event);
    }
}

impl Deref for Tx<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.db
    }
}

/// Why a transaction does not commit.
#[derive(Debug)]
pub enum Abort<E> {
    /// The application says no: its rows are undone, nothing is published, and the caller is told
    /// the error.
    App(E),
    /// SQLite has refused a statement. Rows are undone, and nothing is published. If it is the
    /// disk's fault, the transaction is tried again; otherwise the command ends with `internal`,
    /// and the error is in the log.
    Sql(rusqlite::Error),
}

impl<E> From<rusqlite::Error> for Abort<E> {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Ends a handler in a transaction of the [`LocalStore`] that its server has.
///
/// The handler has to say so, `const TRANSACTS: Transacts = Transacts::on::<LocalStore>();`: a
/// server with another store is not built then.
pub trait Transact {
    /// Runs `decide` in this command's transaction. Its rows, what it publishes and the command's
    /// outcome are on the disk together before the caller is told, or none of them is ever.
    ///
    /// It is the end of the handler. What `decide` returns is what the handler returns; awaiting it
    /// does not come back, and nothing behind it runs. So it stands where the handler returns, and
    /// does not compile elsewhere ("type annotations needed"):
    ///
    /// ```
    /// # use steadfast::WsProtocol;
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(client, protocol = "shop", version = "1", server = Event, error = No)]
    /// # pub enum Command {
    /// #     #[ws(request(reply = i64))]
    /// #     Buy { what: String },
    /// # }
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(server, protocol = "shop", topic(Shop, key = shop: u8, replay = 9, ttl = "1m"))]
    /// # pub enum Event {
    /// #     #[ws(event(Shop))]
    /// #     Sold { shop: u8, what: String },
    /// #     #[ws(unknown)]
    /// #     Unknown(steadfast::UnknownMessage),
    /// # }
    /// # #[derive(Debug, Clone, WsProtocol)]
    /// # #[ws(error)]
    /// # pub enum No {
    /// #     SoldOut,
    /// #     #[ws(unknown)]
    /// #     Unknown(steadfast::UnknownMessage),
    /// # }
    /// # struct Desk;
    /// use steadfast::server::{Cx, Transacts};
    /// use steadfast_sqlite::{Abort, LocalStore, Transact};
    ///
    /// impl ShopHandler for Desk {
    ///     const TRANSACTS: Transacts = Transacts::on::<LocalStore>();
    ///
    ///     async fn buy(&self, cx: &Cx, what: String) -> Result<i64, No> {
    ///         cx.transact(move |tx| {
    ///             let sql = "UPDATE stock SET left = left - 1 WHERE what = ?1 AND left > 0";
    ///             if tx.execute(sql, [&what])? == 0 {
    ///                 return Err(Abort::App(No::SoldOut));
    ///             }
    ///             tx.execute("INSERT INTO sold(what) VALUES (?1)", [&what])?;
    ///             tx.publish(EventSold { shop: 1, what: what.clone() });
    ///             Ok(tx.last_insert_rowid())
    ///         })
    ///         .await
    ///     }
    /// }
    /// ```
    ///
    /// Whoever tries to go on does not get far:
    ///
    /// ```compile_fail,E0283
    /// # use steadfast::server::Cx;
    /// # use steadfast::NoError;
    /// # use steadfast_sqlite::Transact;
    /// async fn buy(cx: &Cx) -> Result<i64, NoError> {
    ///     let row = cx.transact(|tx| Ok(tx.last_insert_rowid())).await?;
    ///     println!("bought: {row}"); // it would never run
    ///     Ok(row)
    /// }
    /// ```
    ///
    /// # How it runs
    /// On the store's one thread that writes: what waits for the disk or for time there makes every
    /// command wait. SQL has [`LocalSettings::decision_time`](crate::LocalSettings). A transaction
    /// may be begun anew, so `decide` may run several times, and only its last run counts: it should
    /// touch nothing beside `tx`. It does not run at all for a command that has an outcome already.
    /// The next ordered command of its client starts after it.
    ///
    /// # Errors
    /// [`Abort`]. A panic is `internal` and undoes the rows; so is a statement that ends the whole
    /// transaction (`INSERT OR ROLLBACK`), and a deferred constraint that COMMIT finds broken.
    ///
    /// In the handler of a volatile, without `const TRANSACTS`, or after a volatile was published,
    /// it ends the handler as a panic would (a command with `internal`), and the log says why.
    ///
    /// # Cancellation
    /// Until it is awaited nothing has happened. From then on the handler's own deadline does not
    /// count: its transaction happens, unless its client ends its lease first.
    fn transact<R, E, T, F>(&self, decide: F) -> impl Future<Output = T> + Send
    where
        R: Reply,
        E: WsError,
        T: HandlerResult<R, E>,
        F: FnMut(&Tx<'_>) -> Result<R, Abort<E>> + Send + 'static;
}

impl Transact for Cx {
    fn transact<R, E, T, F>(&self, mut decide: F) -> impl Future<Output = T> + Send
    where
        R: Reply,
        E: WsError,
        T: HandlerResult<R, E>,
        F: FnMut(&Tx<'_>) -> Result<R, Abort<E>> + Send + 'static,
    {
        self.leave_to::<LocalStore, R, E, T, _>(move |savepoint, publishing| {
            match decide(&Tx { db: savepoint.connection(), publishing }) {
                Ok(reply) => Some(Ok(reply)),
                Err(Abort::App(error)) => Some(Err(error)),
                Err(Abort::Sql(error)) => {
                    savepoint.refused = Some(error);
                    None
                }
            }
        })
    }
}
