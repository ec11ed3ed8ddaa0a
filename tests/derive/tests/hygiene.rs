//! Enums whose tokens come from a macro, and fields called like the names that generated code has.
//! What a type or attribute means is for other tests.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use serde::{Deserialize, Serialize};
use steadfast::private::{Codec, encode_body};
use steadfast::protocol::{ClientEnum, Publish, ServerEnum, WsError};
use steadfast::{UnknownMessage, WsProtocol};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    symbol: String,
}

/// The enums are the macro's, and everything in them is its caller's.
macro_rules! fields_from_the_caller {
    (
        $room:ident, $room_type:ty, $who:ident: $who_type:ty,
        $note:ident: $note_type:ty, $order:ident($order_type:ty)
    ) => {
        #[derive(Debug, Clone, WsProtocol)]
        #[ws(client, protocol = "caller", version = "1", server = CallerEvent, error = CallerError)]
        pub enum CallerCommand {
            #[ws(request(reply = $who_type))]
            Post { $room: $room_type, $who: $who_type, $note: $note_type },
            #[ws(command)]
            $order($order_type),
            #[ws(volatile(latest_by = $who))]
            Typing { $room: $room_type, $who: $who_type },
        }

        #[derive(Debug, Clone, WsProtocol)]
        #[ws(server, protocol = "caller", error = CallerError)]
        #[ws(topic(Room, key = $room: $room_type))]
        pub enum CallerEvent {
            #[ws(event(Room))]
            Posted { $room: $room_type, $who: $who_type, $note: $note_type },
            #[ws(snapshot(Room))]
            History { $room: $room_type, $note: $note_type },
            #[ws(volatile(Room, latest_by = $who))]
            Typing { $room: $room_type, $who: $who_type },
            #[ws(unknown)]
            Unknown(UnknownMessage),
        }

        #[derive(Debug, Clone, PartialEq, WsProtocol)]
        #[ws(error)]
        pub enum CallerError {
            Full {
                $who: $who_type,
            },
            $order($order_type),
            #[ws(unknown)]
            Unknown(UnknownMessage),
        }
    };
}
fields_from_the_caller!(room, u64, who: String, note: Option<String>, Order(Order));

#[test]
fn the_fields_of_every_enum_may_come_from_a_macros_caller() {
    let posted = CallerEventPosted { room: 7, who: "ann".into(), note: None };
    assert_eq!(posted.topic_key().as_deref(), Ok("7"));
    let typing = CallerEventTyping { room: 7, who: "ann".into() };
    assert_eq!(typing.conflation_key(), Ok(Some(r#"["ann"]"#.into())));
    let full = CallerError::Full { who: "ann".into() };
    assert_eq!(full.to_string(), r#"full (who: "ann")"#);
    let (name, body) = full.clone().encode(Codec::Json).expect("the error can be encoded");
    assert_eq!(CallerError::decode(name.as_str(), body.as_bytes(), Codec::Json), Ok(full));
}

#[test]
fn a_type_from_a_macros_caller_is_described_as_if_it_were_written_out() {
    let fields = CallerCommand::DESCRIPTION.messages[0].fields;
    let found: Vec<(&str, bool)> = fields.iter().map(|field| (field.ty, field.optional)).collect();
    assert_eq!(found, [("u64", false), ("String", false), ("Option<String>", true)]);
    assert_eq!(CallerCommand::DESCRIPTION.messages[1].payload, Some("Order"));
    assert_eq!(CallerEvent::DESCRIPTION.topics[0].key_type, "u64");
}

/// The fields are the macro's, and the names of the enums its caller's.
macro_rules! enums_from_the_caller {
    ($command:ident, $event:ident, $error:ident) => {
        #[derive(Debug, Clone, WsProtocol)]
        #[ws(client, protocol = "names", version = "1", server = $event, error = $error)]
        pub enum $command {
            #[ws(request(reply = u64))]
            Ask { room: u64 },
        }

        #[derive(Debug, Clone, WsProtocol)]
        #[ws(server, protocol = "names", error = $error, topic(Table, key = room: u64))]
        pub enum $event {
            #[ws(event(Table))]
            Asked { room: u64 },
            #[ws(unknown)]
            Unknown(UnknownMessage),
        }

        #[derive(Debug, Clone, PartialEq, WsProtocol)]
        #[ws(error)]
        pub enum $error {
            Full {
                room: u64,
            },
            #[ws(unknown)]
            Unknown(UnknownMessage),
        }
    };
}
enums_from_the_caller!(NamesCommand, NamesEvent, NamesError);

#[test]
fn the_names_of_the_enums_may_come_from_a_macros_caller() {
    assert_eq!(NamesEventAsked { room: 7 }.topic_key().as_deref(), Ok("7"));
    assert_eq!(NamesError::Full { room: 7 }.to_string(), "full (room: 7)");
    assert_eq!(NamesCommand::DESCRIPTION.messages[0].name, "Ask");
}

/// Every name that a generated function has of its own.
#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "taken", version = "1", server = TakenEvent, error = TakenError)]
pub enum TakenCommand {
    #[ws(request(reply = u8))]
    Ask { cx: u8, context: u8, message: u8, handler: u8, body: u8 },
    #[ws(volatile(latest_by = message))]
    Hint { message: u8, codec: u8, inner: u8, client: u8 },
}

#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[ws(server, protocol = "taken", error = TakenError, topic(Place, key = handler: u8))]
pub enum TakenEvent {
    #[ws(event(Place))]
    Asked { handler: u8, name: u8, body: u8, codec: u8, message: u8, decoded: u8, error: u8 },
    #[ws(snapshot(Place))]
    State { handler: u8, cx: u8, key: u8, topic: u8, who: u8 },
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[ws(error)]
pub enum TakenError {
    Bad {
        codec: u8,
        name: u8,
        body: u8,
        message: u8,
        f: u8,
    },
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

#[test]
fn a_field_may_be_called_as_a_name_that_generated_code_uses() {
    let ask = TakenCommandAsk { cx: 1, context: 2, message: 3, handler: 4, body: 5 };
    let encoded = encode_body(&ask, Codec::Json).expect("the message can be encoded");
    assert_eq!(encoded.as_bytes(), br#"{"cx":1,"context":2,"message":3,"handler":4,"body":5}"#);
    let bad = TakenError::Bad { codec: 1, name: 2, body: 3, message: 4, f: 5 };
    assert_eq!(bad.to_string(), "bad (codec: 1, name: 2, body: 3, message: 4, f: 5)");
    let (name, body) = bad.clone().encode(Codec::Json).expect("the error can be encoded");
    assert_eq!(TakenError::decode(name.as_str(), body.as_bytes(), Codec::Json), Ok(bad));
    let state = br#"{"handler":1,"cx":2,"key":3,"topic":4,"who":5}"#;
    let expected = TakenEvent::State { handler: 1, cx: 2, key: 3, topic: 4, who: 5 };
    assert_eq!(TakenEvent::decode("State", state, Codec::Json), expected);
}

/// Everything is its caller's, fragment by fragment.
macro_rules! fragments_from_the_caller {
    (
        $(#[$of_command:meta])* $command:ident, $(#[$of_ask:meta])* $ask:ident,
        $(#[$of_event:meta])* $event:ident, $(#[$of_asked:meta])* $asked:ident,
        $vis:vis, $events:path, $protocol:literal, $time:literal, $reply:ty, $key:ident: $of_key:ty
    ) => {
        #[derive(Debug, Clone, WsProtocol)]
        $(#[$of_command])*
        #[ws(client, protocol = $protocol, version = "1", server = $events, timeout = $time)]
        $vis enum $command {
            $(#[$of_ask])*
            #[ws(request(reply = $reply), max_bytes = "1KiB")]
            $ask { $key: $of_key },
        }

        #[derive(Debug, Clone, WsProtocol)]
        $(#[$of_event])*
        #[ws(server, protocol = $protocol, topic(Desk, key = $key: $of_key, ttl = $time))]
        $vis enum $event {
            $(#[$of_asked])*
            #[ws(event(Desk))]
            $asked { $key: $of_key },
            #[ws(unknown)]
            Unknown(UnknownMessage),
        }
    };
}
fragments_from_the_caller!(
    /// What is asked.
    #[serde(rename_all = "snake_case")]
    FragmentCommand,
    #[serde(rename = "enquire")]
    Ask,
    #[serde(rename_all = "snake_case")]
    FragmentEvent,
    #[serde(alias = "enquired")]
    Asked,
    pub(crate), self::FragmentEvent, "fragments", "3s", Option<Order>, desk: u64
);

#[test]
fn every_fragment_may_come_from_a_macros_caller() {
    use steadfast::schema::Kind;

    let command = FragmentCommand::DESCRIPTION;
    assert_eq!((command.protocol, command.docs), ("fragments", "What is asked."));
    let ask = command.messages[0];
    let kind =
        Kind::Request { reply: "Option<Order>", ordered: true, timeout_ms: 3000, max_bytes: 1024 };
    assert_eq!((ask.name, ask.kind), ("enquire", kind));
    let event = FragmentEvent::DESCRIPTION;
    assert_eq!(
        (event.topics[0].ttl_ms, event.messages[0].aliases),
        (3000, ["enquired"].as_slice())
    );
    assert_eq!(FragmentEventAsked { desk: 7 }.topic_key().as_deref(), Ok("7"));
}
