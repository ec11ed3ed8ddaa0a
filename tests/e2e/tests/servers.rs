//! Servers that die, drain, refuse, and meet hostile peers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use steadfast::client::{
    CallError, ConnectError, ConnectionState, DialReason, Item, SnapshotReason,
};
use steadfast::server::{Denied, Identity, Principal, bearer};
use steadfast::store::MemoryStore;
use steadfast::wire::ResetReason;
use steadfast_e2e::{
    Decidedly, List, Stage, TallyClient, TallyCommand, TallyEvent, Watch, eventually, quick, within,
};
use steadfast_proxy::Way;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const LIST: &str = "list";

type Undecided = steadfast::server::Builder<TallyCommand>;

fn code(state: &ConnectionState) -> Option<u16> {
    match state {
        ConnectionState::Reconnecting { reason, .. } | ConnectionState::Failed { reason } => {
            reason.code.map(|code| code.0)
        }
        _ => None,
    }
}

async fn lost_with(client: &TallyClient, wanted: u16) {
    client.reaches(|state| code(state) == Some(wanted)).await;
}

#[tokio::test]
async fn a_server_that_died_with_its_memory_leaves_unknown_outcomes_and_a_reported_gap() {
    let mut stage = Stage::new().await;
    let client = stage.connect().await;
    let mut list = within(client.subscribe(List(LIST.into()))).await.unwrap();
    within(client.add(LIST.into(), 1)).await.unwrap();
    assert!(matches!(
        within(list.next()).await.unwrap(),
        Item::Snapshot { reason: SnapshotReason::Initial, .. }
    ));
    assert!(matches!(
        within(list.next()).await.unwrap(),
        Item::Event(TallyEvent::Added { value: 1, .. })
    ));
    let sent = client.pass("gate".into());
    within(stage.app.has_come("gate", 1)).await;
    stage.proxy.refuse(true);
    stage.proxy.cut_all();
    client.reaches(|state| matches!(state, ConnectionState::Reconnecting { .. })).await;
    let unsent = client.add(LIST.into(), 2);
    stage.replace_server(|builder| builder.allow_anonymous()).await;
    stage.proxy.refuse(false);
    assert_eq!(within(sent).await, Err(CallError::OutcomeUnknown));
    assert_eq!(within(unsent).await, Ok(2));
    match within(list.next()).await.unwrap() {
        Item::Snapshot { reason: SnapshotReason::Gap(gap), .. } => {
            assert_eq!(gap.reason, ResetReason::Epoch)
        }
        other => panic!("{other:?} instead of a snapshot after a gap"),
    }
    assert!(matches!(client.is_up().await, ConnectionState::Connected { resumed: false, .. }));
    assert_eq!(stage.app.list(LIST), [1, 2]);
}

#[tokio::test]
async fn a_server_that_died_and_left_its_store_costs_nothing() {
    let store = MemoryStore::default();
    let kept = store.clone();
    let mut stage = Stage::with(move |builder| builder.store(kept).allow_anonymous()).await;
    let client = stage.connect_with_lease().await;
    let mut list = within(client.subscribe(List(LIST.into()))).await.unwrap();
    assert!(matches!(
        within(list.next()).await.unwrap(),
        Item::Snapshot { reason: SnapshotReason::Initial, .. }
    ));
    stage.proxy.stall(Way::Down);
    let calls: Vec<_> = (1..=10).map(|value| client.add(LIST.into(), value)).collect();
    within(stage.app.has_added(10)).await;
    stage.replace_server(move |builder| builder.store(store).allow_anonymous()).await;
    stage.proxy.cut_all();
    stage.proxy.resume();
    for (call, wanted) in calls.into_iter().zip(1..) {
        assert_eq!(within(call).await, Ok(wanted));
    }
    for wanted in 1..=10 {
        match within(list.next()).await.unwrap() {
            Item::Event(TallyEvent::Added { value, .. }) => assert_eq!(value, wanted),
            other => panic!("{other:?} instead of {wanted}"),
        }
    }
    assert_eq!(stage.app.list(LIST), (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_leaves_finishes_what_runs_and_its_clients_go_on_elsewhere() {
    let store = MemoryStore::default();
    let with_store = |store: &MemoryStore| {
        let store = store.clone();
        move |builder: Undecided| {
            builder
                .store(store)
                .limits(|limits| limits.drain_spread = Duration::from_millis(20))
                .allow_anonymous()
        }
    };
    let mut stage = Stage::with(with_store(&store)).await;
    let client = stage.connect().await;
    let running = client.pass("gate".into());
    within(stage.app.has_come("gate", 1)).await;
    let old = stage.server.clone();
    stage.replace_server(with_store(&store)).await;
    let leaving = tokio::spawn(async move {
        old.shutdown(Duration::from_secs(20)).await;
        old
    });
    // On either side of GOAWAY it is executed once: by this server, or after a refusal by the next.
    let during = client.add(LIST.into(), 1);
    stage.app.open("gate");
    assert_eq!(within(running).await, Ok(()));
    assert_eq!(within(during).await, Ok(1));
    let old = within(leaving).await.unwrap();
    assert_eq!((old.connections(), old.load().connections), (0, 0));
    client.is_up().await;
    assert_eq!(within(client.add(LIST.into(), 2)).await, Ok(2));
    assert_eq!(stage.app.list(LIST), [1, 2]);
    assert_eq!(stage.app.came("gate"), 1);
}

#[tokio::test]
async fn a_server_that_leaves_does_not_wait_longer_than_its_deadline() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let running = client.pass("never".into());
    within(stage.app.has_come("never", 1)).await;
    // Watched from the beginning, because the next dial fails for another reason.
    tokio::join!(
        within(stage.server.shutdown(Duration::from_millis(100))),
        lost_with(&client, 4010)
    );
    assert_eq!(stage.server.connections(), 0);
    drop(running);
}

/// Accepts tokens `good…`, each for as long as the text after it says.
fn authenticated(builder: Undecided) -> Decidedly {
    builder.authenticate(bearer(|token: String| async move {
        let rest = token.strip_prefix("good").ok_or_else(|| Denied::new("no such token"))?;
        let mut identity = Identity::new(Principal::new("somebody"));
        identity.expires_in = rest.parse().ok().map(Duration::from_millis);
        Ok::<_, Denied>(identity)
    }))
}

type Asked = Arc<Mutex<Vec<DialReason>>>;

/// Notes why a token is asked for, and gives the next one, or the last one again and again.
fn tokens(given: &[&'static str]) -> (Asked, impl Fn(DialReason) -> Ready<&'static str> + use<>) {
    let asked = Asked::default();
    let (noted, given) = (Arc::clone(&asked), given.to_vec());
    let hook = move |reason| {
        let mut noted = noted.lock().unwrap();
        noted.push(reason);
        ready(given[(noted.len() - 1).min(given.len() - 1)])
    };
    (asked, hook)
}

#[tokio::test]
async fn refused_credentials_are_refreshed_and_given_up_after_a_while() {
    let stage = Stage::with(authenticated).await;
    let (asked, hook) = tokens(&["bad"]);
    let refused = within(stage.client().token(hook).connect()).await.err();
    match refused {
        Some(ConnectError::Failed { reason: close }) => {
            assert_eq!(close.code.map(|code| code.0), Some(4201), "{close}")
        }
        other => panic!("{other:?}"),
    }
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked[0], DialReason::First);
    assert!(
        asked.len() == 3 && asked[1..].iter().all(|reason| *reason == DialReason::Refused),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_refreshed_token_is_used() {
    let stage = Stage::with(authenticated).await;
    let (asked, hook) = tokens(&["stale", "good"]);
    let client = within(stage.client().token(hook).connect()).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), [DialReason::First, DialReason::Refused]);
    assert_eq!(within(client.echo("hello".into())).await, Ok("hello".to_owned()));
}

#[tokio::test]
async fn expired_credentials_cost_a_dial_and_no_outcome() {
    let stage = Stage::with(authenticated).await;
    let (asked, hook) = tokens(&["good200", "good"]);
    let client = within(stage.client().token(hook).connect()).await.unwrap();
    let mut list = within(client.subscribe(List(LIST.into()))).await.unwrap();
    let waiting = client.pass("gate".into());
    within(stage.app.has_come("gate", 1)).await;
    eventually(|| asked.lock().unwrap().len() == 2).await;
    client.reaches(|state| matches!(state, ConnectionState::Connected { resumed: true, .. })).await;
    stage.app.open("gate");
    assert_eq!(within(waiting).await, Ok(()));
    assert_eq!(*asked.lock().unwrap(), [DialReason::First, DialReason::Refused]);
    assert_eq!(within(client.add(LIST.into(), 1)).await, Ok(1));
    assert!(matches!(within(list.next()).await.unwrap(), Item::Snapshot { .. }));
    assert_eq!(stage.app.came("gate"), 1);
}

#[tokio::test]
async fn nobody_gets_in_without_a_token() {
    let stage = Stage::with(authenticated).await;
    let refused = within(stage.client().connect()).await.err();
    let Some(ConnectError::Failed { reason }) = refused else { panic!("{refused:?}") };
    assert_eq!(reason.code.map(|code| code.0), Some(4201));
}

#[tokio::test]
async fn a_handler_that_panics_harms_nobody() {
    let stage = Stage::new().await;
    let (client, other) = (stage.connect().await, stage.connect().await);
    let waiting = other.pass("gate".into());
    within(stage.app.has_come("gate", 1)).await;
    assert_eq!(within(client.panic()).await, Err(CallError::HandlerFailed));
    assert_eq!(within(client.echo("alive".into())).await, Ok("alive".to_owned()));
    stage.app.open("gate");
    assert_eq!(within(waiting).await, Ok(()));
    assert_eq!(stage.proxy.counts().accepted, 2, "nobody was disconnected");
}

/// A peer that speaks WebSocket but not this protocol.
async fn stranger(stage: &Stage) -> WebSocketStream<TcpStream> {
    let url = stage.direct_url();
    let stream = TcpStream::connect(url["ws://".len()..].trim_end_matches('/')).await.unwrap();
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("Sec-WebSocket-Protocol", "steadfast.v1.json".parse().unwrap());
    within(client_async(request, stream)).await.unwrap().0
}

async fn close_code(mut stranger: WebSocketStream<TcpStream>) -> Option<u16> {
    loop {
        match within(stranger.next()).await {
            Some(Ok(Message::Close(close))) => return close.map(|close| u16::from(close.code)),
            Some(Ok(_)) => {}
            other => panic!("{other:?} instead of a close frame"),
        }
    }
}

#[tokio::test]
async fn what_is_no_frame_closes_its_own_socket_only() {
    let stage = Stage::with(|builder| {
        builder.configure(|config| config.handshake = Duration::from_secs(2)).allow_anonymous()
    })
    .await;
    let client = stage.connect().await;
    let nonsense = [
        (Message::text("hello"), 4400),
        (Message::text("[1,1]"), 4400),
        (Message::text("[255"), 4400),
        (Message::text(r#"[20,{"v":1}]"#), 4400),
        (Message::binary(Bytes::from_static(b"\x00")), 4400),
        (Message::text(format!("[20,\"{}\"]", "x".repeat(70_000))), 4413),
    ];
    for (message, wanted) in nonsense {
        let mut stranger = stranger(&stage).await;
        // The server may close before everything is written.
        let _ = stranger.send(message.clone()).await;
        assert_eq!(close_code(stranger).await, Some(wanted), "{message:.40}");
    }
    assert_eq!(within(client.echo("alive".into())).await, Ok("alive".to_owned()));
    assert_eq!(stage.proxy.counts().accepted, 1);
}

#[tokio::test]
async fn who_says_nothing_is_sent_away() {
    let stage = Stage::with(|builder| {
        builder.configure(|config| config.handshake = Duration::from_millis(100)).allow_anonymous()
    })
    .await;
    assert_eq!(close_code(stranger(&stage).await).await, Some(4408));
}

#[tokio::test]
async fn a_client_reports_a_proxy_that_strips_the_subprotocol() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // Answers the upgrade without naming a subprotocol.
                if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
                    while socket.next().await.is_some() {}
                }
            });
        }
    });
    let outcome = within(quick(TallyClient::builder(format!("ws://{addr}/"))).connect()).await;
    match outcome {
        Err(ConnectError::Failed { reason: close }) => {
            assert_eq!(close.code.map(|code| code.0), Some(4401));
            assert!(close.to_string().contains("subprotocol"), "{close}");
        }
        other => panic!("{:?}", other.err()),
    }
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_is_refused() {
    let stage =
        Stage::with(|builder| builder.allow_origins(["https://ours.example"]).allow_anonymous())
            .await;
    let url = stage.direct_url();
    for (origin, welcome) in [("https://ours.example", true), ("https://theirs.example", false)] {
        let stream = TcpStream::connect(url["ws://".len()..].trim_end_matches('/')).await.unwrap();
        let mut request = url.as_str().into_client_request().unwrap();
        request
            .headers_mut()
            .insert("Sec-WebSocket-Protocol", "steadfast.v1.json".parse().unwrap());
        request.headers_mut().insert("Origin", origin.parse().unwrap());
        // A page sees no status: it is let in, and closed before it has said anything (2.8).
        let (mut socket, _) = within(client_async(request, stream)).await.unwrap();
        if !welcome {
            let closed = within(socket.next()).await.unwrap().unwrap();
            let Message::Close(Some(close)) = closed else { panic!("{closed:?}") };
            assert_eq!(u16::from(close.code), 4403, "{origin}");
        }
    }
}
