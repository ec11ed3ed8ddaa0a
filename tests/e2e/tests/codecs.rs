//! Clients of both codecs at one server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use std::time::Duration;

use futures_util::StreamExt;
use steadfast::Codec;
use steadfast::client::{CallError, ConnectError, ConnectionState, Fate, Item, Subscription};
use steadfast::server::Builder;
use steadfast_e2e::{
    List, ListName, Stage, TallyClient, TallyCommand, TallyError, TallyEvent, Watch, eventually,
    follow_tail, hears, within,
};
use steadfast_proxy::Way;
use steadfast_sqlite::{LocalStore, OpenError};

const LIST: &str = "list";
/// No text that JSON could have without escapes, and longer than one read.
const LONG: usize = 10_000;

async fn connect(stage: &Stage, codec: Codec) -> TallyClient {
    within(stage.client().codec(codec).connect()).await.unwrap()
}

/// Follows the list, and takes the first snapshot.
async fn follow(client: &TallyClient) -> Subscription<List> {
    let mut list = within(client.subscribe(List(LIST.into()))).await.unwrap();
    let first = within(list.next()).await.unwrap();
    assert!(matches!(first, Item::Snapshot { .. }), "{first:?}");
    list
}

/// Checks that the next events are these, without a gap or a repetition.
async fn sees(list: &mut Subscription<List>, values: impl IntoIterator<Item = u64>) {
    for wanted in values {
        match within(list.next()).await.unwrap() {
            Item::Event(TallyEvent::Added { value, .. }) => assert_eq!(value, wanted),
            other => panic!("{other:?} instead of {wanted}"),
        }
    }
}

#[tokio::test]
async fn clients_of_both_codecs_are_in_one_room_and_both_resume() {
    let stage = Stage::with(|builder| builder.allow_anonymous().codecs(Codec::ALL)).await;
    let (json, binary) = (connect(&stage, Codec::Json).await, connect(&stage, Codec::Binary).await);
    let mut lists = [follow(&json).await, follow(&binary).await];
    assert_eq!(within(json.add(LIST.into(), 1)).await, Ok(1));
    assert_eq!(within(binary.add(LIST.into(), 2)).await, Ok(2));

    let long = "ä\u{0}".repeat(LONG);
    stage.proxy.stall(Way::Up);
    let (third, echo) = (json.add(LIST.into(), 3), binary.echo(long.clone()));
    eventually(|| third.fate() > Fate::Queued && echo.fate() > Fate::Queued).await;
    stage.proxy.cut_all();
    stage.proxy.resume();
    assert_eq!(within(third).await, Ok(3));
    assert_eq!(within(echo).await, Ok(long));
    for client in [&json, &binary] {
        let up = client.is_up().await;
        assert!(matches!(up, ConnectionState::Connected { resumed: true, .. }), "{up:?}");
    }
    assert_eq!(within(binary.add(LIST.into(), 4)).await, Ok(4));
    for list in &mut lists {
        sees(list, 1..=4).await;
    }
    assert_eq!(stage.app.list(LIST), [1, 2, 3, 4]);
}

#[tokio::test]
async fn every_kind_of_answer_and_message_comes_in_either_codec() {
    for codec in Codec::ALL {
        let stage = Stage::with(|builder| builder.allow_anonymous().codecs(Codec::ALL)).await;
        let client = connect(&stage, codec).await;
        let mut list = follow(&client).await;
        assert_eq!(within(client.fail()).await, Err(CallError::App(TallyError::Failed)));
        assert_eq!(within(client.panic()).await, Err(CallError::HandlerFailed));
        stage.app.open("gate");
        assert_eq!(within(client.pass("gate".into())).await, Ok(()));
        let (bytes, filled) = (100_000, "x".repeat(100_000));
        assert_eq!(within(client.fill(bytes)).await, Ok(filled), "longer than what is copied");
        assert!(client.nudge(LIST.into()));
        let nudged = within(list.next()).await.unwrap();
        let wanted = TallyEvent::Nudged { list: ListName::from(LIST) };
        assert!(matches!(&nudged, Item::Event(event) if *event == wanted), "{nudged:?}");
    }
}

#[tokio::test]
async fn a_server_of_one_codec_refuses_clients_of_the_other() {
    for (enabled, refused) in [(Codec::Json, Codec::Binary), (Codec::Binary, Codec::Json)] {
        let stage = Stage::with(|builder| builder.allow_anonymous().codecs([enabled])).await;
        let told = within(stage.client().codec(refused).connect()).await.err().unwrap();
        assert!(matches!(&told, ConnectError::Failed { .. }), "{told}");
        let client = connect(&stage, enabled).await;
        assert_eq!(within(client.echo("here".into())).await, Ok("here".to_owned()));
    }
}

#[tokio::test]
async fn a_store_in_a_file_keeps_both_codecs_over_a_restart() {
    let place = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("codecs-{}", std::process::id()));
    std::fs::create_dir_all(&place).unwrap();
    let file = place.join("store.db");
    let on = |store: LocalStore| {
        |builder: Builder<TallyCommand>| builder.store(store).allow_anonymous().codecs(Codec::ALL)
    };
    let mut stage = Stage::with(on(LocalStore::open(&file).unwrap())).await;
    let clients = [connect(&stage, Codec::Json).await, connect(&stage, Codec::Binary).await];
    let mut tails = [follow_tail(&clients[0], LIST).await, follow_tail(&clients[1], LIST).await];
    assert_eq!(within(clients[0].add(LIST.into(), 1)).await, Ok(1));
    assert_eq!(within(clients[1].add(LIST.into(), 2)).await, Ok(2));

    stage.proxy.refuse(true);
    within(stage.server.shutdown(Duration::from_secs(5))).await;
    let later = [clients[0].add(LIST.into(), 3), clients[1].add(LIST.into(), 4)];
    // The file is let go of with the server.
    stage.replace_server(|builder| builder.allow_anonymous()).await;
    let mut opened = None;
    eventually(|| match LocalStore::open(&file) {
        Err(OpenError::InUse { .. }) => false,
        store => {
            opened = Some(store.unwrap());
            true
        }
    })
    .await;
    stage.replace_server(on(opened.unwrap())).await;
    stage.proxy.refuse(false);
    for call in later {
        within(call).await.unwrap();
    }
    let all = stage.app.list(LIST);
    assert_eq!(all.len(), 4, "{all:?}");
    for tail in &mut tails {
        for value in &all {
            hears(tail, *value).await;
        }
    }
    drop((stage, clients));
    let _ = std::fs::remove_dir_all(&place);
}
