//! The contract of a protocol whose types have JSON Schemas: what is in a type is in the contract,
//! and its name is not.
#![cfg(feature = "schema")]
#![allow(missing_docs, unreachable_pub, dead_code)]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;
use steadfast::protocol::contract;
use steadfast::schema::Contract;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RoomId(u64);

/// A side.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// With words.
    Buy,
    Sell,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Shape {
    Limit { price: u32 },
    Market,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub enum Mark {
    Nothing,
    Text(String),
    Box { width: u8, height: Option<u8> },
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Order {
    side: Side,
    shape: Shape,
    #[serde(default)]
    marks: Vec<Mark>,
    labels: BTreeMap<String, i32>,
    #[serde(rename = "of: it")]
    odd: (u16, bool),
    maybe: Option<Side>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tree {
    value: f64,
    children: Vec<Tree>,
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "shapes", version = "1", server = Event, error = Failure, json_schema)]
pub enum Command {
    #[ws(request(reply = Option<RoomId>))]
    Place(Order),
    #[ws(command)]
    Plant { tree: Tree, at: RoomId },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "shapes", json_schema, topic(Room, key = room: RoomId))]
pub enum Event {
    #[ws(event(Room))]
    Posted { room: RoomId },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[derive(Debug, WsProtocol)]
#[ws(error, json_schema)]
pub enum Failure {
    Full {
        limit: u32,
    },
    Muted,
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

const SHAPES: &str = "\
# The contract of the protocol `shapes`: what its wire depends on.
# format 1
client Place: request
client Place body: object
client Place body.labels: object
client Place body.labels{}: integer int32
client Place body.marks: array
client Place body.marks optional
client Place body.marks[]: one of
client Place body.marks[] value \"Nothing\"
client Place body.marks[]|Box: object
client Place body.marks[]|Box closed
client Place body.marks[]|Box.Box: object
client Place body.marks[]|Box.Box.height: integer uint8
client Place body.marks[]|Box.Box.height nullable
client Place body.marks[]|Box.Box.height optional
client Place body.marks[]|Box.Box.width: integer uint8
client Place body.marks[]|Text: object
client Place body.marks[]|Text closed
client Place body.marks[]|Text.Text: string
client Place body.maybe: one of
client Place body.maybe nullable
client Place body.maybe optional
client Place body.maybe value \"buy\"
client Place body.maybe value \"sell\"
client Place body.of\\u{3a}\\u{20}it: array
client Place body.of\\u{3a}\\u{20}it maxItems: 2
client Place body.of\\u{3a}\\u{20}it minItems: 2
client Place body.of\\u{3a}\\u{20}it[0]: integer uint16
client Place body.of\\u{3a}\\u{20}it[1]: boolean
client Place body.shape: one of
client Place body.shape|type=limit: object
client Place body.shape|type=limit.price: integer uint32
client Place body.shape|type=limit.type: one of
client Place body.shape|type=limit.type value \"limit\"
client Place body.shape|type=market: object
client Place body.shape|type=market.type: one of
client Place body.shape|type=market.type value \"market\"
client Place body.side: one of
client Place body.side value \"buy\"
client Place body.side value \"sell\"
client Place max_bytes: 65536
client Place reply: integer uint64
client Place reply nullable
client Place timeout_ms: 10000
client Plant: command
client Plant body: object
client Plant body.at: integer uint64
client Plant body.tree: object
client Plant body.tree.children: array
client Plant body.tree.children[]: type Tree
client Plant body.tree.value: number double
client Plant max_bytes: 65536
client Plant timeout_ms: 10000
error Full
error Full body: object
error Full body.limit: integer uint32
error Muted
error Muted body: object
protocol: shapes
server Posted: event of room
server Posted body: object
server Posted body.room: integer uint64
topic room
topic room key: integer uint64
topic room max_bytes: 65536
topic room replay: 256
topic room ttl_ms: 600000
type Tree: object
type Tree.children: array
type Tree.children[]: type Tree
type Tree.value: number double
";

#[test]
fn what_is_in_a_type_is_in_the_contract_and_its_name_is_not() {
    assert_eq!(contract::<Command>().to_string(), SHAPES);
}

fn missing_from_a_server_with(line: &str, other: &str) -> Vec<String> {
    assert!(SHAPES.contains(&format!("\n{line}\n")), "no line {line}");
    let other = if other.is_empty() { String::new() } else { format!("{other}\n") };
    let server = SHAPES.replace(&format!("\n{line}\n"), &format!("\n{other}"));
    let server = Contract::parse(&server).expect("the contract of a test");
    Contract::missing(&contract::<Command>(), &server)
}

#[test]
fn what_an_own_type_gains_is_missed_only_where_a_reader_needs_it() {
    let whole = "client Place body.shape: one of";
    let with = |more: &str| format!("{whole}\n{more}");
    let depth = "client Place body.marks[]|Box.Box.depth";
    let fits = [
        "client Place body.shape|type=stop: object\nclient Place body.shape|type=stop.at: string",
        &format!("{depth}: any\n{depth} optional"),
        "client Place body.side value \"short\"",
        "server Posted body.by: string",
    ];
    for more in fits {
        assert_eq!(missing_from_a_server_with(whole, &with(more)), [""; 0], "{more}");
    }
    let more = "client Place body.shape|type=limit.stop: integer uint32";
    let missing = missing_from_a_server_with(whole, &with(more));
    assert_eq!(missing, ["`Place`: body.shape|type=limit.stop is not written"]);
}

#[test]
fn what_an_own_type_has_lost_is_missed() {
    let labels = "client Place body.labels{}: ";
    let reply = "client Place reply: integer uint64";
    let cases = [
        ("client Place body.side value \"sell\"", "", "body.side may be \"sell\""),
        (&format!("{labels}integer int32"), &format!("{labels}string"), "is integer int32"),
        ("client Place body.maybe nullable", "", "body.maybe may be null"),
        ("client Place reply nullable", "", ""),
        (reply, &format!("{reply}\nclient Place reply minimum: 1"), ""),
        ("type Tree.value: number double", "type Tree.value: string", "a type that holds itself"),
        ("error Full body.limit: integer uint32", "", "error `Full`: body.limit is not written"),
    ];
    for (line, other, told) in cases {
        let missing = missing_from_a_server_with(line, other);
        assert_eq!(missing.len(), usize::from(!told.is_empty()), "{line}: {missing:?}");
        assert!(missing.iter().all(|what| what.contains(told)), "{line}: {missing:?}");
    }
}

mod documented {
    use super::*;

    #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    pub enum Plain {
        Buy,
        Sell,
    }

    #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
    pub struct Wrapped {
        side: Plain,
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(client, protocol = "words", version = "1", server = WordEvent, json_schema)]
    pub enum PlainCommand {
        #[ws(command)]
        Go { side: Plain, wrapped: Wrapped },
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(server, protocol = "words")]
    pub enum WordEvent {
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }
}

mod told {
    use super::*;

    /// What it is.
    #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    #[schemars(title = "Another name", example = &"sell")]
    pub enum Told {
        /// To have.
        Buy,
        /// To have had.
        Sell,
    }

    /// Another name.
    #[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
    pub struct Renamed {
        /// Which.
        side: Told,
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(client, protocol = "words", version = "2", server = super::documented::WordEvent)]
    #[ws(json_schema)]
    pub enum ToldCommand {
        /// Goes.
        #[ws(command)]
        Go {
            /// There.
            side: Told,
            wrapped: Renamed,
        },
    }
}

#[test]
fn documentation_and_names_of_types_make_no_other_contract() {
    let (plain, told) = (contract::<documented::PlainCommand>(), contract::<told::ToldCommand>());
    assert_eq!(told.diff(&plain), None);
    assert_eq!(told.fingerprint(), plain.fingerprint());
}
