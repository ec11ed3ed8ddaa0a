//! Topics that are followed by the methods of a view, and hooks about sessions, through cuts and
//! servers that forget.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests make tasks and wait")]

use steadfast::client::{
    ConnectionState, Gap, Position, SnapshotReason, SubscribeError, SubscriptionEnd,
};
use steadfast::server::ResumeFailure;
use steadfast::wire::{ResetReason, UnsubscribeCode};
use steadfast_e2e::{
    List, ListName, ListView, Stage, Tail, TailView, TallyClient, TallyEventNumbers, Watch,
    eventually, within,
};
use tokio::sync::mpsc;

const LIST: &str = "list";

/// What a view was told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Value(u64),
    Nudged,
    Reset(Vec<u64>, Option<ResetReason>),
    Gap(ResetReason),
    Resumed(u64, u64),
}

use Told::{Nudged, Reset, Resumed, Value};

struct Notes(mpsc::UnboundedSender<Told>);

impl Notes {
    fn new() -> (Self, mpsc::UnboundedReceiver<Told>) {
        let (tell, told) = mpsc::unbounded_channel();
        (Self(tell), told)
    }

    fn tell(&self, told: Told) {
        self.0.send(told).unwrap();
    }
}

impl ListView for Notes {
    async fn added(&mut self, _list: ListName, value: u64) {
        // It is with one for a while, so that others wait.
        tokio::task::yield_now().await;
        self.tell(Value(value));
    }

    async fn nudged(&mut self, _list: ListName) {
        self.tell(Nudged);
    }

    async fn list_reset(&mut self, state: TallyEventNumbers, reason: SnapshotReason) {
        let gap = match reason {
            SnapshotReason::Initial => None,
            SnapshotReason::Gap(gap) => Some(gap.reason),
        };
        self.tell(Reset(state.values, gap));
    }

    async fn list_resumed(&mut self, from: Position, count: u64) {
        self.tell(Resumed(from.ts.0, count));
    }
}

impl TailView for Notes {
    async fn appended(&mut self, _list: ListName, value: u64) {
        self.tell(Value(value));
    }

    async fn tail_reset(&mut self, gap: Gap) {
        self.tell(Told::Gap(gap.reason));
    }
}

async fn next(told: &mut mpsc::UnboundedReceiver<Told>) -> Told {
    within(told.recv()).await.unwrap()
}

/// Cuts the client off, until the proxy lets it in again.
async fn cut_off(stage: &Stage, client: &TallyClient) {
    stage.proxy.refuse(true);
    stage.proxy.cut_all();
    client.reaches(|state| matches!(state, ConnectionState::Reconnecting { .. })).await;
}

#[tokio::test]
async fn a_view_hears_that_its_topic_was_resumed_and_how_much_comes_now() {
    let stage = Stage::new().await;
    let (client, other) = (stage.connect().await, stage.connect_directly().await);
    let (view, mut told) = Notes::new();
    let handling = tokio::spawn(client.handle(List(LIST.into()), view));
    assert_eq!(next(&mut told).await, Reset(Vec::new(), None));
    within(other.add(LIST.into(), 1)).await.unwrap();
    assert_eq!(next(&mut told).await, Value(1));
    cut_off(&stage, &client).await;
    for value in 2..=4 {
        within(other.add(LIST.into(), value)).await.unwrap();
    }
    stage.proxy.refuse(false);
    assert_eq!(next(&mut told).await, Resumed(1, 3));
    for value in 2..=4 {
        assert_eq!(next(&mut told).await, Value(value));
    }
    assert!(other.nudge(LIST.into()));
    assert_eq!(next(&mut told).await, Nudged);
    cut_off(&stage, &client).await;
    stage.proxy.refuse(false);
    assert_eq!(next(&mut told).await, Resumed(4, 0), "nothing was missed, and that is told, too");
    eventually(|| stage.app.back() == [Ok(()), Ok(())]).await;
    within(client.close()).await;
    let (_, end) = within(handling).await.unwrap().unwrap();
    assert_eq!(end, SubscriptionEnd::Closed);
}

#[tokio::test]
async fn a_view_is_reset_by_a_server_that_has_lost_the_log() {
    let mut stage = Stage::new().await;
    let client = stage.connect().await;
    let ((list, mut of_list), (tail, mut of_tail)) = (Notes::new(), Notes::new());
    tokio::spawn(client.handle(List(LIST.into()), list));
    tokio::spawn(client.handle(Tail(LIST.into()), tail));
    assert_eq!(next(&mut of_list).await, Reset(Vec::new(), None));
    within(client.add(LIST.into(), 1)).await.unwrap();
    assert_eq!(next(&mut of_list).await, Value(1));
    assert_eq!(next(&mut of_tail).await, Value(1));
    cut_off(&stage, &client).await;
    stage.replace_server(|builder| builder.allow_anonymous()).await;
    stage.proxy.refuse(false);
    assert_eq!(next(&mut of_list).await, Reset(vec![1], Some(ResetReason::Epoch)));
    assert_eq!(next(&mut of_tail).await, Told::Gap(ResetReason::Epoch));
    eventually(|| stage.app.back() == [Err(ResumeFailure::Unknown)]).await;
    within(client.add(LIST.into(), 2)).await.unwrap();
    assert_eq!(next(&mut of_list).await, Value(2));
    assert_eq!(next(&mut of_tail).await, Value(2));
}

#[tokio::test]
async fn a_view_that_goes_on_from_a_stored_position_hears_how_much_it_has_missed() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    for value in 1..=5 {
        within(client.add(LIST.into(), value)).await.unwrap();
    }
    let mut list = within(client.subscribe(List(LIST.into()))).await.unwrap();
    within(futures_util::StreamExt::next(&mut list)).await.unwrap();
    let here = list.position().unwrap();
    drop(list);
    within(client.add(LIST.into(), 6)).await.unwrap();
    let (view, mut told) = Notes::new();
    tokio::spawn(client.handle(List(LIST.into()), view).from(here));
    assert_eq!(next(&mut told).await, Resumed(5, 1));
    assert_eq!(next(&mut told).await, Value(6));
}

#[tokio::test]
async fn a_view_of_a_topic_that_is_refused_hears_of_nothing() {
    let stage = Stage::new().await;
    let client = stage.connect().await;
    let (view, mut told) = Notes::new();
    let refused = within(client.handle(List("forbidden".into()), view)).await.map(|_| ());
    assert_eq!(refused, Err(SubscribeError::Refused { code: UnsubscribeCode::Forbidden }));
    assert_eq!(within(told.recv()).await, None);
}
