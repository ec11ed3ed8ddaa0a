//! Calls over real sockets: replies, errors, panics, timeouts, cuts.

use futures_util::StreamExt;
use steadfast::client::{CallError, Fate};
use steadfast::server::PublishError;
use steadfast::wire::RefusalCode;

use super::chat::*;
use super::proxy::Proxy;

#[tokio::test]
async fn a_request_is_answered_and_an_error_is_typed() {
    let running = serve().await;
    let chat = connect(running.address).await;
    assert_eq!(within(chat.post(RoomId(1), "hello".into())).await, Ok(MessageId(1)));
    assert_eq!(
        within(chat.post(RoomId(1), "muted".into())).await,
        Err(CallError::App(ChatError::Muted))
    );
    assert_eq!(within(chat.mark_read(RoomId(1), MessageId(1))).await, Ok(()));
    assert_eq!(within(chat.post(RoomId(1), "later hello".into())).await, Ok(MessageId(2)));
}

#[tokio::test]
async fn a_number_that_json_does_not_have_is_refused_where_it_is_encoded() {
    let running = serve().await;
    let chat = connect(running.address).await;
    match within(chat.scale(f64::NAN, 1.0)).await {
        Err(CallError::Unencodable(error)) => assert!(error.to_string().contains("`by` is NaN")),
        other => panic!("{other:?}"),
    }
    assert_eq!(within(chat.scale(2.0, 0.25)).await, Ok(0.5));
    assert_eq!(within(chat.scale(f64::MAX, 2.0)).await, Err(CallError::HandlerFailed));
    let rated = ChatEventRated { feed: 1, rate: f64::INFINITY };
    match within(running.server.publish(&rated)).await {
        Err(PublishError::Encode(error)) => assert!(error.to_string().contains("`rate` is inf")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_panic_harms_its_own_command_only() {
    let running = serve().await;
    let chat = connect(running.address).await;
    for how in ["panic", "panic late", "publish too much"] {
        assert_eq!(within(chat.break_(how.into())).await, Err(CallError::HandlerFailed), "{how}");
    }
    assert_eq!(within(chat.break_("not at all".into())).await, Ok(()));
    assert!(chat.state().borrow().is_connected());
}

#[tokio::test]
async fn a_command_survives_a_cut_and_runs_once() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    for round in 0..5 {
        let mut calls: Vec<_> =
            (0..20).map(|i| chat.post(RoomId(1), format!("{round}.{i}"))).collect();
        proxy.cut();
        for call in &mut calls {
            within(call).await.expect("a reply");
        }
    }
    let log = running.chat.log.lock().unwrap();
    assert_eq!(log.posts.len(), 100);
    let expected: Vec<String> =
        (0..5).flat_map(|round| (0..20).map(move |i| format!("{round}.{i}"))).collect();
    assert_eq!(log.posts, expected, "order is the order of calls");
    assert!(log.keys.values().all(|count| *count == 1));
    drop(log);
    assert!(proxy.accepted.load(std::sync::atomic::Ordering::SeqCst) > 1, "the cuts were seen");
}

#[tokio::test]
async fn after_its_timeout_a_call_can_be_followed_to_its_end() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    let mut call = chat.slow(21);
    let fates = call.fates();
    until(|| running.chat.log.lock().unwrap().slow.len() == 1).await;
    // The answer can't arrive in time.
    proxy.stall();
    running.chat.gate.add_permits(1);
    assert_eq!(within(&mut call).await, Err(CallError::Timeout));
    proxy.heal();
    assert_eq!(within(&mut call).await, Ok(42));
    assert_eq!(within(call.settled()).await, Ok(42));
    let fates: Vec<Fate> = within(fates.collect()).await;
    assert_eq!(fates.last(), Some(&Fate::Done));
}

#[tokio::test]
async fn a_handler_that_is_too_slow_is_told_apart_from_a_lost_answer() {
    let running = serve().await;
    let chat = connect(running.address).await;
    assert_eq!(within(chat.slow(1).settled()).await, Err(CallError::HandlerTimedOut));
}

#[tokio::test]
async fn dropping_a_call_does_not_withdraw_it_and_cancel_does_while_it_is_unsent() {
    let running = serve().await;
    let chat = client(running.address).connect_lazily().unwrap();
    // The task that dials has not run yet: nothing is sent.
    let withdrawn = chat.post(RoomId(1), "withdrawn".into());
    drop(chat.post(RoomId(1), "dropped".into()));
    assert_eq!(withdrawn.fate(), Fate::Queued);
    assert!(withdrawn.cancel());
    assert!(!withdrawn.cancel());
    assert_eq!(within(withdrawn).await, Err(CallError::Cancelled));
    let last = chat.post(RoomId(1), "last".into());
    within(last).await.unwrap();
    assert_eq!(running.chat.log.lock().unwrap().posts, ["dropped", "last"]);
}

#[tokio::test]
async fn calls_wait_for_room_in_their_order() {
    let running = serve().await;
    let chat = client(running.address)
        .configure(|config| config.outbox_commands = 2)
        .connect_lazily()
        .unwrap();
    let calls: Vec<_> = (0..50).map(|i| chat.post(RoomId(1), i.to_string())).collect();
    let cancelled = &calls[7];
    assert!(cancelled.cancel());
    for (i, call) in calls.into_iter().enumerate() {
        let result = within(call).await;
        assert_eq!(result.is_ok(), i != 7);
    }
    let expected: Vec<String> = (0..50).filter(|i| *i != 7).map(|i| i.to_string()).collect();
    assert_eq!(running.chat.log.lock().unwrap().posts, expected);
}

#[tokio::test]
async fn a_full_outbox_fails_calls_if_it_is_told_to_or_too_many_wait() {
    let running = serve().await;
    for (backlog_calls, fit) in [(0, 2), (3, 5)] {
        let builder = client(running.address).configure(|config| {
            config.outbox_commands = 2;
            config.backlog_calls = backlog_calls;
        });
        let chat = builder.connect_lazily().unwrap();
        let calls: Vec<_> = (0..10).map(|i| chat.post(RoomId(1), i.to_string())).collect();
        let mut full = 0;
        for call in calls {
            full += usize::from(within(call).await == Err(CallError::OutboxFull));
        }
        assert_eq!(full, 10 - fit);
    }
}

#[tokio::test]
async fn a_call_that_waits_too_long_for_room_was_never_executed() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    proxy.refuse();
    let chat = client(proxy.address)
        .configure(|config| config.outbox_commands = 1)
        .connect_lazily()
        .unwrap();
    let calls: Vec<_> = (0..3).map(|count| chat.slow(count)).collect();
    for call in calls {
        assert_eq!(within(call).await, Err(CallError::Refused { code: RefusalCode::Expired }));
    }
    assert!(running.chat.log.lock().unwrap().slow.is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_sent() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let result = within(chat.post(RoomId(1), "x".repeat(17 * 1024))).await;
    assert!(matches!(result, Err(CallError::TooLarge { limit: 16_384, .. })), "{result:?}");
    assert_eq!(within(chat.post(RoomId(1), "short".into())).await, Ok(MessageId(1)));
}
