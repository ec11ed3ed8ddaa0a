//! The client's subscriptions: continuity, gaps, what ends one.

mod client_support;

use client_support::{EPOCH, Rig, WIDE, at, body, name};
use steadfast::session::CloseCode;
use steadfast::session::client::{
    Event, Gap, Item, Resumed, SubscribeError, SubscriptionEnd, SubscriptionRequest,
};
use steadfast::wire::{
    ClientFrame, Epoch, ResetReason, ServerFrame, SubNo, Subscribed, TopicNo, TopicSeq,
    UnsubscribeCode, Window,
};

#[test]
fn events_come_in_order_and_the_application_is_told() {
    let (mut rig, sub) = Rig::following(4, WIDE);
    let resumed = Some(Resumed { from: at(4), count: 0 });
    assert!(rig.events.contains(&Event::Subscribed { sub, resumed }));
    rig.take();
    rig.events(5..=7);
    let told = rig.events.iter().filter(|event| **event == Event::Readable { sub }).count();
    assert_eq!(told, 1, "once until it has found nothing");
    assert_eq!(rig.items(sub), [5, 6, 7]);
    rig.event(8);
    assert!(rig.events.iter().filter(|event| **event == Event::Readable { sub }).count() == 2);
}

#[test]
fn an_event_out_of_order_ends_the_socket_and_nothing_is_lost() {
    for ts in [5, 6, 8, 0, u64::MAX] {
        let (mut rig, sub) = Rig::following(4, WIDE);
        rig.events(5..=6);
        rig.event(ts);
        assert!(rig.has_closed_with(CloseCode::SEQUENCE), "{ts}");
        rig.await_dial();
        rig.connect();
        rig.take();
        rig.welcome_new();
        assert_eq!(rig.subscribes()[0].from, Some(at(6)));
        assert_eq!(rig.items(sub), [5, 6]);
    }
}

#[test]
fn every_welcome_subscribes_again_from_what_was_seen_with_a_new_number() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.events(1..=3);
    rig.item(sub);
    rig.reconnect();
    rig.take();
    rig.welcome_resumed(0);
    let again = rig.subscribes().remove(0);
    assert_eq!((again.sub, again.from), (SubNo(2), Some(at(3))));
    rig.event(4);
    rig.subscribed(again.sub, 3, None, false);
    rig.event(4);
    assert_eq!(
        rig.items(sub),
        [2, 3, 4],
        "no gap, no duplicate; what came before SUBSCRIBED was dropped"
    );
}

#[test]
fn an_item_that_was_handed_out_counts_as_seen() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.event(1);
    assert!(rig.item(sub).is_some());
    rig.reconnect();
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.subscribes()[0].from, Some(at(1)));
}

#[test]
fn a_first_subscription_without_a_snapshot_starts_silently() {
    let mut rig = Rig::attached();
    let sub = rig.subscribe(None);
    let ask = rig.subscribes().remove(0);
    assert_eq!(ask.from, None);
    rig.subscribed(ask.sub, 10, Some(ResetReason::Initial), false);
    rig.event(11);
    assert_eq!(rig.items(sub), [11]);
}

#[test]
fn a_first_snapshot_is_no_gap() {
    let mut rig = Rig::attached();
    let sub = rig.subscribe(None);
    let ask = rig.subscribes().remove(0);
    rig.subscribed(ask.sub, 10, Some(ResetReason::Initial), true);
    assert_eq!(rig.item(sub), None);
    rig.snapshot(12);
    rig.event(13);
    let first = rig.item(sub);
    assert_eq!(
        first,
        Some(Item::Snapshot { position: at(12), name: name("state"), body: body(12), gap: None })
    );
    assert_eq!(rig.items(sub), [13]);
}

#[test]
fn a_gap_without_a_snapshot_is_reported_before_what_follows() {
    for reason in [ResetReason::Trimmed, ResetReason::Epoch, ResetReason::Ahead] {
        let mut rig = Rig::attached();
        let sub = rig.subscribe(Some(at(3)));
        let ask = rig.subscribes().remove(0);
        let epoch = if reason == ResetReason::Epoch { Epoch(77) } else { EPOCH };
        rig.subscribed_at(ask.sub, epoch, 20, Some(reason), false);
        rig.event(21);
        let gap = Gap { reason, last: Some(at(3)), epoch, resumes_after: TopicSeq(20) };
        assert_eq!(rig.item(sub), Some(Item::Gap(gap)));
        assert_eq!(rig.items(sub), [21]);
    }
}

#[test]
fn a_gap_with_a_snapshot_is_told_with_it() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.event(1);
    rig.subscribed(SubNo(1), 30, Some(ResetReason::Trimmed), true);
    rig.snapshot(31);
    rig.event(32);
    rig.item(sub);
    let gap = Gap {
        reason: ResetReason::Trimmed,
        last: Some(at(1)),
        epoch: EPOCH,
        resumes_after: TopicSeq(31),
    };
    match rig.item(sub) {
        Some(Item::Snapshot { gap: told, .. }) => assert_eq!(told, Some(gap)),
        other => panic!("{other:?}"),
    }
    assert_eq!(rig.items(sub), [32]);
}

#[test]
fn a_gap_whose_snapshot_was_lost_is_asked_for_again() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.event(1);
    rig.subscribed(SubNo(1), 30, Some(ResetReason::Trimmed), true);
    rig.reconnect();
    rig.take();
    rig.welcome_resumed(0);
    assert_eq!(rig.subscribes()[0].from, Some(at(1)));
    assert_eq!(rig.items(sub), [1]);
}

#[test]
fn nothing_but_a_snapshot_may_follow_its_announcement() {
    let (mut rig, _) = Rig::following(0, WIDE);
    rig.subscribed(SubNo(1), 30, Some(ResetReason::Trimmed), true);
    rig.event(31);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
    let (mut rig, _) = Rig::following(0, WIDE);
    rig.snapshot(1);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE), "and it must have been announced");
}

#[test]
fn a_continuation_from_somewhere_else_is_an_error() {
    let mut rig = Rig::attached();
    rig.subscribe(Some(at(3)));
    let ask = rig.subscribes().remove(0);
    rig.subscribed(ask.sub, 4, None, false);
    assert!(rig.has_closed_with(CloseCode::SEQUENCE));
}

#[test]
fn resets_without_reading_do_not_grow() {
    let (mut rig, sub) = Rig::following(0, Window { frames: 4, bytes: 100_000 });
    let mut ts = 0;
    for _ in 0..50 {
        rig.events(ts + 1..=ts + 4);
        ts += 100;
        rig.subscribed(SubNo(1), ts, Some(ResetReason::Trimmed), false);
    }
    let items = rig.items(sub);
    assert!(items.len() <= 10, "{items:?}");
    assert_eq!(items.last(), Some(&-1));
    rig.event(ts + 1);
    assert_eq!(rig.items(sub), [ts as i64 + 1]);
}

#[test]
fn volatiles_take_turns_with_events_and_the_oldest_goes() {
    let mut rig = Rig::attached_with(|config| config.volatiles = 2);
    let sub = rig.subscribe(Some(at(0)));
    rig.subscribed(SubNo(1), 0, None, false);
    rig.events(1..=3);
    for text in ["x", "y", "z"] {
        let frame = ServerFrame::TopicVolatile {
            topic: TopicNo(9),
            name: name("typing"),
            body: body(text),
        };
        rig.frame(frame);
    }
    let mut kinds = Vec::new();
    while let Some(item) = rig.item(sub) {
        kinds.push(match item {
            Item::Volatile { body, .. } => String::from_utf8(body.as_bytes().to_vec()).unwrap(),
            Item::Event { position, .. } => position.ts.to_string(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(kinds, ["1", "y", "2", "z", "3"]);
}

#[test]
fn volatiles_that_wait_are_bounded_in_bytes_and_the_latest_stays() {
    let mut rig = Rig::attached_with(|config| config.volatile_bytes = 5);
    let sub = rig.subscribe(Some(at(0)));
    rig.subscribed(SubNo(1), 0, None, false);
    let volatile = |text| {
        let (topic, name, body) = (TopicNo(9), name("typing"), body(text));
        ServerFrame::TopicVolatile { topic, name, body }
    };
    for (text, left) in [("aa", 1), ("bb", 2), ("cc", 2), ("too long", 1), ("d", 1), ("ee", 2)] {
        rig.frame(volatile(text));
        let load = rig.client.load();
        assert_eq!(load.volatiles, left, "{text}");
        assert!(load.volatile_bytes <= 5, "{load:?}");
    }
    let mut left = Vec::new();
    while let Some(Item::Volatile { body, .. }) = rig.item(sub) {
        left.push(String::from_utf8(body.as_bytes().to_vec()).unwrap());
    }
    assert_eq!(left, ["d", "ee"]);
}

#[test]
fn frames_of_an_unknown_number_are_dropped() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.frame(ServerFrame::Event {
        topic: TopicNo(8),
        ts: TopicSeq(1),
        name: name("posted"),
        body: body(1),
    });
    assert!(rig.items(sub).is_empty());
    assert!(rig.closes().is_empty());
}

#[test]
fn leaving_and_coming_back_does_not_mix_two_subscriptions() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.take();
    rig.client.unsubscribe(rig.now, sub);
    let again = rig.subscribe(Some(at(0)));
    assert_ne!(again, sub);
    assert_eq!(rig.sent[0], ClientFrame::Unsubscribe { sub: SubNo(1) });
    let ask = rig.subscribes().remove(0);
    rig.event(1);
    rig.frame(ServerFrame::Unsubscribed {
        sub: SubNo(1),
        code: UnsubscribeCode::Forbidden,
        retry_ms: None,
    });
    rig.subscribed(SubNo(1), 0, None, false);
    assert!(rig.items(again).is_empty(), "late frames of the first one are dropped");
    rig.subscribed(ask.sub, 0, None, false);
    rig.event(1);
    assert_eq!(rig.items(again), [1]);
    assert!(rig.items(sub).is_empty());
}

#[test]
fn a_subscription_that_was_never_asked_for_is_left_silently() {
    let mut rig = Rig::new();
    let sub = rig.subscribe(None);
    rig.start();
    rig.connect();
    rig.act(|client, now| client.unsubscribe(now, sub));
    rig.take();
    rig.welcome_new();
    assert_eq!(rig.sent.len(), 1, "only the ACK");
}

#[test]
fn a_final_refusal_ends_and_leaves_what_waits() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.events(1..=2);
    rig.frame(ServerFrame::Unsubscribed {
        sub: SubNo(1),
        code: UnsubscribeCode::Forbidden,
        retry_ms: None,
    });
    let end = SubscriptionEnd::Refused(UnsubscribeCode::Forbidden);
    assert!(rig.events.contains(&Event::SubscriptionEnded { sub, end }));
    assert_eq!(rig.items(sub), [1, 2]);
    let same = SubscriptionRequest { topic: name("room"), key: "1".into(), from: None, last: None };
    assert!(rig.client.subscribe(rig.now, same).is_ok(), "the topic is free again");
}

#[test]
fn a_refusal_for_now_is_asked_again_after_its_time() {
    let (mut rig, sub) = Rig::following(0, WIDE);
    rig.event(1);
    rig.take();
    rig.frame(ServerFrame::Unsubscribed {
        sub: SubNo(1),
        code: UnsubscribeCode::Overload,
        retry_ms: Some(700),
    });
    rig.pass(699);
    assert!(rig.sent.is_empty());
    rig.pass(1_001);
    let ask = rig.subscribes().remove(0);
    assert_eq!((ask.sub, ask.from), (SubNo(2), Some(at(1))));
    rig.subscribed(ask.sub, 1, None, false);
    rig.event(2);
    assert_eq!(rig.items(sub), [1, 2]);
}

#[test]
fn a_subscription_waits_no_longer_than_a_minute_for_its_retry() {
    let (mut rig, _) = Rig::following(0, WIDE);
    rig.take();
    rig.frame(ServerFrame::Unsubscribed {
        sub: SubNo(1),
        code: UnsubscribeCode::Overload,
        retry_ms: Some(1 << 50),
    });
    rig.pass_alive(59_999);
    assert!(rig.subscribes().is_empty());
    rig.pass(1_001);
    assert_eq!(rig.subscribes().len(), 1);
}

#[test]
fn subscriptions_are_bounded_and_unique() {
    let mut rig = Rig::with(|config| config.subscriptions = 2);
    let request = |key: &str| SubscriptionRequest {
        topic: name("room"),
        key: key.into(),
        from: None,
        last: None,
    };
    assert!(rig.client.subscribe(rig.now, request("1")).is_ok());
    assert_eq!(rig.client.subscribe(rig.now, request("1")), Err(SubscribeError::Duplicate));
    assert!(rig.client.subscribe(rig.now, request("2")).is_ok());
    assert_eq!(
        rig.client.subscribe(rig.now, request("3")),
        Err(SubscribeError::TooMany { limit: 2 })
    );
}

#[test]
fn a_key_that_does_not_fit_into_a_frame_ends_its_subscription_only() {
    let mut rig = Rig::attached();
    let request = SubscriptionRequest {
        topic: name("room"),
        key: "k".repeat(20_000),
        from: None,
        last: None,
    };
    let sub = rig.act(|client, now| client.subscribe(now, request)).unwrap();
    let end = SubscriptionEnd::Refused(UnsubscribeCode::Invalid);
    assert!(rig.events.contains(&Event::SubscriptionEnded { sub, end }));
    assert!(rig.sent.iter().all(|frame| !matches!(frame, ClientFrame::Subscribe(_))));
}

#[test]
fn a_subscription_that_goes_on_says_from_where_and_how_much_comes() {
    let (mut rig, sub) = Rig::following(10, WIDE);
    rig.events(11..=12);
    rig.take();
    rig.item(sub);
    rig.reconnect();
    rig.take();
    rig.welcome_resumed(0);
    let ask = rig.subscribes().remove(0);
    assert_eq!(ask.from, Some(at(12)), "what waits is held");
    rig.take();
    let frame = Subscribed {
        sub: ask.sub,
        number: TopicNo(9),
        epoch: EPOCH,
        ts: TopicSeq(12),
        head: TopicSeq(15),
        snapshot: false,
        reset: None,
        credit: None,
    };
    rig.frame(ServerFrame::Subscribed(Box::new(frame)));
    let resumed = Some(Resumed { from: at(12), count: 3 });
    assert!(rig.events.contains(&Event::Subscribed { sub, resumed }));
}

#[test]
fn a_subscription_that_begins_anew_is_not_resumed() {
    let (mut rig, sub) = Rig::following(10, WIDE);
    rig.reconnect();
    rig.take();
    rig.welcome_resumed(0);
    let ask = rig.subscribes().remove(0);
    rig.subscribed(ask.sub, 20, Some(ResetReason::Trimmed), false);
    assert!(rig.events.contains(&Event::Subscribed { sub, resumed: None }));
}
