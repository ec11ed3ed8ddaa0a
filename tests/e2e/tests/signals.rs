//! A server process that a signal tells to stop.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

use futures_util::StreamExt;
use steadfast::client::{CallError, ConnectionState, Fate};
use steadfast::session::CloseCode;
use steadfast_e2e::{TallyClient, Watch, quick, within};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

fn start(port: u16) -> Child {
    let server = env!("CARGO_BIN_EXE_tally_server");
    Command::new(server).arg(port.to_string()).kill_on_drop(true).spawn().unwrap()
}

/// A server process with a client. If somebody else takes the port between its choice and its use,
/// another one is tried.
async fn started() -> (Child, u16, TallyClient) {
    for _ in 0..5 {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let mut server = start(port);
        let client = quick(TallyClient::builder(format!("ws://127.0.0.1:{port}/"))).connect();
        tokio::select! {
            biased;
            _ = within(server.wait()) => {}
            client = within(client) => return (server, port, client.unwrap()),
        }
    }
    panic!("no port can be had")
}

/// Signals one process by its id, with the shell's own `kill`.
async fn tell(server: &Child, signal: &str) {
    let order = format!("kill -{signal} {}", server.id().unwrap());
    assert!(within(Command::new("sh").args(["-c", &order]).status()).await.unwrap().success());
}

fn was_told_to_leave(state: &ConnectionState) -> bool {
    match state {
        ConnectionState::Reconnecting { reason, .. } => reason.code == Some(CloseCode::DRAINING),
        _ => false,
    }
}

/// PROTOCOL.md 8.2: nothing is owed to it, so neither its silence nor a deadline is waited for.
#[tokio::test]
async fn a_process_that_is_told_to_stop_closes_an_idle_client_in_order() {
    for signal in ["TERM", "INT"] {
        let (mut server, _, client) = started().await;
        let told = client.reaches(was_told_to_leave);
        let (_, ()) = tokio::join!(told, tell(&server, signal));
        assert_eq!(within(server.wait()).await.unwrap().code(), Some(0), "{signal}");
    }
}

/// PROTOCOL.md 8.2: what runs is finished and answered, the socket is closed with 4010, and the
/// client comes back.
#[tokio::test]
async fn a_process_that_is_told_to_stop_drains_and_exits_in_order() {
    for signal in ["TERM", "INT"] {
        let (mut server, port, client) = started().await;
        let running = client.pass_soon("never".into());
        let mut fates = running.fates();
        while within(fates.next()).await.is_some_and(|fate| fate != Fate::Acked) {}
        let drained = client.reaches(was_told_to_leave);
        let (state, ()) = tokio::join!(drained, tell(&server, signal));
        assert!(matches!(state, ConnectionState::Reconnecting { .. }));
        assert_eq!(
            within(running).await,
            Err(CallError::HandlerTimedOut),
            "{signal}: it ran to its end, and was answered"
        );
        assert_eq!(within(server.wait()).await.unwrap().code(), Some(0), "{signal}");
        let mut next = start(port);
        client.is_up().await;
        assert_eq!(within(client.echo("hello".into())).await, Ok("hello".to_owned()), "{signal}");
        tell(&next, signal).await;
        assert_eq!(within(next.wait()).await.unwrap().code(), Some(0), "{signal}");
    }
}
