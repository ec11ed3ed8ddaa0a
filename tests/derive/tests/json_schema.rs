//! JSON Schema of everything that travels, where the feature and the enums ask for it: real bodies
//! are held against it by a validator that knows nothing of us.
#![cfg(feature = "schema")]
#![allow(missing_docs, unreachable_pub)]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use steadfast::protocol::{WsError, encode_body, encode_reply, json_schemas};
use steadfast::{Codec, WsProtocol};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Side {
    Buy,
    Sell { short: bool },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Receipt {
    number: u64,
    /// Filled in by the reader, and always written.
    #[serde(default)]
    fills: Vec<u32>,
}

#[derive(Debug, Clone, WsProtocol)]
#[serde(rename_all_fields = "camelCase")]
#[ws(client, protocol = "described", version = "1", server = Event, error = Failure, json_schema)]
pub enum Command {
    #[ws(request(reply = Receipt))]
    Order {
        /// What to trade.
        symbol_name: String,
        side: Side,
        #[serde(default)]
        note: Option<String>,
    },
    #[ws(command)]
    Take(Receipt),
    #[ws(volatile)]
    Ping,
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "described", json_schema, topic(Place, key = place: u8))]
pub enum Event {
    #[ws(event(Place))]
    Moved { place: u8, by: BTreeMap<String, i64> },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[derive(Debug, WsProtocol)]
#[ws(error, json_schema)]
pub enum Failure {
    Full {
        /// How many there may be.
        limit: u32,
    },
    Muted,
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

/// Types without a schema are no obstacle where nobody asks for one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Opaque(u8);

#[derive(Debug, WsProtocol)]
#[ws(client, protocol = "plain", version = "1", server = PlainEvent)]
pub enum PlainCommand {
    #[ws(command)]
    Move { place: Opaque },
}

#[derive(Debug, WsProtocol)]
#[ws(server, protocol = "plain", topic(Spot, key = place: Opaque))]
pub enum PlainEvent {
    #[ws(event(Spot))]
    Moved { place: Opaque },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn schemas() -> BTreeMap<String, Value> {
    let schemas = json_schemas::<Command>().into_iter();
    schemas.map(|(name, schema)| (name, schema.to_value())).collect()
}

fn body(body: impl Serialize) -> Value {
    let body = encode_body(&body, Codec::Json).expect("a body that can be written");
    serde_json::from_slice(body.as_bytes()).expect("JSON")
}

#[test]
fn everything_that_travels_has_a_schema_with_a_name_that_stays() {
    let names: Vec<String> = schemas().into_keys().collect();
    let all =
        "client.Order client.Ping client.Take error.Full error.Muted reply.Order server.Moved";
    assert_eq!(names.join(" "), all);
}

#[test]
fn real_bodies_are_valid_and_others_are_not() {
    let order = |side| CommandOrder { symbol_name: "ACME".into(), side, note: None };
    let receipt = || Receipt { number: u64::MAX, fills: vec![1, 2] };
    let by = BTreeMap::from([("ann".to_owned(), -3)]);
    let reply = encode_reply(&receipt(), Codec::Json).unwrap();
    let failure = |error: Failure| {
        serde_json::from_slice(error.encode(Codec::Json).unwrap().1.as_bytes()).unwrap()
    };
    let real: Vec<(&str, Value)> = vec![
        ("client.Order", body(order(Side::Buy))),
        ("client.Order", body(order(Side::Sell { short: true }))),
        ("client.Take", body(receipt())),
        ("client.Ping", body(CommandPing {})),
        ("reply.Order", serde_json::from_slice(reply.as_bytes()).unwrap()),
        ("server.Moved", body(EventMoved { place: 255, by })),
        ("error.Full", failure(Failure::Full { limit: 7 })),
        ("error.Muted", failure(Failure::Muted)),
    ];
    let schemas = schemas();
    for name in schemas.keys() {
        assert!(real.iter().any(|(of, _)| of == name), "no body of {name} was tried");
    }
    for (name, body) in &real {
        let schema = &schemas[*name];
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(jsonschema::meta::is_valid(schema), "{name} is no schema: {schema}");
        let validator = jsonschema::draft202012::new(schema).unwrap();
        assert!(validator.is_valid(body), "{name}: {body} does not fit {schema}");
        assert!(!validator.is_valid(&json!("a text")), "{name} says nothing");
        let fields = body.as_object().into_iter().flat_map(|fields| fields.keys());
        for field in
            fields.filter(|field| *field != "note" && (*field != "fills" || *name != "client.Take"))
        {
            let mut without = body.clone();
            without.as_object_mut().unwrap().remove(field);
            assert!(!validator.is_valid(&without), "{name}: {field} is required");
            let mut wrong = body.clone();
            wrong[field] = json!([[]]);
            assert!(!validator.is_valid(&wrong), "{name}: {field} has a type");
        }
    }
}

#[test]
fn documentation_is_kept() {
    let order = &schemas()["client.Order"];
    assert_eq!(order["properties"]["symbolName"]["description"], "What to trade.");
    assert_eq!(order["properties"]["side"]["$ref"], "#/$defs/Side");
    let full = &schemas()["error.Full"];
    assert_eq!(full["properties"]["limit"]["description"], "How many there may be.");
}

#[test]
fn without_the_key_there_is_no_schema() {
    assert!(json_schemas::<PlainCommand>().is_empty());
}
