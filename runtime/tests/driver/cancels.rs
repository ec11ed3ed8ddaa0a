//! Calls that are cancelled, or given a timeout of their own (PROTOCOL.md 5.27), over real sockets.

use std::time::Duration;

use futures_util::StreamExt;
use steadfast::client::{CallError, ConnectionState, Fate, Item};
use steadfast::wire::RefusalCode;

use super::chat::*;
use super::proxy::Proxy;

/// Waits until the server's core has a call.
async fn accepted(call: &steadfast::client::Call<(), ChatError>) {
    let mut fates = call.fates();
    while let Some(fate) = within(fates.next()).await {
        if fate == Fate::Acked {
            return;
        }
    }
    panic!("{call:?} has ended");
}

#[tokio::test]
async fn a_call_that_waits_at_the_server_is_cancelled_and_one_that_runs_hears_of_it() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let runs = chat.break_("wait".into());
    let waits = chat.post(RoomId(1), "unwanted".into());
    let wanted = chat.post(RoomId(1), "wanted".into());
    accepted(&runs).await;
    assert!(!waits.cancel());
    assert_eq!(within(waits).await, Err(CallError::Cancelled));
    assert_ne!(runs.fate(), Fate::Failed);
    assert!(!runs.cancel());
    assert_eq!(within(runs).await, Err(CallError::App(ChatError::Muted)), "as its handler said");
    within(wanted).await.unwrap();
    assert_eq!(running.chat.log.lock().unwrap().posts, ["wanted"]);
}

#[tokio::test]
async fn a_call_that_is_cancelled_while_the_line_is_cut_hears_of_it_when_it_is_back() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    let runs = chat.break_("wait".into());
    let waits = chat.post(RoomId(1), "unwanted".into());
    accepted(&runs).await;
    proxy.refuse();
    proxy.cut();
    let mut state = chat.state();
    within(state.wait_for(|state| !state.is_connected())).await.unwrap();
    assert!(!waits.cancel());
    assert!(!runs.cancel());
    proxy.heal();
    assert_eq!(within(waits).await, Err(CallError::Cancelled));
    assert_eq!(within(runs).await, Err(CallError::App(ChatError::Muted)));
    assert!(running.chat.log.lock().unwrap().posts.is_empty());
}

/// The handler blocks the connection's task, so CANCEL comes by the next socket, when there is nobody
/// yet whom the driver could tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_handler_that_was_cancelled_before_its_first_wait_hears_of_it_there() {
    let running = serve().await;
    let proxy = Proxy::to(running.address).await;
    let chat = connect(proxy.address).await;
    let mut room = within(chat.subscribe(Room(RoomId(1)))).await.unwrap();
    let call = chat.break_("block and wait".into());
    let blocked = async {
        while running.chat.stuck.holders() == 0 {
            tokio::task::yield_now().await;
        }
    };
    within(blocked).await;
    assert!(!call.cancel());
    proxy.cut();
    let mut state = chat.state();
    let resumed =
        |state: &ConnectionState| matches!(state, ConnectionState::Connected { resumed: true, .. });
    within(state.wait_for(resumed)).await.unwrap();
    // What comes behind it has come, so it has come.
    assert!(chat.typing(RoomId(1)));
    loop {
        if let Item::Event(ChatEvent::Typing { .. }) = within(room.next()).await.unwrap() {
            break;
        }
    }
    running.chat.stuck.open();
    assert_eq!(within(call).await, Err(CallError::App(ChatError::Muted)));
}

#[tokio::test]
async fn a_call_waits_as_long_as_it_is_told_to() {
    let running = serve().await;
    let chat = connect(running.address).await;
    let mut call = chat.break_("wait".into()).timeout(Duration::from_millis(50));
    assert_eq!(within(&mut call).await, Err(CallError::Timeout));
    // Longer than the message declares: only the handler's end ends it.
    let call = call.timeout(Duration::from_secs(3_600));
    assert!(!call.cancel());
    assert_eq!(within(call).await, Err(CallError::App(ChatError::Muted)));
}

#[tokio::test]
async fn a_call_that_can_not_be_sent_in_its_time_is_certainly_not_executed() {
    let chat = client(([127, 0, 0, 1], 1).into()).connect_lazily().unwrap();
    let call = chat.post(RoomId(1), "late".into()).timeout(Duration::from_millis(50));
    let expired = CallError::Refused { code: RefusalCode::Expired };
    assert_eq!(within(call).await, Err(expired));
}
