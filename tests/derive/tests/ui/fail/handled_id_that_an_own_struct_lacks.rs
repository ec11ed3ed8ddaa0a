use serde::{Deserialize, Serialize};
use steadfast::server::{Cx, Denied, Principal};
use steadfast::{NoError, WsProtocol};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payment {
    pub order_id: String,
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(client, protocol = "chat", version = "1.0", server = ChatEvent)]
pub enum ChatCommand {
    #[ws(request(reply = u64), id = order, keep = "24h")]
    Pay(Payment),
}

#[derive(Debug, Clone, WsProtocol)]
#[ws(server, protocol = "chat", topic(Room, key = room: u64))]
pub enum ChatEvent {
    #[ws(event(Room))]
    Posted { room: u64 },
    #[ws(unknown)]
    Unknown(steadfast::UnknownMessage),
}

struct Chat;

impl ChatHandler for Chat {
    async fn pay(&self, _: &Cx, _: Payment) -> Result<u64, NoError> {
        Ok(1)
    }
}

impl ChatTopics for Chat {
    async fn may_subscribe_room(&self, _: &Principal, _: &u64) -> Result<(), Denied> {
        Ok(())
    }
}

fn main() {
    let _ = ChatServer::builder(Chat);
}
