//! `cx.transact` under steadfast's test kit: a real file, paused time, and the faults of a network.
#![allow(clippy::panic, clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks and reads clocks")]

mod shop;
mod support;

use std::sync::Arc;
use std::time::Duration;

use shop::{Desk, ShopClient, ShopCommand, ShopServer, orders, sold, tables};
use steadfast::server::{Denied, Principal, bearer};
use steadfast::test::{Host, Net};
use steadfast_sqlite::LocalStore;
use support::Place;
use tokio::time::Instant;

fn serve(net: &Net, place: &Place) -> Host<ShopCommand> {
    let file = place.file();
    let store = LocalStore::builder(&file).schema(tables).clock(net.clock()).open().unwrap();
    net.serve("shop", move || {
        let desk = Desk { path: file.clone(), held: Arc::new(()) };
        let who = bearer(|token: String| async move { Ok::<_, Denied>(Principal::new(token)) });
        ShopServer::builder(desk).authenticate(who).store(store.clone())
    })
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_and_a_killed_server_double_no_rows_and_time_stands_still_meanwhile() {
    let (net, place) = (Net::new(1), Place::new());
    let host = serve(&net, &place);
    let line = net.line("ann");
    let ann = line.client(ShopClient::builder(host.url()).token(|_| async { "ann" }));
    let ann = ann.connect().await.unwrap();
    let began = Instant::now();
    assert_eq!(net.within("an order", ann.buy(5)).await.unwrap(), 1);
    assert!(began.elapsed() < Duration::from_secs(1), "a file is no reason for time to run on");
    let lost = line.lose_answer();
    let order = ann.buy(6);
    lost.happened().await;
    assert_eq!(orders(&place.file()), [(1, 5), (2, 6)]);
    host.restart();
    assert_eq!(net.within("the order", order).await.unwrap(), 2);
    let fails = host.store().fail();
    let order = ann.buy(8);
    fails.happened().await;
    assert_eq!(orders(&place.file()).len(), 2, "what did not commit left nothing");
    host.store().heal();
    assert_eq!(net.within("the order", order).await.unwrap(), 3);
    let all = [(1, 5), (2, 6), (3, 8)];
    assert_eq!((&orders(&place.file())[..], &sold(&place.file())[..]), (&all[..], &all[..]));
    assert_eq!(host.recorded(), 3);
}
