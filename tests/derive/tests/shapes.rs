//! Where an enum may stand, and what its variants may look like. What may not be is in `ui`.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;
use steadfast::private::{Codec, decode_body, encode_body};
use steadfast::protocol::{ClientEnum, Message, Publish, ServerEnum};

fn text(message: &impl Serialize) -> String {
    let body = encode_body(message, Codec::Json).expect("the message can be encoded");
    String::from_utf8(body.as_bytes().to_vec()).expect("JSON is text")
}

#[test]
fn a_protocol_may_be_defined_in_a_function_body() {
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Local(u8);

    #[derive(Debug, WsProtocol)]
    #[ws(client, protocol = "local", version = "1", server = Event)]
    enum Command {
        #[ws(request(reply = Local))]
        Ask { what: Local },
        #[ws(volatile(latest_by = at))]
        Move { at: Local },
    }

    #[derive(Debug, WsProtocol)]
    #[ws(server, protocol = "local", topic(Place, key = place: Local))]
    enum Event {
        #[ws(event(Place))]
        Moved { place: Local },
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }

    assert_eq!(text(&CommandAsk { what: Local(7) }), r#"{"what":7}"#);
    assert_eq!(EventMoved { place: Local(7) }.topic_key().as_deref(), Ok("7"));
    assert!(matches!(
        Event::decode("Moved", br#"{"place":1}"#, Codec::Json),
        Event::Moved { place: Local(1) }
    ));
    let _ = (Place(Local(1)), CommandMove { at: Local(1) });
}

mod both {
    use super::*;

    #[derive(Debug, WsProtocol)]
    #[ws(client, protocol = "first", version = "1", server = FirstEvent)]
    pub enum FirstCommand {
        #[ws(command)]
        Ping,
    }

    #[derive(Debug, WsProtocol)]
    #[ws(server, protocol = "first")]
    pub enum FirstEvent {
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }

    #[derive(Debug, WsProtocol)]
    #[ws(client, protocol = "second", version = "1", server = SecondEvent)]
    pub enum SecondCommand {
        #[ws(command)]
        Ping,
    }

    #[derive(Debug, WsProtocol)]
    #[ws(server, protocol = "second")]
    pub enum SecondEvent {
        #[ws(unknown)]
        Unknown(steadfast::UnknownMessage),
    }
}

#[test]
fn two_protocols_live_in_one_module() {
    assert_eq!((both::FirstCommandPing::NAME, both::SecondCommandPing::NAME), ("Ping", "Ping"));
    assert_eq!(both::SecondCommand::DESCRIPTION.protocol, "second");
    assert_eq!(both::FirstEvent::DESCRIPTION.protocol, "first");
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    symbol: String,
    #[serde(default)]
    note: Option<String>,
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "trade", version = "1", server = TradeEvent)]
pub enum TradeCommand {
    #[ws(request(reply = u64))]
    Order(Order),
    #[ws(command)]
    Amend(Order),
    #[ws(command)]
    Flush,
    #[ws(command)]
    Reset {},
    #[cfg(any())]
    #[ws(command)]
    NotInThisBuild { missing: DoesNotExist },
    #[ws(command, as = Chosen)]
    Named { r#type: u8 },
    #[deprecated(note = "use `Flush`")]
    #[ws(command)]
    Sync { cx: u8, message: u8, handler: u8, body: u8 },
    #[ws(volatile(latest_by = symbol))]
    Watch(Order),
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "trade", topic(Book, key = symbol: String))]
pub enum TradeEvent {
    #[ws(event(Book))]
    Order(Order),
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[test]
fn a_newtype_variant_uses_the_struct_that_it_has() {
    let order = Order { symbol: "X".into(), note: None };
    assert_eq!(text(&order), r#"{"symbol":"X","note":null}"#);
    assert_eq!((Order::NAME, order.topic_key().as_deref()), ("Order", Ok("X")));
    assert!(matches!(TradeEvent::from(order.clone()), TradeEvent::Order(same) if same == order));
    let read = TradeEvent::decode("Order", br#"{"symbol":"X"}"#, Codec::Json);
    assert!(matches!(read, TradeEvent::Order(same) if same == order));
    let _ = |client: TradeClient| (client.order(order.clone()), client.watch(order));
}

#[test]
fn a_unit_variant_is_an_empty_map_that_may_get_fields_later() {
    assert_eq!(text(&TradeCommandFlush {}), "{}");
    assert!(matches!(TradeCommand::from(TradeCommandFlush {}), TradeCommand::Flush));
    assert!(matches!(TradeCommand::from(TradeCommandReset {}), TradeCommand::Reset {}));
    for body in [r#"{"later":1}"#, "null", ""] {
        assert!(decode_body::<TradeCommandFlush>(body.as_bytes(), Codec::Json).is_ok());
    }
}

#[test]
fn a_variant_that_is_configured_out_does_not_exist() {
    let names: Vec<&str> =
        TradeCommand::DESCRIPTION.messages.iter().map(|message| message.name).collect();
    assert_eq!(names, ["Order", "Amend", "Flush", "Reset", "Named", "Sync", "Watch"]);
}

#[test]
fn a_struct_may_be_named_and_a_field_may_be_a_keyword() {
    assert_eq!(text(&Chosen { r#type: 1 }), r#"{"type":1}"#);
    assert_eq!(TradeCommand::DESCRIPTION.messages[4].fields[0].name, "type");
}

/// Methods of the connection that a client wraps, and that its users never call.
#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "free", version = "1", server = FreeEvent)]
pub enum FreeCommand {
    #[ws(request(reply = u64))]
    Call { to: String },
    #[ws(command)]
    Codec,
    #[ws(volatile)]
    Volatile { level: u8 },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "free")]
pub enum FreeEvent {
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[test]
fn a_message_may_be_called_as_what_only_generated_code_calls() {
    use steadfast::client::Call;

    let _ = |client: FreeClient| -> (Call<u64, steadfast::NoError>, Call<(), _>, bool) {
        (client.call("ann".into()), client.codec(), client.volatile(1))
    };
}

/// Everything that the expansion could name by accident.
mod shadowed {
    use steadfast::WsProtocol;
    use steadfast::protocol::{ServerEnum, WsError};

    pub mod steadfast_again {
        pub use steadfast;
    }

    macro_rules! shadow {
        ($($name:ident),*) => { $(
            #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
            #[allow(dead_code)]
            pub struct $name { pub inside: u8 }
        )* };
    }
    shadow!(
        Result, Option, String, Send, Sync, Box, Arc, Future, Into, From, Vec, Ok, Err, Some,
        Handler, Message, Cx, H, T, Call
    );

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(client, protocol = "odd", version = "1", crate = steadfast_again::steadfast)]
    #[ws(server = OddEvent, error = OddError)]
    pub enum OddCommand {
        #[ws(request(reply = Result))]
        Ask { option: Option, string: String, send: Send, sync: Sync },
        #[ws(command)]
        Message(Message),
        #[ws(volatile)]
        H(H),
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(server, protocol = "odd", error = OddError, topic(Key, key = key: Some))]
    #[ws(crate = steadfast_again::steadfast)]
    pub enum OddEvent {
        #[ws(event(Key))]
        Ok { key: Some, vec: Vec, into: Into },
        #[ws(volatile(Key, latest_by = call))]
        Err { key: Some, call: Call },
        #[ws(snapshot(Key))]
        Cx { key: Some, cx: Cx },
        #[ws(unknown)]
        None(steadfast::UnknownMessage),
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(error, crate = steadfast_again::steadfast)]
    pub enum OddError {
        Err(Err),
        Ok {
            result: Result,
        },
        None,
        #[ws(unknown)]
        Some(steadfast::UnknownMessage),
    }

    #[test]
    fn the_users_names_do_not_matter() {
        assert_eq!(OddEvent::DESCRIPTION.messages.len(), 3);
        assert_eq!(OddError::DESCRIPTION.messages.len(), 3);
    }
}

#[test]
fn the_enum_may_derive_serde_itself() {
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, WsProtocol)]
    #[serde(tag = "type", rename_all = "snake_case", rename_all_fields = "camelCase")]
    #[ws(server, protocol = "logged", topic(Log, key = log_name: String))]
    enum Logged {
        #[ws(event(Log))]
        LineAdded { log_name: String },
        #[ws(unknown)]
        #[serde(skip)]
        Unknown(steadfast::UnknownMessage),
    }
    let line = LoggedLineAdded { log_name: "a".into() };
    assert_eq!(text(&line), r#"{"logName":"a"}"#);
    let whole = serde_json::to_string(&Logged::from(line)).unwrap();
    assert_eq!(whole, r#"{"type":"line_added","logName":"a"}"#);
    let _ = Log("a".into());
}
