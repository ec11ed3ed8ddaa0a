//! A protocol with every shape that a body can have: what the derive made of it reads whatever a
//! peer sends.
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "the derive makes items of its own; nothing outside names them"
)]

use serde::{Deserialize, Serialize};
use steadfast::private::ServerBuilder;
use steadfast::server::{Cx, Denied, Principal, TopicCx};
use steadfast::{NoError, UnknownMessage, WsProtocol};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    pub symbol: String,
    #[serde(default)]
    pub note: Option<String>,
    pub lots: Vec<i64>,
    pub price: Option<i32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Buy,
    Sell,
}

/// A structure that refers to itself: nesting is the peer's to choose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tree {
    #[serde(default)]
    pub children: Vec<Tree>,
}

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(client, protocol = "market", version = "1", server = MarketEvent, error = MarketError)]
pub enum MarketCommand {
    #[ws(request(reply = u64))]
    Place { order: Order, side: Side },
    #[ws(command)]
    Plant { tree: Tree },
    #[ws(command)]
    Flush,
    #[ws(request(reply = Option<std::collections::BTreeMap<String, u8>>))]
    Ask { what: Option<char>, big: u128, small: i8, at: Option<(u8, String)> },
    #[ws(volatile(latest_by = side))]
    Nudge { side: Side },
}

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(server, protocol = "market", topic(Book, key = symbol: String), topic(Level, key = at: u32))]
pub enum MarketEvent {
    #[ws(event(Book))]
    Placed { symbol: String, order: Order },
    #[ws(snapshot(Book))]
    Opened { symbol: String, orders: Vec<Order> },
    #[ws(event(Level))]
    Moved { at: u32, side: Side },
    #[ws(volatile(Level, latest_by = side))]
    Blinked { at: u32, side: Side },
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(error)]
pub enum MarketError {
    Closed,
    TooMany {
        limit: u32,
    },
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

/// A server of this protocol that answers everything at once.
pub fn market() -> ServerBuilder<MarketCommand> {
    MarketServer::builder(Market)
}

struct Market;

impl MarketHandler for Market {
    async fn place(&self, cx: &Cx, order: Order, _: Side) -> Result<u64, MarketError> {
        if order.lots.is_empty() {
            return Err(MarketError::TooMany { limit: 0 });
        }
        cx.publish(MarketEventPlaced { symbol: order.symbol.clone(), order });
        Ok(1)
    }

    async fn plant(&self, _: &Cx, _: Tree) -> Result<(), MarketError> {
        Ok(())
    }

    async fn flush(&self, _: &Cx) -> Result<(), MarketError> {
        Ok(())
    }

    async fn ask(
        &self,
        _: &Cx,
        _: Option<char>,
        _: u128,
        _: i8,
        _: Option<(u8, String)>,
    ) -> Result<Option<std::collections::BTreeMap<String, u8>>, MarketError> {
        Err(MarketError::Closed)
    }

    async fn nudge(&self, cx: &Cx, side: Side) {
        cx.publish(MarketEventBlinked { at: 7, side });
    }
}

impl MarketTopics for Market {
    async fn may_subscribe_book(&self, _: &Principal, symbol: &String) -> Result<(), Denied> {
        if symbol == "no" { Err("no".into()) } else { Ok(()) }
    }

    async fn book_snapshot(
        &self,
        _: &TopicCx,
        symbol: &String,
    ) -> Result<MarketEventOpened, NoError> {
        Ok(MarketEventOpened { symbol: symbol.clone(), orders: Vec::new() })
    }

    async fn may_subscribe_level(&self, _: &Principal, _: &u32) -> Result<(), Denied> {
        Ok(())
    }
}
