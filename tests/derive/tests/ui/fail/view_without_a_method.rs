use steadfast::WsProtocol;
use steadfast::client::SnapshotReason;

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: u64, text: String },
    #[ws(snapshot(Room))]
    History { room: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Screen;

impl RoomView for Screen {
    async fn room_reset(&mut self, _: ChatEventHistory, _: SnapshotReason) {}
}

fn main() {}
