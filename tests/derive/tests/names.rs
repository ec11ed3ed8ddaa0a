//! Wire names: what serde would write. How names are checked is for the tests of the macros.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use steadfast::WsProtocol;
use steadfast::private::{Codec, encode_body};
use steadfast::protocol::{ClientEnum, Message, ServerEnum, SnapshotState};

#[derive(Debug, WsProtocol)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
#[ws(client, protocol = "names", version = "1", server = NamesEvent, reserved("gone"))]
pub enum NamesCommand {
    #[ws(command)]
    MarkAsRead { up_to: u8 },
    #[ws(command)]
    #[serde(rename = "say", alias = "speak", alias = "talk", rename_all = "UPPERCASE")]
    SendText {
        the_text: String,
        #[serde(rename = "to")]
        recipient: u8,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<u8>,
        #[serde(default = "seven")]
        priority: u8,
    },
}

fn seven() -> u8 {
    7
}

#[derive(Debug, PartialEq, WsProtocol)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[ws(server, protocol = "names", topic(Room, key = room: u8))]
pub enum NamesEvent {
    #[ws(event(Room))]
    #[serde(alias = "posted", alias = "sent")]
    TextPosted { room: u8 },
    #[ws(snapshot(Room))]
    #[serde(rename = "state", alias = "history")]
    AllTexts { room: u8 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[test]
fn names_and_fields_follow_serde() {
    let text =
        NamesCommandSendText { the_text: "hi".into(), recipient: 1, reply_to: None, priority: 2 };
    let body = encode_body(&text, Codec::Json).unwrap();
    assert_eq!(body.as_bytes(), br#"{"THE_TEXT":"hi","to":1,"PRIORITY":2}"#);
    assert_eq!((NamesCommandMarkAsRead::NAME, NamesCommandSendText::NAME), ("mark-as-read", "say"));
    let read: NamesCommandSendText = serde_json::from_str(r#"{"THE_TEXT":"","to":1}"#).unwrap();
    assert_eq!((read.reply_to, read.priority), (None, 7));
    let read: NamesCommandMarkAsRead = serde_json::from_str(r#"{"upTo":1}"#).unwrap();
    assert_eq!(read.up_to, 1);
}

#[test]
fn the_description_names_what_travels() {
    let messages = NamesCommand::DESCRIPTION.messages;
    let names: Vec<&str> = messages.iter().map(|message| message.name).collect();
    assert_eq!(names, ["mark-as-read", "say"]);
    assert_eq!(messages[1].aliases, ["speak", "talk"]);
    let fields: Vec<(&str, &str, bool)> = messages[1]
        .fields
        .iter()
        .map(|field| (field.name, field.rust_name, field.optional))
        .collect();
    let expected = [
        ("THE_TEXT", "the_text", false),
        ("to", "recipient", false),
        ("REPLY_TO", "reply_to", true),
        ("PRIORITY", "priority", true),
    ];
    assert_eq!(fields, expected);
    assert!(messages[1].answers_to("talk") && !messages[1].answers_to("text"));
    assert_eq!(NamesCommand::DESCRIPTION.reserved, ["gone"]);
}

#[test]
fn aliases_are_understood_and_never_sent() {
    for name in ["TEXT_POSTED", "posted", "sent"] {
        assert_eq!(
            NamesEvent::decode(name, br#"{"room":1}"#, Codec::Json),
            NamesEvent::TextPosted { room: 1 }
        );
    }
    for name in ["state", "history"] {
        assert_eq!(
            NamesEventAllTexts::decode(name, br#"{"room":1}"#, Codec::Json).map(|state| state.room),
            Ok(1)
        );
    }
    assert!(NamesEventAllTexts::decode("posted", br#"{"room":1}"#, Codec::Json).is_err());
    assert_eq!(NamesEventTextPosted::NAME, "TEXT_POSTED");
}

#[test]
fn what_this_build_does_not_know_arrives_as_it_came() {
    let NamesEvent::Unknown(unknown) = NamesEvent::decode("later", br#"{"x":1}"#, Codec::Json)
    else {
        panic!("no variant has that name");
    };
    assert_eq!(
        (unknown.name.as_str(), &unknown.body[..], unknown.error),
        ("later", br#"{"x":1}"#.as_slice(), None)
    );
    let NamesEvent::Unknown(undecodable) =
        NamesEvent::decode("posted", br#"{"room":"x"}"#, Codec::Json)
    else {
        panic!("the body does not fit");
    };
    assert!(undecodable.error.is_some_and(|error| error.contains("invalid type")));
}
