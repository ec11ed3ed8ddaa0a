use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(direct(Room))]
    Warned { room: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn main() {}
