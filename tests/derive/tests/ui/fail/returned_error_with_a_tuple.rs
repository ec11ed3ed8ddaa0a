use steadfast::server::Cx;
use steadfast::WsProtocol;

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent, error = ChatError)]
pub enum ChatCommand {
    #[ws(command)]
    Post { text: String },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat")]
pub enum ChatEvent {
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(error)]
pub enum ChatError {
    Muted,
    Full(u32, u32),
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Chat;

impl ChatHandler for Chat {
    async fn post(&self, _: &Cx, text: String) -> Result<(), ChatError> {
        if text.is_empty() { Err(ChatError::Muted) } else { Err(ChatError::Full(1, 2)) }
    }
}

pub fn told(error: ChatError) -> Box<dyn std::error::Error> {
    println!("{error}");
    error.into()
}

fn main() {
    let _ = ChatServer::builder(Chat);
}
