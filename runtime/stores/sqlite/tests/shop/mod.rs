//! A shop whose orders are rows of its own, sold in transactions; for tests of what an application
//! has of them.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use steadfast::server::{Cx, Denied, Principal, Server, Transacts, bearer};
use steadfast::{UnknownMessage, WsProtocol};
use steadfast_sqlite::rusqlite::{self, Connection};
use steadfast_sqlite::{Abort, LocalStore, Transact};
use tokio::net::TcpListener;

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "shop", version = "1", server = ShopEvent, error = ShopError)]
pub enum ShopCommand {
    /// The reply is the row of the order.
    #[ws(request(reply = i64))]
    Buy { order: u64 },
    /// The same, named by the application.
    #[ws(request(reply = i64), id = order, keep = "1h")]
    BuyOnce { order: u64 },
    /// The same, in any order.
    #[ws(request(reply = i64, concurrent))]
    BuyAtOnce { order: u64 },
    /// How many orders there are, as another connection sees it.
    #[ws(request(reply = u64))]
    Count {},
    /// A transaction with a mistake.
    #[ws(request(reply = i64))]
    Wrong { how: String },
    /// Can't have a transaction.
    #[ws(volatile)]
    Poke {},
}

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "shop", error = ShopError,
     topic(Shop, key = shop: u8, replay = 100_000, ttl = "1h"))]
pub enum ShopEvent {
    #[ws(event(Shop))]
    Sold { shop: u8, order: u64, row: i64 },
    #[ws(volatile(Shop))]
    Busy { shop: u8 },
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

#[derive(Debug, Clone, PartialEq, Eq, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(error)]
pub enum ShopError {
    SoldOut,
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

/// Of orders like this one nothing is left.
pub const fn is_sold_out(order: u64) -> bool {
    order.is_multiple_of(7)
}

pub struct Desk {
    pub path: PathBuf,
    /// Held by each transaction of [`ShopCommand::Wrong`].
    pub held: Arc<()>,
}

/// The shop's own tables.
pub fn tables(db: &Connection) -> rusqlite::Result<()> {
    // Not unique, so that a row that is doubled shows.
    db.execute_batch("CREATE TABLE IF NOT EXISTS orders(row INTEGER PRIMARY KEY, number INTEGER)")
}

fn insert(tx: &Connection, order: u64) -> rusqlite::Result<i64> {
    tx.execute("INSERT INTO orders(number) VALUES (?1)", [order.cast_signed()])?;
    Ok(tx.last_insert_rowid())
}

async fn sell(cx: &Cx, order: u64) -> Result<i64, ShopError> {
    cx.transact(move |tx| {
        let row = insert(tx, order)?;
        tx.publish(ShopEventSold { shop: 1, order, row });
        if is_sold_out(order) { Err(Abort::App(ShopError::SoldOut)) } else { Ok(row) }
    })
    .await
}

impl ShopHandler for Desk {
    const TRANSACTS: Transacts = Transacts::on::<LocalStore>();

    async fn buy(&self, cx: &Cx, order: u64) -> Result<i64, ShopError> {
        sell(cx, order).await
    }

    async fn buy_once(&self, cx: &Cx, order: u64) -> Result<i64, ShopError> {
        sell(cx, order).await
    }

    async fn buy_at_once(&self, cx: &Cx, order: u64) -> Result<i64, ShopError> {
        tokio::task::yield_now().await;
        sell(cx, order).await
    }

    async fn count(&self, _: &Cx) -> Result<u64, ShopError> {
        Ok(orders(&self.path).len() as u64)
    }

    async fn wrong(&self, cx: &Cx, how: String) -> Result<i64, ShopError> {
        let held = Arc::clone(&self.held);
        match how.as_str() {
            "publishes before" => cx.publish(ShopEventSold { shop: 1, order: 1, row: 0 }),
            "publishes a volatile before" => cx.publish(ShopEventBusy { shop: 1 }),
            _ => {}
        }
        let transaction = cx.transact(move |tx| {
            let _ = &held;
            let row = insert(tx, 1_000)?;
            match how.as_str() {
                "panics" => std::panic::resume_unwind(Box::new("on purpose")),
                "publishes too much" => {
                    for order in 0..100_000 {
                        tx.publish(ShopEventSold { shop: 1, order, row });
                    }
                }
                "is refused by SQLite" => {
                    tx.execute("INSERT INTO nowhere VALUES (1)", [])?;
                }
                _ => {}
            }
            Ok(row)
        });
        tokio::select! {
            biased;
            result = transaction => result,
            // The transaction has been awaited: it is the end, whatever else this comes to.
            () = std::future::ready(()) => Err(ShopError::SoldOut),
        }
    }

    async fn poke(&self, cx: &Cx) {
        let _: Result<i64, ShopError> = sell(cx, 1).await;
    }
}

impl ShopTopics for Desk {
    async fn may_subscribe_shop(&self, _: &Principal, _: &u8) -> Result<(), Denied> {
        Ok(())
    }
}

/// The orders in the file, by their rows.
pub fn orders(path: &Path) -> Vec<(i64, u64)> {
    let db = Connection::open(path).expect("a file");
    let mut query = db.prepare("SELECT row, number FROM orders ORDER BY row").expect("a table");
    let order = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
    query.query_map([], order).expect("rows").map(|row| row.expect("a row")).collect()
}

/// The orders in the shop's log, with their rows.
pub fn sold(path: &Path) -> Vec<(i64, u64)> {
    let db = Connection::open(path).expect("a file");
    let sql = "SELECT body ->> 'row', body ->> 'order' FROM sf_log WHERE name = 'sold' ORDER BY ts";
    let mut query = db.prepare(sql).expect("a table");
    let order = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()));
    query.query_map([], order).expect("rows").map(|row| row.expect("a row")).collect()
}

/// A shop on a file.
pub fn server(path: &Path, held: &Arc<()>) -> Server<ShopCommand> {
    let store = LocalStore::builder(path).schema(tables).open().expect("the file can be opened");
    let desk = Desk { path: path.into(), held: Arc::clone(held) };
    let who = bearer(|token: String| async move { Ok::<_, Denied>(Principal::new(token)) });
    ShopServer::builder(desk).authenticate(who).store(store).build()
}

/// Serves it at an address.
pub async fn serve(server: Server<ShopCommand>, at: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(at).await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { server.serve_listener(listener).await });
    address
}

/// A client that goes on dialling.
pub fn client(at: SocketAddr, user: &str) -> ShopClient {
    let user = user.to_owned();
    ShopClient::builder(format!("ws://{at}"))
        .token(move |_| {
            let user = user.clone();
            async move { user }
        })
        .configure(|config| {
            config.backoff.base = Duration::from_millis(20);
            config.backoff.cap = Duration::from_millis(100);
            (config.backoff.attempts, config.backoff.elapsed) = (None, None);
        })
        .connect_lazily()
        .expect("an address")
}
