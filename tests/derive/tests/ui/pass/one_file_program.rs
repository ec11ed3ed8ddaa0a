//! A private protocol in a program's root, without a warning: what nobody calls here may be called
//! by the other side.
#![deny(warnings)]

use steadfast::WsProtocol;
use steadfast::server::{Cx, Denied, Principal};

#[derive(Debug, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
enum ChatCommand {
    #[ws(request(reply = u64))]
    Post { room: u64, text: String },
    #[ws(volatile)]
    Typing { room: u64 },
    #[deprecated(note = "use `Post`")]
    #[ws(command)]
    Shout { room: u64 },
}

#[derive(Debug, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: u64, text: String },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Chat;

impl ChatHandler for Chat {
    async fn post(&self, _: &Cx, room: u64, _: String) -> Result<u64, steadfast::NoError> {
        Ok(room)
    }
    async fn typing(&self, _: &Cx, _: u64) {}
    async fn shout(&self, _: &Cx, _: u64) -> Result<(), steadfast::NoError> {
        Ok(())
    }
}

impl ChatTopics for Chat {
    async fn may_subscribe_room(&self, _: &Principal, _: &u64) -> Result<(), Denied> {
        Ok(())
    }
}

fn main() {
    let _ = ChatServer::builder(Chat);
}
