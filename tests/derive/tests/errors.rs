//! Application errors on the wire and in Rust. How a handler returns them is for other tests.
#![deny(warnings)]
#![allow(missing_docs, unreachable_pub)]

use serde::{Deserialize, Serialize};
use steadfast::private::Codec;
use steadfast::protocol::WsError;
use steadfast::{UnknownMessage, WsProtocol};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    reasons: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, WsProtocol)]
#[serde(rename_all = "snake_case")]
#[ws(error)]
pub enum ChatError {
    RoomFull {
        limit: u32,
    },
    #[serde(alias = "silenced")]
    Muted,
    Rejected(Report),
    #[ws(unknown)]
    Unknown(UnknownMessage),
}

fn errors() -> [(ChatError, &'static str, &'static str); 4] {
    let unknown =
        UnknownMessage { name: "later".into(), body: br#"{"x":1}"#.as_slice().into(), error: None };
    [
        (ChatError::RoomFull { limit: 3 }, "room_full", r#"{"limit":3}"#),
        (ChatError::Muted, "muted", "{}"),
        (
            ChatError::Rejected(Report { reasons: vec!["x".into()] }),
            "rejected",
            r#"{"reasons":["x"]}"#,
        ),
        (ChatError::Unknown(unknown), "later", r#"{"x":1}"#),
    ]
}

#[test]
fn errors_survive_the_wire_even_unknown_ones() {
    for (error, name, body) in errors() {
        let (found_name, found_body) = error.clone().encode(Codec::Json).unwrap();
        assert_eq!((found_name.as_str(), found_body.as_bytes()), (name, body.as_bytes()));
        assert_eq!(ChatError::decode(name, body.as_bytes(), Codec::Json), Ok(error));
    }
    assert_eq!(ChatError::decode("silenced", b"null", Codec::Json), Ok(ChatError::Muted));
}

#[test]
fn a_known_error_that_does_not_fit_is_not_guessed() {
    assert!(ChatError::decode("room_full", b"{}", Codec::Json).is_err());
}

#[test]
fn an_unknown_name_that_is_no_name_is_not_sent() {
    let unknown = UnknownMessage { name: "a b".into(), body: Default::default(), error: None };
    assert!(ChatError::Unknown(unknown).encode(Codec::Json).is_err());
}

#[test]
fn an_error_is_a_standard_error() {
    let error: Box<dyn std::error::Error + Send + Sync> =
        Box::new(ChatError::RoomFull { limit: 3 });
    assert_eq!(error.to_string(), "room full (limit: 3)");
}

#[test]
fn an_error_reads_as_its_docs_say() {
    #[derive(Debug, WsProtocol)]
    #[ws(error)]
    enum Refused {
        /// The room is full: {nobody} more
        /// comes in.
        ///
        /// Try another one.
        RoomFull {
            limit: u32,
            /// Of the same name as what the formatter is often called.
            f: String,
            r#type: u8,
        },
        /// It was looked at and rejected!
        Rejected(Report),
        /// Be quiet.
        Muted,
        ABTest,
        Later {},
        #[ws(unknown)]
        Unknown(UnknownMessage),
    }
    let unknown = UnknownMessage { name: "later".into(), body: Default::default(), error: None };
    let errors = [
        (
            Refused::RoomFull { limit: 3, f: "a".into(), r#type: 7 },
            r#"The room is full: {nobody} more comes in (limit: 3, f: "a", type: 7)"#,
        ),
        (
            Refused::Rejected(Report { reasons: vec!["x".into()] }),
            r#"It was looked at and rejected! (Report { reasons: ["x"] })"#,
        ),
        (Refused::Muted, "Be quiet"),
        (Refused::ABTest, "ab test"),
        (Refused::Later {}, "later"),
        (Refused::Unknown(unknown), "an error that this version does not know: `later`"),
    ];
    for (error, text) in errors {
        assert_eq!(error.to_string(), text);
    }
}

#[test]
fn display_may_be_ones_own() {
    #[derive(Debug, WsProtocol)]
    #[ws(error, own_display)]
    enum Own {
        Broken,
        #[ws(unknown)]
        Unknown(UnknownMessage),
    }
    impl std::fmt::Display for Own {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(if matches!(self, Self::Broken) {
                "it is broken"
            } else {
                "something else"
            })
        }
    }
    impl std::error::Error for Own {}
    assert_eq!(Own::Broken.to_string(), "it is broken");
}

#[test]
fn errors_are_described() {
    let names: Vec<&str> =
        ChatError::DESCRIPTION.messages.iter().map(|message| message.name).collect();
    assert_eq!(names, ["room_full", "muted", "rejected"]);
    assert_eq!(ChatError::DESCRIPTION.messages[2].payload, Some("Report"));
}
