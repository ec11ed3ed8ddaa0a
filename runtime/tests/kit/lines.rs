//! What can go wrong on a line.

use std::time::Duration;

use futures_util::StreamExt;
use steadfast::Codec;
use steadfast::client::{CallError, ConnectionState, Fate, Item, SnapshotReason};
use steadfast::test::{Refusal, Way};
use tokio::time::{Instant, sleep};

use super::board::*;

fn resumed(client: &BoardClient) -> bool {
    matches!(*client.state().borrow(), ConnectionState::Connected { resumed: true, .. })
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_connection_after_a_cut_waits_for_the_next_one() {
    let world = World::new(12);
    let ada = world.connect().await;
    for sockets in 2..5 {
        world.line.cut();
        world.net.until_connected(ada.state()).await;
        assert_eq!(count(&world.net.trace(), "opens"), sockets);
    }
}

fn count(trace: &[String], what: &str) -> usize {
    trace.iter().filter(|line| line.contains(what)).count()
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_told_again_and_nothing_runs_twice() {
    for codec in Codec::ALL {
        let world = World::new(1);
        let ada = world.connect_in(codec).await;
        let lost = world.line.lose_answer();
        let call = ada.pin(7, "tea".into());
        lost.happened().await;
        assert_eq!((world.deeds.pins(), world.host.recorded()), (1, 1), "it was executed");
        assert!(call.fate() < Fate::Done, "and its caller can't know");
        assert_eq!(world.net.within("the answer", call).await, Ok(1));
        assert_eq!((world.deeds.pins(), world.host.recorded(), lost.times()), (1, 1, 1));
        let trace = world.net.trace();
        assert_eq!(count(&trace, "ada <- boards: RESULT n=1, lost"), 1, "{trace:#?}");
        assert!(resumed(&ada));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_command_never_reaches_its_server_and_is_sent_again() {
    let world = World::new(2);
    let ada = world.connect().await;
    let lost = world.line.lose_command();
    let call = ada.pin(7, "tea".into());
    lost.happened().await;
    assert_eq!((world.deeds.pins(), world.host.recorded()), (0, 0));
    assert_eq!(world.net.within("the answer", call).await, Ok(1));
    assert_eq!(count(&world.net.trace(), "COMMAND pin n=1"), 2);
    assert_eq!(world.deeds.pins(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cut_closes_the_socket_at_both_ends_and_the_session_goes_on() {
    let world = World::new(3);
    let ada = world.connect().await;
    assert_eq!((world.line.sockets(), world.host.server().connections()), (1, 1));
    assert_eq!(world.line.cut(), 1);
    world.net.until_disconnected(ada.state()).await;
    world.net.until("the server notices", || world.host.server().connections() == 0).await;
    world.net.until_connected(ada.state()).await;
    assert!(resumed(&ada));
    assert_eq!((world.line.cut(), world.line.sockets()), (1, 1), "cut, and about to close");
}

#[tokio::test(start_paused = true)]
async fn exactly_so_many_messages_pass_before_a_planned_cut() {
    for (way, messages, arrow) in
        [(Way::ToClient, 0, "<-"), (Way::ToClient, 3, "<-"), (Way::ToServer, 1, "->")]
    {
        let world = World::new(4);
        let ada = world.connect().await;
        let mut notes = ada.subscribe(Board(7)).await.unwrap();
        notes.next().await.unwrap();
        let before = world.net.trace().len();
        let cut = world.line.cut_after(way, messages);
        let calls: Vec<_> = (0..8).map(|n| ada.pin(7, format!("{n}"))).collect();
        cut.happened().await;
        let trace = world.net.trace();
        let passed = trace[before..].iter().take_while(|line| !line.contains("fault: "));
        let way = format!("ada {arrow} boards");
        let passed = passed.filter(|line| line.contains(&way)).count() as u64;
        assert_eq!(passed, messages.saturating_sub(1), "before the last: {trace:#?}");
        for (n, call) in (1..).zip(calls) {
            assert_eq!(world.net.within("an answer", call).await, Ok(n));
        }
        for n in 0..8 {
            match world.net.within("an event", notes.next()).await {
                Some(Item::Event(BoardEvent::Pinned { text, .. })) => {
                    assert_eq!(text, format!("{n}"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn on_a_line_that_stalls_nothing_passes_until_it_heals() {
    let world = World::new(5);
    let ada = world.connect().await;
    world.line.stall(Way::ToServer);
    let call = ada.pin(7, "tea".into());
    sleep(Duration::from_secs(9)).await;
    assert_eq!((world.deeds.pins(), world.line.sockets()), (0, 1));
    world.line.heal();
    assert_eq!(world.net.within("the answer", call).await, Ok(1));
    world.line.stall(Way::ToClient);
    let call = ada.pin(7, "milk".into());
    world.host.until_recorded(2).await;
    sleep(Duration::from_secs(5)).await;
    assert!(call.fate() < Fate::Done);
    world.line.heal();
    assert_eq!(world.net.within("the answer", call).await, Ok(2));
    assert_eq!(count(&world.net.trace(), "socket"), 1, "it was the same socket all the time");
}

#[tokio::test(start_paused = true)]
async fn heartbeats_give_a_line_up_that_stalls_for_long_and_nobody_gets_through_before_it_heals() {
    let world = World::new(6);
    let ada = world.connect().await;
    world.line.stall(Way::Both);
    world.net.until_disconnected(ada.state()).await;
    sleep(Duration::from_secs(120)).await;
    assert!(!ada.state().borrow().is_connected());
    assert_eq!(world.host.server().connections(), 0, "the server has given up, too");
    world.line.heal();
    world.net.until_connected(ada.state()).await;
    assert!(resumed(&ada));
    assert_eq!(world.line.sockets(), 1, "the old one ended when its last bytes got through");
}

#[tokio::test(start_paused = true)]
async fn a_session_expires_and_the_screen_is_told_of_the_gap() {
    let world = World::new(7);
    let ada = world.connect().await;
    let mut notes = ada.subscribe(Board(7)).await.unwrap();
    assert!(matches!(notes.next().await, Some(Item::Snapshot { .. })));
    world.line.refuse(Refusal::RetryAfter(Duration::from_secs(300)));
    world.line.cut();
    for n in 1..=600 {
        let (board, by, text) = (7, "bo".to_owned(), format!("{n}"));
        world.host.server().publish(&BoardEventPinned { board, by, text }).await.unwrap();
    }
    sleep(Duration::from_secs(301)).await;
    assert_eq!(world.host.server().load().sessions, 0);
    world.line.heal();
    ada.reconnect_now();
    world.net.until_connected(ada.state()).await;
    assert!(!resumed(&ada));
    match world.net.within("the state after the gap", notes.next()).await {
        Some(Item::Snapshot { state, reason: SnapshotReason::Gap(_) }) => {
            assert_eq!(state.upto, 600)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn everything_takes_as_long_as_the_line_says_each_way_and_stays_in_order() {
    let world = World::new(8);
    let ada = world.connect().await;
    ada.pin(7, "warm".into()).await.unwrap();
    world.line.latency(Duration::from_millis(100));
    let began = Instant::now();
    let calls: Vec<_> = (2..10).map(|n| (n, ada.pin(7, "tea".into()))).collect();
    for (n, call) in calls {
        assert_eq!(call.await, Ok(n));
    }
    assert_eq!(began.elapsed().as_millis() / 10, 20, "one way and back, however many there are");
}

#[tokio::test(start_paused = true)]
async fn dials_are_refused_as_the_line_says() {
    let world = World::new(9);
    let ada = world.connect().await;
    let unreachable = world.line.refuse(Refusal::Unreachable);
    world.line.cut();
    unreachable.happened().await;
    let later = world.line.refuse(Refusal::RetryAfter(Duration::from_millis(89_500)));
    later.happened().await;
    let waits = world.net.within("the wait", async {
        ada.state().wait_for(|state| next_dial(state).is_some()).await.unwrap();
        next_dial(&ada.state().borrow()).unwrap().saturating_duration_since(Instant::now())
    });
    let waits = waits.await;
    assert!((90..=91).contains(&waits.as_secs()), "{waits:?}");
    world.line.heal();
    world.net.until_connected(ada.state()).await;
    assert!(resumed(&ada));
}

fn next_dial(state: &ConnectionState) -> Option<Instant> {
    match state {
        ConnectionState::Reconnecting { next_dial, .. } => *next_dial,
        _ => None,
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_with_401_too_often_fails() {
    let world = World::new(10);
    let refused = world.line.refuse(Refusal::Status(401));
    let builder = world.line.client(BoardClient::builder(world.host.url()));
    assert!(world.net.within("the end", builder.connect()).await.is_err());
    assert_eq!(refused.times(), 3, "ClientConfig::credential_refusals");
    let builder = BoardClient::builder(world.host.url()).token(|_| async { "nobody" });
    world.line.heal();
    let builder = world.line.client(builder);
    assert!(world.net.within("the end", builder.connect()).await.is_err(), "the hook says no");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_given_up_while_the_line_is_down_never_runs() {
    let world = World::new(11);
    let ada = world.connect().await;
    world.line.refuse(Refusal::Unreachable);
    world.line.cut();
    world.net.until_disconnected(ada.state()).await;
    let call = ada.pin(7, "tea".into());
    assert!(call.cancel());
    assert_eq!(world.net.within("its end", call).await, Err(CallError::Cancelled));
    world.line.heal();
    world.net.until_connected(ada.state()).await;
    assert_eq!(ada.pin(7, "milk".into()).await, Ok(1));
    assert_eq!(world.deeds.pins(), 1);
}
