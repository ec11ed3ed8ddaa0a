use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(snapshot(Room))]
    History { room: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn publish(_: impl steadfast::protocol::Publish) {}

fn main() {
    publish(ChatEventHistory { room: 1 });
}
