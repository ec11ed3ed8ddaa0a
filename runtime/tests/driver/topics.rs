//! Subscriptions over real sockets: snapshots, events, volatiles, gaps, resuming.

use futures_util::StreamExt;
use steadfast::client::{Item, SnapshotReason, SubscribeError, SubscriptionEnd};
use steadfast::wire::UnsubscribeCode;

use super::chat::*;
use super::proxy::Proxy;

#[tokio::test]
async fn a_subscription_begins_with_the_state_and_goes_on_after_a_cut() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    within(chat.post(RoomId(1), "before".into())).await.unwrap();
    let mut events = within(chat.subscribe(Room(RoomId(1)))).await.unwrap();
    match within(events.next()).await {
        Some(Item::Snapshot { state, reason: SnapshotReason::Initial }) => {
            assert_eq!(state.messages, ["before"])
        }
        other => panic!("{other:?}"),
    }
    let writer = connect(running.address).await;
    let mut seen = Vec::new();
    for round in 0..4 {
        proxy.cut();
        for i in 0..10 {
            within(writer.post(RoomId(1), format!("{round}.{i}"))).await.unwrap();
        }
        while seen.len() < (round + 1) * 10 {
            match within(events.next()).await {
                Some(Item::Event(ChatEvent::Posted { text, .. })) => seen.push(text),
                Some(Item::Event(other)) => panic!("{other:?}"),
                Some(Item::Snapshot { reason, .. }) => panic!("a gap: {reason:?}"),
                None => panic!("{:?}", events.end()),
            }
        }
    }
    let expected: Vec<String> =
        (0..4).flat_map(|round| (0..10).map(move |i| format!("{round}.{i}"))).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_stored_position_is_continued_by_another_client() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let mut events = within(chat.subscribe(Room(RoomId(1)))).await.unwrap();
    assert_eq!(events.position(), None);
    within(events.next()).await.expect("the state");
    within(chat.post(RoomId(1), "one".into())).await.unwrap();
    within(events.next()).await.expect("one");
    let position = events.position().expect("an event has a place");
    chat.close().await;
    assert!(within(events.next()).await.is_none());
    assert_eq!(events.end(), Some(SubscriptionEnd::Closed));

    let chat = connect(running.address).await;
    within(chat.post(RoomId(1), "two".into())).await.unwrap();
    let mut events = within(chat.subscribe(Room(RoomId(1))).from(position)).await.unwrap();
    match within(events.next()).await {
        Some(Item::Event(ChatEvent::Posted { text, .. })) => assert_eq!(text, "two"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_refused_subscription_says_why() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let refused = within(chat.subscribe(Room(RoomId(13)))).await;
    assert_eq!(refused.unwrap_err(), SubscribeError::Refused { code: UnsubscribeCode::Forbidden });
    let _first = within(chat.subscribe(Room(RoomId(1)))).await.unwrap();
    assert_eq!(
        within(chat.subscribe(Room(RoomId(1)))).await.unwrap_err(),
        SubscribeError::Duplicate
    );
}

#[tokio::test]
async fn dropping_a_subscription_makes_room_for_the_same_topic() {
    let running = serve().await;
    let chat = connect(running.address).await;
    for _ in 0..3 {
        let mut events = within(chat.subscribe(Room(RoomId(1)))).await.unwrap();
        within(events.next()).await.expect("the state");
        // One that was never established is taken back too.
        drop(events);
        drop(chat.subscribe(Room(RoomId(2))));
    }
}

#[tokio::test]
async fn a_gap_is_told_where_there_is_no_snapshot() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    let mut events = within(chat.subscribe(Ticker(7))).await.unwrap();
    let tick = |price| ChatEventTick { feed: 7, price, padding: String::new() };
    within(running.server.publish(&tick(1))).await.unwrap();
    assert!(matches!(
        within(events.next()).await,
        Some(Item::Event(ChatEvent::Tick { price: 1, .. }))
    ));
    proxy.refuse();
    proxy.cut();
    let mut state = chat.state();
    within(state.wait_for(|state| !state.is_connected())).await.unwrap();
    for price in 2..=400 {
        within(running.server.publish(&tick(price))).await.unwrap();
    }
    proxy.heal();
    let gap = match within(events.next()).await {
        Some(Item::Gap(gap)) => gap,
        other => panic!("{other:?}"),
    };
    let mut next = gap.resumes_after.0;
    while next < 400 {
        match within(events.next()).await {
            Some(Item::Event(ChatEvent::Tick { price, .. })) => {
                assert_eq!(price, next + 1);
                next = price;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn volatiles_reach_present_followers() {
    let running = serve().await;
    let (ann, bob) = (connect(running.address).await, connect(running.address).await);
    let mut events = within(bob.subscribe(Room(RoomId(1)))).await.unwrap();
    within(events.next()).await.expect("the state");
    assert!(ann.typing(RoomId(1)));
    match within(events.next()).await {
        Some(Item::Event(ChatEvent::Typing { who, .. })) => assert!(who.starts_with("anonymous-")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_follower_that_does_not_poll_holds_nobody_up() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let mut idle = within(chat.subscribe(Ticker(1))).await.unwrap();
    let mut busy = within(chat.subscribe(Ticker(2))).await.unwrap();
    for price in 1..=1000 {
        let padding = "x".repeat(1000);
        let tick = |feed| ChatEventTick { feed, price, padding: padding.clone() };
        within(running.server.publish(&tick(1))).await.unwrap();
        within(running.server.publish(&tick(2))).await.unwrap();
        assert!(matches!(within(busy.next()).await, Some(Item::Event(ChatEvent::Tick { .. }))));
    }
    within(chat.post(RoomId(1), "answered".into())).await.unwrap();
    // It gets what its credit covered, and then is told of the gap.
    let mut gap = false;
    for _ in 0..1000 {
        match within(idle.next()).await {
            Some(Item::Gap(_)) => {
                gap = true;
                break;
            }
            Some(Item::Event(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(gap);
}
