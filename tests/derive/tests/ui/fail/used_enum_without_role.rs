use steadfast::WsProtocol;
use steadfast::client::Client;

#[derive(Debug, Clone, WsProtocol)]
#[ws(protocol = "chat", version = "1.0", server = ChatEvent)]
pub enum ChatCommand {
    #[ws(command)]
    Leave { room: u64 },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

pub async fn follow(chat: &Client<ChatCommand>) -> bool {
    chat.subscribe(Room(7)).await.is_ok()
}

fn main() {}
