//! JSON Schema of message bodies, where the feature and the enum ask for it.
#![cfg(feature = "schema")]
#![allow(missing_docs, unreachable_pub)]

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;
use steadfast::protocol::{ClientEnum, ServerEnum};

#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Side {
    buy: bool,
}

#[derive(Debug, WsProtocol)]
#[serde(rename_all_fields = "camelCase")]
#[ws(client, protocol = "described", version = "1", server = Event, json_schema)]
pub enum Command {
    #[ws(command)]
    Order {
        /// What to trade.
        symbol_name: String,
        side: Side,
        #[serde(default)]
        note: Option<String>,
    },
    #[ws(command)]
    Side(Side),
}

/// Types without a schema are no obstacle where nobody asks for one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opaque(u8);

#[derive(Debug, WsProtocol)]
#[ws(server, protocol = "described", topic(Place, key = place: Opaque))]
pub enum Event {
    #[ws(event(Place))]
    Moved { place: Opaque },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[test]
fn a_body_is_described_as_it_travels() {
    let bodies = steadfast::schema::bodies(Command::DESCRIPTION.messages);
    assert_eq!(bodies.iter().map(|body| body.name).collect::<Vec<_>>(), ["Order", "Side"]);
    let order = serde_json::to_value(&bodies[0].schema).unwrap();
    assert_eq!(order["required"], serde_json::json!(["symbolName", "side"]));
    assert_eq!(order["properties"]["symbolName"]["description"], "What to trade.");
    assert_eq!(order["properties"]["side"]["$ref"], "#/$defs/Side");
    assert_eq!(order["$defs"]["Side"]["properties"]["buy"]["type"], "boolean");
}

#[test]
fn without_the_key_there_is_no_schema() {
    assert!(steadfast::schema::bodies(Event::DESCRIPTION.messages).is_empty());
}
