//! Waits that are in vain end, and say what they waited for.

use std::future::{Future, pending};
use std::time::Duration;

use futures_util::FutureExt;
use steadfast::test::{Net, Refusal};
use tokio::time::Instant;

use super::board::*;

/// What a wait says that is in vain.
async fn said(wait: impl Future) -> String {
    let panicked = std::panic::AssertUnwindSafe(wait).catch_unwind().await;
    let said = panicked.err().expect("it is in vain");
    said.downcast_ref::<String>().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn each_says_what_it_waited_for_where_and_for_how_long() {
    let World { net, host, line, .. } = World::new(1);
    let net = net.patience(Duration::from_secs(90));
    let began = Instant::now();
    let lost = line.lose_answer();
    for (said, what) in [
        (said(net.until("three notes", || false)).await, "three notes"),
        (said(net.within("the answer", pending::<()>())).await, "the answer"),
        (said(lost.happened()).await, "the fault \"ada: an answer is lost with its socket\""),
        (said(host.until_recorded(3)).await, "the outcomes of 3 commands in the store of boards"),
    ] {
        assert!(said.contains("tests/kit/waits.rs:"), "{said}");
        assert!(said.ends_with(&format!("gave up after 90s of waiting for: {what}")), "{said}");
    }
    assert_eq!(began.elapsed().as_secs(), 4 * 90);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_connection_ends_with_patience_and_with_the_client() {
    let world = World::new(2);
    let net = world.net.patience(Duration::from_secs(90));
    let ada = world.line.client(BoardClient::builder(world.host.url()));
    let ada = ada.connect_lazily().unwrap();
    world.line.refuse(Refusal::Unreachable);
    let waited = said(net.until_connected(ada.state())).await;
    assert!(waited.ends_with("waiting for: a client is connected"), "{waited}");
    ada.close().await;
    let waited = said(net.until_connected(ada.state())).await;
    assert_eq!(waited, "the client has come to its end: Closed");
}

#[tokio::test]
async fn the_kit_works_in_real_time_too() {
    let world = World::new(3);
    let ada = world.connect().await;
    world.line.cut();
    ada.reconnect_now();
    assert_eq!(world.net.within("the answer", ada.pin(7, "tea".into())).await, Ok(1));
    assert!(world.net.trace().len() > 5);
    drop(Net::new(4));
}
