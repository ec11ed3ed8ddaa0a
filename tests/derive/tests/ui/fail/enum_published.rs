use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn publish(_: impl steadfast::protocol::Publish) {}

fn main() {
    publish(ChatEvent::Posted { room: 1 });
}
