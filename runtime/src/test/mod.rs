//! A kit for the tests of an application: contexts for handlers alone, and clients and servers in
//! memory, without ports and without waiting. For `[dev-dependencies]`, as feature `test`; it has
//! no part in what is shipped.
//!
//! - [`Cx`] and [`TopicCx`] are for unit tests of handlers and hooks.
//! - A [`Net`] has servers ([`Net::serve`]) and lines for clients ([`Net::line`]): the real
//!   runtime, the real codecs, pipes in memory.
//! - A [`Line`] is cut, stalls, loses an answer, refuses dials; a [`Host`] crashes, restarts,
//!   drains; its store fails, is slow, loses answers ([`StoreFaults`]).
//! - Every wait is bounded, and says what it waited for: [`Net::until`], [`Net::within`],
//!   [`Fault::happened`], [`Host::until_recorded`].
//!
//! Under `#[tokio::test(start_paused = true)]` time passes when nobody has anything to do, so five
//! minutes of a session take microseconds, and a seed gives the same run each time: the net's seed
//! is that of every server and client in it. Time must not be paused where handlers wait for
//! something that tokio knows nothing of, such as a database's thread: it would seem idle, and time
//! would run on. The store of a server is no such case; while it is at work time stands still.
//!
//! # Example
//!
#![cfg_attr(feature = "derive", doc = "```")]
#![cfg_attr(not(feature = "derive"), doc = "```ignore")]
//! # use std::sync::Arc;
//! # use std::sync::atomic::{AtomicU32, Ordering};
//! # use steadfast::server::Cx;
//! # use steadfast::{NoError, WsProtocol};
//! # #[derive(Debug, Clone, WsProtocol)]
//! # #[ws(client, protocol = "shop", version = "1.0", server = ShopEvent)]
//! # pub enum ShopCommand {
//! #     #[ws(request(reply = u32))]
//! #     Buy { what: String },
//! # }
//! # #[derive(Debug, Clone, WsProtocol)]
//! # #[ws(server, protocol = "shop")]
//! # pub enum ShopEvent {
//! #     #[ws(unknown)]
//! #     Unknown(steadfast::UnknownMessage),
//! # }
//! # #[derive(Clone, Default)]
//! # struct Shop(Arc<AtomicU32>);
//! # impl ShopHandler for Shop {
//! #     async fn buy(&self, _: &Cx, _: String) -> Result<u32, NoError> {
//! #         Ok(self.0.fetch_add(1, Ordering::Relaxed) + 1)
//! #     }
//! # }
//! use steadfast::test::Net;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let net = Net::new(7);
//! let shop = Shop::default();
//! let serving = shop.clone();
//! let host = net.serve("shop", move || ShopServer::builder(serving.clone()).allow_anonymous());
//! let line = net.line("ada");
//! let ada = line.client(ShopClient::builder(host.url())).connect().await.unwrap();
//!
//! // The server buys, and its answer is lost with the socket.
//! let lost = line.lose_answer();
//! let bought = net.within("the receipt", ada.buy("tea".into())).await;
//! assert_eq!(bought, Ok(1), "the first receipt, told again");
//! assert_eq!(lost.times(), 1);
//! assert_eq!(shop.0.load(Ordering::Relaxed), 1, "bought once");
//! # }
//! ```

mod cx;
mod fault;
mod frames;
mod host;
mod line;
mod link;
mod links;
mod net;
mod rules;
mod shared;
mod store;
mod trace;
mod way;

pub use cx::{Cx, TopicCx};
pub use fault::Fault;
pub use host::Host;
pub use line::Line;
pub use net::Net;
pub use rules::Refusal;
pub use store::StoreFaults;
pub use way::Way;
