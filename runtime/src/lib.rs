//! Typed WebSocket protocols that survive their network: sequence numbers, acks, resume and dedupe,
//! from two enums.
//!
//! One enum says what clients send, one what the server sends. From them [`WsProtocol`] makes a
//! client with a method for each message, a trait with a method for each message for the server to
//! implement, and typed topics for clients to follow.
//!
//! # What is guaranteed
//!
//! - A command takes effect **at most once**: its result is committed together with everything that
//!   its handler published through its context, and a repetition gets the first outcome. That holds
//!   across reconnects, lost sessions and, with a durable store, restarts of the server.
//! - Commands of a client run in the order of calls (unless declared concurrent), and stay in its
//!   outbox until their **outcome is known, or reported as unknown**; it is never guessed.
//! - Events of a topic arrive in order and without holes. If something was missed for good, **the
//!   gap is reported**, with the topic's state where it has a snapshot.
//! - Everything is bounded by a named setting. What a peer sends never makes the other end panic.
//!
//! # What is not
//!
//! - Effects elsewhere: a handler that writes to its own database does so once only if it uses
//!   [`Cx::idempotency_key`](server::Cx::idempotency_key), or if its rows are in the store's own
//!   transaction (`cx.transact` of `steadfast-sqlite`).
//! - Volatile messages, which may be lost, and say so in their declaration.
//! - With the memory store, that anything survives a restart of the server: outcomes of what was
//!   under way become unknown, and every topic reports a gap.
//!
//! `PROTOCOL.md` at the root of the repository has the rules, clause by clause; the docs here name
//! the clauses that they follow.
//!
//! # Example
//!
#![cfg_attr(all(feature = "derive", feature = "client", feature = "server"), doc = "```")]
#![cfg_attr(
    not(all(feature = "derive", feature = "client", feature = "server")),
    doc = "```ignore"
)]
//! use futures_util::StreamExt;
//! use serde::{Deserialize, Serialize};
//! use steadfast::client::Item;
//! use steadfast::server::{Cx, Denied, Principal, TopicCx};
//! use steadfast::{UnknownMessage, WsProtocol};
//!
//! #[derive(Debug, Clone, WsProtocol)]
//! #[serde(rename_all = "snake_case")]
//! #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
//! pub enum ChatCommand {
//!     /// Post a message to a room; the reply is its number.
//!     #[ws(request(reply = u64))]
//!     Post { room: u32, text: String },
//! }
//!
//! #[derive(Debug, Clone, WsProtocol)]
//! #[serde(rename_all = "snake_case")]
//! #[ws(server, protocol = "chat", topic(Room, key = room: u32, replay = 500, ttl = "10m"))]
//! pub enum ChatEvent {
//!     #[ws(event(Room))]
//!     Posted { room: u32, from: String, text: String },
//!     #[ws(snapshot(Room))]
//!     History { room: u32, texts: Vec<String> },
//!     #[ws(unknown)]
//!     Unknown(UnknownMessage),
//! }
//!
//! struct Chat;
//!
//! impl ChatHandler for Chat {
//!     async fn post(&self, cx: &Cx, room: u32, text: String) -> Result<u64, steadfast::NoError> {
//!         cx.publish(ChatEventPosted { room, from: cx.principal().user().to_owned(), text });
//!         Ok(1)
//!     }
//! }
//!
//! impl ChatTopics for Chat {
//!     async fn may_subscribe_room(&self, _: &Principal, _: &u32) -> Result<(), Denied> {
//!         Ok(())
//!     }
//!     async fn room_snapshot(
//!         &self,
//!         _: &TopicCx,
//!         room: &u32,
//!     ) -> Result<ChatEventHistory, steadfast::NoError> {
//!         Ok(ChatEventHistory { room: *room, texts: vec![] })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = ChatServer::builder(Chat).allow_anonymous().build();
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! tokio::spawn(async move { server.serve_listener(listener).await });
//!
//! let chat = ChatClient::builder(format!("ws://{address}")).connect().await?;
//! let mut events = chat.subscribe(Room(7)).await?;
//! // Survives any number of reconnects while it waits.
//! let number = chat.post(7, "hello".into()).await?;
//! assert_eq!(number, 1);
//! while let Some(item) = events.next().await {
//!     match item {
//!         // The first state, or the state after a gap.
//!         Item::Snapshot { state, .. } => assert!(state.texts.is_empty()),
//!         Item::Event(ChatEvent::Posted { text, .. }) => {
//!             assert_eq!(text, "hello");
//!             break;
//!         }
//!         Item::Event(other) => println!("{other:?}"),
//!     }
//! }
//! chat.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | Feature | Default | What it adds |
//! |---|---|---|
//! | `derive` | yes | [`WsProtocol`] |
//! | `client` | yes | [`client`]: the tokio client |
//! | `server` | yes | [`server`]: the tokio server, with a router for axum |
//! | `schema` | no | JSON Schema of every body: [`protocol::json_schemas`](mod@protocol) |
//! | `expanded` | no | the generated code as text, for snapshots: a feature for tests |
//! | `test` | no | `test`: client and server in memory, paused time, faults: a kit for your tests |
//! | `store-suite` | no | `store::suite`: what a store of your own has to pass |
//!
//! Without any of them this crate is the pure core: [`session`] and [`wire`], every decision of
//! both ends without socket, clock or task, for tests, for simulation, and for drivers of your own.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "tokio")]
mod host;
#[doc(hidden)]
pub mod private;
pub mod protocol;
#[cfg(feature = "server")]
pub mod server;
pub mod session;
pub mod store;
#[cfg(feature = "tokio")]
mod sync;
#[cfg(feature = "test")]
pub mod test;
#[cfg(feature = "tokio")]
mod transport;
pub mod wire;

pub use protocol::{DecodeError, EncodeError, NoError, UnknownMessage};
pub use steadfast_schema as schema;
pub use wire::{Codec, Gap};

/// Makes a typed client, a typed server and typed topics from annotated enums.
#[cfg(feature = "derive")]
pub use steadfast_macros::WsProtocol;

/// Holds a protocol to its contract: fails if the enums say something else than the contract that
/// the team has committed. Named is the client enum, which names the others.
///
/// The file is `contracts/<protocol>.contract` in the package, or the one that is named, as in
/// `assert_contract!(ChatCommand, "chat-2.contract")`. With `STEADFAST_CONTRACT=update` in the
/// environment it is written instead.
///
/// ```no_run
/// # use steadfast::WsProtocol;
/// # #[derive(Debug, Clone, WsProtocol)]
/// # #[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
/// # pub enum ChatCommand { #[ws(command)] Leave { room: String } }
/// # #[derive(Debug, Clone, WsProtocol)]
/// # #[ws(server, protocol = "chat")]
/// # pub enum ChatEvent { #[ws(unknown)] Unknown(steadfast::UnknownMessage) }
/// # /*
/// #[test]
/// # */
/// fn the_protocol_is_what_was_agreed() {
///     steadfast::assert_contract!(ChatCommand);
/// }
/// # the_protocol_is_what_was_agreed();
/// ```
///
/// # Panics
/// When they differ, with the lines that do, what clients of the kept contract would miss, and how
/// to accept the change; also when the file is not there.
#[macro_export]
macro_rules! assert_contract {
    ($commands:ty $(,)?) => {
        $crate::private::assert_contract::<$commands>(
            ::core::env!("CARGO_MANIFEST_DIR"),
            ::core::option::Option::None,
        )
    };
    ($commands:ty, $path:expr $(,)?) => {
        $crate::private::assert_contract::<$commands>(
            ::core::env!("CARGO_MANIFEST_DIR"),
            ::core::option::Option::Some($path),
        )
    };
}

/// The program of the README, so that it stays true.
#[cfg(all(doctest, feature = "derive", feature = "client", feature = "server"))]
#[doc = include_str!("../../README.md")]
mod readme {}

/// The example of a contract.
#[cfg(all(doctest, feature = "derive", feature = "client", feature = "server"))]
#[doc = include_str!("../../docs/contract.md")]
mod contract {}

/// The program of its documentation.
#[cfg(all(doctest, feature = "derive", feature = "test"))]
#[doc = include_str!("../../docs/testing.md")]
mod testing {}
