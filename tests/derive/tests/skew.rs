//! Clients and servers of different builds: what each of them learns of the other, over sockets.
#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "a test makes tasks")]
#![allow(missing_docs, unreachable_pub)]

use std::sync::{Arc, Mutex};

use steadfast::WsProtocol;
use steadfast::client::{CallError, Status, Verdict};
use steadfast::protocol::{ClientEnum, contract};
use steadfast::server::{Build, Credentials, Cx, Denied, Principal, Server};

/// The build that was released first.
mod first {
    use super::*;

    #[derive(Debug, Clone, WsProtocol)]
    #[serde(rename_all = "snake_case")]
    #[ws(client, protocol = "chat", version = "1.0", server = Event)]
    pub enum Command {
        #[ws(request(reply = u32))]
        Post { text: String },
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(server, protocol = "chat")]
    pub enum Event {
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }
}

/// A build that has more.
mod more {
    use super::*;

    #[derive(Debug, Clone, WsProtocol)]
    #[serde(rename_all = "snake_case")]
    #[ws(client, protocol = "chat", version = "1.1", server = Event)]
    pub enum Command {
        #[ws(request(reply = u32))]
        Post { text: String, reply_to: Option<u32> },
        #[ws(command)]
        Read { upto: u32 },
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(server, protocol = "chat")]
    pub enum Event {
        #[ws(direct)]
        Warned { why: String },
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }
}

/// A build in which something is otherwise: `post` replies with a text.
mod other {
    use super::*;

    #[derive(Debug, Clone, WsProtocol)]
    #[serde(rename_all = "snake_case")]
    #[ws(client, protocol = "chat", version = "2.0", server = Event)]
    pub enum Command {
        #[ws(request(reply = String))]
        Post { text: String },
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(server, protocol = "chat")]
    pub enum Event {
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }
}

/// A build that has dropped what `more` had added.
mod newest {
    use super::*;

    #[derive(Debug, Clone, WsProtocol)]
    #[serde(rename_all = "snake_case")]
    #[ws(client, protocol = "chat", version = "3.0", server = Event)]
    pub enum Command {
        #[ws(request(reply = u32))]
        Post { text: String },
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(server, protocol = "chat")]
    pub enum Event {
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }
}

/// What the application of a server has seen of its clients.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<Build>>>);

impl Seen {
    fn note(&self, build: &Build) {
        self.0.lock().unwrap().push(build.clone());
    }

    /// The verdict, if hook and handler have seen the same.
    fn verdict(&self) -> Verdict {
        let seen = self.0.lock().unwrap();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert_eq!(seen[0], seen[1]);
        seen[0].verdict
    }
}

impl first::ChatHandler for Seen {
    async fn post(&self, cx: &Cx, _: String) -> Result<u32, steadfast::NoError> {
        self.note(cx.client());
        Ok(7)
    }
}

impl more::ChatHandler for Seen {
    async fn post(&self, cx: &Cx, _: String, _: Option<u32>) -> Result<u32, steadfast::NoError> {
        self.note(cx.client());
        Ok(7)
    }

    async fn read(&self, _: &Cx, _: u32) -> Result<(), steadfast::NoError> {
        Ok(())
    }
}

impl other::ChatHandler for Seen {
    async fn post(&self, cx: &Cx, _: String) -> Result<String, steadfast::NoError> {
        self.note(cx.client());
        Ok("7".into())
    }
}

/// Asks everybody, and refuses nobody.
fn look(
    seen: &Seen,
) -> impl Fn(Credentials) -> std::future::Ready<Result<Principal, Denied>> + Send + Sync + 'static {
    let seen = seen.clone();
    move |credentials| {
        seen.note(&credentials.client);
        std::future::ready(Ok(Principal::new("ann")))
    }
}

async fn serve<C: ClientEnum>(server: Server<C>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { server.serve_listener(listener).await });
    url
}

/// What the client and the server's application make of each other, and what people are shown.
fn told(seen: &Seen, status: &Status) -> (Verdict, Verdict, String) {
    let server = status.server.as_ref().expect("it is connected");
    assert!(server.fingerprint.is_some());
    (server.verdict, seen.verdict(), status.message.clone())
}

fn text<C: ClientEnum>() -> String {
    contract::<C>().to_string()
}

#[tokio::test]
async fn equal_contracts_are_the_same() {
    let seen = Seen::default();
    let server = first::ChatServer::builder(seen.clone()).authenticate(look(&seen)).build();
    let chat = first::ChatClient::builder(serve(server).await).connect().await.unwrap();
    let answer = chat.post("hi".into()).await;
    assert_eq!(answer, Ok(7));
    assert_eq!(told(&seen, &chat.status()), (Verdict::Same, Verdict::Same, "Connected.".into()));
    let client = seen.0.lock().unwrap()[0].clone();
    assert_eq!(&*client.version, "1.0");
    let own = contract::<first::Command>().fingerprint();
    assert_eq!(client.fingerprint.unwrap().as_str(), own);
}

#[tokio::test]
async fn a_server_that_has_more_fits_a_client_of_a_released_contract() {
    let seen = Seen::default();
    let server = more::ChatServer::builder(seen.clone())
        .released(&text::<first::Command>())
        .authenticate(look(&seen))
        .build();
    let chat = first::ChatClient::builder(serve(server).await).connect().await.unwrap();
    let answer = chat.post("hi".into()).await;
    assert_eq!(answer, Ok(7));
    assert_eq!(
        told(&seen, &chat.status()),
        (Verdict::Compatible, Verdict::Compatible, "Connected.".into())
    );
}

#[tokio::test]
async fn a_client_that_misses_something_is_told_and_not_cut_off() {
    let seen = Seen::default();
    let server = other::ChatServer::builder(seen.clone())
        .released(&text::<first::Command>())
        .authenticate(look(&seen))
        .build();
    let chat = first::ChatClient::builder(serve(server).await).connect().await.unwrap();
    let answer = chat.post("hi".into()).await;
    assert!(matches!(answer, Err(CallError::Undecodable { .. })), "{answer:?}");
    let message = "Connected. There is a newer version of this program.";
    assert_eq!(
        told(&seen, &chat.status()),
        (Verdict::ClientOutdated, Verdict::ClientOutdated, message.into())
    );
}

#[tokio::test]
async fn of_contracts_that_nobody_knows_the_versions_speak() {
    let seen = Seen::default();
    let server = more::ChatServer::builder(seen.clone()).authenticate(look(&seen)).build();
    let chat = first::ChatClient::builder(serve(server).await).connect().await.unwrap();
    assert_eq!(chat.post("hi".into()).await, Ok(7));
    let (client, server, _) = told(&seen, &chat.status());
    assert_eq!((client, server), (Verdict::ClientOutdated, Verdict::ClientOutdated));
}

#[tokio::test]
async fn a_newer_client_knows_the_contracts_of_servers_before_it() {
    let seen = Seen::default();
    let server = first::ChatServer::builder(seen.clone()).authenticate(look(&seen)).build();
    let client = more::ChatClient::builder(serve(server).await);
    let chat = client.released(&text::<first::Command>()).connect().await.unwrap();
    assert_eq!(chat.post("hi".into(), Some(1)).await, Ok(7));
    let (client, server, message) = told(&seen, &chat.status());
    assert_eq!((client, server), (Verdict::ServerOutdated, Verdict::ServerOutdated));
    assert_eq!(message, "Connected.");
}

#[tokio::test]
async fn a_newer_client_that_needs_no_more_fits_an_older_server() {
    let seen = Seen::default();
    let server = more::ChatServer::builder(seen.clone()).authenticate(look(&seen)).build();
    // What this client knows is a part of what that server knows; only the client can tell.
    let client = newest::ChatClient::builder(serve(server).await);
    let chat = client.released(&text::<more::Command>()).connect().await.unwrap();
    assert_eq!(chat.post("hi".into()).await, Ok(7));
    let (client, server, _) = told(&seen, &chat.status());
    assert_eq!((client, server), (Verdict::Compatible, Verdict::ServerOutdated));
}

#[test]
#[should_panic(expected = "it is of the protocol `another`")]
fn a_contract_of_another_protocol_is_a_mistake() {
    let contract = text::<first::Command>().replace("protocol: chat", "protocol: another");
    let _ = first::ChatServer::builder(Seen::default()).released(&contract);
}
