//! Nothing of a connection stays behind.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use futures_util::StreamExt;
use steadfast::client::{ConnectionState, Item};
use steadfast_e2e::{List, Stage, TallyClient, Watch, eventually, within};
use tokio::runtime::Handle;

fn tasks() -> usize {
    Handle::current().metrics().num_alive_tasks()
}

/// Waits until so many tasks run. Those of the proxy and of the server's connections come and go,
/// too.
async fn only(wanted: usize) {
    eventually(|| tasks() == wanted).await;
}

async fn use_it(client: &TallyClient) {
    let mut list = within(client.subscribe(List("list".into()))).await.unwrap();
    assert!(matches!(within(list.next()).await.unwrap(), Item::Snapshot { .. }));
    within(client.add("list".into(), 1)).await.unwrap();
    assert!(matches!(within(list.next()).await.unwrap(), Item::Event(_)));
}

/// A stage where a client has come and gone, so that whatever a server starts only once has
/// started.
async fn used() -> (Stage, usize) {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    use_it(&client).await;
    within(client.close()).await;
    drop(client);
    eventually(|| stage.server.connections() == 0 && stage.proxy.open() == 0).await;
    let before = tasks();
    (stage, before)
}

#[tokio::test]
async fn a_dropped_client_leaves_no_task_and_no_socket() {
    let (stage, before) = used().await;
    let client = stage.connect().await;
    use_it(&client).await;
    assert!(tasks() > before);
    drop(client);
    only(before).await;
    assert_eq!((stage.server.connections(), stage.proxy.open()), (0, 0));
    assert_eq!(stage.server.load().sessions, 0, "a clean close ends the session");
}

#[tokio::test]
async fn a_client_that_is_dropped_while_it_is_cut_off_leaves_no_task() {
    let (stage, before) = used().await;
    let client = stage.connect().await;
    stage.proxy.refuse(true);
    stage.proxy.cut_all();
    client.reaches(|state| matches!(state, ConnectionState::Reconnecting { .. })).await;
    let waiting = client.echo("never sent".into());
    drop(client);
    within(waiting).await.unwrap_err();
    only(before).await;
}

#[tokio::test]
async fn a_connect_that_is_given_up_leaves_no_task() {
    let (stage, before) = used().await;
    stage.proxy.stall_both();
    let connecting = stage.client().connect();
    tokio::select! {
        _ = connecting => unreachable!("nothing passes"),
        counts = within(stage.proxy.until(|counts| counts.accepted == 2)) => {
            assert_eq!(counts.accepted, 2);
        }
    }
    stage.proxy.resume();
    only(before).await;
}

#[tokio::test]
async fn a_hundred_reconnects_leave_one_connection() {
    let (stage, before) = used().await;
    let client = stage.connect().await;
    within(client.echo("once".into())).await.unwrap();
    let with_client = tasks();
    for round in 0..100_u64 {
        let accepted = stage.proxy.counts().accepted;
        match round % 2 {
            0 => stage.proxy.cut_all(),
            _ => stage.proxy.reset_all(),
        };
        within(stage.proxy.until(|counts| counts.accepted > accepted)).await;
        within(client.echo(round.to_string())).await.unwrap();
    }
    only(with_client).await;
    assert_eq!(
        (stage.server.connections(), stage.server.load().sessions, stage.proxy.open()),
        (1, 1, 1)
    );
    drop(client);
    only(before).await;
}
