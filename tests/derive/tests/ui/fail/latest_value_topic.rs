use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Price, key = symbol: String, latest_by = side))]
pub enum ChatEvent {

    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

fn main() {}
