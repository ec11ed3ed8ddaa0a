//! Topics: keys, what may be published, and what a topic yields.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use std::any::TypeId;
use std::convert::Infallible;

use serde::{Deserialize, Serialize};
use steadfast::protocol::{Publish, ServerEnum, TopicKey, decode_topic_key};
use steadfast::{Gap, WsProtocol};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Symbol(String);
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    base: Symbol,
    lot: u32,
}

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all_fields = "camelCase")]
#[ws(server, protocol = "market")]
#[ws(topic(Price, key = symbol: Symbol, replay = 10, ttl = "30s", max_bytes = "1KiB"))]
#[ws(topic(LotSize, key = pair: Pair))]
pub enum MarketEvent {
    #[ws(event(Price))]
    Changed { symbol: Symbol },
    #[ws(snapshot(Price))]
    Current { symbol: Symbol, price: u64 },
    #[ws(volatile(Price))]
    Tick { symbol: Symbol },
    #[ws(volatile(LotSize, latest_by = (side, trader_id)))]
    Hint { pair: Pair, side: u8, trader_id: String },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn symbol() -> Symbol {
    Symbol("A/B".into())
}

#[test]
fn a_string_key_is_itself_and_another_is_json() {
    let pair = Pair { base: symbol(), lot: 3 };
    assert_eq!(Price(symbol()).key().as_deref(), Ok("A/B"));
    assert_eq!(LotSize(pair.clone()).key().as_deref(), Ok(r#"{"base":"A/B","lot":3}"#));
    assert_eq!(decode_topic_key("A/B"), Ok(symbol()));
    assert_eq!(decode_topic_key(r#"{"base":"A/B","lot":3}"#), Ok(pair));
}

#[test]
fn a_message_goes_to_the_topic_that_a_subscriber_names() {
    let changed = MarketEventChanged { symbol: symbol() };
    assert_eq!(changed.topic_key(), Price(symbol()).key());
    assert_eq!((MarketEventChanged::TOPIC, Price::TOPIC), (0, 0));
    assert_eq!((MarketEventHint::TOPIC, LotSize::TOPIC), (1, 1));
}

#[test]
fn only_volatiles_have_a_conflation_key() {
    assert_eq!(MarketEventChanged { symbol: symbol() }.conflation_key(), Ok(None));
    assert_eq!(MarketEventTick { symbol: symbol() }.conflation_key(), Ok(Some(String::new())));
    let hint =
        MarketEventHint { pair: Pair { base: symbol(), lot: 3 }, side: 1, trader_id: "t".into() };
    assert_eq!(hint.conflation_key(), Ok(Some(r#"[1,"t"]"#.into())));
}

#[test]
fn a_snapshot_replaces_the_gap() {
    assert_eq!(TypeId::of::<<Price as TopicKey>::Snapshot>(), TypeId::of::<MarketEventCurrent>());
    assert_eq!(TypeId::of::<<Price as TopicKey>::Gap>(), TypeId::of::<Infallible>());
    assert_eq!(TypeId::of::<<LotSize as TopicKey>::Snapshot>(), TypeId::of::<Infallible>());
    assert_eq!(TypeId::of::<<LotSize as TopicKey>::Gap>(), TypeId::of::<Gap>());
}

#[test]
fn topics_are_described() {
    let [price, lot] = MarketEvent::DESCRIPTION.topics else { panic!("two are declared") };
    assert_eq!(
        (price.name, price.rust_name, price.key_field, price.key_type),
        ("price", "Price", "symbol", "Symbol")
    );
    assert_eq!(
        (price.replay, price.ttl_ms, price.max_bytes, price.has_snapshot),
        (10, 30_000, 1024, true)
    );
    assert_eq!(
        (lot.name, lot.replay, lot.ttl_ms, lot.max_bytes, lot.has_snapshot),
        ("lot_size", 256, 600_000, 65_536, false)
    );
}
