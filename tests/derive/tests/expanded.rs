//! The generated code as text, for a team's snapshots on stable Rust.
#![cfg(feature = "expanded")]
#![allow(missing_docs, unreachable_pub)]

use steadfast::WsProtocol;
use steadfast::protocol::expanded;

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "ping", version = "1", server = Event, error = Failure)]
pub enum Command {
    #[ws(request(reply = Vec<u8>))]
    Ping { text: String },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "ping", topic(Room, key = room: u8))]
pub enum Event {
    #[ws(event(Room))]
    Posted { room: u8 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[derive(Debug, WsProtocol)]
#[ws(error)]
pub enum Failure {
    Muted,
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[test]
fn the_code_of_each_enum_can_be_read_as_one_would_write_it() {
    let commands = expanded::<Command>();
    assert!(commands.starts_with("// Command, always\n\n"), "{commands}");
    assert!(commands.contains("\n// Command, with the client\n"), "{commands}");
    let method = "\n    pub fn ping(&self, text: String) -> ";
    assert!(commands.contains(method), "{commands}");
    assert!(
        expanded::<Event>().contains("\npub struct Room(pub u8);\n"),
        "{}",
        expanded::<Event>()
    );
    assert!(expanded::<Failure>().contains("Self::Muted => "), "{}", expanded::<Failure>());
    for text in [commands, expanded::<Event>(), expanded::<Failure>()] {
        assert!(text.lines().count() > 20, "it is formatted:\n{text}");
    }
}
