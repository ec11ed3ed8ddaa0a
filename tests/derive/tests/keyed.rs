//! Keyed topics: which item an event is about, and what a client's mirror is told of that.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;
use steadfast::protocol::{KeyedTopic, Publish, ServerEnum, TopicKey};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Symbol(String);
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Side {
    Buy,
    Sell,
}
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gone {
    pub symbol: Symbol,
    pub side: Side,
    pub price: u64,
}

#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[serde(rename_all_fields = "camelCase")]
#[ws(server, protocol = "market")]
#[ws(topic(Last, key = day: u32, latest_by = symbol: Symbol, items = 100, ttl = "1h"))]
#[ws(topic(Book, key = symbol: Symbol, latest_by = (side: Side, price: u64), items = 1_000))]
#[ws(topic(Trades, key = symbol: Symbol))]
pub enum MarketEvent {
    #[ws(event(Last))]
    Traded { day: u32, symbol: Symbol, price: u64 },
    #[ws(event(Book))]
    Level { symbol: Symbol, side: Side, price: u64, size: u64 },
    #[ws(event(Book))]
    #[serde(rename = "moved")]
    Moved { price: u64, side: Side, symbol: Symbol },
    #[ws(removal(Book))]
    Gone(Gone),
    #[ws(volatile(Book))]
    Tick { symbol: Symbol },
    #[ws(event(Trades))]
    Trade { symbol: Symbol },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn symbol() -> Symbol {
    Symbol("ACME".into())
}

#[test]
fn an_item_is_written_as_a_topics_key_is() {
    let traded = MarketEventTraded { day: 3, symbol: symbol(), price: 7 };
    assert_eq!(traded.item(), Ok(Some("ACME".into())));
    let level = MarketEventLevel { symbol: symbol(), side: Side::Buy, price: 10, size: 5 };
    assert_eq!(level.item(), Ok(Some(r#"["Buy",10]"#.into())));
    let gone = Gone { symbol: symbol(), side: Side::Buy, price: 10 };
    assert_eq!(gone.item(), level.item(), "of the same item, be it gone");
    assert_eq!(level.topic_key(), Book(symbol()).key());
}

#[test]
fn only_events_of_keyed_topics_have_items() {
    assert_eq!(MarketEventTick { symbol: symbol() }.item(), Ok(None));
    assert_eq!(MarketEventTrade { symbol: symbol() }.item(), Ok(None));
}

#[test]
fn a_mirror_is_told_the_item_and_whether_it_is_gone() {
    let item = || r#"["Sell",9]"#.to_owned();
    let moved = MarketEvent::Moved { symbol: symbol(), side: Side::Sell, price: 9 };
    assert_eq!(Book::change(&moved), Some(Ok((item(), false))));
    let gone = MarketEvent::Gone(Gone { symbol: symbol(), side: Side::Sell, price: 9 });
    assert_eq!(Book::change(&gone), Some(Ok((item(), true))));
    for other in [
        MarketEvent::Tick { symbol: symbol() },
        MarketEvent::Trade { symbol: symbol() },
        MarketEvent::Traded { day: 3, symbol: symbol(), price: 7 },
    ] {
        assert_eq!(Book::change(&other), None, "{other:?}");
    }
}

#[test]
fn the_description_says_what_names_an_item() {
    let topics = MarketEvent::DESCRIPTION.topics;
    let keyed: Vec<_> = topics.iter().map(|topic| (topic.name, topic.latest_by)).collect();
    let none: &[&str] = &[];
    assert_eq!(keyed, [("last", &["symbol"][..]), ("book", &["side", "price"]), ("trades", none)]);
    assert_eq!((topics[0].replay, topics[1].replay), (100, 1_000));
}
