//! A file that can't be written for longer than a node asks: of what is told to be unknown nothing is
//! decided behind it, and rows, events and what clients know agree.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks")]

mod shop;
mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use shop::{Desk, ShopClient, ShopCommand, ShopServer, client, orders, serve, sold, tables};
use steadfast::client::{Call, CallError};
use steadfast::server::{Denied, Principal, Server, bearer};
use steadfast_sqlite::rusqlite::Connection;
use steadfast_sqlite::{LocalSettings, LocalStore};
use support::Place;

const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A server that gives up soon.
fn server(place: &Place) -> Server<ShopCommand> {
    let mut settings = LocalSettings::default();
    settings.lock_wait = Duration::from_millis(5);
    let store = LocalStore::builder(place.file()).settings(settings).schema(tables);
    let desk = Desk { path: place.file(), held: Arc::new(()) };
    let who = bearer(|token: String| async move { Ok::<_, Denied>(Principal::new(token)) });
    ShopServer::builder(desk)
        .authenticate(who)
        .store(store.open().unwrap())
        .configure(|config| {
            config.store_patience = Duration::from_millis(300);
            config.store_retry = Duration::from_millis(2);
            config.store_failing_after = Duration::ZERO;
            config.retry_after = Duration::from_millis(10);
        })
        .build()
}

/// Another program's transaction, for as long as this is there.
fn lock(file: &Path) -> Connection {
    let db = Connection::open(file).unwrap();
    db.execute_batch("BEGIN IMMEDIATE").unwrap();
    db
}

async fn stage() -> (Place, Server<ShopCommand>, ShopClient) {
    let place = Place::new();
    let server = server(&place);
    let ann = client(serve(server.clone(), ANYWHERE).await, "ann");
    // It has its lease.
    assert_eq!(ann.buy(1).await, Ok(1));
    (place, server, ann)
}

fn is_unknown<T, E>(told: &Result<T, CallError<E>>) -> bool {
    matches!(told, Err(CallError::OutcomeUnknown))
}

#[tokio::test]
async fn nothing_is_decided_behind_an_outcome_that_is_told_to_be_unknown() {
    let (place, _server, ann) = stage().await;
    let locked = lock(&place.file());
    let told = ann.buy(2).await;
    assert!(is_unknown(&told), "{told:?}");
    drop(locked);
    assert_eq!(ann.buy(3).await, Ok(2));
    assert_eq!(orders(&place.file()), [(1, 1), (2, 3)]);
    assert_eq!(sold(&place.file()), [(1, 1), (2, 3)]);
}

/// Many calls are under way while the file is locked, for a short time or for too long.
#[tokio::test]
async fn what_is_told_is_what_the_rows_say_however_long_the_file_was_locked() {
    let (place, server, ann) = stage().await;
    let mut told = BTreeMap::from([(1, Ok(1))]);
    for round in 1..=6 {
        let locked = lock(&place.file());
        let calls: Vec<Call<i64, _>> = (1..=20)
            .map(|place| match place % 2 {
                0 => ann.buy(7 * (100 * round + place) + 1),
                _ => ann.buy_at_once(7 * (100 * round + place) + 1),
            })
            .collect();
        let mut calls = calls.into_iter();
        if round % 2 == 0 {
            // It is locked until the first one is given up.
            let first = calls.next().unwrap().await;
            assert!(is_unknown(&first), "{first:?}");
            told.insert(7 * (100 * round + 1) + 1, first);
        } else {
            while server.load().commits_failing == 0 {
                tokio::task::yield_now().await;
            }
        }
        drop(locked);
        let first = if round % 2 == 0 { 2 } else { 1 };
        for (place, outcome) in (first..).zip(join_all(calls).await) {
            told.insert(7 * (100 * round + place) + 1, outcome);
        }
    }
    assert!(ann.buy(2).await.is_ok(), "what was asked before has its end");
    let rows = orders(&place.file());
    for (order, told) in &told {
        let of: Vec<i64> = rows.iter().filter(|row| row.1 == *order).map(|row| row.0).collect();
        match told {
            Ok(row) => assert_eq!(of, [*row], "order {order}"),
            Err(CallError::OutcomeUnknown) => assert!(of.is_empty(), "order {order}: {of:?}"),
            Err(error) => panic!("order {order}: {error}"),
        }
    }
    assert_eq!(sold(&place.file()), rows);
    let unknown = told.values().filter(|told| is_unknown(told)).count();
    assert!((3..told.len()).contains(&unknown), "{unknown} of {}", told.len());
}
