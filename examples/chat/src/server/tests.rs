//! The chat as its team tests it, with steadfast's test kit: no ports, no waiting, and the network
//! does what each test says.

use std::time::Duration;

use futures_util::StreamExt;
use steadfast::client::{ConnectionState, Item, SnapshotReason, Subscription};
use steadfast::test::{Cx, Host, Line, Net, Refusal, TopicCx};
use tokio::time::sleep;

use super::*;
use crate::protocol::{ChatClient, ChatEvent, Reading, Room};

fn lobby() -> RoomId {
    RoomId("lobby".into())
}

fn chat() -> Chat<MemoryStore> {
    Chat(Rooms::of(MemoryStore::default()))
}

/// A net with the chat's server on a store, and somebody's line to it.
fn net(seed: u64) -> (Net, Host<ChatCommand>, Line) {
    let (net, store) = (Net::new(seed), MemoryStore::default());
    let host = net.serve("chat", move || builder(store.clone()));
    let line = net.line("ada");
    (net, host, line)
}

async fn join(line: &Line, host: &Host<ChatCommand>, name: &'static str) -> ChatClient {
    let builder = ChatClient::builder(host.url()).token(move |_| async move { name });
    line.client(builder).connect().await.unwrap()
}

/// What a screen shows: the history that it began with, and what was posted since.
struct Screen {
    room: Subscription<Room>,
    texts: Vec<String>,
    gaps: u32,
}

impl Screen {
    async fn of(client: &ChatClient) -> Self {
        let room = client.subscribe(Room(lobby())).await.unwrap();
        Self { room, texts: Vec::new(), gaps: 0 }
    }

    async fn shows(&mut self, net: &Net, text: &str) {
        while self.texts.last().is_none_or(|last| last != text) {
            match net.within(text, self.room.next()).await.unwrap() {
                Item::Snapshot { state, reason } => {
                    self.gaps += u32::from(matches!(reason, SnapshotReason::Gap(_)));
                    self.texts = state.messages.into_iter().map(|said| said.text).collect();
                }
                Item::Event(ChatEvent::Posted { text, .. }) => self.texts.push(text),
                Item::Event(_) => {}
            }
        }
    }
}

#[tokio::test]
async fn a_post_is_published_under_its_author_and_a_second_run_makes_the_same_message() {
    let cx = Cx::of("ada").as_command(4);
    let id = chat().post(&cx, lobby(), "hello".into()).await.unwrap();
    let again = Cx::of("ada").as_command(4);
    assert_eq!(chat().post(&again, lobby(), "hello".into()).await, Ok(id.clone()));
    match &cx.published_in(&Room(lobby()))[..] {
        [ChatEvent::Posted { id: posted, from, text, .. }] => {
            assert_eq!((posted, from.0.as_str(), text.as_str()), (&id, "ada", "hello"));
        }
        other => panic!("{other:?}"),
    }
    let next = Cx::of("ada").as_command(5);
    assert_ne!(chat().post(&next, lobby(), "hello".into()).await, Ok(id));
}

#[tokio::test]
async fn nothing_is_published_of_what_is_refused() {
    let cx = Cx::of("ada");
    assert_eq!(chat().post(&cx, lobby(), "  ".into()).await, Err(ChatError::Empty));
    let nowhere = RoomId(String::new());
    assert_eq!(chat().post(&cx, nowhere, "hello".into()).await, Err(ChatError::BadRoomName));
    assert!(cx.published::<ChatEvent>().is_empty());
}

#[tokio::test]
async fn a_room_without_messages_has_an_empty_history() {
    let history = chat().room_snapshot(&TopicCx::at(0), &lobby()).await.unwrap();
    assert!(history.messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_does_not_double_a_message() {
    for seed in 0..10 {
        let (net, host, line) = net(seed);
        let ada = join(&line, &host, "ada").await;
        let mut screen = Screen::of(&ada).await;
        let lost = line.lose_answer();
        let id = net.within("the id", ada.post(lobby(), "hello".into())).await.unwrap();
        assert_eq!(lost.times(), 1);
        assert_eq!(ada.latest(lobby()).await, Ok(Some(id)));
        ada.post(lobby(), "bye".into()).await.unwrap();
        screen.shows(&net, "bye").await;
        assert_eq!(screen.texts, ["hello", "bye"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_the_server_loses_nothing() {
    let (net, host, line) = net(1);
    let ada = join(&line, &host, "ada").await;
    let mut screen = Screen::of(&ada).await;
    ada.post(lobby(), "before".into()).await.unwrap();
    host.crash();
    let meanwhile = ada.post(lobby(), "meanwhile".into());
    sleep(Duration::from_secs(5)).await;
    host.start();
    net.within("the post", meanwhile).await.unwrap();
    screen.shows(&net, "meanwhile").await;
    assert_eq!((screen.texts, screen.gaps), (vec!["before".into(), "meanwhile".into()], 0));
}

#[tokio::test(start_paused = true)]
async fn a_screen_is_told_of_a_gap_when_the_server_has_lost_its_memory() {
    let net = Net::new(1);
    let host = net.serve("chat", || builder(MemoryStore::default()));
    let ada = join(&net.line("ada"), &host, "ada").await;
    let mut screen = Screen::of(&ada).await;
    let mut reading = ada.subscribe(Reading(lobby())).await.unwrap();
    ada.post(lobby(), "before".into()).await.unwrap();
    screen.shows(&net, "before").await;
    host.restart();
    net.until_connected(ada.state()).await;
    ada.post(lobby(), "after".into()).await.unwrap();
    screen.shows(&net, "after").await;
    assert_eq!((screen.texts, screen.gaps), (vec!["after".to_owned()], 1));
    // A topic without a snapshot says it itself.
    let told = net.within("the gap", reading.next()).await;
    assert!(matches!(told, Some(Item::Gap(_))), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn who_is_away_for_longer_than_a_session_misses_nothing() {
    let (net, host, line) = net(1);
    let ada = join(&line, &host, "ada").await;
    let bo = join(&net.line("bo"), &host, "bo").await;
    let mut screen = Screen::of(&ada).await;
    line.refuse(Refusal::RetryAfter(Duration::from_secs(300)));
    line.cut();
    net.until_disconnected(ada.state()).await;
    bo.post(lobby(), "are you there?".into()).await.unwrap();
    // The session is over after 5 minutes.
    net.until("bo is alone", || host.server().load().sessions == 1).await;
    line.heal();
    ada.reconnect_now();
    net.until_connected(ada.state()).await;
    let state = ada.state().borrow().clone();
    assert!(matches!(state, ConnectionState::Connected { resumed: false, .. }), "{state:?}");
    screen.shows(&net, "are you there?").await;
    assert_eq!(screen.gaps, 0);
}

#[tokio::test(start_paused = true)]
async fn a_post_waits_for_a_store_that_fails() {
    let (net, host, line) = net(1);
    let ada = join(&line, &host, "ada").await;
    let mut screen = Screen::of(&ada).await;
    ada.post(lobby(), "before".into()).await.unwrap();
    let fails = host.store().fail();
    let post = ada.post(lobby(), "during".into());
    fails.happened().await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(host.recorded(), 1, "nobody has been told that it is posted");
    host.store().heal();
    net.within("the post", post).await.unwrap();
    screen.shows(&net, "during").await;
    assert_eq!(screen.texts, ["before", "during"]);
}

#[tokio::test(start_paused = true)]
async fn people_of_both_codecs_see_the_same() {
    let (net, host, line) = net(1);
    let ada = join(&line, &host, "ada").await;
    let bo = ChatClient::builder(host.url()).codec(Codec::Binary).token(|_| async { "bo" });
    let bo = net.line("bo").client(bo).connect().await.unwrap();
    let (mut hers, mut his) = (Screen::of(&ada).await, Screen::of(&bo).await);
    ada.post(lobby(), "hello".into()).await.unwrap();
    bo.post(lobby(), "hi".into()).await.unwrap();
    hers.shows(&net, "hi").await;
    his.shows(&net, "hi").await;
    assert_eq!(
        (hers.texts, his.texts),
        (vec!["hello".into(), "hi".into()], vec!["hello".into(), "hi".into()])
    );
}
