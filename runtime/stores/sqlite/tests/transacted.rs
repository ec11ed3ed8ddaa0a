//! A server whose handlers write rows of their own in transactions is killed at random moments
//! under the load of real clients. Afterwards its rows are compared with what clients were told.
//! `STEADFAST_KILLS=50` kills it so many times.
//!
//! This program has no test harness: it starts itself again as the server that is killed.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::print_stdout, reason = "a program that says what it does")]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks")]

mod shop;
mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use shop::{ShopError, client, is_sold_out, orders, serve, server, sold};
use steadfast::client::CallError;
use support::Place;
use tokio::sync::Notify;

const CLIENTS: u64 = 8;
/// Calls of each client that are under way together.
const TOGETHER: u64 = 8;
/// Kills in the test command.
const KILLS: u32 = 10;
/// Answers that are heard before the server is killed.
const HEARD: std::ops::Range<u64> = 20..600;

/// What a client was told of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ToldOf {
    /// Its row.
    Row(i64),
    SoldOut,
    Unknown,
}

/// All that clients were told.
#[derive(Default)]
struct Told {
    orders: Mutex<BTreeMap<u64, ToldOf>>,
    count: AtomicU64,
    more: Notify,
    over: AtomicBool,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    match &arguments[..] {
        [_, word, path, at] if word == "serve" => {
            let at = at.parse().expect("an address");
            runtime.block_on(serve_for_ever(Path::new(path), at));
        }
        _ => runtime.block_on(kill_again_and_again()),
    }
}

/// The process that is killed.
async fn serve_for_ever(path: &Path, at: SocketAddr) {
    serve(server(path, &Arc::new(())), at).await;
    println!("serving");
    std::future::pending().await
}

/// A server, once it serves.
fn started(path: &Path, at: SocketAddr) -> Child {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .arg("serve")
        .arg(path)
        .arg(at.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program can be started again");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    assert_eq!(lines.next().expect("it says something").expect("text"), "serving");
    child
}

/// Buys until it is over: of each client several orders at a time, no two alike.
async fn buy(at: SocketAddr, number: u64, told: Arc<Told>) {
    let client = client(at, &format!("client-{number}"));
    let calls = (0..TOGETHER).map(|place| {
        let (client, told) = (&client, &told);
        async move {
            for round in 0_u64.. {
                if told.over.load(Ordering::Relaxed) {
                    return;
                }
                let order = (round * TOGETHER + place) * CLIENTS + number;
                // Of some the order does not matter.
                let answer = match order % 3 {
                    0 => client.buy_at_once(order).await,
                    _ => client.buy(order).await,
                };
                let of = match answer {
                    Ok(row) => ToldOf::Row(row),
                    Err(CallError::App(ShopError::SoldOut)) => ToldOf::SoldOut,
                    Err(CallError::OutcomeUnknown) => ToldOf::Unknown,
                    Err(error) => panic!("order {order}: {error}"),
                };
                told.orders.lock().unwrap().insert(order, of);
                told.count.fetch_add(1, Ordering::Relaxed);
                told.more.notify_one();
            }
        }
    });
    join_all(calls).await;
    client.close().await;
}

async fn kill_again_and_again() {
    let kills = std::env::var("STEADFAST_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills: u32 = kills.unwrap_or(KILLS);
    let (place, told) = (Place::new(), Arc::new(Told::default()));
    let at = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let mut rng = fastrand::Rng::new();
    println!("killing a server {kills} times");
    let mut running = started(&place.file(), at);
    let clients: Vec<_> =
        (0..CLIENTS).map(|number| tokio::spawn(buy(at, number, Arc::clone(&told)))).collect();
    for _ in 0..kills {
        let enough = told.count.load(Ordering::Relaxed) + rng.u64(HEARD);
        while told.count.load(Ordering::Relaxed) < enough {
            told.more.notified().await;
        }
        running.kill().expect("it runs");
        running.wait().expect("it was killed");
        running = started(&place.file(), at);
    }
    told.over.store(true, Ordering::Relaxed);
    // Every call ends, and with it every doubt.
    for client in clients {
        client.await.expect("no client panics");
    }
    running.kill().expect("it runs");
    running.wait().expect("it was killed");
    let told = told.orders.lock().unwrap();
    compare(&told, &orders(&place.file()), &sold(&place.file()));
    let count = |of: fn(&ToldOf) -> bool| told.values().filter(|told| of(told)).count();
    println!(
        "{kills} kills, {} orders have their row and event once, {} refused have none, {} unknown",
        count(|told| matches!(told, ToldOf::Row(_))),
        count(|told| *told == ToldOf::SoldOut),
        count(|told| *told == ToldOf::Unknown),
    );
}

/// What clients were told, the rows, and the events are the same.
fn compare(told: &BTreeMap<u64, ToldOf>, orders: &[(i64, u64)], sold: &[(i64, u64)]) {
    let mut rows: BTreeMap<u64, i64> = BTreeMap::new();
    for &(row, order) in orders {
        let before = rows.insert(order, row);
        assert_eq!(before, None, "order {order} has two rows, {row} among them");
        assert!(!is_sold_out(order), "order {order} was refused and has a row");
        assert!(told.contains_key(&order), "order {order} has a row, and nobody was told");
    }
    for (order, of) in told {
        let row = rows.get(order).copied();
        match of {
            ToldOf::Row(told) => assert_eq!(row, Some(*told), "order {order} was acknowledged"),
            ToldOf::SoldOut => assert_eq!(row, None, "order {order} was refused"),
            // A store in a file remembers what it has written.
            ToldOf::Unknown => panic!("nobody knows what came of order {order}"),
        }
    }
    assert_eq!(sold, orders, "each row has its event, in the order of the transactions");
    assert!(told.len() as u64 > HEARD.start, "there was a load: {}", told.len());
}
