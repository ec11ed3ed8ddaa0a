//! What a caller may do with a command under way, and what it is told.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use futures_util::future::join_all;
use steadfast::client::{CallError, ConnectionState, Fate};
use steadfast::wire::RefusalCode;
use steadfast_e2e::{Stage, TallyClient, TallyError, Watch, eventually, within};
use steadfast_proxy::Way;

const LIST: &str = "list";

/// Cuts the client off, so that new calls wait in its outbox.
async fn cut_off(stage: &Stage, client: &TallyClient) {
    stage.proxy.refuse(true);
    stage.proxy.cut_all();
    client.reaches(|state| matches!(state, ConnectionState::Reconnecting { .. })).await;
}

#[tokio::test]
async fn a_full_outbox_makes_callers_wait_in_their_order() {
    let stage = Stage::new().await;
    let client = within(stage.client().configure(|config| config.outbox_commands = 2).connect())
        .await
        .unwrap();
    cut_off(&stage, &client).await;
    let calls: Vec<_> = (1..=10).map(|value| client.add(LIST.into(), value)).collect();
    assert_eq!(client.status().queued, 10);
    assert!(!client.status().live);
    stage.proxy.refuse(false);
    let replies = within(join_all(calls)).await;
    assert_eq!(replies, (1..=10).map(Ok).collect::<Vec<_>>());
    assert_eq!(stage.app.list(LIST), (1..=10).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_full_outbox_fails_callers_who_do_not_want_to_wait() {
    let stage = Stage::new().await;
    let builder = stage.client().configure(|config| {
        config.outbox_commands = 2;
        config.backlog_calls = 0;
    });
    let client = within(builder.connect()).await.unwrap();
    cut_off(&stage, &client).await;
    let first = client.add(LIST.into(), 1);
    let second = client.add(LIST.into(), 2);
    let third = within(client.add(LIST.into(), 3)).await;
    assert_eq!(third, Err(CallError::OutboxFull));
    stage.proxy.refuse(false);
    assert_eq!((within(first).await, within(second).await), (Ok(1), Ok(2)));
    assert_eq!(stage.app.list(LIST), [1, 2]);
}

#[tokio::test]
async fn a_bound_on_those_who_wait_holds() {
    let stage = Stage::new().await;
    let builder = stage.client().configure(|config| {
        config.outbox_commands = 1;
        config.backlog_calls = 1;
    });
    let client = within(builder.connect()).await.unwrap();
    cut_off(&stage, &client).await;
    let _sent = client.add(LIST.into(), 1);
    let _waits = client.add(LIST.into(), 2);
    assert_eq!(within(client.add(LIST.into(), 3)).await, Err(CallError::OutboxFull));
}

#[tokio::test]
async fn a_dropped_call_is_executed_all_the_same() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    drop(client.add(LIST.into(), 1));
    assert_eq!(within(client.add(LIST.into(), 2)).await, Ok(2));
    cut_off(&stage, &client).await;
    drop(client.add(LIST.into(), 3));
    stage.proxy.refuse(false);
    assert_eq!(within(client.add(LIST.into(), 4)).await, Ok(4));
    assert_eq!(stage.app.list(LIST), [1, 2, 3, 4]);
}

#[tokio::test]
async fn an_unsent_call_can_be_withdrawn_and_a_sent_one_can_not() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    cut_off(&stage, &client).await;
    let withdrawn = client.add(LIST.into(), 1);
    let kept = client.add(LIST.into(), 2);
    assert_eq!(withdrawn.fate(), Fate::Queued);
    assert!(withdrawn.cancel());
    assert_eq!(within(withdrawn).await, Err(CallError::Cancelled));
    stage.proxy.refuse(false);
    assert_eq!(within(kept).await, Ok(1));
    let sent = client.pass("gate".into());
    within(stage.app.has_come("gate", 1)).await;
    assert!(!sent.cancel());
    stage.app.open("gate");
    assert_eq!(within(sent).await, Ok(()));
    assert_eq!(stage.app.list(LIST), [2]);
}

#[tokio::test]
async fn the_fate_of_a_call_can_be_followed() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    cut_off(&stage, &client).await;
    let mut call = client.pass("gate".into());
    assert_eq!(call.fate(), Fate::Queued);
    stage.proxy.stall(Way::Down);
    stage.proxy.refuse(false);
    // While the way down is stalled nothing arrives, not even WELCOME, so the call stays queued.
    stage.proxy.resume();
    eventually(|| call.fate() >= Fate::Written).await;
    within(stage.app.has_come("gate", 1)).await;
    eventually(|| call.fate() == Fate::Acked).await;
    stage.app.open("gate");
    assert_eq!(within(&mut call).await, Ok(()));
    assert_eq!(call.fate(), Fate::Done);
    let failed = client.fail();
    eventually(|| failed.fate() == Fate::Failed).await;
    assert_eq!(within(failed).await, Err(CallError::App(TallyError::Failed)));
}

#[tokio::test]
async fn a_late_outcome_can_be_had_after_the_timeout() {
    let stage = Stage::new().await;
    let client = stage.connect_with_lease().await;
    stage.app.open("gate");
    stage.proxy.stall(Way::Down);
    let mut call = client.pass_soon("gate".into());
    assert_eq!(within(&mut call).await, Err(CallError::Timeout));
    assert!(CallError::<TallyError>::Timeout.maybe_executed());
    stage.proxy.resume();
    assert_eq!(within(&mut call).await, Ok(()));
    assert_eq!(stage.app.came("gate"), 1);
}

#[tokio::test]
async fn a_handler_that_takes_too_long_is_stopped_and_its_caller_is_told() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let mut call = client.pass_soon("never".into());
    let outcome = match within(&mut call).await {
        Err(CallError::Timeout) => within(&mut call).await,
        outcome => outcome,
    };
    assert_eq!(outcome, Err(CallError::HandlerTimedOut));
    eventually(|| stage.server.load().executions == 0).await;
}

#[tokio::test]
async fn a_call_whose_time_ran_out_before_it_was_sent_is_never_executed() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    cut_off(&stage, &client).await;
    let mut call = client.pass_soon("gate".into());
    let outcome = match within(&mut call).await {
        Err(CallError::Timeout) => {
            stage.proxy.refuse(false);
            within(&mut call).await
        }
        outcome => outcome,
    };
    assert_eq!(outcome, Err(CallError::Refused { code: RefusalCode::Expired }));
    stage.proxy.refuse(false);
    assert_eq!(within(client.echo("after".into())).await, Ok("after".to_owned()));
    assert_eq!(stage.app.came("gate"), 0);
}

#[tokio::test]
async fn a_slow_command_holds_up_only_those_that_must_wait_for_it() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let slow = client.pass("gate".into());
    assert_eq!(within(client.echo("beside".into())).await, Ok("beside".to_owned()));
    assert_eq!(within(client.add(LIST.into(), 1)).await, Ok(1));
    stage.app.open("gate");
    assert_eq!(within(slow).await, Ok(()));
}

#[tokio::test]
async fn a_message_that_is_too_long_fails_at_the_caller() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let outcome = within(client.echo("x".repeat(2_000_000))).await;
    assert!(matches!(outcome, Err(CallError::TooLarge { .. })), "{outcome:?}");
    assert_eq!(within(client.echo("after".into())).await, Ok("after".to_owned()));
}

#[tokio::test]
async fn closing_the_client_tells_everybody_who_waits() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let sent = client.pass("gate".into());
    within(stage.app.has_come("gate", 1)).await;
    within(client.close()).await;
    assert_eq!(within(sent).await, Err(CallError::Closed { maybe_executed: true }));
    assert_eq!(
        within(client.echo("late".into())).await,
        Err(CallError::Closed { maybe_executed: false })
    );
}
