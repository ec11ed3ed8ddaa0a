use steadfast::server::{Cx, Denied, Principal};
use steadfast::{NoError, WsProtocol};

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
pub enum ChatCommand {
    #[ws(request(reply = u64))]
    Post { room: u64, text: String },
    #[ws(comand)]
    Leave { room: u64 },
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: u64, text: String },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Chat;

impl ChatHandler for Chat {
    async fn post(&self, cx: &Cx, room: u64, text: String) -> Result<u64, NoError> {
        cx.publish(ChatEventPosted { room, text });
        Ok(1)
    }
    async fn leave(&self, _: &Cx, _: u64) -> Result<(), NoError> {
        Ok(())
    }
}

impl ChatTopics for Chat {
    async fn may_subscribe_room(&self, _: &Principal, _: &u64) -> Result<(), Denied> {
        Ok(())
    }
}

pub async fn talk(chat: &ChatClient) -> Option<u64> {
    let _ = chat.leave(1).await;
    chat.post(1, "hello".into()).await.ok()
}

fn main() {
    let _ = ChatServer::builder(Chat);
}
