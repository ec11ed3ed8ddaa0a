//! Topics over a bad network: order, gaps, credit.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use std::time::Duration;

use fastrand::Rng;
use futures_util::StreamExt;
use futures_util::future::join_all;
use steadfast::client::{Item, SnapshotReason, SubscribeError, Subscription};
use steadfast::wire::{ResetReason, UnsubscribeCode};
use steadfast_e2e::{
    List, Stage, Tail, TallyClient, TallyEvent, TallyEventAdded, Watch, quick, within,
};
use steadfast_proxy::Proxy;
use tokio::time::sleep;

const LIST: &str = "list";

async fn follow(client: &TallyClient) -> (Subscription<List>, Vec<u64>) {
    let mut list = within(client.subscribe(List(LIST.into()))).await.unwrap();
    match within(list.next()).await.unwrap() {
        Item::Snapshot { state, reason: SnapshotReason::Initial } => (list, state.values),
        other => panic!("{other:?} instead of a first snapshot"),
    }
}

async fn next_value(list: &mut Subscription<List>) -> u64 {
    loop {
        match within(list.next()).await.unwrap() {
            Item::Event(TallyEvent::Added { value, .. }) => return value,
            Item::Event(TallyEvent::Nudged { .. }) => {}
            other => panic!("{other:?} instead of an event"),
        }
    }
}

#[tokio::test]
async fn a_late_follower_begins_with_the_state() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    for value in 1..=3 {
        within(client.add(LIST.into(), value)).await.unwrap();
    }
    let (mut list, state) = follow(&client).await;
    assert_eq!(state, [1, 2, 3]);
    within(client.add(LIST.into(), 4)).await.unwrap();
    assert_eq!(next_value(&mut list).await, 4);
}

#[tokio::test]
async fn two_clients_see_everything_once_and_in_the_same_order_under_random_cuts() {
    for seed in 0..3 {
        two_clients_under_cuts(seed).await;
    }
}

async fn two_clients_under_cuts(seed: u64) {
    let stage = Stage::new().await;
    let other_proxy =
        Proxy::start(stage.direct_url()["ws://".len()..].trim_end_matches('/').parse().unwrap())
            .await
            .unwrap();
    let one = stage.connect().await;
    let two = within(quick(TallyClient::builder(other_proxy.url("/"))).connect()).await.unwrap();
    let ((mut seen_by_one, _), (mut seen_by_two, _)) = (follow(&one).await, follow(&two).await);
    let cuts = async {
        let mut rng = Rng::with_seed(seed);
        loop {
            sleep(Duration::from_millis(rng.u64(1..30))).await;
            let proxy = if rng.bool() { &stage.proxy } else { &other_proxy };
            match rng.u8(0..4) {
                0 => proxy.reset_all(),
                1 => usize::from(proxy.cut_after(steadfast_proxy::Way::Down, rng.u64(0..500))),
                2 => usize::from(proxy.cut_after(steadfast_proxy::Way::Up, rng.u64(0..500))),
                _ => proxy.cut_all(),
            };
        }
    };
    let talk = async {
        let say = async |client: &TallyClient, proxy: &Proxy, base: u64| {
            for chunk in 0..20 {
                // So that the network is cut all the time, and not only at the end.
                proxy.until(|counts| counts.accepted > chunk).await;
                let calls =
                    (1..=10).map(|value| client.add(LIST.into(), base + chunk * 10 + value));
                for outcome in join_all(calls).await {
                    outcome.unwrap();
                }
            }
        };
        tokio::join!(say(&one, &stage.proxy, 0), say(&two, &other_proxy, 1_000));
    };
    let read = async |list: &mut Subscription<List>| {
        let mut values = Vec::new();
        while values.len() < 400 {
            values.push(next_value(list).await);
        }
        values
    };
    let all = async { tokio::join!(talk, read(&mut seen_by_one), read(&mut seen_by_two)) };
    let ((), by_one, by_two) = tokio::select! {
        all = within(all) => all,
        () = cuts => unreachable!(),
    };
    assert_eq!(by_one, by_two, "seed {seed}");
    assert_eq!(by_one, stage.app.list(LIST), "seed {seed}");
    for base in [0, 1_000] {
        let of_one: Vec<_> = by_one
            .iter()
            .filter(|value| (base + 1..=base + 200).contains(*value))
            .copied()
            .collect();
        assert_eq!(of_one, (base + 1..=base + 200).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[tokio::test]
async fn a_subscription_that_nobody_polls_holds_up_nothing_else() {
    let stage = Stage::new().await;
    let client = within(stage.client().configure(|config| config.credit.frames = 8).connect())
        .await
        .unwrap();
    let (_never_polled, _) = follow(&client).await;
    let mut polled = within(client.subscribe(Tail(LIST.into()))).await.unwrap();
    for value in 1..=100 {
        assert_eq!(within(client.add(LIST.into(), value)).await, Ok(value));
        match within(polled.next()).await.unwrap() {
            Item::Event(TallyEvent::Appended { value: seen, .. }) => assert_eq!(seen, value),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_command_can_be_awaited_inside_the_event_loop() {
    let stage = Stage::new().await;
    let client = within(stage.client().configure(|config| config.credit.frames = 1).connect())
        .await
        .unwrap();
    let (mut list, _) = follow(&client).await;
    within(client.add(LIST.into(), 1)).await.unwrap();
    for _ in 0..50 {
        let value = next_value(&mut list).await;
        assert_eq!(within(client.add(LIST.into(), value + 1)).await, Ok(value + 1));
    }
}

#[tokio::test]
async fn a_slow_reader_slows_down_nobody_else_and_misses_nothing() {
    let stage = Stage::new().await;
    let slow = stage.connect().await;
    let (mut slow_list, _) = follow(&slow).await;
    let quick = stage.connect_directly().await;
    let (mut quick_list, _) = follow(&quick).await;
    stage.proxy.slow(Some(5_000));
    for value in 1..=300 {
        within(quick.add(LIST.into(), value)).await.unwrap();
        assert_eq!(next_value(&mut quick_list).await, value);
    }
    stage.proxy.slow(None);
    for value in 1..=300 {
        assert_eq!(next_value(&mut slow_list).await, value);
    }
}

#[tokio::test]
async fn a_follower_that_was_away_for_too_long_is_told_of_the_gap() {
    let stage = Stage::with(|builder| {
        let few = |config: &mut steadfast::server::NodeConfig| {
            for topic in config.topics_mut() {
                topic.retention.entries = 5;
            }
            config.live_entries = 5;
        };
        builder.configure(few).allow_anonymous()
    })
    .await;
    let away = stage.connect().await;
    let here = stage.connect_directly().await;
    let (mut list, _) = follow(&away).await;
    let mut tail = within(away.subscribe(Tail(LIST.into()))).await.unwrap();
    within(here.add(LIST.into(), 1)).await.unwrap();
    assert_eq!(next_value(&mut list).await, 1);
    assert!(matches!(
        within(tail.next()).await.unwrap(),
        Item::Event(TallyEvent::Appended { value: 1, .. })
    ));
    stage.proxy.refuse(true);
    stage.proxy.cut_all();
    for value in 2..=50 {
        within(here.add(LIST.into(), value)).await.unwrap();
    }
    stage.proxy.refuse(false);
    away.is_up().await;
    match within(list.next()).await.unwrap() {
        Item::Snapshot { state, reason: SnapshotReason::Gap(gap) } => {
            assert_eq!((gap.reason, state.values), (ResetReason::Trimmed, (1..=50).collect()));
        }
        other => panic!("{other:?} instead of a snapshot after a gap"),
    }
    match within(tail.next()).await.unwrap() {
        Item::Gap(gap) => {
            assert_eq!(
                (gap.reason, gap.resumes_after.0),
                (ResetReason::Trimmed, 45),
                "what is held is not lost"
            );
        }
        other => panic!("{other:?} instead of a gap"),
    }
    for wanted in 46..=50 {
        match within(tail.next()).await.unwrap() {
            Item::Event(TallyEvent::Appended { value, .. }) => assert_eq!(value, wanted),
            other => panic!("{other:?} instead of {wanted}"),
        }
    }
    within(here.add(LIST.into(), 51)).await.unwrap();
    assert_eq!(next_value(&mut list).await, 51);
}

#[tokio::test]
async fn a_topic_that_is_not_for_this_client_is_refused() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let refused = within(client.subscribe(List("forbidden".into()))).await.err();
    assert_eq!(refused, Some(SubscribeError::Refused { code: UnsubscribeCode::Forbidden }));
    let (_list, state) = follow(&client).await;
    assert_eq!(state, Vec::<u64>::new());
}

#[tokio::test]
async fn what_is_published_outside_of_commands_arrives_too() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let (mut list, _) = follow(&client).await;
    for value in 1..=10 {
        let position = within(stage.server.publish(&TallyEventAdded { list: LIST.into(), value }))
            .await
            .unwrap();
        assert_eq!(position.map(|position| position.ts.0), Some(value));
        if value == 5 {
            stage.proxy.cut_all();
        }
    }
    for value in 1..=10 {
        assert_eq!(next_value(&mut list).await, value);
    }
}

#[tokio::test]
async fn a_nudge_reaches_who_follows_now() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let (mut list, _) = follow(&client).await;
    assert!(client.nudge(LIST.into()));
    let item = within(list.next()).await.unwrap();
    assert!(matches!(item, Item::Event(TallyEvent::Nudged { .. })), "{item:?}");
}

#[tokio::test]
async fn a_dropped_subscription_can_be_made_again() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let (list, _) = follow(&client).await;
    assert_eq!(
        within(client.subscribe(List(LIST.into()))).await.err(),
        Some(SubscribeError::Duplicate)
    );
    drop(list);
    within(client.add(LIST.into(), 1)).await.unwrap();
    let (_, state) = follow(&client).await;
    assert_eq!(state, [1]);
}
