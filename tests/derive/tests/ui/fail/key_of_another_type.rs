use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: String },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn main() {}
