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
pub struct ChatError {
    limit: u32,
}

struct Chat;

impl ChatHandler for Chat {
    async fn post(&self, _: &Cx, text: String) -> Result<(), ChatError> {
        if text.is_empty() { Err(ChatError { limit: 1 }) } else { Ok(()) }
    }
}

pub fn told(error: ChatError) -> Box<dyn std::error::Error> {
    println!("{error}");
    error.into()
}

fn main() {
    let _ = ChatServer::builder(Chat);
}
