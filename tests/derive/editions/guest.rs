//! A guest of another edition: it is a test that it compiles, without warnings. What a derive does
//! is not tested here.
#![deny(warnings)]

extern crate serde;
extern crate steadfast;

pub mod messages {
    use serde::{Deserialize, Serialize};
    use steadfast::{UnknownMessage, WsProtocol};

    #[derive(Debug, Clone, Serialize, Deserialize)]
    pub struct Own {
        number: u8,
    }

    /// What a client may say: words of a later edition are names here.
    #[derive(Debug, Clone, WsProtocol)]
    #[ws(client, protocol = "edition", version = "1", server = Event, error = Wrong)]
    pub enum Command {
        #[ws(request(reply = u64))]
        Ask { question: String, r#async: bool, r#gen: u8 },
        #[ws(command)]
        Gen,
        #[ws(command)]
        Try(Own),
        #[ws(volatile(latest_by = r#dyn))]
        Dyn { r#dyn: u8 },
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(server, protocol = "edition", error = Wrong, topic(Room, key = r#await: String))]
    pub enum Event {
        #[ws(event(Room))]
        Asked { r#await: String },
        #[ws(snapshot(Room))]
        State { r#await: String },
        #[ws(volatile(Room, latest_by = r#await))]
        Hint { r#await: String },
        #[ws(unknown)]
        Unknown(UnknownMessage),
    }

    #[derive(Debug, Clone, WsProtocol)]
    #[ws(error)]
    pub enum Wrong {
        Full {
            r#try: u8,
        },
        Own(Own),
        #[ws(unknown)]
        Unknown(UnknownMessage),
    }
}
