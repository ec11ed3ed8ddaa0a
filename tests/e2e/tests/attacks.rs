//! One principal at its worst over real sockets, and an honest client beside it: places for
//! commands, sessions, topics, states. What is asserted are counts, and what the server itself says
//! that it holds. `STEADFAST_ATTACK=10` makes each ten times as large.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use steadfast::client::{Builder as ClientBuilder, Item, SubscribeError};
use steadfast::server::{Builder as ServerBuilder, Denied, Principal, bearer};
use steadfast::session::node::NodeConfig;
use steadfast::wire::UnsubscribeCode;
use steadfast_e2e::{
    Decidedly, List, Stage, Tail, TallyClient, TallyCommand, eventually, quick, within,
};

/// How much of an attack.
fn times(count: usize) -> usize {
    let factor = std::env::var("STEADFAST_ATTACK").ok().and_then(|text| text.parse().ok());
    count * factor.unwrap_or(1)
}

fn guarded(
    change: impl FnOnce(&mut NodeConfig),
) -> impl FnOnce(ServerBuilder<TallyCommand>) -> Decidedly {
    |builder| {
        let users = bearer(|token: String| async move { Ok::<_, Denied>(Principal::new(token)) });
        builder.configure(change).authenticate(users)
    }
}

fn dial(stage: &Stage, user: &'static str) -> ClientBuilder<TallyClient> {
    quick(TallyClient::builder(stage.direct_url())).token(move |_| async move { user })
}

async fn connect(stage: &Stage, user: &'static str) -> TallyClient {
    within(dial(stage, user).connect()).await.unwrap()
}

/// It is let in, answered, and gets its event after the state.
async fn is_served(stage: &Stage, list: &str) {
    let honest = connect(stage, "honest").await;
    assert_eq!(within(honest.echo("hello".into())).await, Ok("hello".to_owned()));
    let mut events = within(honest.subscribe(List(list.into()))).await.unwrap();
    assert!(matches!(within(events.next()).await, Some(Item::Snapshot { .. })));
    within(honest.add(list.into(), 7)).await.unwrap();
    assert!(matches!(within(events.next()).await, Some(Item::Event(_))));
    honest.close().await;
}

/// Commands that never end, on many sockets.
#[tokio::test]
async fn slow_commands_of_one_principal_take_its_own_places_only() {
    let settings = guarded(|config| {
        (config.executions, config.executions_per_principal) = (100, 50);
        config.commands_waiting_per_principal = 20;
    });
    let stage = Stage::with(settings).await;
    let evil = join_all((0..times(4)).map(|_| connect(&stage, "evil"))).await;
    let calls: Vec<_> =
        evil.iter().flat_map(|evil| (0..50).map(|_| evil.pass("never".into()))).collect();
    within(stage.app.has_come("never", 50)).await;
    eventually(|| stage.server.load().commands_waiting == 20).await;
    for _ in 0..3 {
        is_served(&stage, "list").await;
    }
    assert_eq!(stage.app.came("never"), 50, "no more than its quota has run");
    let load = stage.server.load();
    assert!(load.commands_waiting <= 20 && load.executions <= 50 + 2, "{load:?}");
    drop(calls);
}

/// New clients that say who they are, and go.
#[tokio::test]
async fn a_flood_of_sessions_keeps_nobody_out() {
    let stage =
        Stage::with(|builder| builder.configure(|config| config.sessions = 20).allow_anonymous())
            .await;
    let stays = stage.connect_directly().await;
    within(stays.echo("here".into())).await.unwrap();
    let (mut most, mut came) = (0, 0);
    for _ in 0..times(100) {
        // It is cut without a close, so that its session stays.
        let client = stage.connect().await;
        came += 1;
        stage.proxy.refuse(true);
        stage.proxy.cut_all();
        drop(client);
        stage.proxy.refuse(false);
        most = most.max(stage.server.load().sessions);
    }
    assert_eq!(came, times(100), "every newcomer is let in");
    assert!(most <= 20, "{most} sessions");
    assert_eq!(within(stays.echo("still".into())).await, Ok("still".to_owned()));
}

/// Topics by the hundred, on many sockets.
#[tokio::test]
async fn topics_of_one_principal_leave_room_for_others() {
    let settings = guarded(|config| {
        (config.topics_held, config.subscriptions_per_principal) = (100, 1_000);
        config.subscriptions = 200;
    });
    let stage = Stage::with(settings).await;
    let evil = connect(&stage, "evil").await;
    let mut held = Vec::new();
    for topic in 0..100 {
        let tail = within(evil.subscribe(Tail(format!("evil {topic}").as_str().into()))).await;
        held.push(tail.unwrap());
    }
    assert_eq!(stage.server.load().topics, 100);
    for round in 0..3 {
        is_served(&stage, &format!("list {round}")).await;
    }
    assert!(stage.server.load().topics <= 100, "{:?}", stage.server.load());
    drop(held);

    let settings = guarded(|config| config.subscriptions_per_principal = 10);
    let stage = Stage::with(settings).await;
    let evil = connect(&stage, "evil").await;
    let mut held = Vec::new();
    for topic in 0..10 {
        let tail = within(evil.subscribe(Tail(format!("evil {topic}").as_str().into()))).await;
        held.push(tail.unwrap());
    }
    let again = connect(&stage, "evil").await;
    let refused =
        tokio::time::timeout(Duration::from_millis(1), again.subscribe(Tail("one more".into())));
    match refused.await {
        Err(_) | Ok(Err(SubscribeError::Refused { code: UnsubscribeCode::Overload })) => {}
        Ok(other) => panic!("{:?}", other.map(drop)),
    }
    is_served(&stage, "list").await;
    assert_eq!(stage.server.load().topics, 11, "its quota, and the honest one's");
}
