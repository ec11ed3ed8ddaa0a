//! Enums that nobody uses and nobody has documented: nothing of them is called dead.

use serde::{Deserialize, Serialize};
use steadfast::WsProtocol;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Own {
    n: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, WsProtocol)]
#[ws(client, protocol = "guest", version = "1", server = GuestEvent, error = GuestError)]
enum GuestCommand {
    #[ws(request(reply = u64))]
    Ask { a: u8, b: Vec<String>, c: Option<u8>, d: u8, e: u8, f: u8, g: u8 },
    #[ws(command)]
    Go,
    #[ws(command)]
    Mine(Own),
    #[deprecated(note = "use `Go`")]
    #[ws(command)]
    Stop {
        a: u8,
        #[deprecated(note = "never read")]
        old: u8,
    },
    #[deprecated]
    #[ws(volatile(latest_by = a))]
    Hint { a: u8 },
}

#[derive(Debug, Clone, PartialEq, Eq, WsProtocol)]
#[ws(server, protocol = "guest", error = GuestError, topic(Room, key = room: String))]
enum GuestEvent {
    #[ws(event(Room))]
    Asked { room: String },
    #[deprecated]
    #[ws(event(Room))]
    AskedOnce { room: String },
    #[ws(snapshot(Room))]
    State { room: String },
    #[ws(volatile(Room))]
    Hint { room: String },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[derive(Debug, Clone, PartialEq, Eq, WsProtocol)]
#[ws(error)]
enum GuestError {
    Full {
        limit: u8,
    },
    #[deprecated]
    Gone,
    #[deprecated]
    Mine(Own),
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}
