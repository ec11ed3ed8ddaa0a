//! Connections that end at the worst moment.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use steadfast::client::{Call, ConnectionState, Fate, Item, Subscription};
use steadfast::server::Heartbeat;
use steadfast_e2e::{
    App, List, Stage, TallyClient, TallyError, TallyEvent, Watch, eventually, within,
};
use steadfast_proxy::{Plan, Side, Way};

const LIST: &str = "list";

fn add(client: &TallyClient, values: std::ops::RangeInclusive<u64>) -> Vec<Call<u64, TallyError>> {
    values.map(|value| client.add(LIST.into(), value)).collect()
}

/// Checks that each call is answered with the length that the list had after it: nothing was
/// executed twice or in another order.
async fn answered(calls: Vec<Call<u64, TallyError>>, first: u64) {
    let replies = within(join_all(calls)).await;
    let wanted: Vec<_> = (first..).take(replies.len()).map(Ok).collect();
    assert_eq!(replies, wanted);
}

fn executed_once(app: &App, values: std::ops::RangeInclusive<u64>) {
    assert_eq!(app.list(LIST), values.collect::<Vec<_>>());
}

/// Follows the list, and takes the first snapshot.
async fn follow(client: &TallyClient) -> Subscription<List> {
    let mut list = within(client.subscribe(List(LIST.into()))).await.unwrap();
    let first = within(list.next()).await.unwrap();
    assert!(matches!(first, Item::Snapshot { .. }), "{first:?}");
    list
}

/// Checks that the next events are these, without a gap or a repetition.
async fn sees(list: &mut Subscription<List>, values: std::ops::RangeInclusive<u64>) {
    for wanted in values {
        match within(list.next()).await.unwrap() {
            Item::Event(TallyEvent::Added { value, .. }) => assert_eq!(value, wanted),
            other => panic!("{other:?} instead of {wanted}"),
        }
    }
}

async fn resumed(client: &TallyClient, cut: impl FnOnce()) {
    let mut state = client.state();
    state.mark_unchanged();
    cut();
    within(state.changed()).await.unwrap();
    let up = within(state.wait_for(|state| matches!(state, ConnectionState::Connected { .. })))
        .await
        .unwrap()
        .clone();
    assert!(matches!(up, ConnectionState::Connected { resumed: true, .. }), "{up:?}");
}

#[tokio::test]
async fn commands_in_flight_at_the_cut_are_executed_once() {
    let stage = Stage::new().await;
    let client = stage.connect_with_lease().await;
    let mut list = follow(&client).await;
    stage.proxy.stall(Way::Up);
    let calls = add(&client, 1..=20);
    eventually(|| calls[19].fate() > Fate::Queued).await;
    stage.proxy.cut_all();
    stage.proxy.resume();
    answered(calls, 1).await;
    executed_once(&stage.app, 1..=20);
    sees(&mut list, 1..=20).await;
}

/// The first command asks for the lease; the question is lost with the socket, or the answer is.
#[tokio::test]
async fn a_lease_that_is_asked_for_at_the_cut_comes_after_it() {
    for way in [Way::Up, Way::Down] {
        let stage = Stage::new().await;
        let client = stage.connect().await;
        let mut list = follow(&client).await;
        let before = stage.proxy.counts().up;
        stage.proxy.stall(way);
        let calls = add(&client, 1..=20);
        eventually(|| way == Way::Up || stage.proxy.counts().up > before).await;
        stage.proxy.cut_all();
        stage.proxy.resume();
        answered(calls, 1).await;
        executed_once(&stage.app, 1..=20);
        sees(&mut list, 1..=20).await;
    }
}

#[tokio::test]
async fn results_in_flight_at_the_cut_come_after_it() {
    let stage = Stage::new().await;
    let client = stage.connect_with_lease().await;
    let mut list = follow(&client).await;
    stage.proxy.stall(Way::Down);
    let calls = add(&client, 1..=20);
    within(stage.app.has_added(20)).await;
    stage.proxy.cut_all();
    stage.proxy.resume();
    answered(calls, 1).await;
    executed_once(&stage.app, 1..=20);
    sees(&mut list, 1..=20).await;
}

#[tokio::test]
async fn acks_in_flight_at_the_cut_cost_nothing() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let mut list = follow(&client).await;
    // So few that no ack has been sent when the answers have arrived: it would leave after 250 ms,
    // into the stall.
    answered(add(&client, 1..=5), 1).await;
    stage.proxy.stall(Way::Up);
    sees(&mut list, 1..=5).await;
    resumed(&client, || {
        stage.proxy.cut_all();
        stage.proxy.resume();
    })
    .await;
    answered(add(&client, 6..=10), 6).await;
    executed_once(&stage.app, 1..=10);
    sees(&mut list, 6..=10).await;
}

#[tokio::test]
async fn a_cut_at_any_byte_of_the_resume_costs_a_dial() {
    let stage = Stage::new().await;
    let client = stage.connect_with_lease().await;
    let mut list = follow(&client).await;
    let mut value = 1;
    for way in [Way::Up, Way::Down] {
        for bytes in (0..600).step_by(60) {
            stage.proxy.stall_both();
            let calls = add(&client, value..=value + 2);
            stage.proxy.plan(Plan::CutAfter { way, bytes });
            stage.proxy.cut_all();
            stage.proxy.resume();
            answered(calls, value).await;
            sees(&mut list, value..=value + 2).await;
            value += 3;
        }
    }
    executed_once(&stage.app, 1..=value - 1);
}

#[tokio::test]
async fn two_cuts_in_a_row_are_no_worse_than_one() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let mut list = follow(&client).await;
    for round in 0..5 {
        let first = round * 10 + 1;
        let calls = add(&client, first..=first + 9);
        let before = stage.proxy.counts().accepted;
        stage.proxy.cut_all();
        within(stage.proxy.until(|counts| counts.accepted > before)).await;
        stage.proxy.cut_all();
        answered(calls, first).await;
        sees(&mut list, first..=first + 9).await;
    }
    executed_once(&stage.app, 1..=50);
}

#[tokio::test]
async fn a_cut_before_anything_was_sent_resumes() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    resumed(&client, || assert_eq!(stage.proxy.cut_all(), 1)).await;
    answered(add(&client, 1..=1), 1).await;
}

#[tokio::test]
async fn a_client_that_comes_back_replaces_its_old_socket_that_the_server_holds_open() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let mut list = follow(&client).await;
    let calls = add(&client, 1..=5);
    resumed(&client, || assert!(stage.proxy.half_open(Side::Client))).await;
    assert_eq!(stage.proxy.open(), 2, "the old link is still open");
    answered(calls, 1).await;
    answered(add(&client, 6..=10), 6).await;
    executed_once(&stage.app, 1..=10);
    sees(&mut list, 1..=10).await;
    assert_eq!(stage.server.load().connections, 1);
}

#[tokio::test]
async fn a_socket_that_only_the_server_knows_to_be_dead_is_given_up_by_heartbeat() {
    let stage = Stage::with(short_heartbeat).await;
    let client = stage.connect().await;
    let mut list = follow(&client).await;
    assert!(stage.proxy.half_open(Side::Server));
    let calls = add(&client, 1..=5);
    let lost = client.reaches(|state| matches!(state, ConnectionState::Reconnecting { .. })).await;
    let ConnectionState::Reconnecting { reason, .. } = lost else { unreachable!() };
    assert_eq!(reason.code.map(|code| code.0), Some(4003), "{reason}");
    answered(calls, 1).await;
    executed_once(&stage.app, 1..=5);
    sees(&mut list, 1..=5).await;
}

#[tokio::test]
async fn a_stall_is_given_up_by_heartbeat_on_both_sides() {
    let stage = Stage::with(short_heartbeat).await;
    let client = stage.connect_with_lease().await;
    let mut list = follow(&client).await;
    stage.proxy.stall_both();
    let calls = add(&client, 1..=5);
    client.reaches(|state| matches!(state, ConnectionState::Reconnecting { .. })).await;
    eventually(|| stage.server.load().connections == 0).await;
    stage.proxy.resume();
    answered(calls, 1).await;
    executed_once(&stage.app, 1..=5);
    sees(&mut list, 1..=5).await;
}

fn short_heartbeat(
    builder: steadfast::server::Builder<steadfast_e2e::TallyCommand>,
) -> steadfast_e2e::Decidedly {
    let heartbeat = Heartbeat::new(Duration::from_millis(100), Duration::from_millis(50), 2);
    builder.configure(|config| config.heartbeat = heartbeat).allow_anonymous()
}

#[tokio::test]
async fn a_lost_welcome_costs_a_dial_and_not_the_session() {
    let stage = Stage::new().await;
    let client = stage.connect_with_lease().await;
    let mut list = follow(&client).await;
    for round in 0..3 {
        let first = round * 5 + 1;
        stage.proxy.stall(Way::Down);
        let calls = add(&client, first..=first + 4);
        within(stage.app.has_added(first as usize + 4)).await;
        stage.proxy.lose_welcomes(1);
        let before = stage.proxy.counts().accepted;
        resumed(&client, || {
            stage.proxy.cut_all();
            stage.proxy.resume();
        })
        .await;
        assert!(stage.proxy.counts().accepted >= before + 2);
        answered(calls, first).await;
        sees(&mut list, first..=first + 4).await;
    }
    executed_once(&stage.app, 1..=15);
}

#[tokio::test]
async fn a_first_welcome_that_is_lost_costs_a_dial() {
    let stage = Stage::new().await;
    stage.proxy.lose_welcomes(2);
    let client = stage.connect().await;
    assert_eq!(stage.proxy.counts().accepted, 3);
    answered(add(&client, 1..=1), 1).await;
}

#[tokio::test]
async fn a_reset_is_a_cut() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let mut list = follow(&client).await;
    let calls = add(&client, 1..=20);
    resumed(&client, || assert_eq!(stage.proxy.reset_all(), 1)).await;
    answered(calls, 1).await;
    executed_once(&stage.app, 1..=20);
    sees(&mut list, 1..=20).await;
}

#[tokio::test]
async fn a_cut_inside_a_frame_loses_that_frame_for_a_moment_only() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let mut list = follow(&client).await;
    let mut value = 1;
    for way in [Way::Up, Way::Down] {
        for bytes in [0, 1, 7, 50, 333, 1000] {
            assert!(stage.proxy.cut_after(way, bytes));
            let calls = add(&client, value..=value + 29);
            answered(calls, value).await;
            sees(&mut list, value..=value + 29).await;
            value += 30;
            // A plan that was not used must not strike in the next round.
            client.is_up().await;
            stage.proxy.cut_all();
            client.is_up().await;
        }
    }
    executed_once(&stage.app, 1..=value - 1);
}
