use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
pub enum ChatCommand {
    #[ws(command, reserved("say"))]
    Post { room: u64 },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn main() {}
