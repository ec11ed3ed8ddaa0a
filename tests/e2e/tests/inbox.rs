//! Messages to one user or client, over sockets that are cut and servers that go.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use futures_util::StreamExt;
use steadfast::client::{ConnectionState, Inbox, InboxItem, Missed};
use steadfast::server::{Credentials, Denied, Principal, Recipient, Sent};
use steadfast_e2e::{Stage, TallyClient, TallyEvent, TallyEventWhispered, Watch, within};
use steadfast_proxy::Way;

/// The token is the name.
async fn by_name(shown: Credentials) -> Result<Principal, Denied> {
    shown.token.map(Principal::new).ok_or_else(|| Denied::new("who is it?"))
}

async fn stage() -> Stage {
    Stage::with(|builder| builder.authenticate(by_name)).await
}

async fn connect(stage: &Stage, name: &'static str) -> TallyClient {
    within(stage.client().token(move |_| async move { name }).connect()).await.unwrap()
}

fn whispered(text: &str) -> TallyEventWhispered {
    TallyEventWhispered { text: text.to_owned() }
}

async fn hears(inbox: &mut Inbox<TallyEvent>, texts: &[&str]) {
    for text in texts {
        let next = within(inbox.next()).await.unwrap();
        let wanted = TallyEvent::Whispered { text: (*text).to_owned() };
        assert_eq!(next, InboxItem::Message(wanted));
    }
}

#[tokio::test]
async fn a_user_hears_on_every_device_what_a_command_says_and_nothing_of_one_that_fails() {
    let stage = stage().await;
    let (phone, desk) = (connect(&stage, "ann").await, connect(&stage, "ann").await);
    let bob = connect(&stage, "bob").await;
    let (mut at_phone, mut at_desk, mut at_bob) = (phone.inbox(), desk.inbox(), bob.inbox());
    within(bob.whisper("ann".into(), "1".into())).await.unwrap();
    within(bob.whisper("ann".into(), String::new())).await.unwrap_err();
    within(phone.whisper("ann".into(), "2".into())).await.unwrap();
    within(phone.whisper("bob".into(), "3".into())).await.unwrap();
    hears(&mut at_phone, &["1", "2"]).await;
    hears(&mut at_desk, &["1", "2"]).await;
    hears(&mut at_bob, &["3"]).await;
}

#[tokio::test]
async fn a_cut_loses_nothing_and_repeats_nothing() {
    let stage = stage().await;
    let ann = connect(&stage, "ann").await;
    let mut inbox = ann.inbox();
    let everybody = Recipient::principal("ann");
    let send = |text: &str| stage.server.send_to(&everybody, &whispered(text)).unwrap();
    assert_eq!(send("1"), Sent { sessions: 1, ..Sent::default() });
    hears(&mut inbox, &["1"]).await;
    for round in 0..5 {
        stage.proxy.stall(Way::Down);
        send("on its way");
        let mut state = ann.state();
        state.mark_unchanged();
        stage.proxy.cut_all();
        stage.proxy.resume();
        let sent = send("while nobody is there");
        assert_eq!(sent.sessions, 1, "round {round}: the session is there");
        within(state.changed()).await.unwrap();
        let up = ann.is_up().await;
        assert!(matches!(up, ConnectionState::Connected { resumed: true, .. }), "{up:?}");
        send("afterwards");
        hears(&mut inbox, &["on its way", "while nobody is there", "afterwards"]).await;
    }
}

#[tokio::test]
async fn whoever_asked_is_reminded_on_a_later_socket() {
    let stage = stage().await;
    let ann = connect(&stage, "ann").await;
    let other = connect(&stage, "ann").await;
    let (mut inbox, mut of_other) = (ann.inbox(), other.inbox());
    let reminder = ann.remind("noon".into(), "lunch".into());
    within(stage.app.has_come("noon", 1)).await;
    let mut state = ann.state();
    state.mark_unchanged();
    stage.proxy.cut_all();
    stage.proxy.resume();
    within(state.changed()).await.unwrap();
    ann.is_up().await;
    stage.app.open("noon");
    within(reminder).await.unwrap();
    hears(&mut inbox, &["lunch"]).await;
    within(other.whisper("ann".into(), "not for one alone".into())).await.unwrap();
    hears(&mut of_other, &["not for one alone"]).await;
}

#[tokio::test]
async fn another_server_has_another_session_and_the_inbox_says_so() {
    let mut stage = stage().await;
    let ann = connect(&stage, "ann").await;
    let mut inbox = ann.inbox();
    let everybody = Recipient::principal("ann");
    stage.server.send_to(&everybody, &whispered("1")).unwrap();
    hears(&mut inbox, &["1"]).await;
    stage.proxy.stall(Way::Down);
    stage.server.send_to(&everybody, &whispered("lost")).unwrap();
    stage.replace_server(|builder| builder.authenticate(by_name)).await;
    stage.proxy.cut_all();
    stage.proxy.resume();
    assert_eq!(within(inbox.next()).await.unwrap(), InboxItem::Missed(Missed::SessionLost));
    ann.is_up().await;
    stage.server.send_to(&everybody, &whispered("2")).unwrap();
    hears(&mut inbox, &["2"]).await;
    within(ann.close()).await;
    assert_eq!(within(inbox.next()).await, None);
}
