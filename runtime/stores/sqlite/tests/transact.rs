//! Handlers that end in a transaction of their server's store, with real clients and rows of the
//! application's own.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks")]

mod shop;
mod support;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use shop::{
    Desk, ShopClient, ShopCommand, ShopError, ShopHandler, ShopServer, ShopTopics, client, orders,
    serve, server, sold, tables,
};
use steadfast::client::CallError;
use steadfast::server::{Cx, Denied, Principal, Server, Transacts};
use steadfast::store::MemoryStore;
use steadfast_sqlite::rusqlite::{self, Connection};
use steadfast_sqlite::{LocalStore, OpenError, Transact};
use support::Place;

const ANYWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

struct Stage {
    place: Place,
    held: Arc<()>,
    at: SocketAddr,
    /// Each test program uses a part of it.
    _server: Server<ShopCommand>,
}

impl Stage {
    async fn new() -> Self {
        let (place, held) = (Place::new(), Arc::new(()));
        let server = server(&place.file(), &held);
        let at = serve(server.clone(), ANYWHERE).await;
        Self { place, held, at, _server: server }
    }

    fn client(&self, user: &str) -> ShopClient {
        client(self.at, user)
    }

    fn orders(&self) -> Vec<(i64, u64)> {
        orders(&self.place.file())
    }

    fn sold(&self) -> Vec<(i64, u64)> {
        sold(&self.place.file())
    }
}

#[tokio::test]
async fn rows_events_and_the_reply_of_a_command_are_there_together() {
    let stage = Stage::new().await;
    let ann = stage.client("ann");
    assert_eq!(ann.buy(5).await.unwrap(), 1);
    assert_eq!(ann.buy_at_once(6).await.unwrap(), 2);
    assert_eq!(stage.orders(), [(1, 5), (2, 6)]);
    assert_eq!(stage.sold(), [(1, 5), (2, 6)]);
}

#[tokio::test]
async fn an_error_of_the_application_undoes_rows_and_events() {
    let stage = Stage::new().await;
    let ann = stage.client("ann");
    let told = ann.buy(7).await;
    assert!(matches!(told, Err(CallError::App(ShopError::SoldOut))), "{told:?}");
    assert_eq!((stage.orders(), stage.sold()), (vec![], vec![]));
}

#[tokio::test]
async fn the_next_command_of_a_client_finds_the_rows_of_the_one_before() {
    let stage = Stage::new().await;
    let ann = stage.client("ann");
    for round in 1..=20 {
        // Both are under way together.
        let (bought, count) = (ann.buy(7 * round + 1), ann.count());
        assert_eq!(count.await.unwrap(), round);
        assert!(bought.await.is_ok());
    }
}

#[tokio::test]
async fn a_command_with_an_id_has_its_rows_once_whoever_asks() {
    let stage = Stage::new().await;
    let (phone, laptop) = (stage.client("ann"), stage.client("ann"));
    let (one, other) = (phone.buy_once(5), laptop.buy_once(5));
    let (one, other) = tokio::join!(one, other);
    assert_eq!((one.unwrap(), other.unwrap()), (1, 1));
    assert_eq!(laptop.buy_once(5).await.unwrap(), 1);
    assert_eq!((stage.orders(), stage.sold()), (vec![(1, 5)], vec![(1, 5)]));
}

#[tokio::test]
async fn a_transaction_that_goes_wrong_fails_its_command_and_leaves_nothing() {
    let stage = Stage::new().await;
    let ann = stage.client("ann");
    let wrong =
        ["panics", "publishes too much", "is refused by SQLite", "publishes a volatile before"];
    for how in wrong {
        let told = ann.wrong(how.into()).await;
        assert!(matches!(told, Err(CallError::HandlerFailed)), "{how}: {told:?}");
        assert_eq!((stage.orders(), stage.sold()), (vec![], vec![]), "{how}");
    }
    assert_eq!(ann.buy(5).await.unwrap(), 1);
}

#[tokio::test]
async fn a_transaction_that_was_awaited_is_the_end_of_its_handler_and_is_let_go() {
    let stage = Stage::new().await;
    let ann = stage.client("ann");
    assert_eq!(ann.wrong("beside something that ends".into()).await.unwrap(), 1);
    assert_eq!(ann.wrong("publishes before".into()).await.unwrap(), 2);
    assert_eq!(stage.sold(), [(0, 1)]);
    // One is the test's, and one the handler's.
    assert_eq!(Arc::strong_count(&stage.held), 2);
}

#[tokio::test]
async fn a_volatile_has_no_transaction() {
    let stage = Stage::new().await;
    let ann = stage.client("ann");
    assert_eq!(ann.buy(5).await.unwrap(), 1);
    assert!(ann.poke());
    // It comes behind the volatile.
    assert_eq!(ann.buy(6).await.unwrap(), 2);
    assert_eq!(stage.orders(), [(1, 5), (2, 6)]);
}

/// Says nothing of its transactions.
struct Silent;

impl ShopHandler for Silent {
    async fn buy(&self, cx: &Cx, _: u64) -> Result<i64, ShopError> {
        cx.transact(|_| Ok(1)).await
    }

    async fn buy_once(&self, _: &Cx, _: u64) -> Result<i64, ShopError> {
        Ok(0)
    }

    async fn buy_at_once(&self, _: &Cx, _: u64) -> Result<i64, ShopError> {
        Ok(0)
    }

    async fn count(&self, _: &Cx) -> Result<u64, ShopError> {
        Ok(0)
    }

    async fn wrong(&self, _: &Cx, _: String) -> Result<i64, ShopError> {
        Ok(0)
    }

    async fn poke(&self, _: &Cx) {}
}

impl ShopTopics for Silent {
    async fn may_subscribe_shop(&self, _: &Principal, _: &u8) -> Result<(), Denied> {
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_that_does_not_say_so_has_no_transaction() {
    let place = Place::new();
    let store = LocalStore::open(place.file()).unwrap();
    let server = ShopServer::builder(Silent).allow_anonymous().store(store).build();
    let at = serve(server, ANYWHERE).await;
    let told = client(at, "ann").buy(5).await;
    assert!(matches!(told, Err(CallError::HandlerFailed)), "{told:?}");
    assert!(format!("{:?}", Silent::TRANSACTS).contains("None"));
}

#[test]
fn a_server_whose_store_cant_give_the_transactions_of_its_handler_is_not_built() {
    assert!(format!("{:?}", Transacts::on::<LocalStore>()).contains("LocalStore"));
    let desk = || Desk { path: "nowhere".into(), held: Arc::new(()) };
    let build = |with: Option<MemoryStore>| {
        let mut builder = ShopServer::builder(desk()).allow_anonymous();
        if let Some(store) = with {
            builder = builder.store(store);
        }
        drop(builder.build());
    };
    for with in [None, Some(MemoryStore::default())] {
        let built = catch_unwind(AssertUnwindSafe(|| build(with)));
        let why = built.unwrap_err().downcast::<String>().unwrap();
        assert!(why.contains("steadfast_sqlite::") && why.contains("LocalStore"), "{why}");
    }
}

/// What comes of opening a file with a step of the application's.
fn opened(
    place: &Place,
    make: impl FnOnce(&Connection) -> rusqlite::Result<()> + Send + 'static,
) -> Result<(), String> {
    match LocalStore::builder(place.file()).schema(make).open() {
        Ok(_) => Ok(()),
        Err(OpenError::Schema { what, .. }) => Err(what),
        Err(other) => panic!("it is about the application's tables: {other}"),
    }
}

#[tokio::test]
async fn tables_of_the_application_are_made_when_the_file_is_opened() {
    let place = Place::new();
    for _ in 0..2 {
        let versioned = |db: &Connection| {
            let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version < 1 {
                tables(db)?;
                db.execute_batch("ALTER TABLE orders ADD COLUMN note; PRAGMA user_version = 1")?;
            }
            Ok(())
        };
        assert_eq!(opened(&place, versioned), Ok(()));
    }
    let fails =
        |db: &Connection| db.execute_batch("DROP TABLE orders; PRAGMA user_version = 2; no");
    assert!(opened(&place, fails).unwrap_err().contains("syntax error"));
    let db = Connection::open(place.file()).unwrap();
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
    db.prepare("SELECT note FROM orders").unwrap();
}

#[tokio::test]
async fn tables_of_the_application_cant_collide_with_the_stores() {
    let place = Place::new();
    assert_eq!(opened(&place, tables), Ok(()));
    let collide = [
        "CREATE TABLE sf_orders(row)",
        "CREATE TABLE IF NOT EXISTS SF_Log(row)",
        "DROP TABLE sf_log",
        "ALTER TABLE sf_log RENAME TO log",
        "ALTER TABLE sf_log ADD COLUMN more",
        "ALTER TABLE orders RENAME TO Sf_orders",
        "CREATE INDEX sf_mine ON orders(number)",
        "CREATE TRIGGER mine AFTER INSERT ON sf_log BEGIN SELECT 1; END",
        "COMMIT",
        "PRAGMA writable_schema = 1",
    ];
    for sql in collide {
        assert!(opened(&place, |db| db.execute_batch(sql)).is_err(), "{sql}");
    }
    assert_eq!(opened(&place, tables), Ok(()));
    LocalStore::check(place.file()).unwrap();
}
