use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
pub enum ChatCommand {
    #[ws(command)]
    Ping,
}

pub enum ChatEvent {
    Posted,
}

fn main() {}
