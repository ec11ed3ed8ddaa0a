//! One principal at its worst over real sockets, and an honest client beside it: places for
//! commands, sessions, topics, replies, states. What is asserted are counts, and what the server and
//! its store themselves say that they hold. `STEADFAST_ATTACK=10` makes each ten times as large.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use steadfast::client::{Builder as ClientBuilder, Item, SubscribeError};
use steadfast::server::{
    Builder as ServerBuilder, Denied, Principal, TransportConfig, Unwritten, bearer,
};
use steadfast::session::Now;
use steadfast::session::node::NodeConfig;
use steadfast::store::{MemoryLimits, MemoryStore, StoreAdmin};
use steadfast::wire::UnsubscribeCode;
use steadfast_e2e::{
    Decidedly, List, Stage, Tail, TallyClient, TallyCommand, eventually, follow_tail, hears, quick,
    within,
};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{WebSocketStream, client_async};

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

/// Small commands with long replies, of which none is ever resolved: the first one does not end.
/// Each lease leaves several times what its principal may keep.
#[tokio::test]
async fn replies_that_stay_unresolved_take_what_their_principal_may_keep_and_no_more() {
    const REPLY: u32 = 4 * 1024;
    let mut limits = MemoryLimits::default();
    (limits.lease_bytes, limits.principal_bytes) = (256 * 1024, 512 * 1024);
    limits.reply_bytes = 768 * 1024;
    let store = store(limits.clone());
    let kept = store.clone();
    let stage = Stage::with(|builder| guarded(|_| ())(builder.store(store))).await;
    let mut replied = 0;
    for (principal, most) in [("evil", limits.principal_bytes), ("worse", limits.reply_bytes)] {
        for _ in 0..times(4) {
            let evil = connect(&stage, principal).await;
            let first = evil.pass("never".into());
            let replies = join_all((0..255).map(|_| evil.fill(REPLY)));
            replied +=
                within(replies).await.into_iter().map(|text| text.unwrap().len()).sum::<usize>();
            let bytes = kept.bytes().replies;
            assert!((1..=most).contains(&bytes), "{bytes} bytes of {principal}, at most {most}");
            drop((first, evil));
        }
        is_served(&stage, "list").await;
    }
    assert!(replied as u64 > 10 * limits.reply_bytes, "{replied} bytes were an attack");
    eventually(|| stage.server.connections() == 0).await;
    let bytes = kept.bytes();
    assert!(bytes.replies <= limits.reply_bytes, "{bytes:?} after everybody has left");
    assert_eq!(bytes.owed, 0);
}

/// Sockets that ask for long states, and read none of them.
#[tokio::test]
async fn states_that_nobody_takes_are_in_memory_once() {
    const LISTS: usize = 16;
    let sockets = times(12);
    let stage = Stage::with(guarded(|config| config.snapshots_bytes = 16 * 1024 * 1024)).await;
    // Some 400 kB each.
    (0..LISTS).for_each(|list| stage.app.extend(&name(list), (0..20_000).map(|it| u64::MAX - it)));
    let mut evil = Vec::new();
    for socket in 0..sockets {
        // A principal has some sixty of them.
        let mut socket = deaf(&stage, &format!("evil {}", socket / 60)).await;
        for list in 0..LISTS {
            let credit = r#"{"events":100,"bytes":10000000}"#;
            let (sub, list) = (list + 1, name(list));
            let frame =
                format!(r#"[23,{{"sub":{sub},"topic":"list","key":"{list}","credit":{credit}}}]"#);
            socket.send(Message::text(frame)).await.unwrap();
        }
        evil.push(socket);
    }
    // The kernel takes some of it; what it has no room for waits.
    eventually(|| stage.server.load().snapshot_bytes > 2 * 400_000).await;
    eventually(|| stage.server.unwritten().shared > 0).await;
    is_served(&stage, "list").await;
    is_served(&stage, &name(0)).await;
    let (load, unwritten) = (stage.server.load(), stage.server.unwritten());
    let once = 421_000 * LISTS as u64;
    assert!(load.snapshot_bytes <= once, "{load:?}");
    let each = TransportConfig::default().write_buffer_bytes as u64 + 17 * 1024;
    assert!(unwritten.copied <= each * sockets as u64, "{unwritten:?}");
    evil.clear();
    eventually(|| stage.server.connections() == 0).await;
    assert_eq!(stage.server.unwritten(), Unwritten::default());
}

/// Two sockets name topic after topic and follow each for a moment, many times as many as the
/// store has room for.
#[tokio::test]
async fn topics_that_are_only_named_push_out_no_log() {
    const TOPICS: usize = 50;
    let mut limits = MemoryLimits::default();
    limits.topics = TOPICS;
    let store = store(limits);
    let kept = store.clone();
    let settings = guarded(|config| config.topics_held = 20);
    let stage = Stage::with(|builder| settings(builder.store(store))).await;
    let honest = connect(&stage, "honest").await;
    let mut tail = follow_tail(&honest, "list").await;
    within(honest.add("list".into(), 1)).await.unwrap();
    hears(&mut tail, 1).await;
    let evil = [connect(&stage, "evil").await, connect(&stage, "evil").await];
    for topic in 0..times(1_000) {
        drop(follow_tail(&evil[topic % 2], &format!("evil {topic}")).await);
        let named = kept.figures().topics;
        assert!(named <= TOPICS as u64, "{named} topics after {topic}");
    }
    assert!(stage.server.load().topics <= 20, "{:?}", stage.server.load());
    // It is the same log, for whoever follows it and for whoever comes.
    within(honest.add("list".into(), 2)).await.unwrap();
    hears(&mut tail, 2).await;
    is_served(&stage, "another list").await;
}

/// One socket subscribes to long states and leaves them again, as fast as it can, and reads all
/// that comes.
#[tokio::test]
async fn who_comes_and_goes_makes_the_application_read_no_state_twice() {
    const LISTS: usize = 10;
    let settings = guarded(|config| config.snapshot_interval = Duration::from_secs(3_600));
    let stage = Stage::with(settings).await;
    // Some 40 kB each.
    (0..LISTS).for_each(|list| stage.app.extend(&name(list), (0..2_000).map(|it| u64::MAX - it)));
    let (mut says, mut hears) = deaf(&stage, "evil").await.split();
    let reads = tokio::spawn(async move {
        let mut bytes = 0;
        while let Some(Ok(message)) = hears.next().await {
            bytes += message.len();
        }
        bytes
    });
    let subscriptions = times(200) * LISTS;
    for sub in 1..=subscriptions {
        let (list, credit) = (name(sub % LISTS), r#"{"events":100,"bytes":10000000}"#);
        let come =
            format!(r#"[23,{{"sub":{sub},"topic":"list","key":"{list}","credit":{credit}}}]"#);
        within(says.send(Message::text(come))).await.unwrap();
        within(says.send(Message::text(format!(r#"[25,{{"sub":{sub}}}]"#)))).await.unwrap();
        if sub % (subscriptions / 4) == 0 {
            is_served(&stage, &format!("list {sub}")).await;
        }
    }
    let (load, unwritten) = (stage.server.load(), stage.server.unwritten());
    assert!(load.snapshot_bytes <= 43_000 * LISTS as u64, "{load:?}");
    let buffer = TransportConfig::default().write_buffer_bytes as u64 + 17 * 1024;
    assert!(unwritten.copied <= buffer, "{unwritten:?}");
    says.close().await.unwrap();
    let bytes = within(reads).await.unwrap();
    assert!(bytes > 43_000, "{bytes} bytes were an attack");
    assert!(stage.app.states_read() <= LISTS + 4, "{}", stage.app.states_read());
}

fn store(limits: MemoryLimits) -> MemoryStore {
    let began = tokio::time::Instant::now();
    let clock = move || Now(u64::try_from(began.elapsed().as_millis()).unwrap());
    MemoryStore::new(limits, Arc::new(clock))
}

fn name(list: usize) -> String {
    format!("long {list}")
}

/// A client that has said HELLO and reads only what it is made to; the kernel takes little for it.
async fn deaf(stage: &Stage, user: &str) -> WebSocketStream<TcpStream> {
    let url = stage.direct_url();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let addr = url["ws://".len()..].trim_end_matches('/').parse().unwrap();
    let stream = within(socket.connect(addr)).await.unwrap();
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "steadfast.v1.json".parse().unwrap());
    let (mut socket, _) = within(client_async(request, stream)).await.unwrap();
    let instance = format!("{:032x}", fastrand::u128(..));
    let hello = format!(
        r#"[20,{{"v":1,"protocol":"tally","version":"1","token":"{user}","instance":"{instance}","dial":1,"window":{{"frames":100,"bytes":100000}}}}]"#
    );
    socket.send(Message::text(hello)).await.unwrap();
    let welcome = within(socket.next()).await.unwrap().unwrap();
    assert!(welcome.to_text().unwrap().starts_with("[21,"), "{welcome}");
    socket
}
