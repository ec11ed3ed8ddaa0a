use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
pub enum ChatCommand {
    #[ws(request(reply = u64))]
    Post { room: u64, text: String },
    #[ws(command)]
    MarkRead { room: u64 },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

use steadfast::server::{Cx, Denied, Principal};

struct Chat;

impl ChatHandler for Chat {
    async fn post(&self, _: &Cx, room: u64, _: String) -> Result<u64, steadfast::NoError> {
        Ok(room)
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
