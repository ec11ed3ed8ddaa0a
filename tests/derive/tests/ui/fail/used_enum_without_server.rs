use steadfast::WsProtocol;
use steadfast::private::ClientEnum;

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0")]
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

pub fn described() -> &'static str {
    ChatCommand::DESCRIPTION.protocol
}

fn main() {}
